// Keeps the marked part of a page fresh: fetches it rendered, quickly while something happens, seldom when
// everything has ended, never while nobody looks. Without this script the page works by reloading.
"use strict";

const FASTEST_MS = 500;
const SLOWEST_RUNNING_MS = 3000;
const SLOWEST_RESTING_MS = 15000;
const SLOWING = 1.4;

function showLocalTimes(root) {
  for (const time of root.querySelectorAll("time[data-clock]")) {
    const at = new Date(time.dateTime);
    const day = at.toDateString() === new Date().toDateString() ? "" : at.toLocaleDateString() + " ";
    time.textContent = day + at.toLocaleTimeString();
    time.title = at.toLocaleString();
  }
}

function isSelecting(region) {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
}

function replaceKeepingPlace(region, html) {
  const open = new Map();
  for (const details of region.querySelectorAll("details[data-key]")) open.set(details.dataset.key, details.open);
  const places = [...region.querySelectorAll("[data-keep-scroll]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  const template = document.createElement("template");
  template.innerHTML = html;
  showLocalTimes(template.content);
  for (const details of template.content.querySelectorAll("details[data-key]")) {
    if (open.has(details.dataset.key)) details.open = open.get(details.dataset.key);
  }
  region.replaceChildren(template.content);
  for (const [id, left, top] of places) document.getElementById(id)?.scrollTo(left, top);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function say(region) {
  const spoken = document.querySelector("[data-spoken]");
  const text = region.querySelector("[data-say]")?.dataset.say;
  if (spoken && text && spoken.textContent !== text) spoken.textContent = text;
}

function keepFresh(region) {
  const lost = document.querySelector("[data-link-lost]");
  let shown = null;
  let delay = FASTEST_MS;
  let timer = 0;
  let fetching = false;

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden || fetching) return;
    fetching = true;
    try {
      const response = await fetch(region.dataset.live, { signal: AbortSignal.timeout(10000) });
      if (!response.ok) throw new Error(response.statusText);
      const html = await response.text();
      lost.hidden = true;
      if (html !== shown && !isSelecting(region)) {
        if (shown !== null) delay = FASTEST_MS;
        shown = html;
        replaceKeepingPlace(region, html);
        say(region);
      }
      const slowest = region.querySelector("[data-resting]") ? SLOWEST_RESTING_MS : SLOWEST_RUNNING_MS;
      delay = Math.min(delay * SLOWING, slowest);
    } catch {
      lost.hidden = false;
      delay = Math.min(delay * 2, SLOWEST_RESTING_MS);
    } finally {
      fetching = false;
    }
    timer = setTimeout(refresh, delay);
  }

  document.addEventListener("visibilitychange", () => {
    delay = FASTEST_MS;
    refresh();
  });
  timer = setTimeout(refresh, delay);
}

// A second click on the same button before the answer is there would launch a second saga.
addEventListener("submit", (event) => {
  const button = event.target.querySelector("button");
  setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button")) button.disabled = false;
});

showLocalTimes(document);
for (const region of document.querySelectorAll("[data-live]")) keepFresh(region);
