// What may stand here: facts of `pdp.input/v1` with their names, their values, builtins, words. All of it is the API's.

import { completeAnyWord } from "@codemirror/autocomplete";
import { KEYWORDS } from "./rego.js";

function explained(fact, lang) {
  if (!fact.values.length) return undefined;
  return () => {
    const list = document.createElement("ul");
    for (const one of fact.values) {
      const item = document.createElement("li");
      const value = document.createElement("code");
      value.textContent = JSON.stringify(one.value);
      item.append(value, ` ${one[lang]}`);
      list.append(item);
    }
    return list;
  };
}

function values(fact, lang) {
  return fact.values
    .filter((one) => typeof one.value === "string")
    .map((one) => ({ label: one.value, detail: one[lang] === one.value ? "" : one[lang], type: "enum" }));
}

export function completions(vocabulary, lang) {
  const facts = vocabulary.facts.map((fact) => ({
    label: fact.path,
    detail: fact[lang],
    info: explained(fact, lang),
    type: fact.type === "object" ? "namespace" : "property",
  }));
  const builtins = vocabulary.builtins.map((one) => ({
    label: one.name,
    detail: `(${one.args.join(", ")})`,
    info: one.text || undefined,
    type: "function",
  }));
  const words = [...KEYWORDS, "true", "false", "null"].map((label) => ({ label, type: "keyword" }));
  const byPath = new Map(vocabulary.facts.map((fact) => [fact.path, fact]));

  // Inside of quotes: what the fact to the left of them can be.
  function ofFact(context) {
    const text = context.matchBefore(/"[^"\s]*/);
    if (!text) return null;
    const line = context.state.doc.lineAt(context.pos);
    const before = line.text.slice(0, text.from - line.from);
    if ((before.match(/"/g) ?? []).length % 2) return null;
    const named = [...before.matchAll(/input(?:\.\w+)+/g)].at(-1);
    const fact = named && byPath.get(named[0]);
    return fact ? { from: text.from + 1, options: values(fact, lang), validFor: /^[\w-]*$/ } : null;
  }

  function ofRule(context) {
    const line = context.state.doc.lineAt(context.pos);
    if (/^\s*#/.test(line.text) || context.matchBefore(/"[^"]*/)) return null;
    const word = context.matchBefore(/[A-Za-z_][\w.]*/);
    if (!word && !context.explicit) return null;
    return { from: word ? word.from : context.pos, options: [...facts, ...words, ...builtins], validFor: /^[\w.]*$/ };
  }

  // Names of this file, below everything that has a meaning of its own.
  function ofFile(context) {
    if (context.matchBefore(/(input|")[\w.]*/)) return null;
    const found = completeAnyWord(context);
    return found && { ...found, options: found.options.map((one) => ({ ...one, boost: -50 })) };
  }

  return [ofFact, ofRule, ofFile];
}
