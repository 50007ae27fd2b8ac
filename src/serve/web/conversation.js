// A conversation is a tree: editing a question or asking for another answer adds a sibling, and what
// was there stays. `chosen` says which child of each node is on the path that is shown.

const root = "root";

export function newConversation() {
  return { id: crypto.randomUUID(), title: "", created: Date.now(), updated: Date.now(), nodes: {}, children: { [root]: [] }, chosen: {} };
}

/** Adds a message under `parent` (a node's id; null for the beginning) and shows it. */
export function addMessage(conversation, parent, role, content) {
  const node = { id: crypto.randomUUID(), parent: parent ?? root, role, content };
  conversation.nodes[node.id] = node;
  conversation.children[node.id] = [];
  conversation.children[node.parent].push(node.id);
  conversation.chosen[node.parent] = node.id;
  conversation.updated = Date.now();
  return node;
}

/** The messages from the beginning to the end of the branch that is shown. */
export function shownMessages(conversation) {
  const path = [];
  for (let id = conversation.chosen[root]; id; id = conversation.chosen[id]) path.push(conversation.nodes[id]);
  return path;
}

/** The messages that lead to a node, itself included. */
export function messagesUpTo(conversation, id) {
  const path = [];
  for (let at = id; at && at !== root; at = conversation.nodes[at].parent) path.unshift(conversation.nodes[at]);
  return path;
}

/** Where a node stands among its siblings: {index from 0, count}. */
export function branchOf(conversation, node) {
  const siblings = conversation.children[node.parent];
  return { index: siblings.indexOf(node.id), count: siblings.length };
}

/** Shows the sibling `step` places on. */
export function switchBranch(conversation, node, step) {
  const siblings = conversation.children[node.parent];
  const next = siblings[siblings.indexOf(node.id) + step];
  if (next) conversation.chosen[node.parent] = next;
}

/** Takes back a node that has no children (an answer of which nothing came). */
export function removeLeaf(conversation, node) {
  const siblings = conversation.children[node.parent].filter((id) => id !== node.id);
  conversation.children[node.parent] = siblings;
  delete conversation.nodes[node.id];
  delete conversation.children[node.id];
  if (siblings.length) conversation.chosen[node.parent] = siblings[siblings.length - 1];
  else delete conversation.chosen[node.parent];
}

/** A title from the first question. */
export function titleFrom(text) {
  const line = text.trim().split("\n")[0];
  const characters = [...line];
  return characters.length > 80 ? characters.slice(0, 80).join("") + "…" : line;
}

/** The branch that is shown, as Markdown. */
export function asMarkdown(conversation, names) {
  const turns = shownMessages(conversation).map((node) => `## ${node.role === "user" ? names.you : names.assistant}\n\n${node.content}\n`);
  return `# ${conversation.title}\n\n${turns.join("\n")}`;
}
