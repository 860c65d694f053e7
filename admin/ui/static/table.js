// Tables that stay quick with thousands of rows: of a long one only the rows in view exist.
// Rows that stay keep their nodes, and so focus and selection.

import { el, keyed, set, text } from "./dom.js";

const rowHeight = 34;
// Up to so many rows a table simply shows them all.
const short = 60;
const spare = 8;

// Table shows rows under columns: {title, cell(row) -> text or node update, sort(row), class}.
// key(row) tells rows apart.
export class Table {
  #columns;
  #key;
  #rows = [];
  #sorted = null;
  #frame;
  #table;
  #body;
  #before = el("tbody", { "aria-hidden": "true" }, el("tr", {}, el("td")));
  #after = el("tbody", { "aria-hidden": "true" }, el("tr", {}, el("td")));
  #empty;

  constructor(root, { label, empty, columns, key }) {
    this.#columns = columns;
    this.#key = key;
    this.#body = el("tbody");
    const heads = columns.map((c) => el("th", { scope: "col", class: c.class }, c.sort
      ? el("button", { type: "button", onclick: () => this.#sortBy(c) }, c.title) : c.title));
    this.#table = el("table", { "aria-label": label }, el("thead", {}, el("tr", { "aria-rowindex": "1" }, heads)), this.#body);
    this.#frame = el("div", { class: "frame", role: "group", "aria-label": `${label}, scrollable`, onscroll: () => this.#render() }, this.#table);
    this.#empty = el("p", { class: "quiet" }, empty);
    root.append(this.#empty, this.#frame);
    new ResizeObserver(() => this.#render()).observe(this.#frame);
  }

  show(rows) {
    this.#rows = rows;
    this.#empty.hidden = rows.length > 0;
    this.#frame.hidden = rows.length === 0;
    this.#order();
    this.#render();
  }

  #sortBy(column) {
    const down = this.#sorted?.column === column && this.#sorted.down;
    const up = this.#sorted?.column === column && !this.#sorted.down;
    this.#sorted = up ? null : { column, down: !down };
    this.#columns.forEach((c, i) => {
      const sorted = this.#sorted?.column === c;
      set(this.#table.tHead.rows[0].cells[i], "aria-sort", sorted ? (this.#sorted.down ? "descending" : "ascending") : null);
    });
    this.#order();
    this.#render();
  }

  #order() {
    if (!this.#sorted) return;
    const { column, down } = this.#sorted;
    const compare = (a, b) => {
      const [x, y] = [column.sort(a), column.sort(b)];
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      const n = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return down ? -n : n;
    };
    this.#rows = this.#rows.toSorted(compare);
  }

  #render() {
    const all = this.#rows;
    const long = all.length > short;
    this.#frame.classList.toggle("long", long);
    set(this.#table, "aria-rowcount", all.length + 1);
    // What scrolls must be reached by the keyboard.
    const scrolls = this.#frame.scrollWidth > this.#frame.clientWidth || this.#frame.scrollHeight > this.#frame.clientHeight;
    set(this.#frame, "tabindex", scrolls ? 0 : null);
    let first = 0;
    let last = all.length;
    if (long) {
      first = Math.max(0, Math.floor(this.#frame.scrollTop / rowHeight) - spare);
      last = Math.min(all.length, Math.ceil((this.#frame.scrollTop + this.#frame.clientHeight) / rowHeight) + spare);
    }
    this.#space(this.#before, first, true);
    this.#space(this.#after, all.length - last, false);
    let index = first;
    keyed(this.#body, all.slice(first, last), this.#key, () => this.#make(), (node, row) => {
      set(node, "aria-rowindex", ++index + 1);
      this.#columns.forEach((c, i) => c.node ? c.update(node.cells[i].firstChild, row) : text(node.cells[i], c.cell(row)));
      for (const [i, c] of this.#columns.entries()) if (c.hint) set(node.cells[i], "title", c.hint(row));
      const mark = this.#columns.find((c) => c.level)?.level(row);
      set(node, "data-level", mark);
    });
  }

  // #space stands for rows that are not there.
  #space(body, rows, above) {
    if (rows === 0) {
      body.remove();
      return;
    }
    const cell = body.rows[0].cells[0];
    set(cell, "colspan", this.#columns.length);
    cell.style.height = `${rows * rowHeight}px`;
    if (!body.isConnected) above ? this.#body.before(body) : this.#body.after(body);
  }

  #make() {
    return el("tr", {}, this.#columns.map((c, i) =>
      el(i === 0 ? "th" : "td", { class: c.class, scope: i === 0 ? "row" : null }, c.node ? c.node() : null)));
  }
}
