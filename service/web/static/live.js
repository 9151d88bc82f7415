/* What every page does: patch itself when something changed, tell times in the reader's zone, and answer keys. */

import { drawAll } from "/static/chart.js";

const main = () => document.getElementById("main");
const CALM_MS = 400; // several changes at once are one patch
const PROGRESS_MS = 5000; // steps and losses are no events: while something runs, they are looked for

// --- times -------------------------------------------------------------------------------------------------------
function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor((whole % 86400) / 3600), minutes = Math.floor((whole % 3600) / 60);
  if (days) return `${days} day${days > 1 ? "s" : ""}${hours ? ` ${hours} h` : ""}`;
  if (hours) return `${hours} h${minutes ? ` ${minutes} min` : ""}`;
  return whole < 60 ? `${whole} s` : `${minutes} min`;
}

function told(time) {
  const at = new Date(time.dateTime), now = new Date();
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const isToday = at.toDateString() === now.toDateString();
  const day = at.toLocaleDateString([], { day: "numeric", month: "short", ...(at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) });
  switch (time.dataset.show) {
    case "ago": return span((now - at) / 1000);
    case "left": return span((at - now) / 1000);
    case "clock": return isToday ? clock : `${day}, ${clock}`;
    case "day": return day;
    default: return `${day}, ${clock}`;
  }
}

export function tellTimes() {
  for (const time of document.querySelectorAll("time[data-show]")) {
    const text = told(time);
    if (time.textContent !== text) time.textContent = text;
    time.title ||= time.dateTime;
  }
}

// --- money that ticks, from what the page says: a started minute is a billed one ---------------------------------
function tickMoney() {
  for (const cost of document.querySelectorAll("[data-minute-usd]")) {
    const minutes = Math.max(1, Math.ceil((Date.now() - new Date(cost.dataset.since)) / 60000));
    const usd = Number(cost.dataset.before || 0) + minutes * Number(cost.dataset.minuteUsd);
    cost.textContent = `$${Math.min(usd, Number(cost.dataset.mostUsd)).toFixed(cost.dataset.digits || 2)}`;
  }
}

// --- patches -----------------------------------------------------------------------------------------------------
htmx.config.morphIgnore.push("open"); // what somebody has opened stays open
let due = null, stream = null, seen = Date.now();

function patchSoon(after = CALM_MS) {
  due ??= setTimeout(() => {
    due = null;
    // nothing moves under a pointer that presses, nor in a form that somebody fills, and what is shown once stays
    const busy = document.querySelector(`:active, form:not(.action) :focus, .action :is(input, textarea, select):focus,
      [data-once]`);
    if (busy && main().contains(busy)) return patchSoon(1000);
    htmx.trigger(main(), "tunegate:changed");
  }, after);
}

function listen() {
  const patterns = main()?.dataset.live?.trim();
  if (!patterns || patterns === "no") return;
  const asked = new URLSearchParams([["latest", "true"], ...patterns.split(/\s+/).map((one) => ["type", one])]);
  stream = new EventSource(`/events?${asked}`);
  stream.onopen = () => {
    if (!document.getElementById("lost").hidden) patchSoon(0); // what was missed meanwhile
    isLost(false);
  };
  stream.onmessage = () => patchSoon();
  stream.onerror = () => {
    isLost(true);
    if (stream.readyState !== EventSource.CLOSED) return;
    setTimeout(again, 3000); // refused: by a restart, or signed out, which the next patch finds out
    patchSoon(3000);
  };
}

function again() {
  stream?.close();
  stream = null;
  if (document.visibilityState === "visible") listen();
}

function isLost(lost) {
  const line = document.getElementById("lost");
  if (!lost) seen = Date.now();
  else document.getElementById("lost-since").textContent = new Date(seen).toLocaleTimeString();
  line.hidden = !lost;
}

// A browser has few connections to one host: a page that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") { patchSoon(0); again(); } else { stream?.close(); stream = null; }
});
document.addEventListener("htmx:after:swap", () => {
  if (!stream || stream.readyState === EventSource.OPEN) isLost(false);
  tellTimes();
  tickMoney();
  drawAll();
  // what a preset fills in stands where TRL's default stood
  for (const one of document.querySelectorAll("[data-fills]")) {
    const field = document.getElementsByName(one.dataset.fills)[0];
    if (field?.tagName === "INPUT") field.placeholder = one.textContent;
  }
});
// Signed out meanwhile, as in another tab: the sign-in is a page, and no part of one.
document.addEventListener("htmx:before:response", (event) => {
  if (new URL(event.detail.ctx.response.raw.url).pathname !== "/sign-in") return;
  event.preventDefault();
  location.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
});
// A refusal names the field that it is about: it is marked, and the cursor is in it.
document.addEventListener("htmx:after:swap", () => {
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const told of document.querySelectorAll(".told [data-field]")) {
    const name = told.dataset.field.split(/[.[]/)[0];
    const field = [...told.closest("form").elements].find((one) => one.name === name && one.type !== "hidden");
    field?.setAttribute("aria-invalid", "true");
    if (!told.dataset.shown) field?.focus();
    told.dataset.shown = "yes";
  }
});
document.addEventListener("htmx:error", (event) => {
  isLost(true);
  const told = event.target.closest?.("form.action")?.querySelector(".told");
  if (told) told.textContent = "Not sent: the connection is lost. Press again once it is back.";
});

// --- keys: / to search, j and k through rows, n for a new run ----------------------------------------------------
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const rows = [...document.querySelectorAll("[data-rows] tbody tr")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  if (event.key === "n") location.href = "/ui/new";
  else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) search.focus(); else location.href = "/ui/runs#search";
  } else if ((event.key === "j" || event.key === "k") && rows.length) {
    const next = rows[Math.min(rows.length - 1, Math.max(0, event.key === "j" ? at + 1 : at - 1))];
    next.querySelector("a")?.focus();
  } else return;
  event.preventDefault();
});

// --- a search that narrows what stands below it ------------------------------------------------------------------
document.addEventListener("input", (event) => {
  const wanted = event.target.dataset.narrows;
  if (!wanted) return;
  const text = event.target.value.trim().toLowerCase();
  for (const one of event.target.closest("details, section").querySelectorAll(`#others ${wanted}`)) {
    one.hidden = !one.textContent.toLowerCase().includes(text);
  }
});

// --- copies and the theme ----------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  navigator.clipboard.writeText(document.querySelector(copy.dataset.copy).textContent.trim());
  copy.textContent = "Copied";
});

function themeButton() {
  const button = document.getElementById("theme");
  if (!button) return;
  const isDark = () => document.documentElement.dataset.theme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("tunegate-theme", document.documentElement.dataset.theme);
    name();
    drawAll();
  });
  name();
}

tellTimes();
tickMoney();
drawAll();
themeButton();
listen();
if (location.hash === "#search") document.querySelector("[data-search]")?.focus();
setInterval(() => { tellTimes(); tickMoney(); }, 1000);
setInterval(() => {
  if (document.visibilityState === "visible" && document.querySelector(".state.running, .state.starting")) patchSoon(0);
}, PROGRESS_MS);
