// The page: one list of conversations, one of them shown, at most one answer being written.

import * as tree from "./conversation.js";
import { ApiError, listModels, streamChat } from "./completions.js";
import { languages, preferredLanguage } from "./languages.js";
import { copyText, editMessage, fillActions, fillText, messageElement } from "./message_view.js";
import { loadSettings, openStorage, saveSettings } from "./storage.js";

const $ = (id) => document.getElementById(id);

const settings = loadSettings();
let texts = languages[settings.language] ?? languages[preferredLanguage()];
let storage = null;
let conversations = []; // the newest first
let current = tree.newConversation(); // joins the list with its first message
let writing = null; // {conversation, node, abort} of the answer being written

// --- what is shown ---------------------------------------------------------------------------------

function showNotice(text) {
  $("notice-text").textContent = text;
  $("notice").hidden = false;
}

function hideNotice() {
  $("notice").hidden = true;
}

function announce(text) {
  $("announcer").textContent = text;
}

function applyLanguage() {
  const name = settings.language && settings.language in languages ? settings.language : preferredLanguage();
  texts = languages[name];
  document.documentElement.lang = name;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text] ?? element.dataset.text;
  for (const element of document.querySelectorAll("[data-label]")) {
    const label = texts[element.dataset.label] ?? element.dataset.label;
    element.setAttribute("aria-label", label);
    if (element.tagName === "BUTTON") element.title = label;
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) element.placeholder = texts[element.dataset.placeholder];
  $("examples").replaceChildren(
    ...texts.examples.map((example) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = example;
      chip.addEventListener("click", () => ask(example));
      return chip;
    }),
  );
}

function applyTheme() {
  document.documentElement.dataset.theme = settings.theme ?? "auto";
}

function nearBottom() {
  const main = document.querySelector("main");
  return main.scrollHeight - main.scrollTop - main.clientHeight < 80;
}

function scrollToBottom() {
  const main = document.querySelector("main");
  main.scrollTop = main.scrollHeight;
}

function showConversation() {
  const busy = writing !== null;
  const path = tree.shownMessages(current);
  $("messages").replaceChildren(...path.map((node) => messageElement(current, node, busy, texts, actions)));
  $("welcome").hidden = path.length > 0;
  $("conversation-title").textContent = current.title || texts.untitled;
  document.title = current.title ? `${current.title} · TigerBot` : "TigerBot";
  $("send").hidden = busy;
  $("stop").hidden = !busy;
  if (writing?.conversation === current) {
    const last = elementOf(writing.node);
    last?.classList.add("writing");
    last?.querySelector(".message-actions").replaceChildren();
  }
}

function elementOf(node) {
  return $("messages").querySelector(`[data-id="${node.id}"]`);
}

function iconButton(text, label, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "icon-button small";
  element.textContent = text;
  element.title = label;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", onClick);
  return element;
}

function showList() {
  $("conversation-list").replaceChildren(
    ...conversations.map((conversation) => {
      const title = conversation.title || texts.untitled;
      const item = document.createElement("li");
      const open = document.createElement("button");
      open.type = "button";
      open.className = "conversation";
      open.textContent = title;
      if (conversation === current) open.setAttribute("aria-current", "true");
      open.addEventListener("click", () => openConversation(conversation));
      item.append(
        open,
        iconButton("✎", texts.renameLabel(title), () => rename(conversation)),
        iconButton("⤓", texts.exportLabel(title), () => exportConversation(conversation)),
        iconButton("✕", texts.deleteLabel(title), () => removeConversation(conversation)),
      );
      return item;
    }),
  );
}

function showAll() {
  applyLanguage();
  applyTheme();
  showList();
  showConversation();
}

function setSidebar(open) {
  document.body.classList.toggle("sidebar-open", open);
  $("open-sidebar").setAttribute("aria-expanded", String(open));
  const narrow = matchMedia("(max-width: 760px)").matches;
  // On a phone the closed list is off the screen and must be out of the keyboard's way too.
  $("sidebar").inert = narrow && !open;
  $("page").inert = narrow && open;
}

// --- conversations ---------------------------------------------------------------------------------

async function keep(conversation) {
  try {
    await storage?.put(conversation);
  } catch {
    showNotice(texts.storageFull);
  }
}

function openConversation(conversation) {
  current = conversation;
  setSidebar(false);
  hideNotice();
  showList();
  showConversation();
  scrollToBottom();
  $("composer-text").focus();
}

function startConversation() {
  openConversation(tree.newConversation());
}

async function rename(conversation) {
  const title = prompt(texts.renamePrompt, conversation.title);
  if (!title?.trim()) return;
  conversation.title = title.trim();
  showList();
  showConversation();
  await keep(conversation);
}

function exportConversation(conversation) {
  const link = document.createElement("a");
  const url = URL.createObjectURL(new Blob([tree.asMarkdown(conversation, texts)], { type: "text/markdown" }));
  link.href = url;
  link.download = `${(conversation.title || texts.untitled).replace(/[\\/:*?"<>|\s]+/g, "-")}.md`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

async function removeConversation(conversation) {
  $("confirm-text").textContent = texts.deleteConversation(conversation.title || texts.untitled);
  const dialog = $("confirm");
  dialog.returnValue = "cancel";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "ok") return;
  if (writing?.conversation === conversation) writing.abort.abort();
  conversations = conversations.filter((other) => other !== conversation);
  if (current === conversation) current = tree.newConversation();
  await storage?.remove(conversation.id);
  showList();
  showConversation();
}

// --- questions and answers -------------------------------------------------------------------------

function requestFor(conversation, node) {
  const messages = tree.messagesUpTo(conversation, node.parent).map(({ role, content }) => ({ role, content }));
  if (settings.system) messages.unshift({ role: "system", content: settings.system });
  const request = { model: $("model-choice").value, messages };
  for (const [key, value] of Object.entries(settings.sampling ?? {})) {
    if (value !== null) request[key] = value;
  }
  return request;
}

function reasonOf(error) {
  if (!(error instanceof ApiError)) return texts.failed(error.message);
  if (error.status === 401) return texts.unauthorized;
  if (error.status === 429 || error.status === 503) return texts.busy;
  if (error.status === 0) return texts.offline;
  return texts.failed(error.message);
}

async function answer(conversation, question) {
  const node = tree.addMessage(conversation, question.id, "assistant", "");
  const abort = new AbortController();
  writing = { conversation, node, abort };
  hideNotice();
  announce(texts.answering);
  showConversation();
  scrollToBottom();

  const begin = performance.now();
  let first = null;
  let drawn = false;
  const draw = () => {
    drawn = false;
    const element = conversation === current && elementOf(node);
    if (!element) return;
    const follow = nearBottom();
    fillText(element, node, texts);
    if (follow) scrollToBottom();
  };
  try {
    for await (const event of streamChat(requestFor(conversation, node), settings.apiKey, abort.signal)) {
      const now = (performance.now() - begin) / 1000;
      if (event.text) {
        first ??= now;
        node.content += event.text;
        // Once a frame at most: a fast model writes many tokens in one.
        if (!drawn) {
          drawn = true;
          requestAnimationFrame(draw);
        }
      }
      if (event.finishReason) node.end = event.finishReason;
      if (event.usage) node.speed = { tokens: event.usage.completion_tokens, seconds: now, first: first ?? now };
    }
  } catch (error) {
    if (error.name === "AbortError") node.end = "stopped";
    else {
      node.end = "broken";
      showNotice(node.content ? texts.broken : reasonOf(error));
    }
  }
  writing = null;
  if (!node.content && node.end !== "stop" && node.end !== "length") tree.removeLeaf(conversation, node);
  conversation.updated = Date.now();
  if (conversation === current) {
    const follow = nearBottom();
    showConversation();
    if (follow) scrollToBottom();
  } else {
    showConversation();
  }
  announce(node.content ? texts.answered(node.content) : "");
  if (conversations.includes(conversation)) await keep(conversation);
}

function ask(text, parent = tree.shownMessages(current).at(-1)?.id ?? null) {
  if (writing || !text.trim()) return;
  const question = tree.addMessage(current, parent, "user", text);
  if (!current.title) current.title = tree.titleFrom(text);
  conversations = [current, ...conversations.filter((other) => other !== current)];
  showList();
  keep(current);
  answer(current, question);
}

const actions = {
  regenerate: (node) => {
    if (!writing) answer(current, current.nodes[node.parent]);
  },
  edit: (node, element) => {
    editMessage(
      element,
      node,
      texts,
      (text) => {
        const parent = node.parent === "root" ? null : node.parent;
        ask(text, parent);
        $("composer-text").focus();
      },
      () => {
        showConversation();
        elementOf(node)?.querySelector(".edit")?.focus();
      },
    );
  },
  switchBranch: (node, step) => {
    tree.switchBranch(current, node, step);
    showConversation();
    keep(current);
  },
};

// --- settings --------------------------------------------------------------------------------------

const numbers = {
  "setting-temperature": "temperature",
  "setting-top-p": "top_p",
  "setting-max-tokens": "max_tokens",
  "setting-seed": "seed",
  "setting-presence-penalty": "presence_penalty",
  "setting-frequency-penalty": "frequency_penalty",
};

function fillSettings() {
  $("setting-system").value = settings.system ?? "";
  for (const [id, key] of Object.entries(numbers)) $(id).value = settings.sampling?.[key] ?? "";
  $("setting-language").value = document.documentElement.lang;
  $("setting-theme").value = settings.theme ?? "auto";
  $("setting-api-key").value = settings.apiKey ?? "";
}

function readSettings() {
  settings.system = $("setting-system").value.trim();
  settings.sampling = {};
  for (const [id, key] of Object.entries(numbers)) {
    const field = $(id);
    if (field.value !== "" && field.validity.valid) settings.sampling[key] = field.valueAsNumber;
  }
  settings.theme = $("setting-theme").value;
  settings.language = $("setting-language").value;
  const keyBefore = settings.apiKey ?? "";
  settings.apiKey = $("setting-api-key").value.trim();
  saveSettings(settings);
  showAll();
  if (settings.apiKey !== keyBefore) fillModels();
}

async function fillModels() {
  try {
    const names = await listModels(settings.apiKey);
    $("model-choice").replaceChildren(
      ...names.map((name) => {
        const option = document.createElement("option");
        option.value = option.textContent = name;
        return option;
      }),
    );
    if (names.includes(settings.model)) $("model-choice").value = settings.model;
    hideNotice();
  } catch (error) {
    showNotice(reasonOf(error));
  }
}

// --- wiring ----------------------------------------------------------------------------------------

const composer = $("composer-text");

function fitComposer() {
  composer.style.height = "auto";
  composer.style.height = `${Math.min(composer.scrollHeight, 240)}px`;
}

composer.addEventListener("input", fitComposer);
composer.addEventListener("keydown", (event) => {
  // While an input method is composing Chinese, Japanese or Korean, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (writing || !composer.value.trim()) return;
  const text = composer.value;
  composer.value = "";
  fitComposer();
  ask(text);
});
$("stop").addEventListener("click", () => writing?.abort.abort());
$("new-conversation").addEventListener("click", startConversation);
$("open-sidebar").addEventListener("click", () => {
  setSidebar(true);
  $("close-sidebar").focus();
});
$("close-sidebar").addEventListener("click", () => {
  setSidebar(false);
  $("open-sidebar").focus();
});
$("scrim").addEventListener("click", () => setSidebar(false));
$("close-notice").addEventListener("click", hideNotice);
$("open-settings").addEventListener("click", () => {
  fillSettings();
  $("settings").showModal();
});
$("settings").addEventListener("close", readSettings);
$("setting-theme").addEventListener("change", () => {
  document.documentElement.dataset.theme = $("setting-theme").value;
});
$("model-choice").addEventListener("change", () => {
  settings.model = $("model-choice").value;
  saveSettings(settings);
});
$("messages").addEventListener("click", (event) => {
  const copy = event.target.closest(".code-copy");
  if (copy) copyText(copy.closest(".code-frame").querySelector("code").textContent, copy, texts);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) {
    if (document.body.classList.contains("sidebar-open")) setSidebar(false);
    else writing?.abort.abort();
  } else if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    startConversation();
  }
});
const main = document.querySelector("main");
let follows = true; // the end is in view, and stays there when the window's size changes
main.addEventListener("scroll", () => {
  follows = nearBottom();
  $("to-bottom").hidden = follows;
});
addEventListener("resize", () => {
  if (follows) scrollToBottom();
});
$("to-bottom").addEventListener("click", scrollToBottom);
matchMedia("(max-width: 760px)").addEventListener("change", () => setSidebar(false));

showAll();
setSidebar(false);
fillModels();
composer.focus();
try {
  storage = await openStorage();
  const kept = await storage.all();
  const known = new Set(conversations.map((conversation) => conversation.id));
  conversations = [...conversations, ...kept.filter((conversation) => !known.has(conversation.id)).sort((a, b) => b.updated - a.updated)];
  showList();
} catch {
  showNotice(texts.storageFull);
}
