"use strict";
// What the page does besides the graph: numbers as text, light and dark, the filter of decisions.
// Names come from a model: they become text nodes, never markup.

const DATA = JSON.parse(document.getElementById("page-data").textContent);
const MANIFEST = DATA.manifest;
const DEVICES = DATA.predicted.lanes.filter((lane) => MANIFEST.segments.some((segment) => segment.device === lane));
const byId = (id) => document.getElementById(id);

/** An element with a class, text and children. */
function element(tag, text = "", className = "", children = []) {
  const made = document.createElement(tag);
  if (text !== "") made.textContent = text;
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** A name of the model: whatever direction it is written in, what stands around it stays in place. */
const named = (text) => element("span", text, "isolate");

function clipped(text, most = 60) {
  return text.length <= most ? text : `${text.slice(0, most - 20)}…${text.slice(-19)}`;
}

function seconds(value) {
  const size = Math.abs(value);
  if (size >= 1) return `${value.toFixed(2)} s`;
  if (size >= 1e-3) return `${(value * 1e3).toFixed(2)} ms`;
  return `${(value * 1e6).toFixed(size > 0 && size < 1e-5 ? 1 : 0)} us`;
}

function bytes(value) {
  if (value < 1024) return `${value} B`;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (value < 1024 || unit === "GiB") return `${value.toFixed(unit === "GiB" ? 2 : 1)} ${unit}`;
  }
}

const shape = (extents) => (extents === null ? "shape unknown" : extents.map((one) => (one === null ? "?" : one)).join(" × ") || "scalar");
const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function startTheme() {
  const button = byId("theme");
  const tell = () => (button.textContent = isDark() ? "Light" : "Dark");
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    tell();
    document.dispatchEvent(new Event("theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    tell();
    document.dispatchEvent(new Event("theme"));
  });
  tell();
}

/** Attempts with the text, whatever else is chosen. */
function showAttempts(text) {
  const rows = [...byId("attempts").children];
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
  const left = rows.filter((row) => !row.hidden).length;
  byId("attempt-count").textContent = `${left} of ${plural(rows.length, "attempt")}`;
}

/** The table of decisions: filtered, and shown in parts, since a large model has thousands. */
function startHistory() {
  const words = () => byId("decision-text").value.toLowerCase();
  byId("decision-filter").addEventListener("submit", (event) => event.preventDefault());
  byId("decision-text").addEventListener("input", () => showAttempts(words()));
  showAttempts("");
  const body = document.querySelector("#decisions tbody");
  if (!body) return;
  const PART = 200;
  let room = PART;
  for (const rule of [...new Set(MANIFEST.decisions.map((one) => one.rule))].sort()) {
    const option = element("option", clipped(rule));
    option.value = rule;
    byId("decision-rule").append(option);
  }
  const show = () => {
    const text = words();
    const rule = byId("decision-rule").value;
    const taken = byId("decision-taken").value;
    const found = MANIFEST.decisions.filter(
      (one) =>
        (!rule || one.rule === rule) &&
        (!taken || String(one.taken) === taken) &&
        (!text || `${one.rule}\n${one.site}\n${one.reason}`.toLowerCase().includes(text)),
    );
    body.replaceChildren(
      ...found.slice(0, room).map((one) =>
        element("tr", "", "", [
          element("td", "", "rule", [named(clipped(one.rule))]),
          element("td", "", "long", [element("bdi", one.site)]),
          element("td", one.taken ? "taken" : "declined", one.taken ? "state s-kept" : "state s-unproven"),
          element("td", "", "why", [named(one.reason)]),
        ]),
      ),
    );
    const cut = found.length > room ? `, the first ${room} shown` : "";
    byId("decision-count").textContent = `${found.length} of ${plural(MANIFEST.decisions.length, "decision")}${cut}`;
    byId("decision-more").hidden = found.length <= room;
  };
  const anew = () => {
    room = PART;
    show();
  };
  byId("decision-text").addEventListener("input", anew);
  byId("decision-rule").addEventListener("change", anew);
  byId("decision-taken").addEventListener("change", anew);
  byId("decision-more").addEventListener("click", () => {
    room += PART;
    show();
  });
  show();
}

startTheme();
startHistory();
// What is folded on the screen is printed.
addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((one) => (one.open = true)));
