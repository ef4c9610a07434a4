"""Mutants of a policy against its tests, on several processes at once: which test notices which mutant.

Only tests that touch a mutant's lines are run, those first that noticed most so far for the time that they take, and
the first that notices is the last that is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pdp.engine.child_command import MEMORY_LIMIT_BYTES
from pdp.engine.child_process import end_child, start_child
from pdp.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.mutants import Mutant

_ANSWER_BYTES: Final = 64 * 1024 * 1024  # what each test touches, of all of them
_DEADLINE_S: Final = 120.0  # of one answer; the process ends itself long before


@dataclass(frozen=True, slots=True)
class Case:
    """An input, and what has to stand in the answer: paths with values."""

    name: str
    input: Any
    expected: tuple[tuple[tuple[str, ...], Any], ...]


@dataclass(frozen=True)
class Suite:
    """Everything that may notice a mutant. `tests` are references of rules, `data.pdp.x_test.test_y`."""

    bundle: Bundle
    tests: Sequence[str]
    cases: Sequence[Case] = ()

    @property
    def names(self) -> list[str]:
        return [*self.tests, *(case.name for case in self.cases)]


@dataclass(frozen=True)
class FirstLook:
    """The suite on the policy as it is. `touched`: by test, the lines by file; `lines`: all that could be touched."""

    passed: list[bool]
    touched: list[dict[str, list[int]]]
    took_us: list[int]
    lines: dict[str, list[int]]

    def untouched(self, statements: Mapping[str, Sequence[range]]) -> dict[str, list[int]]:
        """By file: the first lines of statements of which no test touches any line. Files without one are left out."""
        seen = {(file, line) for touched in self.touched for file, lines in touched.items() for line in lines}
        found = {
            file: sorted({lines.start for lines in own if not any((file, line) in seen for line in lines)})
            for file, own in statements.items()
        }
        return {file: lines for file, lines in found.items() if lines}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a mutant: noticed by a test, by a fault, by nobody; or it was no policy (`stillborn`)."""

    mutant: Mutant
    killed_by: str | None = None
    stillborn: str | None = None

    @property
    def survived(self) -> bool:
        return self.killed_by is None and self.stillborn is None


@dataclass
class _Line:
    """The mutants that still wait, and which tests noticed some already."""

    waiting: list[Mutant]
    fates: list[Fate] = field(default_factory=list)
    noticed: Counter[int] = field(default_factory=Counter)


class Mutation:
    """One suite on `children` processes. Raises EngineError where they cannot be started or do not answer."""

    def __init__(self, suite: Suite, children: int) -> None:
        self._suite = suite
        self._children = children
        self._load = json.dumps(
            {
                "modules": {**suite.bundle.modules, **suite.bundle.tests},
                "data": dict(suite.bundle.data),
                "entrypoint": suite.bundle.query,
                "tests": list(suite.tests),
                "cases": [{"input": case.input, "expected": case.expected} for case in suite.cases],
            }
        ).encode()

    async def look(self) -> FirstLook:
        """The suite once, with coverage."""
        child, look = await self._start()
        await end_child(child)
        return look

    async def run(
        self, mutants: Sequence[Mutant], look: FirstLook, told: Callable[[int], None], ended: Callable[[], bool]
    ) -> list[Fate]:
        """The fate of each mutant, in their order; of those that were reached where it was ended early."""
        line = _Line(list(reversed(mutants)))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._children, len(mutants))):
                tasks.create_task(self._work(line, look, told, ended))
        place = {id(mutant): at for at, mutant in enumerate(mutants)}
        return sorted(line.fates, key=lambda fate: place[id(fate.mutant)])

    async def _work(self, line: _Line, look: FirstLook, told: Callable[[int], None], ended: Callable[[], bool]) -> None:
        child: asyncio.subprocess.Process | None = None
        try:
            while line.waiting and not ended():
                mutant = line.waiting.pop()  # before anything is awaited: another worker takes from the same line
                if child is None:
                    child, _ = await self._start()
                order = _order(mutant, look, line.noticed)
                asked = {"file": mutant.file, "text": mutant.text, "data": mutant.data, "order": order}
                answer = await _ask(child, json.dumps(asked).encode())
                if answer is None or "panic" in answer:
                    await end_child(child)
                    child = None
                line.fates.append(self._fate(mutant, answer, line.noticed))
                told(1)
        finally:
            if child is not None:
                await end_child(child)

    def _fate(self, mutant: Mutant, answer: dict[str, Any] | None, noticed: Counter[int]) -> Fate:
        if answer is None or "panic" in answer:
            return Fate(mutant, killed_by="it does not end, or ends the engine")
        if "stillborn" in answer:
            return Fate(mutant, stillborn=answer["stillborn"])
        number = answer["killed_by"]
        if number is None:
            return Fate(mutant)
        noticed[number] += 1
        return Fate(mutant, killed_by=self._suite.names[number])

    async def _start(self) -> tuple[asyncio.subprocess.Process, FirstLook]:
        try:
            child = await start_child("pdp.engine.mutation_child", MEMORY_LIMIT_BYTES, line_bytes=_ANSWER_BYTES)
        except OSError as fault:
            raise EngineError(f"the process for mutants cannot be started: {fault.strerror}") from None
        answer = await _ask(child, self._load)
        if answer is None or "panic" in answer:
            await end_child(child)
            why = "" if answer is None else f": {answer['panic']}"
            raise EngineError(f"the tests cannot be run{why}")
        return child, FirstLook(answer["passed"], answer["touched"], answer["took_us"], answer["lines"])


def _order(mutant: Mutant, look: FirstLook, noticed: Mapping[int, int]) -> list[int]:
    """The tests that can notice it. A line that the engine does not count may be anybody's, as the data are."""
    touching = [
        number
        for number, touched in enumerate(look.touched)
        if any(line in mutant.lines for line in touched.get(mutant.file, ()))
    ]
    counted = any(line in mutant.lines for line in look.lines.get(mutant.file, ()))
    found = touching if counted else list(range(len(look.passed)))

    def worth(number: int) -> float:
        """How often it noticed a mutant for what it costs: the order with the least to be expected until one does."""
        return (noticed.get(number, 0) + 1) / (look.took_us[number] + 100)

    return sorted((number for number in found if look.passed[number]), key=worth, reverse=True)


async def _ask(child: asyncio.subprocess.Process, line: bytes) -> dict[str, Any] | None:
    """None where the process ended instead of answering."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(line + b"\n")
        await child.stdin.drain()
    try:
        async with asyncio.timeout(_DEADLINE_S):
            answer = await child.stdout.readline()
    except TimeoutError:
        return None
    found: dict[str, Any] | None = json.loads(answer) if answer.endswith(b"\n") else None
    return found
