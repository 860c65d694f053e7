// The form that asks what a request would get.

import { byID, el, keyed, text } from "./dom.js";
import { proxies } from "./store.js";
import { answer, ask } from "./answer.js";

export class Explain {
  #form = byID("explain-form");
  #answer = byID("explain-answer");

  constructor() {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  // show keeps the list of proxies to ask.
  show() {
    keyed(this.#form.elements.proxy, proxies, (p) => p.id, (p) => el("option", { value: p.id }), (node, p) => text(node, p.label));
  }

  // fill asks about the request of a failure.
  fill(f) {
    const { proxy, method, url } = this.#form.elements;
    proxy.value = f.proxy.id;
    if (![...method.options].some((o) => o.value === f.method)) method.append(el("option", {}, f.method));
    method.value = f.method;
    url.value = `${f.scheme || "http"}://${f.host}${f.path}`;
    this.#form.elements.headers.value = "";
    byID("explain").scrollIntoView();
    url.focus({ preventScroll: true });
    this.#ask();
  }

  async #ask() {
    const { proxy, method, url, headers } = this.#form.elements;
    const to = proxies.find((p) => p.id === proxy.value);
    if (!to) return;
    const lines = headers.value.split("\n").map((l) => l.trim()).filter(Boolean);
    const told = await ask(to, "explain", { url: url.value.trim(), method: method.value, header: lines });
    this.#answer.replaceChildren(answer(told, to));
  }
}
