// Conversations live in the browser's IndexedDB: larger than local storage, and written one
// conversation at a time. Without it (private windows of some browsers) the page works and keeps nothing.

function asPromise(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export async function openStorage() {
  const request = indexedDB.open("tigerbot", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
  const database = await asPromise(request);
  const store = (mode) => database.transaction("conversations", mode).objectStore("conversations");
  return {
    all: () => asPromise(store("readonly").getAll()),
    put: (conversation) => asPromise(store("readwrite").put(conversation)),
    remove: (id) => asPromise(store("readwrite").delete(id)),
  };
}

const settingsKey = "tigerbot.settings";

export function loadSettings() {
  try {
    return JSON.parse(localStorage.getItem(settingsKey)) ?? {};
  } catch {
    return {};
  }
}

export function saveSettings(settings) {
  try {
    localStorage.setItem(settingsKey, JSON.stringify(settings));
  } catch {
    // Closed or full: the settings hold until the page is left.
  }
}
