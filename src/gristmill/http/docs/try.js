// Sends what people edit, and shows the answer as it comes. The request is theirs: nothing is added but its type.

import { el, pretty, statusClass } from "./dom.js";

const FIRST_HEADERS = ["batch-size", "batch-id", "server-timing", "retry-after", "preference-applied", "content-type"];
const MOST_SHOWN = 200_000; // characters of an answer; more would freeze the page

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ method, url, headers, body }) {
  const told = headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const data = body === undefined ? [] : [`--data-binary ${quoted(body)}`];
  return [`curl -i -N -X ${method} ${quoted(url)}`, ...told, ...data].join(" \\\n  ");
}

function readHeaders(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => {
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`Each header is one line, "Name: value": ${line}`);
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
}

async function showBody(response, pre) {
  let text = "";
  const streamed = response.headers.get("content-type")?.includes("ndjson");
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
    if (streamed) pre.textContent = text.slice(0, MOST_SHOWN); // lines show as they arrive
  }
  pre.textContent = (streamed ? text : pretty(text)).slice(0, MOST_SHOWN) || "(empty)";
  if (text.length > MOST_SHOWN) pre.append("\n… cut here: the whole answer is longer than this page shows");
}

async function send(request, output, signal) {
  const started = performance.now();
  const took = () => `${(performance.now() - started).toFixed(1)} ms`;
  const line = el("p", { class: "verdict" }, "Waiting…");
  const shown = el("div", {}, line); // its own, as the next request may be under way before this one stops
  output.replaceChildren(shown);
  try {
    const response = await fetch(request.url, { method: request.method, headers: request.headers, body: request.body, signal });
    const rank = ([name]) => (FIRST_HEADERS.indexOf(name) + 1 || FIRST_HEADERS.length + 1);
    const headers = [...response.headers].sort((a, b) => rank(a) - rank(b));
    const pre = el("pre", { tabindex: "0", "aria-label": "Body of the answer" });
    const time = el("span", { class: "time" }, took());
    const status = el("span", { class: statusClass(response.status) }, String(response.status));
    line.replaceChildren(status, ` ${response.statusText} `, time);
    const pairs = headers.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
    shown.append(el("dl", { class: "headers" }, pairs), pre);
    await showBody(response, pre);
    time.textContent = took();
  } catch (error) {
    shown.append(el("p", { class: "wrong" }, signal.aborted ? `Stopped after ${took()}.` : `No answer: ${error.message}`));
    if (line.textContent === "Waiting…") line.remove();
  }
}

// A form for one route. `bodies` are pairs of a content type and an example; a route without a body has none.
export function tryIt({ id, method, url, bodies }) {
  const body = el("textarea", { id: `${id}-body`, rows: "9", spellcheck: "false", autocapitalize: "off" });
  const type = el("select", { id: `${id}-type`, onchange: () => fill() }, bodies.map(([name]) => el("option", {}, name)));
  const extra = el("textarea", { id: `${id}-headers`, rows: "2", spellcheck: "false", placeholder: "Name: value, one per line" });
  const output = el("div", { class: "output", role: "status" });
  const stop = el("button", { type: "button", hidden: true, onclick: () => control.abort() }, "Stop");
  let control;
  function fill() {
    body.value = bodies.find(([name]) => name === type.value)?.[1] ?? "";
    body.rows = Math.min(24, Math.max(4, body.value.split("\n").length + 1));
  }
  function request() {
    const headers = [...(bodies.length ? [["Content-Type", type.value]] : []), ...readHeaders(extra.value)];
    return { method, url, headers, body: bodies.length ? body.value : undefined };
  }
  const guarded = (action) => (event) => {
    event.preventDefault();
    action().catch((error) => output.replaceChildren(el("p", { class: "wrong" }, error.message)));
  };
  const submit = guarded(async () => {
    const asked = request();
    control?.abort();
    const mine = (control = new AbortController());
    stop.hidden = false;
    await send(asked, output, mine.signal);
    stop.hidden = control === mine;
  });
  const copy = guarded(async () => {
    const text = curl(request());
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false); // not on plain http
    output.replaceChildren(el("p", { class: "verdict" }, copied ? "Copied." : "Copy this:"), el("pre", { tabindex: "0" }, text));
  });
  fill();
  const onkeydown = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && submit(event);
  return el("form", { class: "try", onsubmit: submit, onkeydown },
    el("h4", {}, "Try it"),
    bodies.length > 1 && [el("label", { for: type.id }, "Content type"), type],
    bodies.length > 0 && [el("label", { for: body.id }, "Body"), body],
    el("label", { for: extra.id }, "Headers"), extra,
    el("p", { class: "buttons" }, el("button", { class: "send" }, "Send"), stop,
      el("button", { type: "button", onclick: copy }, "Copy as curl")), output);
}
