// Asking a proxy a question, and showing what it answers.

import { el } from "./dom.js";
import { place, plural, share } from "./format.js";
import { state } from "./tables.js";

// ask returns the answer of a proxy to "explain" or "why/ID" as JSON, or {problem} where there
// is none.
export async function ask(proxy, question, parameters = {}) {
  const base = proxy.id === "self" ? `/${question}` : `peer/${encodeURIComponent(proxy.id)}/${question}`;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const v of [value].flat()) if (v !== "" && v !== undefined && v !== null) query.append(name, v);
  }
  try {
    const response = await fetch(`${base}?${query}`, { headers: { Accept: "application/json" } });
    const told = await response.json();
    return response.ok ? told : { problem: told.detail ?? told.title ?? response.statusText };
  } catch (error) {
    return { problem: `${proxy.label} gives no answer: ${error.message}` };
  }
}

// answer shows what a proxy told of /why or /explain.
export function answer(told, proxy) {
  if (told.problem) return el("p", { class: "problem" }, told.problem);
  const e = told.explanation ?? told;
  return el("div", { class: "answer" },
    told.cause && el("p", { class: "headline" }, told.cause),
    told.facts?.length > 0 && el("ul", { class: "facts" }, told.facts.map((f) => el("li", {}, f))),
    told.fix?.text && el("p", { class: "fix" }, el("b", {}, "The way out: "), told.fix.text, whereTo(told.fix, proxy)),
    told.outdated && el("p", { class: "quiet" }, "The configuration has changed since: this is what it makes of the request now."),
    !told.cause && e.outcome && el("p", { class: "headline" }, outcome(e)),
    e.outcome && way(e),
    e.route && route(e.route, proxy),
    e.nearest && el("div", {}, el("h3", {}, "Nearest miss"), misses([e.nearest])),
    e.knownHosts?.length > 0 && el("p", {}, `Hosts most like it: ${e.knownHosts.join(", ")}`),
    e.knownPorts?.length > 0 && el("p", {}, `Ports with routes: ${e.knownPorts.join(", ")}`),
    e.earlier?.length > 0 && el("details", {}, el("summary", {}, `${plural(e.earlier.length, "rule")}${e.route ? " before it" : ""}, and why not`), misses(e.earlier)),
    el("details", {}, el("summary", {}, "The whole answer"), el("pre", { tabindex: "0" }, JSON.stringify(told, null, 2))));
}

// outcome says in a line what becomes of the request. The names are the router's.
function outcome(e) {
  const status = e.route?.status ? ` with ${e.route.status}` : "";
  switch (e.outcome) {
    case "Forward": return `Forwarded to ${(e.route?.destinations ?? []).map((d) => d.cluster).join(", ")}`;
    case "Redirected": return `Redirected${status} to ${e.location ?? ""}`;
    case "TLSRedirect": return `Redirected to ${e.location ?? "https"}: only TLS is served`;
    case "Responded": return `Answered${status} by the route`;
    case "NotFound": return "Answered with 404: no route takes it";
    case "NoListener": return "No listener takes it";
  }
  return `${e.outcome}${status}`;
}

function way(e) {
  const steps = [["Listener", e.listener], ["Chain", e.chain], ["Table", e.table], ["Virtual host", e.virtualHost && `${e.virtualHost}${e.domain ? ` (${e.domain})` : ""}`],
    ["Route", e.route && [origin(e.route.origin), e.route.name].filter(Boolean).join(" · ")], ["Misdirected", e.misdirected]];
  return el("dl", {}, steps.filter(([, v]) => v).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
}

function route(r, proxy) {
  const list = r.destinations ?? [];
  const sum = list.reduce((a, d) => a + d.weight, 0);
  return el("div", {},
    r.timeout && el("p", {}, `Timeout ${r.timeout}`),
    policies(r.policies),
    list.length > 0 && el("ul", { class: "facts" }, list.map((d) => el("li", { "data-level": d.missing ? "bad" : null },
      el("b", {}, share(list.length === 1 ? 1 : d.weight / (sum || 1))), ` ${d.cluster}${d.missing ? ": there is no such cluster, so its share is answered 503" : ""}`, policies(d.policies), endpoints(proxy.clusters.find((c) => c.name === d.cluster))))));
}

// endpoints are those that one of is picked from now.
function endpoints(cluster) {
  if (!cluster?.endpoints.length) return null;
  const more = cluster.endpoints.length - 20;
  return el("ul", { class: "facts" },
    cluster.endpoints.slice(0, 20).map((e) => el("li", { "data-level": e.healthy ? null : "bad" }, el("b", {}, e.address), el("span", {}, ` ${state(e)} · ${e.active} active · ${share(e.share / 100)} of the requests`))),
    more > 0 && el("li", {}, `and ${more} more`));
}

function policies(list) {
  if (!list?.length) return null;
  return el("ul", { class: "facts" }, list.map((p) => el("li", {}, el("b", {}, p.name), ` ${p.text}`)));
}

function misses(list) {
  return el("ul", { class: "facts" }, list.slice(0, 50).map((m) => el("li", {},
    el("b", {}, [origin(m.origin), m.name].filter(Boolean).join(" · ") || `rule ${m.index}`),
    el("ul", {}, (m.failed ?? []).map((f) => el("li", {}, `${f.condition}: wants ${f.wanted}, ${f.absent ? "is absent" : `is “${f.got}”`}`))))));
}

// whereTo says where a way out begins.
function whereTo(fix, proxy) {
  const at = origin(fix.rule);
  if (!at) return null;
  return el("span", { class: "quiet" }, ` ${at}${fix.file ? ` (${place(proxy, fix.file, fix.line)})` : ""}`);
}

function origin(o) {
  if (!o?.kind) return "";
  return `${o.kind} ${o.namespace ? `${o.namespace}/` : ""}${o.name}${o.field ? ` ${o.field}` : ""}`;
}
