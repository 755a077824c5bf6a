"use strict";
const WORDS = { passed: "passed", failed: "failed", blocked: "blocked", not_run: "not run", descoped: "de-scoped", interrupted: "interrupted" };
const SYMBOLS = { passed: "✓", failed: "✕", blocked: "◆", not_run: "○", descoped: "⊘", interrupted: "⊣" };
const tests = JSON.parse(document.getElementById("tests").textContent);
const panel = document.getElementById("panel");
const body = document.getElementById("panel-body");
let came_from = null;

/* Everything that came from a device or a message goes in as text, never as markup. */
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const evidence = (() => {
  let unpacked = null;
  return () => (unpacked ??= unpack(document.getElementById("evidence").textContent));
})();

async function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { values, attempts } = JSON.parse(await new Response(stream).text());
  for (const attempt of Object.values(attempts)) {
    attempt.steps = attempt.steps.map((step, at) => {
      const restored = Object.fromEntries(Object.entries(step).map(([name, place]) => [name, values[place]]));
      return { ...restored, after: attempt.after[at], at: new Date(Date.parse(attempt.began) + attempt.after[at]).toISOString() };
    });
  }
  return attempts;
}

/* -- folding ------------------------------------------------------------------------------------- */
function fold(group, folded) {
  group.classList.toggle("folded", folded);
  group.querySelector(".toggle")?.setAttribute("aria-expanded", String(!folded));
}
const groups = [...document.querySelectorAll("#grid tbody")];
for (const group of groups) {
  group.querySelector(".toggle")?.addEventListener("click", () => fold(group, !group.classList.contains("folded")));
}
document.getElementById("unfold").addEventListener("click", () => groups.forEach((group) => fold(group, false)));
document.getElementById("fold").addEventListener("click", () => groups.forEach((group) => fold(group, true)));
document.getElementById("attention").addEventListener("change", (event) => {
  document.getElementById("grid").classList.toggle("only-attention", event.target.checked);
});

document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `find=${encodeURIComponent(event.target.firstElementChild.value)}`;
});

/* -- the panel, led by the address: #cell=row,column  #test=place  #ttm=id  #outcome=word  #find=words */
function told_of(test) {
  const { attempts, ...own } = test;
  return [...Object.values(own), ...attempts.flatMap((attempt) => Object.values(attempt))].join(" ").toLowerCase();
}

const none = (title) => ({ title, sub: "the address of the page asks for it", places: [] });

function address() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return location.hash.slice(1); }
}

function chosen() {
  const [kind, value] = [...address().split(/=(.*)/s), ""];
  const all = tests.map((_, place) => place);
  if (kind === "cell") {
    const comma = value.indexOf(",");
    const [row, column] = [value.slice(0, comma), value.slice(comma + 1)];
    const line = document.querySelector(`tr[data-row="${CSS.escape(row)}"]`);
    const cell = line?.querySelector(`td[data-column="${CSS.escape(column)}"]`);
    if (!cell) return none(`There is no cell “${value}”`);
    if (!cell.dataset.tests) return none("Nothing is planned in this cell");
    const group = line.closest("[data-group]")?.dataset.group;
    const name = line.classList.contains("srv") ? `${group}: ${line.cells[0].innerText.trim()}` : group || "All functional groups";
    return { title: name, sub: column === "all" ? "all DMCs" : column.replace("/", " · "), places: cell.dataset.tests.split(" ").map(Number), link: cell.firstElementChild };
  }
  if (kind === "test") return tests[value] ? { title: tests[value].title, sub: tests[value].entry, places: [Number(value)] } : none(`There is no test “${value}”`);
  if (kind === "ttm") return { title: `Requirement ${value}`, sub: "all tests that name it", places: all.filter((place) => tests[place].ttm.includes(value)) };
  if (kind === "find") {
    const words = value.toLowerCase().split(/\s+/).filter(Boolean);
    const places = all.filter((place) => words.every((word) => told_of(tests[place]).includes(word)));
    return { title: `Tests with “${value}”`, sub: "whole run", places };
  }
  if (kind === "outcome") {
    if (value !== "all" && !WORDS[value]) return none(`There is no outcome “${value}”`);
    const places = all.filter((place) => value === "all" || tests[place].outcome === value);
    return { title: value === "all" ? "All planned tests" : `Tests: ${WORDS[value]}`, sub: "whole run", places };
  }
  return null;
}

function show() {
  document.querySelector("[aria-current]")?.removeAttribute("aria-current");
  const choice = chosen();
  if (!choice) return hide();
  came_from = choice.link || came_from || document.activeElement;
  choice.link?.setAttribute("aria-current", "true");
  const count = choice.places.length;
  document.getElementById("panel-title").textContent = choice.title;
  document.getElementById("panel-sub").textContent = `${choice.sub} · ${count} ${count === 1 ? "test" : "tests"}`;
  const gravity = ["failed", "blocked", "not_run", "passed", "descoped"];
  const places = [...choice.places].sort((a, b) => gravity.indexOf(tests[a].outcome) - gravity.indexOf(tests[b].outcome) || a - b);
  body.replaceChildren(...places.map((place) => test_node(tests[place])));
  panel.hidden = false;
  panel.scrollTop = 0;
  panel.focus();
  if (!count) body.replaceChildren(make("p", {}, "There is none."));
  const first = body.querySelector("details.test");
  if (first && (count === 1 || tests[places[0]].outcome !== "passed")) first.open = true;
}

function hide() {
  if (panel.hidden) return;
  panel.hidden = true;
  came_from?.focus();
  came_from = null;
}
document.getElementById("close").addEventListener("click", () => { history.pushState(null, "", location.pathname + location.search); show(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !panel.hidden) document.getElementById("close").click(); });
window.addEventListener("hashchange", show);
window.addEventListener("popstate", show);

/* -- a test and its attempts ---------------------------------------------------------------------- */
const swatch = (result) => make("i", { class: `swatch ${result}`, title: WORDS[result] }, SYMBOLS[result]);

function test_node(test) {
  const facts = [`${test.device}`, `SRV ${test.srvs.join(", ") || "–"}`, test.entry, test.pack, `${test.attempts.length} ${test.attempts.length === 1 ? "attempt" : "attempts"}`];
  const node = make("details", { class: `test ${test.outcome}` },
    make("summary", {}, swatch(test.outcome), make("span", { class: "title" }, test.title, make("span", { class: "fine" }, facts.join(" · "))), make("span", {}, WORDS[test.outcome])));
  node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) node.append(test_body(test)); });
  return node;
}

function test_body(test) {
  const requirements = make("ul", { class: "chips" }, ...test.ttm.map((id) => make("li", {}, make("a", { href: `#ttm=${encodeURIComponent(id)}` }, id))));
  const why = test.reason ? make("p", { class: `says ${test.outcome}` }, test.reason) : "";
  const attempts = [...test.attempts].reverse().map((attempt, at) => attempt_node(attempt, at === 0));
  return make("div", { class: "body" }, requirements, make("p", { class: "fine" }, test.node), why, ...attempts);
}

function attempt_node(attempt, deciding) {
  const took = attempt.result === "interrupted" ? "never ended" : `${attempt.seconds.toFixed(2)} s`;
  const lab = attempt.lab[0] ? ` · lab time ${short(attempt.lab[0])} to ${short(attempt.lab[1])}` : "";
  const node = make("section", { class: `attempt ${attempt.result}` },
    make("h3", {}, swatch(attempt.result), `Attempt ${attempt.number}: ${WORDS[attempt.result]}${attempt.cause ? ` (${attempt.cause})` : ""}`,
      make("span", { class: "fine" }, `on ${attempt.rig} · ${attempt.worker} · ${short(attempt.started)} · ${took}${lab}${deciding ? " · decides" : ""}`)));
  if (attempt.message && !deciding) node.append(make("p", { class: `says ${attempt.result}` }, attempt.message));
  const place = make("div", {}, make("p", { class: "fine" }, "unpacking the evidence …"));
  node.append(place);
  evidence().then(
    (all) => place.replaceChildren(...evidence_nodes(all[attempt.id] || { steps: [], files: [], folder: "", trace: "" })),
    () => place.replaceChildren(make("p", { class: "fine" }, "This browser cannot unpack the evidence; it is in the run folder, under evidence/.")));
  return node;
}

/* -- evidence ------------------------------------------------------------------------------------- */
const short = (moment) => moment.replace("T", " ").replace(/\.\d+/, "").replace(/(Z|\+00:00)$/, "");
const is_apdu = (step) => step.media_type === "application/x-dlms-apdu";
const KINDS = { overview: (step) => !is_apdu(step), checks: (step) => step.kind === "expect", messages: (step) => step.kind === "message", all: () => true };

function about_nodes(found) {
  const devices = (found.devices || []).map((device) => make("li", {}, [device.type, device.model, device.firmware && `firmware ${device.firmware}`, device.device_id].filter(Boolean).join(" · ")));
  const phases = (found.phases || []).join(", ");
  return [devices.length ? make("ul", { class: "chips" }, ...devices) : "", phases ? make("p", { class: "fine" }, phases) : ""];
}

function evidence_nodes(found) {
  if (!found.steps.length && !found.files.length) return [...about_nodes(found), make("p", { class: "fine" }, "No evidence was kept."), ...trace_nodes(found)];
  const list = make("ol", { class: "steps" });
  const draw = (kind) => list.replaceChildren(...step_nodes(found.steps.filter(KINDS[kind]), found.folder));
  const buttons = Object.keys(KINDS).map((kind) => {
    const count = found.steps.filter(KINDS[kind]).length;
    const button = make("button", { type: "button", "aria-pressed": String(kind === "overview") }, `${kind} ${count}`);
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      draw(kind);
    });
    return button;
  });
  draw("overview");
  const files = found.files.map((name) => make("li", {}, make("a", { href: path(found.folder, name) }, name)));
  return [go_node(found, list, buttons[0]), ...about_nodes(found), make("div", { class: "filter", role: "group", "aria-label": "Steps shown" }, ...buttons), list,
    make("div", { class: "fine" }, "Other files: ", make("ul", { class: "chips" }, ...files)), ...trace_nodes(found)];
}

/* Leads past what went well, to the check that a test failed at. */
function go_node(found, list, overview) {
  if (!found.steps.some((step) => step.held === false)) return "";
  const button = make("button", { type: "button", class: "go" }, "✕ Go to the failed check");
  button.addEventListener("click", () => {
    overview.click();
    const broke = list.querySelector(".broke");
    broke.scrollIntoView({ block: "center" });
    broke.focus({ preventScroll: true });
  });
  return button;
}

const path = (folder, name) => `${folder}/${name}`.split("/").map(encodeURIComponent).join("/");
const trace_nodes = (found) => found.trace ? [make("details", {}, make("summary", {}, "Traceback"), make("pre", {}, found.trace))] : [];

/* A line wherever lab time has moved on by a second or more: on a simulated rig it jumps. */
function step_nodes(steps, folder) {
  let before = null;
  return steps.flatMap((step) => {
    const moved = step.lab && (before === null || Math.abs(Date.parse(step.lab) - Date.parse(before)) >= 1000);
    const line = moved ? [make("li", { class: "moved" }, `lab time ${short(step.lab)}${before ? ` (${lapse(Date.parse(step.lab) - Date.parse(before))} later)` : ""}`)] : [];
    before = step.lab || before;
    return [...line, step_node(step, folder)];
  });
}

function lapse(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(([size, unit], at, all) => [Math.floor((at ? seconds % all[at - 1][0] : seconds) / size), unit]);
  return parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ") || "0 s";
}

function step_node(step, folder) {
  const after = `+${(step.after / 1000).toFixed(3)}`;
  const tip = `${step.at}${step.lab ? `\nlab time ${step.lab}` : ""}`;
  const source = step.source || { expect: "check", note: "test", file: "file" }[step.kind] || "";
  return make("li", step.held === false ? { class: "broke", tabindex: -1 } : {}, make("span", { class: "at", title: tip }, after), make("span", { class: "from", title: source }, source), step_content(step, folder));
}

function step_content(step, folder) {
  if (step.kind === "expect") return check_node(step);
  if (step.kind === "message" || step.kind === "file") return message_node(step, folder);
  if (step.detail === undefined || step.detail === null) return make("div", {}, step.title);
  const text = detail_text(step.detail);
  if (text.length < 400) return make("div", {}, step.title, make("div", { class: "detail" }, text));
  const size = typeof step.detail === "object" ? ` ${Object.keys(step.detail).length} values` : "";
  return make("details", {}, make("summary", {}, step.title, make("span", { class: "fine" }, size)), make("pre", {}, lines_of(step.detail)));
}

function check_node(step) {
  const text = detail_text(step.found);
  if (step.held && text.length < 60 && ("low" in step || text === detail_text(step.expected))) {
    const limits = "low" in step ? ` (${detail_text(step.low)} to ${detail_text(step.high)})` : "";
    return make("div", {}, make("span", { class: "held" }, "✓ "), `${step.title}: `, make("code", {}, text), make("span", { class: "fine" }, limits));
  }
  const limits = "low" in step ? [["from", step.low], ["to", step.high]] : [["expected", step.expected]];
  const rows = [...limits, ["found", step.found]].flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, detail_text(value))]);
  return make("div", {}, make("span", { class: "held" }, step.held ? "✓ " : "✕ "), step.title, make("dl", { class: "compare" }, ...rows));
}

function message_node(step, folder) {
  const size = `${step.size} bytes`;
  const link = step.path ? make("a", { href: path(folder, step.path) }, step.path) : "";
  const about = make("span", { class: "fine" }, ` ${step.media_type} · ${size} `, link);
  const content = step.text !== undefined ? text_node(step) : step.hex !== undefined ? make("pre", {}, hex_dump(step.hex)) : null;
  if (!content) return make("div", {}, step.title, about, step.lost ? make("b", {}, ` ${step.lost}`) : "");
  return make("details", {}, make("summary", {}, step.title, about), content);
}

function detail_text(value) {
  if (typeof value === "string") return value || "“”";
  if (value && typeof value === "object" && !Array.isArray(value)) {
    const { value: single, unit = "", ...others } = value;
    if (single !== undefined && !Object.keys(others).length) return `${detail_text(single)} ${unit}`.trim();
    return Object.entries(value).map(([name, item]) => `${name}: ${typeof item === "object" ? JSON.stringify(item) : item}`).join(", ");
  }
  return JSON.stringify(value);
}

function lines_of(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((item) => JSON.stringify(item)).join("\n");
  return Object.entries(value).map(([name, item]) => `${name}: ${typeof item === "string" ? item : JSON.stringify(item)}`).join("\n");
}

function text_node(step) {
  if (!/xml$/.test(step.media_type)) return make("pre", {}, step.media_type === "application/json" ? indented_json(step.text) : step.text);
  return make("pre", {}, ...coloured(indented_xml(step.text)));
}

function indented_json(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function indented_xml(text) {
  let depth = 0;
  const opens = (line) => line.startsWith("<") && !/^<[/?!]/.test(line) && !line.endsWith("/>") && !line.includes("</");
  return text.replace(/>\s*</g, ">\n<").split("\n").map((line) => {
    if (line.startsWith("</")) depth -= 1;
    const indented = "  ".repeat(Math.max(depth, 0)) + line.trim();
    if (opens(line.trim())) depth += 1;
    return indented;
  }).join("\n");
}

function coloured(xml) {
  return xml.split(/(<[^>]*>)/).map((part) => part.startsWith("<") ? make("span", { class: "tag" }, part) : part);
}

function hex_dump(hex) {
  const lines = hex.match(/.{1,32}/g) || ["(no bytes)"];
  return lines.map((line, at) => {
    const bytes = line.match(/../g) || [];
    const letters = bytes.map((byte) => { const code = parseInt(byte, 16); return code > 31 && code < 127 ? String.fromCharCode(code) : "·"; });
    return `${(at * 16).toString(16).padStart(4, "0")}  ${bytes.join(" ").padEnd(48)} ${letters.join("")}`;
  }).join("\n");
}

show();
