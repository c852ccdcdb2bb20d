// Shows how the daemon is doing: the status when the page opens and after each change.
"use strict";
const show = (id, text) => { document.getElementById(id).textContent = text; };

function direction(side, mutedBy) {
  const muted = side.muted || mutedBy ? ", muted" : "";
  return `${side.device.state}${muted} · ${side.device.device}`;
}

function render(status) {
  show("capture", direction(status.capture, status.mutes.capture_by_command || status.mutes.capture_by_switch));
  show("playback", direction(status.playback, status.mutes.playback_by_command));
  show("clients", String(status.clients_connected));
}

function list(change) {
  const item = document.createElement("li");
  const time = new Date(change.time_s * 1000).toLocaleTimeString();
  const reason = change.reason ? ` (${change.reason})` : "";
  item.textContent = `${time} ${change.what} ${change.which}: ${change.from ?? "–"} → ${change.to ?? "–"}${reason}`;
  const changes = document.getElementById("changes");
  changes.prepend(item);
  while (changes.children.length > 20) changes.lastChild.remove();
}

// One question at a time, however many changes come.
let asking = false;
async function refresh() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("api/v1/status");
    if (answer.ok) render(await answer.json());
  } finally {
    asking = false;
  }
}

const events = new EventSource("api/v1/events");
events.onopen = () => show("line", "live");
events.onerror = () => show("line", "lost; trying again");
events.addEventListener("snapshot", (event) => render(JSON.parse(event.data)));
events.addEventListener("change", (event) => { list(JSON.parse(event.data)); refresh(); });
