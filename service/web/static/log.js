/* The log of a run's page: follows it as it grows, colours what went wrong, and finds text in it. */

const MOST_LINES = 4000; // in the page; all others are in the whole text
const FOUND = 500; // lines of a search beyond the page
const RAISED = /\b[A-Z]\w*(?:Error|Exception)\b/;
const BAD = /\b(?:error|fatal|critical|failed|traceback)\b/i;
const FINE = /\b(?:0|no) (?:errors?|failed)\b|error_handling|\berrors?\s*[=:]\s*(?:0|none|false)\b/i;
const WARNED = /\bwarn(?:ing)?s?\b|\b\w*Warning\b/i;

const COLOURS = /\x1b\[[0-9;]*[A-Za-z]/g; // a terminal's, which a page has no use for
let pane = null, stream = null, last = 0, attempt = 0, follows = true, at = -1, hits = [], held = null;

const clock = (iso) => {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
};

// --- lines -------------------------------------------------------------------------------------------------------
function line({ number, timestamp, line: text }) {
  const row = document.createElement("div"), time = document.createElement("time"), words = document.createElement("span");
  row.className = "line";
  row.dataset.number = number;
  time.dateTime = timestamp;
  words.textContent = text;
  row.append(time, words);
  return paint(row);
}

function paint(row) {
  const [time, words] = row.children;
  time.textContent = clock(time.dateTime);
  const text = words.textContent.replace(COLOURS, "");
  if (text !== words.textContent) words.textContent = text;
  if (RAISED.test(text) || (BAD.test(text) && !FINE.test(text))) row.classList.add("bad");
  else if (WARNED.test(text)) row.classList.add("warn");
  return row;
}

function add(rows) {
  const isDown = follows;
  pane.querySelector(".empty")?.remove();
  pane.append(...rows);
  const many = pane.querySelectorAll(".line").length - MOST_LINES;
  if (many > 0) {
    [...pane.querySelectorAll(".line")].slice(0, many).forEach((row) => row.remove());
    document.getElementById("log-earlier").hidden = false;
  }
  if (needle()) mark(rows);
  if (isDown) down();
}

const down = () => { pane.scrollTop = pane.scrollHeight; };

// --- following ---------------------------------------------------------------------------------------------------
let waiting = [];

function listen() {
  stream?.close();
  stream = null;
  if (pane.dataset.follow !== "yes" || held || document.visibilityState !== "visible") return;
  const asked = new URLSearchParams({ follow: "true", tail: "1000" });
  if (pane.dataset.only) asked.set("attempt", pane.dataset.only);
  stream = new EventSource(`/runs/${pane.dataset.run}/logs?${asked}`);
  stream.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.attempt < attempt || (told.attempt === attempt && told.number <= last)) return; // is there already
    if (told.attempt > attempt && attempt > 0) waiting.push(between(`attempt ${told.attempt}`));
    else if (told.attempt === attempt && told.number > last + 1 && last >= 0) waiting.push(between(`${told.number - last - 1} lines left out`));
    [attempt, last] = [told.attempt, told.number];
    waiting.push(line(told));
    if (waiting.length === 1 || waiting.length > 200) requestAnimationFrame(flush);
  };
  stream.addEventListener("end", () => { stream.close(); pane.dataset.follow = "no"; say(); });
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) setTimeout(() => { if (stream) listen(); }, 3000); };
}

function flush() {
  if (!waiting.length || held) return;
  add(waiting);
  waiting = [];
}

function between(words) {
  const row = document.createElement("p");
  row.className = "between";
  row.textContent = words;
  return row;
}

function follow(on) {
  follows = on;
  if (on) down();
  say();
}

function say() {
  const button = document.getElementById("log-follow");
  button.hidden = pane.dataset.follow !== "yes";
  button.setAttribute("aria-pressed", String(follows));
  button.textContent = follows ? "Following" : "Follow";
}

// --- searching ---------------------------------------------------------------------------------------------------
const needle = () => document.getElementById("log-find").value.trim();

function unmark() {
  for (const found of pane.querySelectorAll("mark")) {
    const words = found.parentNode;
    found.replaceWith(found.textContent);
    words.normalize();
  }
  hits = [];
  at = -1;
}

// The first of a line's hits is where one goes; all of them are shown.
function mark(rows) {
  const wanted = needle().toLowerCase();
  for (const row of rows) {
    const words = row.querySelector?.("span");
    const text = words?.textContent ?? "";
    let from = text.toLowerCase().indexOf(wanted);
    if (from < 0) continue;
    const parts = [];
    let past = 0;
    for (; from >= 0; from = text.toLowerCase().indexOf(wanted, past)) {
      const found = document.createElement("mark");
      found.textContent = text.slice(from, from + wanted.length);
      parts.push(text.slice(past, from), found);
      past = from + wanted.length;
    }
    words.replaceChildren(...parts, text.slice(past));
    hits.push(words.querySelector("mark"));
  }
  count();
}

function search() {
  unmark();
  if (needle()) mark(pane.querySelectorAll(".line"));
  else count();
}

function count() {
  const told = document.getElementById("log-count");
  hits = hits.filter((found) => found.isConnected);
  told.textContent = !needle() ? "" : hits.length ? `${at < 0 ? "" : `${at + 1} of `}${hits.length} ${hits.length === 1 ? "line" : "lines"}` : "in no line here";
  document.getElementById("log-all").hidden = !needle() || Boolean(held);
}

function next(step) {
  hits = hits.filter((found) => found.isConnected);
  if (!hits.length) return;
  hits[at]?.classList.remove("now");
  at = (at + step + hits.length) % hits.length;
  hits[at].classList.add("now");
  follow(false);
  pane.scrollTop += hits[at].getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 2;
  hits[at].scrollIntoView({ block: "nearest" }); // where the pane itself is out of sight
  count();
}

// Beyond what the page holds: the lines of the whole log with this text, in place of its end.
async function searchAll() {
  const asked = new URLSearchParams({ contains: needle(), tail: String(FOUND), attempt: String(Math.max(1, attempt)) });
  const answer = await fetch(`/runs/${pane.dataset.run}/logs?${asked}`, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const { data } = await answer.json();
  held ??= [...pane.childNodes];
  stream?.close();
  pane.replaceChildren(between(data.length < FOUND ? `${data.length} ${data.length === 1 ? "line" : "lines"} of the whole log` : `the last ${FOUND} lines of the whole log that have it`), ...data.map(line));
  document.getElementById("log-back").hidden = false;
  search();
}

function back() {
  pane.replaceChildren(...held);
  held = null;
  document.getElementById("log-back").hidden = true;
  search();
  follow(true);
  listen();
}

// --- the pane, which patches of the page leave alone ---------------------------------------------------------------
function begin() {
  const found = document.getElementById("log-lines");
  if (!found || found === pane) return;
  pane = found;
  attempt = Number(pane.dataset.attempt);
  const lines = pane.querySelectorAll(".line");
  lines.forEach(paint);
  last = lines.length ? Number(lines[lines.length - 1].dataset.number) : -1;
  if (last < 0) attempt = 0;
  pane.addEventListener("scroll", () => {
    const isDown = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 24;
    if (isDown !== follows) { follows = isDown; say(); }
  }, { passive: true });
  document.getElementById("log-follow").addEventListener("click", () => follow(!follows));
  document.getElementById("log-all").addEventListener("click", searchAll);
  document.getElementById("log-back").addEventListener("click", back);
  const find = document.getElementById("log-find");
  let later = null;
  find.addEventListener("input", () => { clearTimeout(later); later = setTimeout(search, 120); });
  find.addEventListener("keydown", (event) => {
    if (event.key === "Enter") next(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") { find.value = ""; held ? back() : search(); }
    else return;
    event.preventDefault();
  });
  document.getElementById("log-tools").hidden = false;
  follow(true);
  listen();
}

document.addEventListener("visibilitychange", () => { if (pane) listen(); });
document.addEventListener("htmx:after:swap", begin);
begin();
