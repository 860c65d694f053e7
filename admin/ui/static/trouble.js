// What is wrong, the worst first: what somebody who was woken up reads before all else.

import { byID, el, keyed, set, text } from "./dom.js";
import { clock, place, plural, rate, share, span } from "./format.js";
import { board, own, proxies, totals, trafficKey } from "./store.js";

const dayLong = 86400000;
// A share of errors from which on something counts as trouble, and as bad trouble.
const someErrors = 0.01;
const manyErrors = 0.05;

// level says how bad the errors of some calls are: "bad", "warn" or nothing.
export function level(stats) {
  if (!stats?.errors || stats.recentErrors < 1) return null;
  return stats.errors >= manyErrors ? "bad" : stats.errors >= someErrors ? "warn" : null;
}

// find returns the list: {key, level, title, detail, href}.
export function find(model) {
  const list = [];
  for (const p of proxies) {
    const who = proxies.length > 1 ? p.label : "";
    list.push(...ofProxy(p, who), ...ofConditions(p, who), ...ofEndpoints(p, who), ...ofCertificates(p, who));
  }
  list.push(...ofTraffic(model), ...ofRefusals());
  const seen = new Map();
  for (const t of list) {
    const same = seen.get(t.key);
    if (same) {
      if (t.who && !same.who.includes(t.who)) same.who.push(t.who);
    } else seen.set(t.key, { ...t, who: t.who ? [t.who] : [] });
  }
  return [...seen.values()].sort((a, b) => rank(a) - rank(b));
}

const rank = (t) => (t.level === "bad" ? 0 : t.level === "warn" ? 1 : 2);

function ofProxy(p, who) {
  const list = [];
  if (p.trouble) list.push({ key: `reach ${p.id}`, level: "bad", title: `${p.label} is not reachable`, detail: p.trouble, href: "#traffic" });
  if (p.info?.notReady) list.push({ key: `ready ${p.id}`, level: "bad", title: `${p.label} is not ready`, detail: p.info.notReady, href: "#conditions" });
  for (const l of p.listeners) {
    if (!l.bound) list.push({ key: `listener ${p.id} ${l.name}`, who, level: "bad", title: `Listener ${l.name} is not bound`, detail: l.error, href: "#conditions" });
  }
  return list;
}

function ofConditions(p, who) {
  return p.conditions.filter((c) => c.severity !== "Info").map((c) => ({
    // The same defect is found by every proxy that reads the object.
    key: `condition ${c.kind} ${c.namespace} ${c.name} ${c.field} ${c.message}`, who,
    level: c.severity === "Error" ? "bad" : "warn",
    title: `${c.kind} ${c.namespace ? `${c.namespace}/` : ""}${c.name}${c.field ? ` ${c.field}` : ""}`,
    detail: `${c.message}${c.file ? ` (${place(p, c.file, c.line)})` : ""}`,
    href: "#conditions",
  }));
}

function ofEndpoints(p, who) {
  const list = [];
  for (const c of p.clusters) {
    const out = c.endpoints.filter((e) => !e.healthy);
    if (out.length === 0) continue;
    const none = out.length === c.endpoints.length;
    list.push({
      key: `endpoints ${p.id} ${c.name}`, who, level: none ? "bad" : "warn",
      title: `${none ? "All" : `${out.length} of ${c.endpoints.length}`} endpoints are out of use`,
      detail: `${c.name}: ${out.slice(0, 3).map((e) => e.address).join(", ")}${out.length > 3 ? " and others" : ""}`,
      href: "#endpoints",
    });
  }
  return list;
}

function ofCertificates(p, who) {
  const list = [];
  for (const c of p.certificates) {
    const left = c.notAfter ? new Date(c.notAfter) - p.at : 0;
    const add = (bad, title, detail) => list.push({ key: `certificate ${c.name} ${title}`, who, level: bad ? "bad" : "warn", title, detail, href: "#certificates" });
    if (c.error) add(!c.notAfter || left < 0, `Certificate ${c.name} is not in force as written`, c.error);
    if (!c.notAfter) continue;
    if (left < 0) add(true, `Certificate ${c.name} has expired`, `${span(-left)} ago: ${(c.names ?? []).join(", ")}`);
    else if (left < 14 * dayLong) add(left < 3 * dayLong, `Certificate ${c.name} expires soon`, `in ${span(left)}: ${(c.names ?? []).join(", ")}`);
  }
  return list;
}

function ofTraffic(model) {
  const list = [];
  const names = new Map(model.cards.map((c) => [c.id, c.title]));
  for (const l of model.links) {
    const bad = level(l.stats);
    if (!bad) continue;
    const from = names.get(l.from) + (l.fromLabel ? ` ${l.fromLabel}` : "");
    const to = names.get(l.to) + (l.toLabel ? ` ${l.toLabel}` : "");
    const title = l.to.startsWith("nowhere ") ? `Calls from ${from} reach no upstream` : `${share(l.stats.errors)} of the calls from ${from} to ${to} fail`;
    list.push({ key: `errors ${l.id}`, level: bad, title, detail: `${plural(l.stats.recentErrors, "error")} in the last minute, at ${rate(l.stats.rate)}`, href: "#failures" });
  }
  return list;
}

// ofRefusals tells of requests that no route wants: a scanner's, or a route's that is missing.
function ofRefusals() {
  return proxies.flatMap((p) => {
    const lost = board.stats(p.traffic.filter((t) => t.unrouted).map((t) => trafficKey(p, t)), []);
    const all = totals(p).requests;
    if (lost.requests < 1 || lost.requests / all < someErrors) return [];
    return [{ key: `unrouted ${p.id}`, level: "info", title: `${share(lost.requests / all)} of the requests to ${p.label} match no route`, detail: `${plural(lost.requests, "request")} in the last minute. They are among the failures, with the nearest route.`, href: "#failures" }];
  });
}

// Verdict shows the list.
export class Verdict {
  #announced = "";

  show(list) {
    const p = own();
    const calm = { key: "calm", level: "good", title: "Nothing is wrong that the proxies know of", detail: calmDetail(p), href: "#traffic", who: [] };
    const wrong = list.filter((t) => t.level !== "info").length;
    const top = list.slice(0, 12);
    if (wrong === 0) top.unshift(calm);
    if (list.length > top.length) top.push({ key: "more", level: "warn", title: `${list.length - top.length} more`, detail: "See the parts below.", href: "#conditions", who: [] });
    keyed(byID("trouble-list"), top, (t) => t.key, make, update);
    const says = wrong === 0 ? "Nothing is wrong" : plural(wrong, "problem");
    if (says !== this.#announced) text(byID("announce"), says);
    this.#announced = says;
    document.title = `${wrong > 0 ? `(${wrong}) ` : ""}${p?.label ?? ""} – Sluice`;
  }
}

function calmDetail(p) {
  if (!p?.info) return "";
  const endpoints = p.clusters.reduce((n, c) => n + c.endpoints.length, 0);
  const since = p.info.updated ? `Configuration ${p.info.generation} is in force since ${clock(p.info.updated)}: ` : "";
  return `${since}${plural(p.routes.length, "route")}, ${plural(endpoints, "endpoint")}, ${plural(totals(p).requests, "request")} in the last minute.`;
}

function make() {
  return el("li", {}, el("span", { class: "mark", "aria-hidden": "true" }), el("div", {}, el("a"), el("p")));
}

const words = { bad: "Error", warn: "Warning", info: "Note", good: "Good" };

function update(node, t) {
  set(node, "data-level", t.level);
  text(node.firstChild, { bad: "✕", warn: "!", info: "i", good: "✓" }[t.level]);
  const [link, detail] = node.lastChild.children;
  text(link, t.title);
  set(link, "href", t.href);
  set(link, "aria-label", `${words[t.level]}: ${t.title}`);
  text(detail, t.detail + (t.who.length > 0 ? ` — told by ${t.who.slice(0, 4).join(", ")}` : ""));
}
