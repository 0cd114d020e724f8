// Draws the OpenAPI 3.1 document that the page links to.

import { el, fold, inline, pretty, prose, statusClass } from "./dom.js";
import { tryIt } from "./try.js";

const source = document.querySelector('link[rel="service-desc"]').href;
let api;

function resolve(part) {
  if (!part?.$ref) return part ?? {};
  const { $ref, ...beside } = part;
  const target = $ref.slice(2).split("/").reduce((node, step) => node?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  return { title: $ref.split("/").pop(), ...resolve(target), ...beside };
}

const choices = (schema) => schema.anyOf ?? schema.oneOf ?? schema.allOf;

// In words. Aliases may contain themselves without an object in between, hence the depth.
function typeName(part, depth = 0) {
  if (part === true || part === undefined) return "anything";
  const schema = resolve(part);
  const name = (inside) => typeName(inside, depth + 1);
  if (depth > 4 || schema.properties) return schema.title ?? "object";
  if (choices(schema)) return [...new Set(choices(schema).map(name))].join(schema.allOf ? " and " : " or ");
  if (schema.enum || "const" in schema) return part.$ref ? schema.title : "one value of";
  if (schema.prefixItems) return `[${schema.prefixItems.map(name).join(", ")}]`;
  if (schema.type === "array") return `list of ${name(schema.items)}`;
  if (schema.additionalProperties) return `map to ${name(schema.additionalProperties)}`;
  return [schema.type ?? schema.title ?? "anything"].flat().join(" or ") + (schema.format ? ` · ${schema.format}` : "");
}

const LIMITS = {
  minimum: "≥ #", exclusiveMinimum: "> #", maximum: "≤ #", exclusiveMaximum: "< #", multipleOf: "multiple of #",
  minLength: "at least # characters", maxLength: "at most # characters", pattern: "matches #", contentEncoding: "#",
  minItems: "at least # items", maxItems: "at most # items",
};

function limits(schema, depth = 0) {
  const told = Object.entries(LIMITS).flatMap(([word, text]) => (word in schema ? [text.replace("#", () => schema[word])] : []));
  if (schema.uniqueItems) told.push("no two equal");
  if ("default" in schema) told.push(`default ${JSON.stringify(schema.default)}`);
  for (const value of schema.enum ?? ("const" in schema ? [schema.const] : [])) told.push(JSON.stringify(value));
  const inside = depth < 4 ? (choices(schema) ?? []).map(resolve).filter((part) => !part.properties) : [];
  told.push(...inside.flatMap((part) => limits(part, depth + 1)));
  return [...new Set(told)];
}

// The object schemas inside a type, which are worth a table of their own.
function objectsIn(part, depth = 0) {
  const schema = resolve(part);
  if (schema.properties || depth > 4) return schema.properties ? [schema] : [];
  const inside = [...(choices(schema) ?? []), ...(schema.prefixItems ?? []), schema.items, schema.additionalProperties];
  const found = inside.filter((one) => typeof one === "object").flatMap((one) => objectsIn(one, depth + 1));
  return [...new Map(found.map((one) => [JSON.stringify(one), one])).values()];
}

const row = (name, notes, ...body) =>
  el("div", { class: "field" }, el("dt", {}, el("code", { class: "name" }, name), notes), el("dd", {}, body));

const typed = (part) => el("span", { class: "type" }, typeName(part));

const codes = (texts) => texts.length > 0 && el("p", { class: "limits" }, texts.map((text) => el("code", {}, text)));

const inner = (schema, draw) => fold({ class: "inner" }, schema.title ?? "object", draw);

function fields(schema) {
  return el("dl", { class: "fields" }, Object.entries(schema.properties).map(([name, part]) => {
    const told = resolve(part);
    const required = schema.required?.includes(name) && el("span", { class: "required" }, "required");
    const text = part.$ref ? part.description : told.description; // a reference is described where it unfolds
    const objects = objectsIn(part).map((one) => inner(one, () => fields(one)));
    return row(name, [typed(part), required], prose(text), codes(limits(told)), objects);
  }));
}

function schemaView(part) {
  const objects = objectsIn(part);
  const shape = el("div", { class: "shape" }, typed(part), codes(limits(resolve(part))));
  if (objects.length === 1) return [shape, prose(objects[0].description), fields(objects[0])];
  return [shape, objects.map((one) => inner(one, () => [...prose(one.description), fields(one)]))];
}

function exampleText(media) {
  const example = media?.example ?? Object.values(media?.examples ?? {})[0]?.value;
  if (example === undefined) return "";
  return media["x-item-schema"] ? example : pretty(JSON.stringify(example));
}

const contentView = (content = {}) => Object.entries(content).map(([type, media]) => {
  const line = media["x-item-schema"];
  return [el("p", { class: "media" }, type, line && " · each line"), schemaView(line ?? media.schema)];
});

function responseView([status, part]) {
  const response = resolve(part);
  const [first, ...rest] = response.description.split("\n\n");
  return fold({ class: "response" }, [el("span", { class: statusClass(status) }, status), el("span", {}, inline(first))], () => {
    const headers = Object.entries(response.headers ?? {})
      .map(([name, header]) => row(name, "", prose(resolve(header).description)));
    const example = exampleText(Object.values(response.content ?? {})[0]);
    return el("div", { class: "inside" }, prose(rest.join("\n\n")), headers.length > 0 && el("dl", { class: "fields" }, headers),
      contentView(response.content), example && el("pre", { tabindex: "0", "aria-label": "Example" }, example));
  });
}

function requestView(operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const body = operation.requestBody && resolve(operation.requestBody);
  return [
    parameters.length > 0 && [el("h4", {}, "Parameters"),
      el("dl", { class: "fields" }, parameters.map((one) =>
        row(one.name, el("span", { class: "type" }, one.in), prose(one.description))))],
    body && [el("h4", {}, "Request body"), prose(body.description), contentView(body.content)],
  ];
}

function tryView(method, path, operation) {
  const bodies = Object.entries(resolve(operation.requestBody).content ?? {}).map(([type, media]) => [type, exampleText(media)]);
  const base = new URL(api.servers?.[0]?.url ?? ".", source).href.replace(/\/$/, "");
  return tryIt({ id: `${operation.operationId}-try`, method: method.toUpperCase(), url: base + path, bodies });
}

function routeView(method, path, operation, tag) {
  const said = operation.description ?? "";
  const own = tag.description && said.startsWith(tag.description) ? said.slice(tag.description.length) : said;
  const summary = [el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", { class: "path" }, path),
    el("span", { class: "gist" }, operation.summary)];
  return fold({ class: "route", id: operation.operationId }, summary, () => el("div", { class: "columns" },
    el("div", { class: "told" }, prose(own), requestView(operation),
      el("h4", {}, "Answers"), Object.entries(operation.responses).map(responseView)),
    tryView(method, path, operation)));
}

function chips(told = {}) {
  const count = (number) => number.toLocaleString("en");
  return el("p", { class: "chips" },
    told.max_size && el("span", {}, `up to ${count(told.max_size)} items a batch`),
    told.max_wait && el("span", {}, `waits ${told.max_wait} s for company`),
    told.timeout && el("span", {}, `answers within ${told.timeout} s`),
    told.max_pending && el("span", {}, `room for ${count(told.max_pending)} items`));
}

function draw() {
  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title;
  const heading = el("h1", {}, api.info.title, el("small", {}, `v${api.info.version}`));
  document.getElementById("top").append(heading, ...prose(api.info.description));
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  for (const tag of api.tags) {
    const id = `handler-${tag.name}`;
    const routes = operations.filter(({ operation }) => operation.tags?.includes(tag.name));
    document.getElementById("nav").append(el("a", { href: `#${id}` }, tag.name));
    document.getElementById("handlers").append(el("section", { class: "handler", id },
      el("h2", {}, tag.name), prose(tag.description), chips(tag["x-limits"]),
      routes.map(({ path, method, operation }) => routeView(method, path, operation, tag))));
  }
  openTarget();
}

function openTarget() {
  const isAsked = ({ id }) => ["#" + id, "#" + encodeURIComponent(id)].includes(location.hash);
  const target = [...document.querySelectorAll("section, .route")].find(isAsked);
  const route = target?.matches(".route") ? target : (target ?? document).querySelector(".route");
  if (route) route.open = true;
  target?.scrollIntoView();
}

try {
  const response = await fetch(source);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  api = await response.json();
  draw();
  addEventListener("hashchange", openTarget);
} catch (error) {
  document.getElementById("notice").append(el("p", {}, `The API description could not be shown: ${error.message}. `,
    el("a", { href: source }, "Look at it directly.")));
}
