"""Rego modules to trees, by regorus, in a short-lived child process.

A process of its own, because regorus' parser takes exponential time for nested brackets and overflows the
stack for long chains: a draft that somebody uploads must not be able to end or stall the service.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.bundle.syntax import Module, ParseFault
from pdp.engine.child_command import MEMORY_LIMIT_BYTES, child_command, child_environment
from pdp.engine.frames import HELLO, PARSE, VALUE, FrameError, FrameReader, frame
from pdp.engine.regorus_fault import read_fault
from pdp.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

PARSE_DEADLINE_S: Final = 2.0  # one module; 46 lines take 1 ms
WHOLE_DEADLINE_S: Final = 60.0  # all modules of a bundle
_MAX_CHILDREN: Final = 5  # five modules that end the parser are no accident

_UNFINISHED: Final = "the parser did not finish: the module is too deeply nested, or too large"


def parse_modules(modules: Mapping[str, str]) -> tuple[list[Module], list[ParseFault]]:
    """The modules that parse, and a fault for each that does not. Blocks for some ten milliseconds.

    Raises EngineError where the process cannot be started or does not end.
    """
    parsed: list[Module] = []
    faults: list[ParseFault] = []
    names = list(modules)
    for _ in range(_MAX_CHILDREN):  # a module that ends the child is named, and the rest goes to another child
        if not names:
            break
        answers = _ask({name: modules[name] for name in names})
        for name, (kind, body) in zip(names, answers, strict=False):
            outcome = _read(name, modules[name], kind, body)
            if isinstance(outcome, Module):
                parsed.append(outcome)
            else:
                faults.append(outcome)
        names = names[len(answers) :]
        if names:
            faults.append(ParseFault(names.pop(0), 0, 0, _UNFINISHED))
    faults += [ParseFault(name, 0, 0, "not looked at: too many modules before it ended the parser") for name in names]
    return parsed, faults


def _ask(modules: Mapping[str, str]) -> list[tuple[int, bytes]]:
    """The child's answers, in the order of the modules; fewer of them where one ended the child."""
    try:
        asked = b"".join(
            frame(PARSE, 0, json.dumps({"name": name, "text": text, "deadline_s": PARSE_DEADLINE_S}).encode())
            for name, text in modules.items()
        )
        child = subprocess.run(  # noqa: S603  # our own interpreter and module
            child_command(MEMORY_LIMIT_BYTES),
            input=asked,
            env=child_environment(),
            capture_output=True,
            timeout=WHOLE_DEADLINE_S,
            check=False,
        )
        answers = [(kind, body) for kind, _, body in FrameReader().feed(child.stdout)]
    except (OSError, subprocess.TimeoutExpired, FrameError) as fault:
        raise EngineError(f"the parser process cannot be used: {type(fault).__name__}") from None
    if not answers or answers[0][0] != HELLO:
        last_words = child.stderr.decode(errors="replace").splitlines()[-1:]
        raise EngineError(f"the parser process did not start: {''.join(last_words)}")
    return answers[1:]


def _read(name: str, text: str, kind: int, body: bytes) -> Module | ParseFault:
    if kind != VALUE:
        fault = read_fault(body.decode(errors="replace"), {name: text})
        return ParseFault(name, fault.line, fault.column, fault.message)
    try:
        trees = msgspec.json.decode(body)
        return Module(name, text, trees[0]["ast"])
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError):
        return ParseFault(name, 0, 0, _UNFINISHED)
