// A model's text, made into a page's elements. The text is never trusted: HTML in it is shown as text,
// what Markdown makes of the rest goes through DOMPurify, and the server's Content-Security-Policy
// forbids inline scripts and foreign hosts should both fail.

const { marked, DOMPurify, katex, hljs } = window;

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);
}

function mathElement(token) {
  const tag = token.display ? "div" : "span";
  return `<${tag} class="math" data-display="${token.display}">${escapeHtml(token.text)}</${tag}>`;
}

const blockMath = {
  name: "blockMath",
  level: "block",
  start: (source) => source.match(/\$\$|\\\[/)?.index,
  tokenizer(source) {
    const match = /^\$\$([\s\S]+?)\$\$(?:\n|$)/.exec(source) ?? /^\\\[([\s\S]+?)\\\](?:\n|$)/.exec(source);
    return match ? { type: "blockMath", raw: match[0], text: match[1].trim(), display: true } : undefined;
  },
  renderer: mathElement,
};

// A single dollar is a formula only as in Pandoc: no space inside its ends, no digit after it, so that
// "$5 and $10" stays money.
const inlineMath = {
  name: "inlineMath",
  level: "inline",
  start: (source) => source.match(/\$|\\\(|\\\[/)?.index,
  tokenizer(source) {
    const match = /^\\\((.+?)\\\)/.exec(source) ?? /^\$\$([^$]+?)\$\$/.exec(source) ?? /^\\\[(.+?)\\\]/.exec(source) ??
      /^\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/.exec(source);
    return match ? { type: "inlineMath", raw: match[0], text: match[1].trim(), display: false } : undefined;
  },
  renderer: mathElement,
};

marked.use({
  gfm: true,
  breaks: true,
  headerIds: false,
  mangle: false,
  extensions: [blockMath, inlineMath],
  renderer: { html: (html) => escapeHtml(html) },
});

const allowed = {
  ALLOWED_TAGS: ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "del", "a",
    "table", "thead", "tbody", "tr", "th", "td", "span", "div", "input"],
  ALLOWED_ATTR: ["href", "title", "class", "data-display", "align", "start", "type", "checked", "disabled"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
};

// Debian 12's DOMPurify (2.4.1+deb12u1) reads a variable that its security patch forgot to declare, and
// would stop at every text. The value says that the document's body is not nested; the depth of every
// node below it is counted as it should be.
window.shadowNode ??= { __depth: 0 };

function sanitized(html, options) {
  const template = document.createElement("template");
  template.innerHTML = DOMPurify.sanitize(html, options);
  return template.content;
}

// marked writes <input> for task lists; no other kind may come through.
DOMPurify.addHook("uponSanitizeElement", (node, data) => {
  if (data.tagName === "input" && (node.getAttribute("type") !== "checkbox" || !node.hasAttribute("disabled"))) node.remove();
});

function addCodeFrames(fragment, texts) {
  for (const code of fragment.querySelectorAll("pre > code")) {
    const language = [...code.classList].find((name) => name.startsWith("language-"))?.slice(9) ?? "";
    const text = code.textContent;
    if (language && hljs.getLanguage(language) && text.length < 100000) {
      code.textContent = "";
      // highlight.js escapes the text that it marks up.
      code.append(sanitized(hljs.highlight(language, text, true).value, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] }));
    }
    const frame = document.createElement("div");
    frame.className = "code-frame";
    const head = document.createElement("div");
    head.className = "code-head";
    const label = document.createElement("span");
    label.textContent = language;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "code-copy";
    copy.textContent = texts.copyCode;
    head.append(label, copy);
    const pre = code.parentElement;
    pre.replaceWith(frame);
    pre.tabIndex = 0; // so that long lines can be scrolled with the keyboard
    frame.append(head, pre);
  }
}

function addMath(fragment) {
  for (const element of fragment.querySelectorAll(".math")) {
    const tex = element.textContent;
    // Elements are made one by one, not from a string: inline styles in markup are forbidden here.
    katex.render(tex, element, { displayMode: element.dataset.display === "true", throwOnError: false, trust: false, strict: false, maxSize: 20, maxExpand: 200 });
  }
}

/** Markdown with formulas and code, as a fragment that is safe to show. */
export function renderMarkdown(text, texts) {
  const fragment = sanitized(marked.parse(text), allowed);
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.hasAttribute("href")) continue;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  addCodeFrames(fragment, texts);
  addMath(fragment);
  return fragment;
}
