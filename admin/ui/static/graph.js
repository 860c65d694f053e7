// Draws the service graph: cards are buttons, with one stop for the Tab key and arrow keys
// among them; lines lie under the cards.

import { byID, el, keyed, set, style, svg, text } from "./dom.js";
import { heightOf, place, size } from "./layout.js";
import { ms, none, rate, share } from "./format.js";
import { level } from "./trouble.js";

// With more lines than this only those of the card in view say their numbers.
const manyLinks = 60;

export class Graph {
  #root = byID("graph");
  #lines = svg("svg", { "aria-hidden": "true", focusable: "false" }, svg("g"), svg("g"));
  #cards = el("div", { class: "cards" });
  #shape = "";
  #layout = null;
  #paths = new Map();
  #model = { cards: [], links: [] };
  #current = null;
  #selected = null;
  #select;
  #match;

  // select is called with the card that a person chose, or null; match says what the filter
  // leaves bright.
  constructor(select, match) {
    this.#select = select;
    this.#match = match;
    this.#root.append(this.#lines, this.#cards);
    this.#root.addEventListener("keydown", (e) => this.#key(e));
    new ResizeObserver(() => this.draw(this.#model)).observe(this.#root);
  }

  get selected() {
    return this.#model.cards.find((c) => c.id === this.#selected) ?? null;
  }

  draw(model) {
    this.#model = model;
    byID("graph-empty").hidden = model.cards.length > 0;
    this.#root.hidden = model.cards.length === 0;
    if (model.cards.length === 0) return;
    const width = this.#root.clientWidth;
    const shape = JSON.stringify([width, model.cards.map((c) => [c.id, c.rows.map((r) => r.id)]), model.links.map((l) => l.id).sort()]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      const fitted = !this.#layout || this.#layout.height <= this.#root.clientHeight;
      this.#layout = place(model.cards, model.links, width);
      this.#paths.clear();
      set(this.#lines, "width", this.#layout.width);
      set(this.#lines, "height", this.#layout.height);
      this.#cards.style.width = `${this.#layout.width}px`;
      this.#cards.style.height = `${this.#layout.height}px`;
      if (fitted) this.#showBeginning();
    }
    if (!model.cards.some((c) => c.id === this.#current)) this.#current = this.#layout.columns[0][0].id;
    const inOrder = this.#layout.columns.flat();
    const cards = new Map(model.cards.map((c) => [c.id, c]));
    keyed(this.#cards, inOrder.map((c) => cards.get(c.id)), (c) => c.id, () => this.#makeCard(), (node, card) => this.#updateCard(node, card));
    // Labels lie over all lines.
    const [lines, labels] = this.#lines.children;
    keyed(lines, model.links, (l) => l.id, () => svg("path"), (node, link) => this.#updateLine(node, link));
    keyed(labels, model.links, (l) => l.id, () => svg("text"), (node, link) => this.#updateLabel(node, link));
  }

  // #showBeginning scrolls a graph that has become taller than its frame to where calls begin.
  #showBeginning() {
    const first = this.#layout.at.get(this.#layout.columns[0][0].id);
    this.#root.scrollTop = first.y + first.height / 2 - this.#root.clientHeight / 2;
  }

  choose(id) {
    this.#selected = id;
    this.draw(this.#model);
    this.#select(this.selected);
  }

  #makeCard() {
    const node = el("button", { type: "button", class: "node", onclick: () => {
      this.#current = node.dataset.key;
      this.choose(this.#selected === node.dataset.key ? null : node.dataset.key);
    }, onfocus: () => this.#move(node.dataset.key) },
      el("span", { class: "node-head" }, el("b"), " ", el("span")), el("span", { class: "node-stats" }), el("span", { class: "node-rows" }));
    return node;
  }

  #updateCard(node, card) {
    const at = this.#layout.at.get(card.id);
    style(node, "transform", `translate(${at.x}px, ${at.y}px)`);
    style(node, "width", `${at.width}px`);
    style(node, "height", `${heightOf(card)}px`);
    const [head, stats, rows] = node.children;
    text(head.firstChild, card.title);
    text(head.lastChild, card.subtitle);
    const quiet = card.kind === "outside" || (card.kind === "caller" && card.parts.length === 0);
    text(stats, quiet ? "" : numbers(card.stats, card.protocol));
    set(node, "data-level", level(card.stats));
    set(node, "data-kind", card.kind);
    set(node, "tabindex", card.id === this.#current ? 0 : -1);
    set(node, "aria-pressed", String(card.id === this.#selected));
    node.classList.toggle("dim", !this.#match(card));
    keyed(rows, card.rows, (r) => r.id, () => el("span", { class: "node-row" }, el("i"), el("b"), " ", el("span")), (row, r) => {
      const [bar, label, value] = row.children;
      style(bar, "width", `${Math.round((r.share ?? 0) * 100)}%`);
      text(label, r.label);
      text(value, r.stats.errors > 0.001 ? `${share(r.stats.errors)} err` : share(r.share));
      set(row, "data-level", level(r.stats));
    });
  }

  #updateLine(node, link) {
    const busy = link.stats.rate ?? 0;
    if (!this.#paths.has(link.id)) this.#paths.set(link.id, this.#path(link));
    set(node, "d", this.#paths.get(link.id));
    // In steps: each new width is a new picture of the whole graph.
    style(node, "stroke-width", `${Math.round(2 * Math.min(7, 1.4 + Math.log10(1 + busy) * 1.8)) / 2}px`);
    set(node, "data-idle", busy === 0);
    this.#mark(node, link);
  }

  #updateLabel(node, link) {
    const busy = link.stats.rate ?? 0;
    const told = this.#near(link) || this.#model.links.length <= manyLinks;
    text(node, told && busy > 0 ? (level(link.stats) ? `${rate(busy)} · ${share(link.stats.errors)} err` : rate(busy, link.protocol)) : "");
    this.#mark(node, link);
    if (node.textContent === "") return;
    const at = this.#labelAt(link);
    set(node, "text-anchor", at.anchor);
    set(node, "x", at.x);
    set(node, "y", at.y);
  }

  #near(link) {
    return this.#selected !== null && (link.from === this.#selected || link.to === this.#selected);
  }

  #mark(node, link) {
    set(node, "data-level", level(link.stats));
    set(node, "data-near", this.#near(link));
    set(node, "data-far", this.#selected !== null && !this.#near(link));
  }

  // path leads from the right side of a card, or of its version's row, to the left side of the
  // other; lines back run below.
  #path(link) {
    const a = this.#end(link.from, link.fromRow);
    const b = this.#end(link.to, link.toRow);
    const x1 = a.x + a.width;
    const x2 = b.x - 5;
    if (x2 > x1) {
      const bend = Math.min(90, (x2 - x1) * 0.5);
      return `M${x1} ${a.y}C${x1 + bend} ${a.y} ${x2 - bend} ${b.y} ${x2} ${b.y}`;
    }
    const low = Math.max(a.y, b.y) + 46;
    return `M${x1} ${a.y}C${x1 + 60} ${low} ${x2 - 60} ${low} ${x2} ${b.y}`;
  }

  // labelAt is beside the end that a line does not share with others; where it shares both,
  // labels are stacked.
  #labelAt(link) {
    const links = this.#model.links;
    const into = links.filter((l) => l.to === link.to && l.toRow === link.toRow);
    const out = links.filter((l) => l.from === link.from && l.fromRow === link.fromRow);
    if (into.length > 1 && out.length === 1) {
      const a = this.#end(link.from, link.fromRow);
      return { anchor: "start", x: a.x + a.width + 8, y: a.y - 7 };
    }
    const b = this.#end(link.to, link.toRow);
    return { anchor: "end", x: b.x - 13, y: b.y - 7 - 13 * into.indexOf(link) };
  }

  #end(id, rowID) {
    const at = this.#layout.at.get(id);
    const card = this.#model.cards.find((c) => c.id === id);
    const row = card.rows.findIndex((r) => r.id === rowID);
    const y = row < 0 ? Math.min(at.height / 2, size.head / 2) : size.head + (row + 0.5) * size.row;
    return { x: at.x, y: at.y + y, width: at.width };
  }

  // #move makes a card the one that Tab comes to.
  #move(id) {
    this.#current = id;
    for (const node of this.#cards.children) set(node, "tabindex", node.dataset.key === id ? 0 : -1);
  }

  #key(e) {
    const at = this.#layout?.at.get(this.#current);
    if (!at || e.altKey || e.ctrlKey || e.metaKey) return;
    const columns = this.#layout.columns;
    const inColumn = (n, y) => columns[n]?.toSorted((a, b) => Math.abs(this.#middle(a.id) - y) - Math.abs(this.#middle(b.id) - y))[0];
    let next;
    switch (e.key) {
      case "ArrowLeft": next = inColumn(at.column - 1, this.#middle(this.#current)); break;
      case "ArrowRight": next = inColumn(at.column + 1, this.#middle(this.#current)); break;
      case "ArrowUp": next = columns[at.column][at.index - 1]; break;
      case "ArrowDown": next = columns[at.column][at.index + 1]; break;
      case "Home": next = columns[0][0]; break;
      case "End": next = columns.at(-1).at(-1); break;
      case "Escape": this.choose(null); return;
      default: return;
    }
    e.preventDefault();
    if (!next) return;
    this.#move(next.id);
    const node = [...this.#cards.children].find((n) => n.dataset.key === next.id);
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #middle(id) {
    const at = this.#layout.at.get(id);
    return at.y + at.height / 2;
  }
}

function numbers(s, protocol) {
  if (s.rate === null) return none;
  const parts = [rate(s.rate, protocol)];
  if (s.errors > 0.001) parts.push(`${share(s.errors)} err`);
  else if (s.p95 !== null) parts.push(`p95 ${ms(s.p95)}`);
  return parts.join(" · ");
}
