// Keeps the state of the live run on the page up to date. Nothing else changes by itself.

const place = document.querySelector("#live");

if (place !== null && globalThis.EventSource !== undefined) {
  const events = new EventSource("/live");
  events.addEventListener("state", (event) => show(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    place.dataset.stale = "true";
  });
}

function show(state) {
  delete place.dataset.stale;
  for (const field of place.querySelectorAll("[data-live]")) {
    const text = state.words[field.dataset.live] ?? "";
    if (field.textContent !== text) field.textContent = text;
  }
  place.dataset.phase = state.phase ?? "";
}
