// Rates, error shares and latencies from counters that only grow.

// Counters are looked at over so many seconds for rates, and for latencies.
const rateWindow = 10;
const latencyWindow = 60;
const keep = 61;
// After a longer gap than this, in milliseconds, what was before says nothing of now.
const gap = 15000;

// Series remembers the last minute of one set of counts.
export class Series {
  #samples = [];

  add(at, counts) {
    const last = this.#samples.at(-1);
    if (last && (counts.requests < last.requests || at - last.at > gap || at < last.at)) this.#samples = [];
    if (last && at === last.at) return;
    this.#samples.push({
      at,
      requests: counts.requests,
      errors: counts.errors ?? 0,
      refused: counts.refused ?? 0,
      buckets: counts.buckets ?? [],
    });
    if (this.#samples.length > keep) this.#samples.shift();
  }

  get at() {
    return this.#samples.at(-1)?.at ?? 0;
  }

  // over returns what came in the last seconds, or null where two looks are still wanted.
  over(seconds) {
    const list = this.#samples;
    const last = list.at(-1);
    if (list.length < 2) return null;
    let i = list.length - 2;
    while (i > 0 && last.at - list[i].at < seconds * 1000 - 100) i--;
    const first = list[i];
    return {
      seconds: (last.at - first.at) / 1000,
      requests: last.requests - first.requests,
      errors: last.errors - first.errors,
      refused: last.refused - first.refused,
      buckets: last.buckets.map((n, b) => n - (first.buckets[b] ?? 0)),
    };
  }

  // spark returns the requests a second of each step of the last minute.
  spark() {
    const list = this.#samples;
    return list.slice(1).map((s, i) => ((s.requests - list[i].requests) * 1000) / (s.at - list[i].at));
  }
}

// Board holds the series of many things by their keys, and drops those that are gone.
export class Board {
  #series = new Map();

  // add notes counts at a moment. What appears after since, the moment of the look before, has
  // counted from zero.
  add(key, at, counts, since) {
    let s = this.#series.get(key);
    if (!s) {
      this.#series.set(key, (s = new Series()));
      if (since) s.add(since, { requests: 0 });
    }
    s.add(at, counts);
  }

  sweep(at) {
    for (const [key, s] of this.#series) if (s.at < at) this.#series.delete(key);
  }

  // stats returns what the things with these keys did together.
  stats(keys, bounds) {
    const list = keys.map((k) => this.#series.get(k)).filter(Boolean);
    return stats(list, bounds);
  }

  spark(keys) {
    const out = [];
    for (const k of keys) {
      const line = this.#series.get(k)?.spark() ?? [];
      // They all end now.
      const shift = out.length - line.length;
      if (shift < 0) out.unshift(...new Array(-shift).fill(0));
      line.forEach((n, i) => (out[i + Math.max(0, shift)] += n));
    }
    return out;
  }
}

// stats adds series up: rate, shares of errors and refusals, and latencies; null where it is
// too early, or nothing came.
function stats(list, bounds) {
  const sum = { rate: null, errors: null, refused: null, recentErrors: 0, p50: null, p95: null, p99: null, requests: 0 };
  const buckets = [];
  let minute = 0;
  let failed = 0;
  let refused = 0;
  for (const s of list) {
    const short = s.over(rateWindow);
    const long = s.over(latencyWindow);
    if (!short || !long) continue;
    sum.rate = (sum.rate ?? 0) + short.requests / short.seconds;
    minute += long.requests;
    failed += long.errors;
    refused += long.refused;
    long.buckets.forEach((n, i) => (buckets[i] = (buckets[i] ?? 0) + n));
  }
  sum.requests = minute;
  sum.recentErrors = failed;
  if (minute > 0) {
    sum.errors = failed / minute;
    sum.refused = refused / minute;
  }
  [sum.p50, sum.p95, sum.p99] = [0.5, 0.95, 0.99].map((q) => quantile(q, buckets, bounds));
  return sum;
}

// quantile returns the value that a share q of a histogram does not exceed, as if each
// bucket's were spread evenly, at most the highest bound; null of an empty one.
export function quantile(q, buckets, bounds) {
  const total = buckets.reduce((a, b) => a + b, 0);
  if (total === 0 || bounds.length === 0) return null;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < buckets.length; i++) {
    if (buckets[i] > 0 && below + buckets[i] >= rank) {
      if (i >= bounds.length) break;
      const from = i === 0 ? 0 : bounds[i - 1];
      return from + ((bounds[i] - from) * (rank - below)) / buckets[i];
    }
    below += buckets[i];
  }
  return bounds.at(-1);
}
