// The tables of the page: calls, routes, endpoints, certificates and conditions.

import { byID, el, keyed, set, svg, text } from "./dom.js";
import { clock, day, ms, none, place, rate, share, span } from "./format.js";
import { board, endpointKey, proxies, routeStats } from "./store.js";
import { Table } from "./table.js";
import { level } from "./trouble.js";

const byProxy = { title: "Proxy", cell: (r) => r.proxy.label, sort: (r) => r.proxy.label, class: "wide" };
const measured = [
  { title: "Rate", cell: (r) => rate(r.stats.rate, r.protocol), sort: (r) => r.stats.rate, class: "number" },
  { title: "Errors", cell: (r) => share(r.stats.errors), sort: (r) => r.stats.errors, class: "number", level: (r) => level(r.stats) },
  { title: "p50", cell: (r) => ms(r.stats.p50), sort: (r) => r.stats.p50, class: "number wide" },
  { title: "p95", cell: (r) => ms(r.stats.p95), sort: (r) => r.stats.p95, class: "number" },
  { title: "p99", cell: (r) => ms(r.stats.p99), sort: (r) => r.stats.p99, class: "number wide" },
];

// edgesTable shows who calls whom.
export function edgesTable(root, label) {
  return new Table(root, {
    label, empty: "No calls.", key: (r) => r.id,
    columns: [
      { title: "From", cell: (r) => r.fromName, sort: (r) => r.fromName },
      { title: "To", cell: (r) => r.toName, sort: (r) => r.toName },
      { title: "Protocol", cell: (r) => r.protocol, sort: (r) => r.protocol, class: "wide" },
      ...measured,
    ],
  });
}

// edgeRows are the links of a model as rows.
export function edgeRows(model) {
  const names = new Map(model.cards.map((c) => [c.id, c.title]));
  return model.links.map((l) => ({
    ...l,
    fromName: names.get(l.from) + (l.fromLabel ? ` ${l.fromLabel}` : ""),
    toName: names.get(l.to) + (l.toLabel ? ` ${l.toLabel}` : ""),
  }));
}

// sparkline is a column with the rate of the last minute.
const sparkline = {
  title: "Last minute", class: "wide",
  node: () => svg("svg", { class: "spark", viewBox: "0 0 120 22", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("polyline")),
  update: (node, r) => draw(node, r.stats.spark()),
};

// draw draws a line of up to 60 values, the newest at the right.
export function draw(node, values) {
  const top = Math.max(1e-9, ...values);
  const points = values.map((v, i) => `${120 - (values.length - 1 - i) * 2},${(21 - (v / top) * 20).toFixed(1)}`);
  set(node.firstChild, "points", points.join(" "));
}

const shares = {
  title: "Destinations", class: "shares",
  node: () => el("span", { class: "split" }),
  update: (node, r) => {
    const list = r.route.destinations ?? [];
    if (list.length === 0) {
      if (node.firstElementChild) node.replaceChildren();
      text(node, r.route.action);
      return;
    }
    if (!node.firstElementChild) node.replaceChildren();
    const sum = list.reduce((a, d) => a + d.weight, 0);
    keyed(node, list, (d) => d.cluster, () => el("span", { class: "part" }, el("b"), el("span")), (part, d) => {
      const i = list.indexOf(d);
      const wanted = list.length === 1 ? 1 : sum > 0 ? d.weight / sum : 0;
      const got = r.stats.shares[i];
      text(part.firstChild, clusterName(d, list.length > 1));
      text(part.lastChild, d.missing ? "no such cluster" : list.length === 1 ? "" : ` ${share(wanted)} → ${share(got)}`);
      set(part, "data-level", d.missing ? "bad" : null);
      set(part, "title", `${d.cluster}: ${share(wanted)} as configured, ${share(got)} as it comes out`);
    });
  },
};

function clusterName(d, several) {
  const host = (d.host || d.cluster).split(".")[0];
  return d.subset ? (several ? d.subset : `${host} ${d.subset}`) : host;
}

export class Routes {
  #table = new Table(byID("routes-table"), {
    label: "Routes", empty: "There is no route.", key: (r) => `${r.proxy.id} ${r.number}`,
    columns: [
      { title: "Host", cell: (r) => r.route.domains[0] ?? r.route.host, sort: (r) => r.route.domains[0], hint: (r) => `${r.route.listener} · ${r.route.domains.join(", ")}`, class: "host" },
      { title: "Match", cell: (r) => r.route.match, sort: (r) => r.route.match, hint: (r) => [r.route.name, r.route.origin].filter(Boolean).join(" · "), class: "match" },
      shares,
      measured[0], sparkline, ...measured.slice(1), byProxy,
    ],
  });

  show(match) {
    const rows = [];
    let all = 0;
    for (const proxy of proxies) {
      proxy.routes.forEach((route, number) => {
        all++;
        if (match(route.host, route.domains.join(" "), route.match, route.action, route.name, route.origin, proxy.label)) rows.push(lazy({ proxy, route, number }));
      });
    }
    text(byID("routes-count"), all || "");
    this.#table.show(rows);
  }
}

// lazy works a route's numbers out when they are looked at: most rows are out of view.
function lazy(row) {
  let stats = null;
  Object.defineProperty(row, "stats", { get: () => (stats ??= routeStats(row.proxy, row.route)) });
  return row;
}

export class Endpoints {
  #table = new Table(byID("endpoints-table"), {
    label: "Endpoints", empty: "There is no endpoint.", key: (r) => `${r.proxy.id} ${r.cluster.name} ${r.endpoint.address} ${r.number}`,
    columns: [
      { title: "Cluster", cell: (r) => r.cluster.name, sort: (r) => r.cluster.name, class: "match", hint: (r) => `${r.cluster.name} · ${r.cluster.balancer ?? ""}` },
      { title: "Address", cell: (r) => r.endpoint.address, sort: (r) => r.endpoint.address, hint: (r) => [r.endpoint.name, r.endpoint.locality].filter(Boolean).join(" · ") },
      { title: "State", cell: (r) => state(r.endpoint), sort: (r) => state(r.endpoint), level: (r) => (r.endpoint.healthy ? null : "bad") },
      { title: "Rate", cell: (r) => rate(r.stats.rate), sort: (r) => r.stats.rate, class: "number" },
      { title: "Failures", cell: (r) => share(r.stats.errors), sort: (r) => r.stats.errors, class: "number" },
      { title: "Active", cell: (r) => r.endpoint.active, sort: (r) => r.endpoint.active, class: "number" },
      { title: "Open", cell: (r) => r.endpoint.open, sort: (r) => r.endpoint.open, class: "number wide" },
      { title: "Requests", cell: (r) => r.endpoint.requests.toLocaleString("en"), sort: (r) => r.endpoint.requests, class: "number wide" },
      { title: "Share", cell: (r) => share(r.endpoint.share / 100), sort: (r) => r.endpoint.share, class: "number wide" },
      byProxy,
    ],
  });

  show(match) {
    const rows = [];
    let all = 0;
    for (const proxy of proxies) {
      for (const cluster of proxy.clusters) {
        cluster.endpoints.forEach((endpoint, number) => {
          all++;
          if (!match(cluster.name, endpoint.address, endpoint.name, proxy.label, state(endpoint))) return;
          const row = { proxy, cluster, endpoint, number };
          Object.defineProperty(row, "stats", { get: () => board.stats([endpointKey(proxy, cluster, endpoint)], []) });
          rows.push(row);
        });
      }
    }
    rows.sort((a, b) => Number(a.endpoint.healthy) - Number(b.endpoint.healthy));
    text(byID("endpoints-count"), all || "");
    this.#table.show(rows);
  }
}

// state says in a word whether an endpoint is used.
export function state(e) {
  if (!e.healthy) return e.ejections > 0 ? `ejected (${e.ejections}×)` : "unhealthy";
  if (e.warming) return "warming up";
  return e.ejections > 0 ? `healthy (was ejected ${e.ejections}×)` : "healthy";
}

export class Certificates {
  #table = new Table(byID("certificates-table"), {
    label: "Certificates", empty: "There is no certificate.", key: (r) => `${r.proxy.id} ${r.name}`,
    columns: [
      { title: "Source", cell: (r) => r.name, sort: (r) => r.name },
      { title: "Names", cell: (r) => (r.names ?? []).join(", ") || none, class: "match", hint: (r) => r.subject },
      { title: "Valid until", cell: (r) => (r.notAfter ? day(r.notAfter) : none), sort: (r) => r.notAfter },
      { title: "Left", cell: (r) => left(r), sort: (r) => r.notAfter, level: (r) => expiry(r) },
      { title: "Key", cell: (r) => r.key || none, class: "wide" },
      { title: "State", cell: (r) => r.error || "in force", class: "match", hint: (r) => r.error },
      byProxy,
    ],
  });

  show(match) {
    const all = proxies.flatMap((proxy) => proxy.certificates.map((c) => ({ ...c, proxy })));
    text(byID("certificates-count"), all.length || "");
    this.#table.show(all.filter((c) => match(c.name, c.subject, (c.names ?? []).join(" "), c.proxy.label)).sort((a, b) => (a.notAfter ?? "").localeCompare(b.notAfter ?? "")));
  }
}

const leftOf = (c) => new Date(c.notAfter) - c.proxy.at;

function left(c) {
  if (!c.notAfter) return none;
  return leftOf(c) < 0 ? `expired ${span(-leftOf(c))} ago` : span(leftOf(c));
}

function expiry(c) {
  if (!c.notAfter || leftOf(c) < 3 * 86400000) return "bad";
  return leftOf(c) < 14 * 86400000 ? "warn" : null;
}

export class Conditions {
  #table = new Table(byID("conditions-table"), {
    label: "Conditions", empty: "No conditions: the configuration is in force as written.", key: (r) => r.key,
    columns: [
      { title: "Severity", cell: (r) => r.severity, sort: (r) => r.severity, level: (r) => ({ Error: "bad", Warning: "warn" })[r.severity] },
      { title: "Object", cell: (r) => `${r.kind} ${r.namespace ? `${r.namespace}/` : ""}${r.name}`, sort: (r) => r.name },
      { title: "Field", cell: (r) => r.field || none, class: "match" },
      { title: "What is wrong, and the way out", cell: (r) => r.message, class: "message" },
      { title: "File", cell: (r) => (r.file ? place(r.proxy, r.file, r.line) : none), hint: (r) => r.file, sort: (r) => r.file, class: "match" },
      { title: "Told by", cell: (r) => r.who.join(", "), class: "wide match" },
    ],
  });

  show(match) {
    // The same defect is found by every proxy that reads the object.
    const all = new Map();
    for (const proxy of proxies) {
      for (const c of proxy.conditions) {
        const key = [c.kind, c.namespace, c.name, c.field, c.message].join("|");
        const same = all.get(key);
        if (same) same.who.push(proxy.label);
        else all.set(key, { ...c, key, proxy, who: [proxy.label] });
      }
    }
    text(byID("conditions-count"), all.size || "");
    const weight = { Error: 0, Warning: 1, Info: 2 };
    this.#table.show([...all.values()].filter((c) => match(c.kind, c.name, c.namespace, c.field, c.message, c.file)).sort((a, b) => weight[a.severity] - weight[b.severity]));
  }
}

// tiles shows the numbers of the proxy whose page this is.
export function tiles(root, stats, proxy) {
  const connections = proxy.listeners.reduce((n, l) => n + l.connections, 0);
  const list = [
    { key: "rate", title: "Requests", value: rate(stats.rate), spark: stats.spark() },
    { key: "errors", title: "Errors (5xx)", value: share(stats.errors), level: level(stats), more: stats.refused > 0 ? `and ${share(stats.refused)} refused (4xx)` : "" },
    { key: "latency", title: "Latency p95", value: ms(stats.p95), more: `p50 ${ms(stats.p50)} · p99 ${ms(stats.p99)}` },
    { key: "connections", title: "Connections", value: connections.toLocaleString("en"), more: proxy.info ? `up since ${clock(proxy.info.started)}` : "" },
  ];
  keyed(root, list, (t) => t.key, (t) => el("div", { class: "tile" }, el("p", { class: "quiet" }, t.title), el("p", { class: "value" }),
    t.spark ? svg("svg", { class: "spark", viewBox: "0 0 120 22", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("polyline")) : el("p", { class: "quiet small" })),
  (node, t) => {
    text(node.children[1], t.value);
    set(node, "data-level", t.level);
    if (t.spark) draw(node.children[2], t.spark);
    else text(node.children[2], t.more);
  });
}
