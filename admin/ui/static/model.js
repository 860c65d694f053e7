// The service graph as data: cards (services, with a row for each version, and callers) and
// links between them.

import { board, edgeKey, proxies, totals } from "./store.js";

const outside = "outside";

// build returns {cards, links}. A card is {id, title, subtitle, kind, rows, stats}, a row {id,
// label, stats}, a link {id, from, fromRow, to, toRow, stats}.
export function build() {
  const cards = new Map();
  const links = new Map();
  const edges = preferred();
  const home = homes(edges);
  for (const { proxy, edge } of edges) {
    const from = caller(cards, home, proxy, edge);
    const to = isNowhere(edge) ? nowhereCard(cards, from.card) : serviceCard(cards, edge);
    const row = to.kind === "nowhere" ? null : rowOf(to, edge.to, edge.subset);
    const id = `${from.card.id}>${from.row?.id ?? ""}>${to.id}>${row?.id ?? ""}`;
    let link = links.get(id);
    if (!link) {
      link = { id, from: from.card.id, fromRow: from.row?.id, fromLabel: from.row?.label, to: to.id, toRow: row?.id, toLabel: row?.label, protocol: edge.protocol, parts: [], bounds: [] };
      links.set(id, link);
    }
    link.parts.push(edgeKey(proxy, edge));
    link.bounds = proxy.info?.edgeBounds ?? [];
  }
  for (const link of links.values()) {
    link.stats = board.stats(link.parts, link.bounds);
    const card = cards.get(link.to);
    card.parts.push(...link.parts);
    card.bounds = link.bounds;
    card.protocol = card.protocol && card.protocol !== link.protocol ? "http" : link.protocol;
    card.rows.get(link.toRow)?.parts.push(...link.parts);
  }
  const list = [...links.values()];
  list.push(...entries(cards));
  return { cards: [...cards.values()].map(finish).sort(byTitle), links: list };
}

// narrow returns of a model the cards that are wanted and those beside them.
export function narrow(model, wanted) {
  const bright = new Set(model.cards.filter(wanted).map((c) => c.id));
  const links = model.links.filter((l) => bright.has(l.from) || bright.has(l.to));
  const near = new Set([...bright, ...links.flatMap((l) => [l.from, l.to])]);
  return { cards: model.cards.filter((c) => near.has(c.id)), links };
}

// preferred returns the edges to draw: where both ends counted a call, the caller's count.
function preferred() {
  const best = new Map();
  for (const proxy of proxies) {
    for (const edge of proxy.edges) {
      const key = [edge.from.namespace, edge.from.workload, edge.service, edge.to.namespace, edge.to.workload, edge.protocol].join("|");
      const list = best.get(key) ?? [];
      list.push({ proxy, edge });
      best.set(key, list);
    }
  }
  return [...best.values()].flatMap((list) => {
    const sources = list.filter((x) => x.edge.reporter !== "destination");
    return sources.length > 0 ? sources : list;
  });
}

// homes says of each workload that is called which service it belongs to.
function homes(edges) {
  const home = new Map();
  for (const { edge } of edges) {
    if (!edge.to.workload) continue;
    const key = `${edge.to.namespace}/${edge.to.workload}`;
    const card = serviceID(edge);
    if (!home.has(key) || card < home.get(key)) home.set(key, card);
  }
  return home;
}

const serviceID = (edge) => `service ${edge.service || edge.serviceName || edge.to.app || edge.to.workload || "unknown"}`;

function cardOf(cards, id, title, subtitle, kind) {
  let card = cards.get(id);
  if (!card) cards.set(id, (card = { id, title, subtitle, kind, rows: new Map(), parts: [], bounds: [] }));
  return card;
}

// Requests that no route took, or that a route answered, were for no service.
const isNowhere = (edge) => !edge.service && !edge.serviceName && !edge.to.workload && !edge.to.app;

const nowhereCard = (cards, from) => cardOf(cards, `nowhere ${from.id}`, "no upstream", "", "nowhere");

function serviceCard(cards, edge) {
  const title = edge.serviceName || edge.service || edge.to.app || edge.to.workload || "unknown";
  const card = cardOf(cards, serviceID(edge), title, edge.serviceNamespace || edge.to.namespace || "", "service");
  card.host = edge.service;
  return card;
}

function rowOf(card, workload, subset) {
  const id = workload.workload || workload.version || `? ${subset ?? ""}`;
  let row = card.rows.get(id);
  if (!row) {
    const label = workload.version || workload.workload || [subset, "no endpoint"].filter(Boolean).join(": ");
    card.rows.set(id, (row = { id, label, workload: workload.workload, parts: [] }));
  }
  return row;
}

// caller finds the card of who called: the service that it is a version of or, of gateways and
// workloads that nobody calls, one of its own.
function caller(cards, home, proxy, edge) {
  const from = edge.from;
  // Whose proxy counted on the caller's side is the caller, whether it knows its name or not.
  const name = from.workload || (edge.reporter === "destination" ? "" : proxy.info?.workload || proxy.label);
  const service = home.get(`${from.namespace}/${from.workload}`);
  if (service) {
    const card = cards.get(service) ?? cardOf(cards, service, service.slice(8).split(".")[0], from.namespace ?? "", "service");
    return { card, row: rowOf(card, from) };
  }
  if (!name) return { card: cardOf(cards, "unknown", "unknown", "callers without a proxy", "caller") };
  const gateway = edge.reporter !== "destination" && proxy.info?.role === "gateway";
  return { card: gateway ? gatewayCard(cards, proxy) : cardOf(cards, `workload ${from.namespace}/${name}`, name, from.namespace ?? "", "caller") };
}

function gatewayCard(cards, proxy) {
  const card = cardOf(cards, `gateway ${proxy.label}`, proxy.info?.workload || proxy.label, "gateway", "gateway");
  card.proxy = proxy;
  return card;
}

// entries are the links from outside to the gateways that took anything.
function entries(cards) {
  const links = [];
  for (const proxy of proxies) {
    if (proxy.info?.role !== "gateway" || proxy.traffic.length === 0) continue;
    const to = gatewayCard(cards, proxy);
    const from = cardOf(cards, outside, "clients", "outside", "outside");
    to.stats = totals(proxy);
    links.push({ id: `${outside}>${to.id}`, from: from.id, to: to.id, stats: to.stats, protocol: "http", parts: [] });
  }
  return links;
}

function finish(card) {
  card.stats ??= board.stats(card.parts, card.bounds);
  card.rows = [...card.rows.values()].sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
  let sum = 0;
  for (const row of card.rows) {
    row.stats = board.stats(row.parts, card.bounds);
    sum += row.stats.requests;
  }
  for (const row of card.rows) row.share = sum > 0 ? row.stats.requests / sum : null;
  return card;
}

const byTitle = (a, b) => a.title.localeCompare(b.title, "en") || a.id.localeCompare(b.id);
