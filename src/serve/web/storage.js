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

// What small models answer sensibly with; an emptied field leaves the choice to the server, whose
// default is the API's: temperature 1.
const firstSettings = () => ({ sampling: { temperature: 0.6, top_p: 0.9 } });

export function loadSettings() {
  try {
    return JSON.parse(localStorage.getItem(settingsKey)) ?? firstSettings();
  } catch {
    return firstSettings();
  }
}

export function saveSettings(settings) {
  try {
    localStorage.setItem(settingsKey, JSON.stringify(settings));
  } catch {
    // Closed or full: the settings hold until the page is left.
  }
}
