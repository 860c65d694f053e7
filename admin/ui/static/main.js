// Puts the page together: each update of the stream goes into the store, and from there into
// the parts that are in view.

import { byID, set, text } from "./dom.js";
import { clock } from "./format.js";
import { build, narrow } from "./model.js";
import { Detail } from "./detail.js";
import { Explain } from "./explain.js";
import { Failures } from "./failures.js";
import { follow } from "./live.js";
import { Graph } from "./graph.js";
import { index, own, restart, take, totals } from "./store.js";
import { Certificates, Conditions, edgeRows, edgesTable, Endpoints, Routes, tiles } from "./tables.js";
import { find, Verdict } from "./trouble.js";

// Of more services than this the filter leaves the others out.
const manyCards = 30;

let words = [];
let model = { cards: [], links: [] };
let updated = 0;

// match tells whether what is shown in some texts is wanted by the filter.
const match = (...texts) => words.length === 0 || words.every((w) => texts.some((t) => t && t.toLowerCase().includes(w)));

const verdict = new Verdict();
const explain = new Explain();
const failures = new Failures((f) => explain.fill(f));
const detail = new Detail(() => graph.choose(null));
const wanted = (card) => match(card.title, card.subtitle, card.host, ...card.rows.map((r) => r.label));
const graph = new Graph((card) => detail.show(card, model), wanted);
const edges = edgesTable(byID("edges-table"), "Calls between services");
const parts = [
  ["failures", () => failures.show(match)],
  ["routes", new Routes()],
  ["endpoints", new Endpoints()],
  ["certificates", new Certificates()],
  ["conditions", new Conditions()],
].map(([id, part]) => ({ id, show: part.show ? () => part.show(match) : part }));

function render() {
  const p = own();
  if (!p?.info) return;
  text(byID("name"), p.label);
  text(byID("about"), [p.info.role !== p.label && p.info.role, p.info.namespace, p.info.version].filter(Boolean).join(" · "));
  text(byID("foot"), `Configuration ${p.info.generation}, ${(p.info.config ?? []).join(", ")}. Seen ${clock(updated)}.`);
  tiles(byID("tiles"), totals(p), p);
  verdict.show(find(model));
  // A small graph stays whole under the filter, and what is not wanted is dimmed.
  graph.draw(words.length > 0 && model.cards.length > manyCards ? narrow(model, wanted) : model);
  detail.show(graph.selected, model);
  if (byID("edges-table").closest("details").open) edges.show(edgeRows(model).filter((l) => match(l.fromName, l.toName)));
  for (const part of parts) part.show();
  explain.show();
}

const states = { live: "Live", paused: "Paused", lost: "Lost: trying again" };

follow((update) => {
  updated = update.at;
  take(update);
  index();
  model = build();
  render();
}, (state) => {
  if (state !== "live") restart();
  text(byID("live"), states[state]);
  set(byID("live"), "data-state", state);
});

const filter = byID("filter");
filter.addEventListener("input", () => {
  words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  render();
});
byID("edges-table").closest("details").addEventListener("toggle", render);
document.addEventListener("keydown", (e) => {
  const typing = e.target.closest?.("input, textarea, select");
  if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) {
    e.preventDefault();
    filter.focus();
  }
  if (e.key === "Escape" && e.target === filter) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  }
});
