// From texts to nodes. Every text becomes a text node: nothing here parses HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child));
  return node;
}

// A details element that draws its body when first opened: schemas may contain themselves.
export function fold(attributes, summary, draw) {
  const node = el("details", attributes, el("summary", {}, summary));
  let drawn = false;
  node.addEventListener("toggle", () => {
    if (node.open && !drawn) node.append(...[draw()].flat(Infinity).filter((child) => child));
    drawn ||= node.open;
  });
  return node;
}

export const inline = (text) => text.split(/(``[^`]+``|`[^`]+`|\*[^*\s]+\*)/).map((part, at) =>
  at % 2 ? el(part[0] === "*" ? "em" : "code", {}, part.replace(/^(``?|\*)(.*)\1$/, "$2")) : part);

// Paragraphs, lists and `code`: as much of CommonMark as descriptions here need.
export function prose(text = "") {
  return text.split(/\n{2,}/).filter((block) => block.trim()).map((block) => {
    const lines = block.split("\n");
    const isList = lines.every((line) => line.startsWith("- "));
    return isList ? el("ul", {}, lines.map((line) => el("li", {}, inline(line.slice(2))))) : el("p", {}, inline(block));
  });
}

// Indents JSON text without reading it into numbers, so that what is shown is what was sent.
export function pretty(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let at = 0;
  function value(indent) {
    const open = tokens[at++];
    if (open !== "{" && open !== "[") return open;
    const close = open === "{" ? "}" : "]";
    const parts = [];
    while (at < tokens.length && tokens[at] !== close) {
      let part = value(indent + "  ");
      if (tokens[at] === ":") part += (at++, ": ") + value(indent + "  ");
      if (tokens[at] === ",") at++;
      parts.push(part);
    }
    at++;
    const line = open + parts.join(", ") + close;
    if (line.length + indent.length < 60 && !line.includes("\n")) return line;
    return `${open}\n${parts.map((part) => indent + "  " + part).join(",\n")}\n${indent}${close}`;
  }
  try {
    JSON.parse(text);
    return value("");
  } catch {
    return text; // not JSON, or nested too deeply to walk
  }
}

export const statusClass = (status) => `status s${String(status)[0]}`;
