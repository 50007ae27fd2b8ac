// One message on the page: its text, the buttons under it, and the editor that takes its place.

import { branchOf } from "./conversation.js";
import { renderMarkdown } from "./markup.js";

function button(text, label, onClick, className = "") {
  const element = document.createElement("button");
  element.type = "button";
  element.className = className;
  element.textContent = text;
  if (label !== text) element.setAttribute("aria-label", label);
  element.title = label;
  element.addEventListener("click", onClick);
  return element;
}

export async function copyText(text, element, texts) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that do not come over TLS or from this machine have no clipboard: the old way.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    element.focus();
  }
  const before = element.textContent;
  element.textContent = texts.copied;
  setTimeout(() => (element.textContent = before), 1500);
}

/** Puts the text of a message into its element. A question is shown as it was typed. */
export function fillText(element, node, texts) {
  const body = element.querySelector(".message-text");
  if (node.role === "user") body.textContent = node.content;
  else body.replaceChildren(renderMarkdown(node.content, texts));
}

function speedText(node, texts) {
  const parts = [];
  if (node.speed) {
    const { tokens, seconds, first } = node.speed;
    // The first token's time belongs to the prompt.
    const rate = tokens > 1 && seconds > first ? ((tokens - 1) / (seconds - first)).toFixed(1) : "–";
    parts.push(texts.speed(tokens, rate, first.toFixed(2)));
  }
  if (node.end === "length") parts.push(texts.cutShort);
  if (node.end === "stopped") parts.push(texts.stopped);
  return parts.join(" · ");
}

/** The line under a message; empty while its answer is being written. */
export function fillActions(element, conversation, node, busy, texts, actions) {
  const line = element.querySelector(".message-actions");
  line.replaceChildren();
  const { index, count } = branchOf(conversation, node);
  if (count > 1) {
    const group = document.createElement("span");
    group.className = "branches";
    const back = button("‹", texts.previousBranch, () => actions.switchBranch(node, -1));
    const on = button("›", texts.nextBranch, () => actions.switchBranch(node, 1));
    back.disabled = busy || index === 0;
    on.disabled = busy || index === count - 1;
    const place = document.createElement("span");
    place.textContent = `${index + 1}/${count}`;
    place.setAttribute("aria-label", texts.branchOf(index + 1, count));
    place.setAttribute("role", "img");
    group.append(back, place, on);
    line.append(group);
  }
  line.append(button(texts.copy, texts.copy, (event) => copyText(node.content, event.currentTarget, texts), "copy"));
  if (node.role === "user") {
    const edit = button(texts.edit, texts.edit, () => actions.edit(node, element), "edit");
    edit.disabled = busy;
    line.append(edit);
  } else {
    const again = button(texts.regenerate, texts.regenerate, () => actions.regenerate(node), "regenerate");
    again.disabled = busy;
    line.append(again);
    const speed = document.createElement("span");
    speed.className = "speed";
    speed.textContent = speedText(node, texts);
    line.append(speed);
  }
}

export function messageElement(conversation, node, busy, texts, actions) {
  const element = document.createElement("article");
  element.className = `message ${node.role}`;
  element.dataset.id = node.id;
  const name = document.createElement("h2");
  name.className = "visually-hidden";
  name.textContent = node.role === "user" ? texts.you : texts.assistant;
  const body = document.createElement("div");
  body.className = "message-text";
  body.dir = "auto";
  const line = document.createElement("div");
  line.className = "message-actions";
  element.append(name, body, line);
  fillText(element, node, texts);
  fillActions(element, conversation, node, busy, texts, actions);
  return element;
}

/** Turns a question into a text field; `onSave` gets the new text. */
export function editMessage(element, node, texts, onSave, onCancel) {
  const form = document.createElement("form");
  form.className = "editor";
  const area = document.createElement("textarea");
  area.value = node.content;
  area.rows = Math.min(12, node.content.split("\n").length + 1);
  area.setAttribute("aria-label", texts.yourMessage);
  const buttons = document.createElement("div");
  buttons.className = "dialog-buttons";
  const save = button(texts.save, texts.save, () => {}, "primary");
  save.type = "submit";
  buttons.append(button(texts.cancel, texts.cancel, onCancel), save);
  form.append(area, buttons);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (area.value.trim()) onSave(area.value);
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onCancel();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  element.querySelector(".message-text").replaceChildren(form);
  element.querySelector(".message-actions").replaceChildren();
  area.focus();
}
