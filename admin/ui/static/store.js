// What the proxies told, put together from the updates, and the series of their counters.

import { Board } from "./series.js";

const nothing = { info: null, listeners: [], conditions: [], certificates: [], routes: [], traffic: [], clusters: [], edges: [], failures: [] };

export const board = new Board();

// proxies are those on the page, the one that serves it first.
export let proxies = [];

// own is that one.
export const own = () => proxies[0];

// take brings an update in.
export function take(update) {
  const before = new Map(proxies.map((p) => [p.id, p]));
  proxies = update.proxies.map((told) => {
    const had = before.get(told.id);
    const p = { ...nothing, ...had, ...told };
    p.label = told.name || p.info?.name || told.id;
    sample(p, update.at, had && !had.trouble ? had.at : 0);
    p.at = update.at;
    return p;
  });
  board.sweep(update.at);
}

// restart forgets the proxies: a new stream tells everything again. Their series go on.
export function restart() {
  for (const p of proxies) p.at = 0;
}

function sample(p, at, since) {
  for (const t of p.traffic) board.add(trafficKey(p, t), at, t, since);
  for (const e of p.edges) board.add(edgeKey(p, e), at, e.protocol === "tcp" ? { requests: e.opened ?? 0 } : e, since);
  for (const c of p.clusters) {
    for (const e of c.endpoints) board.add(endpointKey(p, c, e), at, { requests: e.requests, errors: e.failures }, since);
  }
}

export const trafficKey = (p, t) => `t|${p.id}|${t.id}|${t.cluster ?? ""}`;
export const endpointKey = (p, c, e) => `n|${p.id}|${c.name}|${e.address}`;
export const edgeKey = (p, e) =>
  ["e", p.id, e.reporter, e.protocol, workloadKey(e.from), e.service, e.subset, workloadKey(e.to), e.mutual].join("|");

export const workloadKey = (w) => `${w.namespace ?? ""}/${w.workload ?? ""}/${w.version ?? ""}`;

// routeStats returns what a route did, and of each of its destinations which share it got.
export function routeStats(p, route) {
  const parts = p.byRoute?.get(route.id) ?? [];
  const keys = parts.map((t) => trafficKey(p, t));
  const stats = board.stats(keys, p.info?.routeBounds ?? []);
  stats.spark = () => board.spark(keys);
  const each = (route.destinations ?? []).map((d) =>
    board.stats(parts.filter((t) => t.cluster === d.cluster).map((t) => trafficKey(p, t)), []));
  const sum = each.reduce((a, s) => a + s.requests, 0);
  stats.shares = each.map((s) => (sum > 0 ? s.requests / sum : null));
  return stats;
}

// index finds the traffic of routes quickly; call it after take.
export function index() {
  for (const p of proxies) {
    if (p.indexed === p.traffic) continue;
    p.indexed = p.traffic;
    p.byRoute = Map.groupBy(p.traffic, (t) => t.id);
  }
}

// totals returns what came to a proxy altogether.
export function totals(p) {
  const keys = p.traffic.map((t) => trafficKey(p, t));
  const stats = board.stats(keys, p.info?.routeBounds ?? []);
  stats.spark = () => board.spark(keys);
  return stats;
}
