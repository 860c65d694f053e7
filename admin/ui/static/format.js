// How numbers and times are written.

export const none = "–";

// rate writes requests a second or, of tcp, connections.
export function rate(n, protocol) {
  if (n === null || n === undefined) return none;
  return `${number(n)}${protocol === "tcp" ? " conn" : ""}/s`;
}

export function number(n) {
  if (n === 0) return "0";
  if (n < 0.1) return n.toFixed(2);
  if (n < 10) return n.toFixed(1);
  if (n < 10000) return Math.round(n).toLocaleString("en");
  if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k`;
  return `${(n / 1e6).toFixed(1)}M`;
}

// share writes a part of a whole, from 0 to 1.
export function share(n) {
  if (n === null || n === undefined) return none;
  if (n > 0 && n < 0.001) return "<0.1 %";
  const percent = n * 100;
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : percent.toFixed(1)} %`;
}

// ms writes milliseconds.
export function ms(n) {
  if (n === null || n === undefined) return none;
  if (n < 1) return `${n.toFixed(1)} ms`;
  if (n < 1000) return `${Math.round(n)} ms`;
  if (n < 60000) return `${(n / 1000).toFixed(1)} s`;
  return `${Math.round(n / 60000)} min`;
}

export function bytes(n) {
  if (n < 1000) return `${Math.round(n)} B`;
  if (n < 1e6) return `${(n / 1e3).toFixed(1)} kB`;
  if (n < 1e9) return `${(n / 1e6).toFixed(1)} MB`;
  return `${(n / 1e9).toFixed(1)} GB`;
}

// span writes a time between two moments, in words.
export function span(milliseconds) {
  const s = Math.max(0, Math.round(milliseconds / 1000));
  if (s < 60) return plural(s, "second");
  if (s < 3600) return plural(Math.floor(s / 60), "minute");
  if (s < 2 * 86400) return plural(Math.floor(s / 3600), "hour");
  return plural(Math.floor(s / 86400), "day");
}

export function plural(n, word) {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

// place writes where something stands in a file, from the proxy's folder of configuration on.
export function place(proxy, file, line) {
  const folder = (proxy.info?.config ?? []).find((c) => file.startsWith(`${c}/`));
  const short = folder ? file.slice(folder.slice(0, folder.lastIndexOf("/") + 1).length) : file;
  return line ? `${short}:${line}` : short;
}

// clock writes a moment as the time of day here.
export function clock(at) {
  return new Date(at).toLocaleTimeString("en-GB");
}

export function day(at) {
  return new Date(at).toISOString().slice(0, 10);
}
