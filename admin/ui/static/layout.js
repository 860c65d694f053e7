// Where cards stand: columns from left to right, callers before those that they call, and in
// each column an order that keeps lines short. The same cards and links give the same places.

export const size = { minWidth: 172, maxWidth: 208, head: 58, row: 24, gapY: 22, minGapX: 96, maxGapX: 190, margin: 8 };

export const heightOf = (card) => size.head + card.rows.length * size.row + (card.rows.length > 0 ? 8 : 0);

const clamp = (n, low, high) => Math.max(low, Math.min(high, n));

// place returns {at: Map(id -> {x, y, width, height, column, index}), width, height}.
export function place(cards, links, width) {
  const columns = inColumns(cards, links);
  order(columns, links);
  const gaps = Math.max(1, columns.length - 1);
  const room = width - 2 * size.margin;
  const card = clamp(Math.floor((room - gaps * size.minGapX) / columns.length), size.minWidth, size.maxWidth);
  const gap = clamp((room - columns.length * card) / gaps, size.minGapX, size.maxGapX);
  const heights = columns.map((list) => list.reduce((h, c) => h + heightOf(c) + size.gapY, -size.gapY));
  const tallest = Math.max(...heights, 0);
  const at = new Map();
  columns.forEach((column, n) => {
    let y = size.margin + (tallest - heights[n]) / 2;
    column.forEach((c, index) => {
      const height = heightOf(c);
      at.set(c.id, { x: size.margin + n * (card + gap), y, width: card, height, column: n, index });
      y += height + size.gapY;
    });
  });
  return { at, columns, width: 2 * size.margin + columns.length * card + (columns.length - 1) * gap, height: tallest + 2 * size.margin };
}

// inColumns puts each card right of all its callers. Lines that would close a circle are left
// out of that.
function inColumns(cards, links) {
  const out = new Map(cards.map((c) => [c.id, []]));
  for (const l of links) if (l.from !== l.to && !out.get(l.from).includes(l.to)) out.get(l.from).push(l.to);
  const state = new Map();
  const done = [];
  const forward = new Map(cards.map((c) => [c.id, []]));
  const visit = (id) => {
    state.set(id, "open");
    for (const next of out.get(id)) {
      if (state.get(next) === "open") continue;
      forward.get(id).push(next);
      if (!state.has(next)) visit(next);
    }
    state.set(id, "done");
    done.push(id);
  };
  const called = new Set(links.filter((l) => l.from !== l.to).map((l) => l.to));
  for (const c of cards) if (!called.has(c.id)) visit(c.id);
  for (const c of cards) if (!state.has(c.id)) visit(c.id);
  const column = new Map();
  for (const id of done.reverse()) {
    const n = column.get(id) ?? 0;
    column.set(id, n);
    for (const next of forward.get(id)) column.set(next, Math.max(column.get(next) ?? 0, n + 1));
  }
  const columns = [];
  for (const card of cards) (columns[column.get(card.id)] ??= []).push(card);
  return columns;
}

// order sorts each column by the middle of its neighbours, there and back a few times.
function order(columns, links) {
  const index = new Map();
  const number = () => columns.forEach((column) => column.forEach((card, i) => index.set(card.id, (i + 0.5) / column.length)));
  const near = new Map();
  const know = (a, b) => near.set(a, [...(near.get(a) ?? []), b]);
  for (const l of links) {
    if (l.from === l.to) continue;
    know(`in ${l.to}`, l.from);
    know(`out ${l.from}`, l.to);
  }
  number();
  for (let round = 0; round < 4; round++) {
    const side = round % 2 === 0 ? "in" : "out";
    const sweep = side === "in" ? columns : [...columns].reverse();
    for (const column of sweep) {
      const middle = new Map(column.map((card) => {
        const list = near.get(`${side} ${card.id}`);
        return [card.id, list ? list.reduce((a, id) => a + index.get(id), 0) / list.length : index.get(card.id)];
      }));
      column.sort((a, b) => middle.get(a.id) - middle.get(b.id) || a.id.localeCompare(b.id));
      number();
    }
  }
}
