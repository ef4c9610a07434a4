"""Writes small random Rego policies, and JSON documents for them, for the property that a footprint holds.

Everything is chosen by a `random.Random`, so a policy can be written again from its seed, and Hypothesis can
drive the choices. The policies are meant to run: rules refer to rules written before, in no circle; but an
evaluation may well end in an error, which is an outcome like any other.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

KEYS = ("a", "b", "c")
PACKAGES = ("p", "q", "q.lib")
ENTRYPOINT = "p/answer"
DATA = {"base": {"a": {"b": 1, "c": ["a", "b"]}, "k": "a", "n": 0}}
_GET_PATHS = ('"a"', '["a", "b"]')
_LEAVES: tuple[Any, ...] = (0, 1, 2, True, False, None, "a", "b", "x", "", [], {}, ["a", 1], [{"a": 1}, {"a": 2}])


def random_value(rng: random.Random, depth: int = 3) -> Any:
    """JSON of few keys and few leaves, so that values meet now and then."""
    if depth == 0 or rng.random() < 0.35:
        return rng.choice(_LEAVES)
    if rng.random() < 0.15:
        return [random_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {key: random_value(rng, depth - 1) for key in KEYS if rng.random() < 0.8}


def random_document(rng: random.Random) -> Any:
    if rng.random() < 0.05:
        return random_value(rng, 0)
    return {key: random_value(rng) for key in KEYS if rng.random() < 0.9}


@dataclass
class _Named:
    package: str
    name: str
    arity: int | None  # None: a rule


@dataclass
class Writer:
    """One policy in the making. `wild` is how often it does what widens a footprint to the whole input."""

    rng: random.Random
    wild: float = 0.01
    named: list[_Named] = field(default_factory=list)
    package: str = "p"
    aliases: dict[str, list[str]] = field(
        default_factory=dict
    )  # of a package: names that stand for a part of the input
    fresh: int = 0

    def policy(self) -> dict[str, str]:
        """Modules by name. `answer` of the package `p` is defined last."""
        texts: dict[str, list[str]] = {package: [] for package in PACKAGES}
        imports: dict[str, list[str]] = {package: self._imports(package) for package in PACKAGES}
        for number in range(self.rng.randint(2, 7)):
            self.package = self.rng.choice(PACKAGES)
            texts[self.package] += self._rule(f"r{number}")
        self.package = "p"
        texts["p"] += self._answer()
        return {
            f"{package}.rego": "\n".join([f"package {package}", *imports[package], *texts[package], ""])
            for package in PACKAGES
        }

    def _imports(self, package: str) -> list[str]:
        lines = []
        self.aliases[package] = []
        for name in ("i1", "i2"):
            if self.rng.random() < 0.3:
                path = ".".join(["input", *self._keys(1, 2)])
                lines.append(f"import {path} as {name}")
                self.aliases[package].append(name)
        if self.rng.random() < 0.15:
            lines.append("import input as everything")
            self.aliases[package].append("everything")
        if package == "p" and self.rng.random() < 0.3:
            lines.append("import data.q")
        return lines

    def _keys(self, least: int, most: int) -> list[str]:
        return [self.rng.choice(KEYS) for _ in range(self.rng.randint(least, most))]

    def _name(self) -> str:
        self.fresh += 1
        return f"v{self.fresh}"

    # Rules.

    def _answer(self) -> list[str]:
        form = self.rng.randint(0, 3)
        if form == 0:
            return ["default answer := 0", f"answer := 1 if {self._body([])}"]
        if form == 1:
            return ["default answer := 0", f"answer := 1 if {self._body([])}", f"else := 2 if {self._body([])}"]
        if form == 2:
            scope: list[str] = []
            body = self._body(scope)
            return [f"answer := {self._value(scope, 1)} if {body}"]
        return [f"answer contains {self._value([], 1)} if {self._body([])}" for _ in range(2)]

    def _rule(self, name: str) -> list[str]:
        rng = self.rng
        kind = rng.choice(
            ("alias", "alias", "flag", "flag", "value", "else", "several", "set", "object", "head", "function", "function",
             "clauses", "aliasing function")
        )  # fmt: skip
        lines: list[str] = []
        arity = None
        scope: list[str] = []
        if kind == "alias":
            lines = [f"{name} := {self._path([])}"]
        elif kind == "flag":
            lines = [f"{name} if {self._body(scope)}"]
            if rng.random() < 0.5:
                lines.append(f"default {name} := false")
        elif kind == "value":
            body = self._body(scope)
            lines = [f"{name} := {self._value(scope, 2)} if {body}"]
            if rng.random() < 0.3:
                lines.append(f"default {name} := {rng.choice(('0', 'null', '{}', '[v | v := input.a]'))}")
        elif kind == "else":
            lines = [f"{name} := {self._value([], 1)} if {self._body([])}", f"else := {self._value([], 1)}"]
        elif kind == "several":
            lines = [f"{name} := {self._value([], 1)} if {self._body([])}" for _ in range(2)]
        elif kind == "set":
            body = self._body(scope)
            lines = [f"{name} contains {self._value(scope, 1)} if {body}"]
        elif kind == "object":
            lines = [f"{name}[k] := {self._value(['v'], 1)} if some k, v in {self._value([], 1)}"]
        elif kind == "head":
            lines = [f"{name}.{rng.choice(KEYS)} := {self._value([], 1)}", f'{name}["c.d"] := {self._value([], 1)}']
            lines = lines[: rng.randint(1, 2)]
        else:
            lines, arity = self._function(name, kind)
        self.named.append(_Named(self.package, name, arity))
        return lines

    def _function(self, name: str, kind: str) -> tuple[list[str], int]:
        if kind == "aliasing function":
            return [f"{name}(x) := x.{'.'.join(self._keys(1, 2))}" if self.rng.random() < 0.7 else f"{name}(x) := x"], 1
        if kind == "function":
            scope = ["x", "y"]
            body = self._body(scope)
            lines = [f"{name}(x, y) := {self._value(scope, 1)} if {body}"]
            if self.rng.random() < 0.3:
                lines.append(f"default {name}(_, _) := 0")
            return lines, 2
        pattern = self.rng.choice(('"a"', "1", '{"a": x}', "[x, _]", "{}", "null", "_"))
        scope = ["x"] if "x" in pattern else []
        return [
            f"{name}({pattern}) := {self._value(scope, 1)}",
            f"{name}(x) := {self._value(['x'], 1)} if {self._body(['x'])}",
        ], 1

    # Bodies.

    def _body(self, scope: list[str], depth: int = 1) -> str:
        """A body; the variables that it binds are added to `scope`."""
        return "{ " + "; ".join(self._statement(scope, depth) for _ in range(self.rng.randint(1, 3))) + " }"

    def _statement(self, scope: list[str], depth: int) -> str:
        rng = self.rng
        if rng.random() < self.wild:
            change = rng.choice(
                ("input as {}", "input.a as 1", f"input as {self._value(scope, 0)}", "data.base.k as 1")
            )
            return f"{self._condition(scope, 0)} with {change}"
        form = rng.randint(0, 13)
        if form <= 3:
            value = self._path(scope) if rng.random() < 0.7 else self._value(scope, depth)
            scope.append(self._name())
            return f"{scope[-1]} := {value}"
        if form == 4:
            value = self._value(scope, depth)
            scope.append(self._name())
            return f"{scope[-1]} = {value}" if rng.random() < 0.5 else f"{value} = {scope[-1]}"
        if form == 5:
            value = self._value(scope, depth)
            scope.append(self._name())
            return f"some {scope[-1]} in {value}"
        if form == 6:
            value = self._value(scope, depth)
            scope += [self._name(), self._name()]
            return f"some {scope[-2]}, {scope[-1]} in {value}"
        if form == 7:
            name = self._name()
            return f"every {name} in {self._value(scope, depth)} {self._body([*scope, name], 0)}"
        if form == 8:
            value = self._value(scope, depth)
            one, two = self._name(), self._name()
            scope += [one, two]
            pattern = rng.choice(
                (f"[{one}, {two}]", f'{{"a": {one}, "b": {two}}}', f'{{"a": {{"b": {one}}}, "c": {two}}}')
            )
            return f"{pattern} {rng.choice((':=', '='))} {value}"
        if form == 9:
            name = self._name()
            line = f"some {name}; {self._path(scope)}[{name}]"
            scope.append(name)
            return line
        return self._condition(scope, depth)

    def _condition(self, scope: list[str], depth: int) -> str:
        rng = self.rng
        left = self._path(scope) if rng.random() < 0.6 else self._value(scope, depth)
        form = rng.randint(0, 8)
        if form <= 2:
            return f"{left} {rng.choice(('==', '!=', '<', '>='))} {self._value(scope, 0)}"
        if form == 3:
            return f"not {left}"
        if form == 4:
            return f"{left} in {self._value(scope, 0)}"
        if form == 5:
            return f"{rng.choice(('is_string', 'is_object', 'is_boolean', 'is_null'))}({left})"
        if form == 6:
            return f"count({self._value(scope, depth)}) {rng.choice(('==', '>'))} {rng.randint(0, 2)}"
        if form == 7:
            return f"print({left})"
        return left

    # Values.

    def _path(self, scope: list[str]) -> str:
        """A reference: where it starts, and steps, most of them constant."""
        rng = self.rng
        starts = ["input"] * 5 + self.aliases.get(self.package, []) * 2 + scope * 3
        rules = [one for one in self.named if one.arity is None]
        starts += [self._reference(one) for one in rules[-3:]]
        start = rng.choice(starts)
        steps = ""
        tame = start in ("input", "everything") and rng.random() >= self.wild
        for key in self._keys(1 if tame else 0, 3):
            form = rng.random() if steps or not tame else rng.random() * 0.9
            if form < 0.75:
                steps += f".{key}"
            elif form < 0.92:
                steps += f'["{key}"]'
            elif form < 0.94:
                steps += "[0]"
            elif form < 0.96:
                steps += "[_]"
            elif form < 0.98:
                steps += "[data.base.k]"
            else:
                steps += f"[{rng.choice(scope) if scope else 'input.b'}]"
        return start + steps

    def _reference(self, one: _Named) -> str:
        if one.package == self.package and self.rng.random() < 0.7:
            return one.name
        if self.package == "p" and one.package == "q" and self.rng.random() < 0.3:
            return f"data.q.{one.name}"
        if self.rng.random() < 0.1:
            return f'data.{one.package}["{one.name}"]'
        return f"data.{one.package}.{one.name}"

    def _value(self, scope: list[str], depth: int) -> str:
        rng = self.rng
        form = rng.randint(0, 19)
        if form <= 6:
            return self._path(scope)
        if form <= 8 or depth == 0:
            return json.dumps(rng.choice(_LEAVES)) if rng.random() < 0.6 else self._path(scope)
        inner = depth - 1
        if form == 9:
            return f"[{self._value(scope, inner)}, {self._value(scope, inner)}]"
        if form == 10:
            return f'{{"a": {self._value(scope, inner)}, "b": {{{self._value(scope, inner)}}}}}'
        if form in (11, 12):
            within = [*scope]
            body = self._body(within, inner)[2:-2]
            head = self._value(within, 0)
            return rng.choice(
                (f"[{head} | {body}]", f"{{{head} | {body}}}", f'{{sprintf("%v", [{head}]): {head} | {body}}}')
            )
        if form in (13, 14, 15):
            return self._call(scope, inner)
        if form == 16:
            return rng.choice(
                (
                    f"object.get({self._path(scope)}, {rng.choice(_GET_PATHS)}, {self._value(scope, 0)})",
                    f"count({self._value(scope, inner)})",
                    f"to_number({self._path(scope)})",
                    f'json.filter({self._path(scope)}, ["a/b"])',
                    f"[w | walk({self._path(scope)}, [w, _])]",
                    f"type_name({self._path(scope)})",
                    f"object.union({self._path(scope)}, {self._path(scope)})",
                )
            )
        if form == 17:
            return f"data.base.{rng.choice(('k', 'n', 'a.b', 'a.c'))}"
        if form == 18:
            return rng.choice(
                (
                    "data.q[data.base.k]",
                    'data["q.r1"]',
                    f"data.q[{self._path(scope)}]",
                    "data.q.lib",
                    f"[{self._path(scope)}][0]",
                )
            )
        return f"[{self._value(scope, inner)}, {self._value(scope, inner)}][{rng.randint(0, 1)}]"

    def _call(self, scope: list[str], depth: int) -> str:
        functions = [one for one in self.named if one.arity is not None]
        if not functions:
            return self._path(scope)
        one = self.rng.choice(functions)
        assert one.arity is not None
        arguments = [
            self._path(scope) if self.rng.random() < 0.7 else self._value(scope, depth) for _ in range(one.arity)
        ]
        call = f"{self._reference(one)}({', '.join(arguments)})"
        return call + "".join(f".{key}" for key in self._keys(0, 1))


def write_policy(rng: random.Random, wild: float = 0.01) -> dict[str, str]:
    """The modules of a policy with the entry point `p/answer`; it runs with DATA."""
    return Writer(rng, wild).policy()
