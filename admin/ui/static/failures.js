// Recent failures, each with its reason and the way out, which is asked for when it is opened.

import { byID, el, keyed, set, text } from "./dom.js";
import { clock, ms } from "./format.js";
import { proxies } from "./store.js";
import { answer, ask } from "./answer.js";

const step = 20;

const keyOf = (f) => `${f.proxy.id} ${f.sequence}`;

export class Failures {
  #shown = step;
  #rows = [];
  // Those that are open stay until they are closed, however many come after them.
  #open = new Map();
  #explain;

  // explain is called with a failure whose request a person wants explained.
  constructor(explain) {
    this.#explain = explain;
    byID("failures-more").addEventListener("click", () => {
      this.#shown += step;
      this.#render();
    });
  }

  show(match) {
    const all = proxies.flatMap((proxy) => proxy.failures.map((f) => ({ ...f, proxy })));
    this.#rows = all.filter((f) => match(f.host, f.path, f.method, String(f.status), f.flags, f.details, f.route, f.cluster, f.id, f.reason, f.proxy.label))
      .sort((a, b) => b.time.localeCompare(a.time));
    text(byID("failures-count"), all.length || "");
    this.#render();
  }

  #render() {
    const newest = this.#rows.slice(0, this.#shown);
    byID("failures-more").hidden = newest.length === this.#rows.length;
    const there = new Set(newest.map(keyOf));
    const rows = [...newest, ...[...this.#open].filter(([key]) => !there.has(key)).map(([, f]) => f)];
    const list = byID("failures-list");
    if (rows.length === 0) {
      keyed(list, [{ key: "none" }], (r) => r.key, () => el("li", { class: "quiet" }, "No request has failed of late."), () => {});
      return;
    }
    keyed(list, rows, keyOf, (f) => this.#make(f), () => {});
  }

  // A failure does not change once it is there.
  #make(f) {
    const body = el("div", { class: "why", hidden: true });
    const head = el("button", { type: "button", class: "failure", "aria-expanded": "false", onclick: () => this.#toggle(head, body, f) },
      el("span", { class: "when" }, clock(f.time)),
      el("span", { class: "status", "data-level": f.status >= 500 || f.status < 100 ? "bad" : "warn" }, String(f.status || "cut")),
      el("span", { class: "flags" }, f.flags || "–"),
      el("span", { class: "request" }, f.method ? `${f.method} ${f.host}${f.path}` : `connection ${f.host ?? ""}`),
      el("span", { class: "reason" }, f.reason || f.details || ""),
      el("span", { class: "who" }, f.proxy.label));
    return el("li", {}, head, body);
  }

  async #toggle(head, body, f) {
    const open = body.hidden;
    body.hidden = !open;
    set(head, "aria-expanded", String(open));
    if (open) this.#open.set(keyOf(f), f);
    else this.#open.delete(keyOf(f));
    if (!open || body.firstChild) return;
    body.append(el("p", { class: "quiet" }, "Asking …"));
    const facts = [["Request id", f.id], ["Details", f.details], ["Route", f.route], ["Cluster", f.cluster], ["Endpoint", f.endpoint], ["Took", ms(f.duration)], ["Proxy", f.proxy.label]];
    const list = el("dl", {}, facts.filter(([, v]) => v).flatMap(([k, v]) => [el("dt", {}, k), el("dd", {}, v)]));
    const again = el("button", { type: "button", onclick: () => this.#explain(f) }, "Explain this request as it is routed now");
    const told = f.id ? await ask(f.proxy, `why/${encodeURIComponent(f.id)}`) : null;
    body.replaceChildren(...(told ? [answer(told, f.proxy)] : []), list, ...(f.method ? [again] : []));
  }
}
