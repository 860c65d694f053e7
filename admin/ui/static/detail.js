// What is known of one service: its callers, what it calls, and the routes and endpoints that
// lead there.

import { byID, el, keyed, set, text } from "./dom.js";
import { none, ms, rate, share } from "./format.js";
import { proxies, routeStats } from "./store.js";
import { edgeRows, edgesTable } from "./tables.js";

export class Detail {
  #root = byID("detail");
  #title = el("h3", { id: "detail-title", tabindex: "-1" });
  #versions = el("ul", { class: "facts" });
  #routes = el("ul", { class: "facts" });
  #endpoints = el("ul", { class: "facts" });
  #callers = el("div");
  #calls = el("div");
  #in;
  #out;

  constructor(close) {
    set(this.#root, "role", "region");
    set(this.#root, "aria-labelledby", "detail-title");
    this.#in = edgesTable(this.#callers, "Called by");
    this.#out = edgesTable(this.#calls, "Calls");
    this.#root.append(
      el("div", { class: "head" }, this.#title, el("button", { type: "button", onclick: close }, "Close")),
      el("div", { class: "columns" },
        el("div", {}, el("h4", {}, "Versions"), this.#versions),
        el("div", {}, el("h4", {}, "Routes to it"), this.#routes),
        el("div", {}, el("h4", {}, "Endpoints"), this.#endpoints)),
      el("h4", {}, "Called by"), this.#callers, el("h4", {}, "Calls"), this.#calls);
  }

  // show shows a card of the model; none closes.
  show(card, model) {
    this.#root.hidden = !card;
    if (!card) return;
    text(this.#title, card.subtitle ? `${card.title} – ${card.subtitle}` : card.title);
    list(this.#versions, card.rows.map((r) => ({ key: r.id, name: r.label, value: `${share(r.share)} · ${rate(r.stats.rate)} · ${share(r.stats.errors)} errors · p50 ${ms(r.stats.p50)} p95 ${ms(r.stats.p95)} p99 ${ms(r.stats.p99)}` })));
    list(this.#routes, routesTo(card));
    list(this.#endpoints, endpointsOf(card));
    const rows = edgeRows(model);
    this.#in.show(rows.filter((l) => l.to === card.id));
    this.#out.show(rows.filter((l) => l.from === card.id));
  }
}

function list(root, items) {
  const shown = items.length > 0 ? items.slice(0, 30) : [{ key: "none", name: none, value: "" }];
  keyed(root, shown, (i) => i.key, () => el("li", {}, el("b"), " ", el("span")), (node, i) => {
    text(node.children[0], i.name);
    text(node.children[1], i.value);
    set(node, "data-level", i.level);
  });
}

function routesTo(card) {
  const items = [];
  for (const p of proxies) {
    p.routes.forEach((route, n) => {
      const wanted = (route.destinations ?? []).filter((d) => d.host && d.host === card.host);
      if (wanted.length === 0) return;
      const stats = routeStats(p, route);
      const sum = route.destinations.reduce((a, d) => a + d.weight, 0);
      const parts = route.destinations.map((d, i) => `${d.subset || d.host.split(".")[0] || d.cluster} ${share(route.destinations.length === 1 ? 1 : d.weight / sum)} → ${share(stats.shares[i])}`);
      items.push({ idle: stats.requests === 0, key: `${p.id} ${n}`, name: `${p.label}: ${route.match}`, value: `${rate(stats.rate)} · ${parts.join(", ")}${route.origin ? ` · ${route.origin}` : ""}` });
    });
  }
  // Every caller's proxy has a route to every service: those that nobody takes say little.
  const busy = items.filter((i) => !i.idle);
  return busy.length > 0 ? busy : items;
}

function endpointsOf(card) {
  const items = new Map();
  for (const p of proxies) {
    for (const c of p.clusters) {
      if (!card.host || !c.name.endsWith(`|${card.host}`)) continue;
      for (const e of c.endpoints) {
        const had = items.get(e.address) ?? { key: e.address, name: e.address, out: [], active: 0, requests: 0 };
        if (!e.healthy) had.out.push(p.label);
        had.active += e.active;
        had.requests += e.requests;
        items.set(e.address, had);
      }
    }
  }
  return [...items.values()].map((i) => ({
    ...i, level: i.out.length > 0 ? "bad" : null,
    value: `${i.out.length > 0 ? `out of use for ${[...new Set(i.out)].join(", ")}` : "healthy"} · ${i.active} active · ${i.requests.toLocaleString("en")} requests`,
  }));
}
