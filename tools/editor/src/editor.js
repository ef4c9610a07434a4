// The policy editor: the form of the page with CodeMirror in the place of its text area. Without this script the form
// works as it stands. Every file that was opened is a buffer; the form sends those that were changed.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { json } from "@codemirror/legacy-modes/mode/javascript";
import { yaml } from "@codemirror/legacy-modes/mode/yaml";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { completions } from "./completion.js";
import { JAPANESE } from "./phrases.js";
import { rego } from "./rego.js";

const PAUSE_MS = 900; // after the last key
const BUSY_MS = 2500; // until a refused check is asked for again

const form = document.getElementById("workbench");
const area = document.getElementById("text");
const lang = document.documentElement.lang === "ja" ? "ja" : "en";
const said = form.dataset; // every sentence that is shown comes with the page
const buffers = new Map(); // path: {state, saved}; `saved` null: a new file
const taken = new Set([...form.querySelectorAll("input[name=gone]")].map((field) => field.value));
let faults = [];
let shown = form.elements.shown.value;
let leaving = false;

// -- the editor ---------------------------------------------------------------------------------------------------

const darkness = new Compartment();
const system = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme !== "light" && system.matches);
}

function languageOf(path) {
  if (path.endsWith(".rego")) {
    const vocabulary = JSON.parse(document.getElementById("vocabulary").textContent);
    return [rego(), autocompletion({ override: completions(vocabulary, lang) }), indentUnit.of("\t")];
  }
  if (/\.ya?ml$/.test(path)) return [StreamLanguage.define(yaml), indentUnit.of("  ")];
  if (path.endsWith(".json") || path === ".manifest") return [StreamLanguage.define(json), indentUnit.of("  ")];
  return [];
}

function stateOf(path, text) {
  return EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(), lintGutter(), highlightActiveLineGutter(), highlightActiveLine(), highlightSpecialChars(),
      history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightSelectionMatches(),
      EditorState.tabSize.of(4), syntaxHighlighting(classHighlighter), languageOf(path),
      EditorView.cspNonce.of(document.getElementById("editor-script").nonce),
      EditorState.phrases.of(lang === "ja" ? JAPANESE : {}),
      darkness.of(EditorView.theme({}, { dark: isDark() })),
      EditorView.contentAttributes.of({ tabindex: "0", "aria-label": `${said.contents}: ${path}`, "aria-describedby": "keys" }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) changed();
        if (update.selectionSet || update.docChanged) whereabouts(update.state);
      }),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => (document.getElementById("reason").focus(), true) },
        { key: "Mod-Enter", preventDefault: true, run: () => (check(), true) },
        ...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...searchKeymap, ...historyKeymap,
        ...defaultKeymap, indentWithTab,
        { key: "Escape", run: () => (document.getElementById("check").focus(), true) },
      ]),
    ],
  });
}

const view = new EditorView({ state: stateOf(shown, area.value) });
area.hidden = true;
area.removeAttribute("name"); // the buffers are sent instead
for (const label of form.querySelectorAll("label[for=text]")) {
  label.addEventListener("click", () => view.focus());
}
area.after(view.dom);
system.addEventListener("change", () => {
  view.dispatch({ effects: darkness.reconfigure(EditorView.theme({}, { dark: isDark() })) });
});

// -- buffers ------------------------------------------------------------------------------------------------------

const textOf = (path) => (path === shown ? view.state : buffers.get(path).state).doc.toString();
const isChanged = (path) => buffers.get(path).saved === null || textOf(path) !== buffers.get(path).saved;
const dirty = () => [...buffers.keys()].filter((path) => isChanged(path) && !taken.has(path));

async function original(path) {
  const answer = await fetch(`${said.source}?${new URLSearchParams({ file: path })}`, { redirect: "error" });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}

async function show(path) {
  if (path === shown) return view.focus();
  if (!buffers.has(path)) {
    let text;
    try {
      text = await original(path);
    } catch {
      return tell(said.failed, "bad");
    }
    buffers.set(path, { state: stateOf(path, text ?? ""), saved: text });
  }
  buffers.get(shown).state = view.state;
  shown = path;
  form.elements.shown.value = path;
  view.setState(buffers.get(path).state);
  view.dispatch({ effects: darkness.reconfigure(EditorView.theme({}, { dark: isDark() })) });
  for (const place of form.querySelectorAll("[data-shown]")) place.textContent = path;
  const gone = form.elements.taken;
  if (gone) gone.checked = taken.has(path);
  mark();
  reveal();
  diagnose();
  whereabouts(view.state);
  view.focus();
}

function mark() {
  const list = document.getElementById("files");
  const known = new Set([...list.querySelectorAll("a[data-file]")].map((link) => link.dataset.file));
  for (const path of buffers.keys()) {
    if (!known.has(path)) list.append(entry(path));
  }
  for (const link of list.querySelectorAll("a[data-file]")) {
    const path = link.dataset.file;
    if (path === shown) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    const note = taken.has(path) ? said.taken : buffers.has(path) && isChanged(path) ? said.changed : "";
    const wrong = faults.filter((fault) => fault.file === path).length;
    link.nextElementSibling.textContent = [note, wrong ? `${said.faults} ${wrong}` : ""].filter(Boolean).join(" · ");
  }
  const count = dirty().length + taken.size;
  document.getElementById("unsaved").textContent = count ? `${said.unsaved}: ${count}` : said.nothing;
}

// Only the list is moved, never the page.
function reveal() {
  const place = document.querySelector(".workbench .files");
  const link = place.querySelector("a[aria-current]");
  if (!link) return;
  const top = link.getBoundingClientRect().top - place.getBoundingClientRect().top;
  if (top < 0 || top > place.clientHeight - 40) place.scrollTop += top - place.clientHeight / 2;
}

function entry(path) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  const name = document.createElement("code");
  const note = document.createElement("span");
  link.href = `?${new URLSearchParams({ file: path })}`;
  link.dataset.file = path;
  name.textContent = path;
  note.className = "mark";
  link.append(name);
  item.append(link, " ", note);
  return item;
}

function whereabouts(state) {
  const head = state.selection.main.head;
  const line = state.doc.lineAt(head);
  document.getElementById("place").textContent = `${said.line} ${line.number}, ${said.column} ${head - line.from + 1}`;
}

// -- faults -------------------------------------------------------------------------------------------------------

let timer = 0;
let asked = 0;

function changed() {
  mark();
  tell(said.waiting, "");
  later(PAUSE_MS);
}

function later(ms) {
  clearTimeout(timer);
  timer = setTimeout(check, ms);
}

function tell(text, look) {
  const place = document.getElementById("verdict");
  place.textContent = text;
  place.className = look ? `state ${look}` : "quiet";
}

function fields() {
  const body = new URLSearchParams();
  for (const name of ["csrf", "seen", "back", "shown"]) body.append(name, form.elements[name].value);
  for (const path of dirty()) {
    body.append("path", path);
    body.append("text", textOf(path));
  }
  for (const path of taken) body.append("gone", path);
  return body;
}

async function check() {
  clearTimeout(timer);
  const mine = ++asked;
  const body = fields();
  body.append("do", "check");
  tell(said.checking, "");
  try {
    const answer = await fetch(said.judge, { method: "POST", body, headers: { accept: "application/json" }, redirect: "error" });
    if (mine !== asked) return; // somebody has typed on: another answer will come
    if (answer.status === 409) return later(BUSY_MS);
    if (answer.status === 403 && (await renewed())) return later(BUSY_MS);
    const found = await answer.json();
    if (!answer.ok) return tell(`${said.failed} ${found.detail ?? ""}`, "bad");
    faults = found.faults;
    tell(found.ok ? said.fine : `${said.faults} ${found.count}`, found.ok ? "good" : "bad");
    list();
    mark();
    diagnose();
  } catch {
    if (mine === asked && (await renewed())) tell(said.failed, "bad");
  }
}

// A session may have ended, or be another one by now; what was typed must not end at the page of the login.
async function renewed() {
  try {
    const answer = await fetch(`${said.source}?${new URLSearchParams({ file: shown })}`, { redirect: "error" });
    form.elements.csrf.value = answer.headers.get("x-sekisho-token") ?? form.elements.csrf.value;
    return true;
  } catch {
    tell(said.away, "bad");
    return false;
  }
}

function list() {
  const place = document.getElementById("findings");
  place.replaceChildren();
  for (const fault of faults) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `?${new URLSearchParams({ file: fault.file })}`;
    link.dataset.file = fault.file;
    link.dataset.line = fault.line;
    link.dataset.column = fault.column;
    link.textContent = fault.line ? `${fault.file}:${fault.line}:${fault.column}` : fault.file;
    item.append(link, ` ${fault[lang]}`);
    place.append(item);
  }
}

function at(doc, line, column) {
  const place = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return Math.min(place.from + Math.max(column - 1, 0), place.to);
}

function diagnose() {
  const doc = view.state.doc;
  const found = faults
    .filter((fault) => fault.file === shown)
    .map((fault) => {
      const from = at(doc, fault.line, fault.column);
      const word = /^[\w.]+/.exec(doc.sliceString(from, Math.min(doc.lineAt(from).to, from + 80)));
      return { from, to: from + (word ? word[0].length : 0), severity: "error", message: fault[lang] };
    });
  view.dispatch(setDiagnostics(view.state, found));
}

// -- the page -----------------------------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-file]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  await show(link.dataset.file);
  const line = Number(link.dataset.line ?? 0);
  if (line) {
    const place = at(view.state.doc, line, Number(link.dataset.column));
    view.dispatch({ selection: { anchor: place }, effects: EditorView.scrollIntoView(place, { y: "center" }) });
    view.focus();
  }
});

document.getElementById("check").addEventListener("click", (event) => {
  event.preventDefault();
  check();
});

document.getElementById("add")?.addEventListener("click", async (event) => {
  const field = document.getElementById("new");
  event.preventDefault();
  const path = field.value.trim();
  if (!path) return field.focus();
  field.value = "";
  await show(path);
});

form.elements.taken?.addEventListener("change", (event) => {
  if (event.target.checked) taken.add(shown);
  else taken.delete(shown);
  mark();
  later(PAUSE_MS);
});

form.addEventListener("submit", (event) => {
  if (event.submitter?.id === "save" && !dirty().length && !taken.size) {
    event.preventDefault();
    return tell(said.nothing, "warn");
  }
  if (!leaving) {
    const button = event.submitter;
    event.preventDefault();
    return void renewed().then((there) => {
      leaving = there;
      if (there) form.requestSubmit(button);
    });
  }
  for (const old of form.querySelectorAll("[data-sent], input[name=gone]")) old.remove();
  for (const path of dirty()) hide("path", path), hide("text", textOf(path));
  for (const path of taken) hide("gone", path);
});

function hide(name, value) {
  const field = document.createElement("input"); // a hidden one keeps its text as it is
  field.type = "hidden";
  field.name = name;
  field.value = value;
  field.dataset.sent = "";
  form.append(field);
}

window.addEventListener("pageshow", () => (leaving = false));
window.addEventListener("beforeunload", (event) => {
  if (!leaving && (dirty().length || taken.size)) event.preventDefault();
});

// What the page brings that is not saved yet stands beside the shown file.
async function begin() {
  buffers.set(shown, { state: view.state, saved: form.dataset.fresh ? null : area.value });
  faults = JSON.parse(document.getElementById("faults").textContent);
  for (const field of form.querySelectorAll("input[data-path]")) {
    buffers.set(field.dataset.path, { state: stateOf(field.dataset.path, field.value), saved: null });
    field.remove();
  }
  for (const path of form.querySelectorAll("input[name=path]")) path.remove();
  const unsaved = [...buffers.keys()].filter((path) => path !== shown || said.touched);
  for (const path of unsaved) buffers.get(path).saved = await original(path).catch(() => null);
  mark();
  reveal();
  diagnose();
  whereabouts(view.state);
  form.dataset.ready = "true";
  const line = Number(said.at ?? 0);
  if (line) view.dispatch({ selection: { anchor: at(view.state.doc, line, 1) }, scrollIntoView: true });
}

begin();
