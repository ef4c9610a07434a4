"""Policies made of random pieces of Rego over the real input: some can be counted out, most only nearly."""

from __future__ import annotations

import re
from random import Random

HEAD = """package pdp

default decision := {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}}
"""
DATA = {
    "word": "a",
    "words": ["a", "b", "office"],
    "most": 3,
    "by_class": {"managed_pc": 3, "byod_phone": 5, "section_pc": 2.5},
    "places": {"office": ["JP", "a"], "sase": ["x"]},
    "limits": {"x": 2, "b": 4},
}
_WORDS = ("input.subject.roles", "input.context.pep", "input.context.risk")
_TEXTS = ("input.context.country", "input.subject.id", "input.context.work_permit_until")
_NUMBERS = ("input.device.posture.age_hours", "input.subject.auth_age_min", "input.resource.sensitivity")
_LISTED = ("input.context.zone", "input.device.class", "input.subject.auth_level", "input.device.registered")
_LITERALS = ('"a"', '"b"', '"JP"', '"office"', '"malware_alert"', '"2026-01-01T00:00:00Z"', "2", "3", "2.5", "true")
_NAMES = ("x", "y", "k", "v", "name", "lim")  # of local variables; two of them are names of rules too
_VALUES = ("lim", "name", "moved", "deny", "step", "step.b", "o.a", "chain", "data.word", "data.words", "data.most")


def _name_of(rule: str) -> str:
    found = re.match(r"\w+", rule)
    assert found
    return found[0]


class RandomPolicy:
    """One policy of `DATA`, from a seed."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._locals: list[str] = []

    def text(self) -> str:
        """Its decision, and of its other rules those that it needs."""
        taken, left = self._decision(), self._rules()
        while needed := [rule for rule in left if re.search(rf"\b{_name_of(rule)}\b", "".join(taken))]:
            taken += needed
            left = [rule for rule in left if rule not in needed]
        return HEAD + "\n\n".join([*taken, ""])

    def _one(self, *of: str) -> str:
        return self._chance.choice(of)

    def _decision(self) -> list[str]:
        until = self._one('{"end_at": input.context.work_permit_until}', '{"at": o.t}', '{"w": moved}', *["{}"] * 7)
        answer = f'{{"outcome": "allow", "reasons": ["OK"], "obligations": {until}}}'
        denied = '{"outcome": "deny", "reasons": [one | some one in deny], "obligations": {}}'
        if self._chance.random() < 0.3:
            return [f"decision := {denied} if {{\n\tcount(deny) > 0\n}} else := {answer} if {{\n{self._body()}\n}}"]
        return [f"decision := {answer} if {{\n{self._body()}\n}}"]

    def _rules(self) -> list[str]:
        one, body = self._one, self._body
        return [
            f"lim := {one(*_LITERALS)}",
            f"name := {one(*_LITERALS, 'data.word')}",
            f"moved := {one(*_LITERALS)} if {{\n{body()}\n}} else := {one(*_LITERALS)}",
            *(
                f"deny contains {one(*keys)} if {{\n{body()}\n}}"
                for keys in (('"X"', '"a"'), ('"Y"', '"b\\\\c"', "`q\\t`"))
            ),
            f"step.a := {one(*_LITERALS)}",
            f"step.b := {one(*_LITERALS)} if {{\n{body()}\n}}",
            (
                f'o := {{"a": {one("{1}", "[1]", *_LITERALS)}, "t": {one(*_TEXTS[2:], *_LITERALS)}}} if {{\n{body()}\n}}'
                f' else := {{"a": {one("{1}", "[1]", *_LITERALS)}, "t": {one(*_LITERALS)}}}'
            ),
            f"same(x) := {one('x', *_LITERALS)} if {{\n\tx == {one(*_LITERALS, *_LISTED)}\n}}",
            f"chain := {one(*_LITERALS)} if {{\n{body()}\n}} else := {one(*_LITERALS)} if {{\n{body()}\n}}",
        ]

    def _body(self) -> str:
        self._locals = []
        return "\n".join(f"\t{self._statement()}" for _ in range(self._chance.choice((1, 1, 1, 2))))

    def _value(self) -> str:
        kinds = [_LITERALS, _LISTED, _VALUES, ("data.by_class[input.device.class]", "input.schema", "[lim]", "{lim}")]
        return self._one(*self._chance.choice([*kinds, self._locals] if self._locals else kinds))

    def _statement(self) -> str:
        made = self._chance.choice((self._holds, self._holds, self._takes, self._loops, self._counts))()
        return f"not {made}" if made.startswith("input.") and self._chance.random() < 0.2 else made

    def _holds(self) -> str:
        value, listed = self._value(), self._one(*_LISTED)
        return self._one(
            f"{self._one(*_TEXTS)} == {value}",
            f"{self._one(*_TEXTS)} in {self._value()}",
            f"{self._one(*_NUMBERS)} {self._one('<', '>=', '==', '!=')} {value}",
            f"{value} in {self._one(*_WORDS)}",
            f"{listed} == {value}",
            f"{listed} in {self._value()}",
            f"{value} == {self._value()}",
            self._one('deny["X"]', "deny.X", "not deny.a", "is_set(o.a)", "o.a", "not step.b", "chain", "not moved"),
            f"same({value}) in {self._one(*_WORDS)}",
            f"{self._one(*_NUMBERS)} == same({listed})",
        )

    def _takes(self) -> str:
        name, value = self._one(*_NAMES), self._value()
        until = "[input.context.work_permit_until]"
        made = self._one(
            f"{name} := {value}", f"{name} := {until}[0]", f"{name} := {value}", f"[{name}, _] := [{value}, 1]"
        )
        self._locals.append(name)
        return made

    def _loops(self) -> str:
        name, key, of = (
            self._one("w", *_NAMES[:3]),
            self._one("i", "k"),
            self._one(*_WORDS, "data.words", "data.places", "deny"),
        )
        value = self._value()
        self._locals += [] if of in _WORDS else [name]
        return self._one(
            f"some {name} in {of}; {name} == {value}",
            f"some {name} in {of}; {name} in {self._one('data.words', 'deny', 'step')}",
            f"some {key}, {name} in {self._one('data.words', 'data.limits', 'step', 'input.action', of)}; "
            f"{self._one(key, name)} {self._one('==', 'in', '!=')} {self._one(*_TEXTS, *_NUMBERS, *_WORDS)}",
            f"every {name} in {of} {{ {name} {self._one('==', '!=', 'in')} {value} }}",
            f"every {key}, {name} in {of} {{ {self._one(key, name)} {self._one('==', '!=', '<')} {value} }}",
            f"data.words[{key}] != {value}; {self._one(*_NUMBERS)} == {key}",
        )

    def _counts(self) -> str:
        of = self._one(*_WORDS, "data.words", "deny", "step")
        inner = self._one("z == " + self._value(), "z in " + self._one(*_WORDS, "data.words"))
        shape = self._one(
            "[z | some z in {}; {}]", "{{z | some z in {}; {}}}", "[1 | some z in {}; {}]", "{{1 | some z in {}; {}}}"
        )
        return f"count({shape.format(of, inner)}) {self._one('==', '>', '!=')} {self._one('0', '1', '2')}"
