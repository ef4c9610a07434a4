// Rego for the editor: enough to tell words, texts and facts apart. What is right or wrong the service says.

import { StreamLanguage } from "@codemirror/language";

export const KEYWORDS = ["package", "import", "as", "default", "if", "else", "contains", "in", "every", "some", "not", "with"];
const WORDS = new Set(KEYWORDS);
const ATOMS = new Set(["true", "false", "null"]);
const ROOTS = new Set(["input", "data"]);

function raw(stream, state) {
  while (!stream.eol()) {
    if (stream.next() === "`") {
      state.raw = false;
      break;
    }
  }
  return "string";
}

function quoted(stream) {
  while (!stream.eol()) {
    const letter = stream.next();
    if (letter === "\\") stream.next();
    else if (letter === '"') break;
  }
  return "string";
}

function word(stream, state) {
  stream.match(/^[A-Za-z0-9_]*/);
  const text = stream.current();
  const afterDot = state.dot;
  state.dot = false;
  if (afterDot) return stream.match(/^\s*\(/, false) ? "propertyName.function" : "propertyName";
  if (WORDS.has(text)) return "keyword";
  if (ATOMS.has(text)) return "atom";
  if (ROOTS.has(text)) return "variableName.special";
  if (stream.match(/^\s*\(/, false)) return "variableName.function";
  return stream.column() === stream.indentation() && stream.indentation() === 0 ? "variableName.definition" : "variableName";
}

const parser = {
  name: "rego",
  startState: () => ({ raw: false, dot: false }),
  token(stream, state) {
    if (state.raw) return raw(stream, state);
    if (stream.eatSpace()) return null;
    const letter = stream.next();
    if (letter === "#") {
      stream.skipToEnd();
      return "comment";
    }
    if (letter === "`") {
      state.raw = true;
      return raw(stream, state);
    }
    if (letter === '"') return quoted(stream);
    if (/[0-9]/.test(letter)) {
      stream.match(/^[0-9]*(\.[0-9]+)?([eE][-+]?[0-9]+)?/);
      return "number";
    }
    if (/[A-Za-z_]/.test(letter)) return word(stream, state);
    state.dot = letter === "." && !stream.eol();
    if (letter === ".") return null;
    if (/[[\]{}()]/.test(letter)) return "bracket";
    if (/[:=!<>|&+\-*/%]/.test(letter)) {
      stream.match(/^=/);
      return "operator";
    }
    return null;
  },
  languageData: {
    commentTokens: { line: "#" },
    closeBrackets: { brackets: ["(", "[", "{", '"', "`"] },
    indentOnInput: /^\s*[}\])]$/,
  },
  indent(state, textAfter, context) {
    const line = context.lineAt(context.pos, -1);
    const opened = /[{[(]\s*(#.*)?$/.test(line.text) ? context.unit : 0;
    const closes = /^\s*[}\])]/.test(textAfter) ? context.unit : 0;
    return Math.max(0, context.lineIndent(line.from) + opened - closes);
  },
};

export const rego = () => StreamLanguage.define(parser);
