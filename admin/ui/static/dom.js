// Building and changing the page. Whatever comes from the network becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

// el makes an element: el("a", {href: "#x", class: "y"}, "text", child). Properties that begin
// with "on" are listeners, null and false leave a property out.
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

// svg does the same with elements of SVG.
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else set(node, name, value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// set changes an attribute where it is another.
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

// style changes a property of an element's own style where it is another.
export function style(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}

// text changes a node's text where it is another.
export function text(node, value) {
  const s = String(value ?? "");
  if (node.textContent !== s) node.textContent = s;
}

// keyed brings a parent's children in line with a list: make(item) makes one, update(node,
// item) changes one, and nodes are told apart by key(item). Nodes that stay keep their focus.
export function keyed(parent, list, key, make, update) {
  const had = new Map();
  for (const node of parent.children) had.set(node.dataset.key, node);
  let at = parent.firstElementChild;
  for (const item of list) {
    const k = key(item);
    let node = had.get(k);
    if (node) had.delete(k);
    else {
      node = make(item);
      node.dataset.key = k;
    }
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of had.values()) node.remove();
}

export const byID = (id) => document.getElementById(id);
