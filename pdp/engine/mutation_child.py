"""The process in which mutants of a policy are run against its tests. Started as a program, never imported.

It speaks JSON lines: first a `Suite`, answered by which lines each test touches; then mutants, each answered by the
first test that notices. As in `regorus_child`, the kernel's timer ends this process where an evaluation does not end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any, Final

from pdp.engine.child_bounds import prepare_process
from pdp.engine.regorus_child import empty_engine

_Lines = tuple[dict[str, list[int]], dict[str, list[int]]]
_UNDEFINED: Final = '"<undefined>"'
_TEST_DEADLINE_S: Final = 20.0  # of one mutant with all its tests; the slowest takes one


class _Suite:
    """`tests` are references of rules that have to be true; `cases` are inputs with what of the answer has to be so."""

    def __init__(self, suite: dict[str, Any]) -> None:
        self.modules: dict[str, str] = suite["modules"]
        self.data = json.dumps(suite["data"])
        self.entrypoint: str = suite["entrypoint"]
        self.tests: list[str] = suite["tests"]
        self.cases: list[dict[str, Any]] = suite["cases"]
        self.base = self._without(None)
        self.base.eval_query_as_json("true")
        self._rest: tuple[str | None, Any] = (None, None)

    def _without(self, module: str | None) -> Any:
        """An engine with all modules but one. A module that is added again does not replace the first."""
        engine = empty_engine()
        for name, text in self.modules.items():
            if name != module:
                engine.add_policy(name, text)
        engine.add_data_json(self.data)
        return engine

    def mutated(self, mutant: dict[str, Any]) -> Any:
        """Raises where the mutant is no policy at all."""
        if mutant.get("data") is not None:
            engine = self.base.clone()
            engine.clear_data()
            engine.add_data_json(json.dumps(mutant["data"]))
        else:
            if self._rest[0] != mutant["file"]:
                self._rest = mutant["file"], self._without(mutant["file"])
            engine = self._rest[1].clone()
            engine.add_policy(mutant["file"], mutant["text"])
        engine.eval_query_as_json("true")  # looks through all rules: unsafe variables show here
        return engine

    def holds(self, engine: Any, number: int, *, coverage: bool = False) -> tuple[bool, _Lines]:
        """Whether a test passes (a case: whether the answer is as expected), and the lines that it touched."""
        clone = engine.clone()
        if coverage:
            clone.set_enable_coverage(True)
        try:
            passed = self._passed(clone, number)
        except Exception:  # noqa: BLE001  # an evaluation that fails is a test that fails, whatever the engine calls it
            passed = False
        return passed, _lines(clone) if coverage else ({}, {})

    def _passed(self, engine: Any, number: int) -> bool:
        if number < len(self.tests):
            engine.set_input_json("{}")
            return bool(engine.eval_rule_as_json(self.tests[number]) == "true")
        case = self.cases[number - len(self.tests)]
        engine.set_input_json(json.dumps(case["input"]))
        text = engine.eval_rule_as_json(self.entrypoint)
        answer = None if text == _UNDEFINED else json.loads(text)
        return isinstance(answer, dict) and all(_at(answer, path) == value for path, value in case["expected"])

    @property
    def count(self) -> int:
        return len(self.tests) + len(self.cases)


def _at(answer: Any, path: list[str]) -> Any:
    for step in path:
        answer = answer.get(step) if isinstance(answer, dict) else None
    return answer


def _lines(engine: Any) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """(the lines that were touched, those that could have been), by file. Of rules that nobody asked for: neither."""
    report = json.loads(engine.get_coverage_report_as_json())
    touched = {file["path"]: file["covered"] for file in report["files"] if file["covered"]}
    return touched, {file["path"]: [*file["covered"], *file["not_covered"]] for file in report["files"]}


def _first_look(suite: _Suite) -> dict[str, Any]:
    passed, touched, took_us = [], [], []
    lines: dict[str, set[int]] = {}
    for number in range(suite.count):
        began = time.process_time_ns()
        holds, (own, could) = suite.holds(suite.base, number, coverage=True)
        passed.append(holds)
        touched.append(own)
        for file, found in could.items():
            lines.setdefault(file, set()).update(found)
        took_us.append((time.process_time_ns() - began) // 1_000)
    return {
        "passed": passed,
        "touched": touched,
        "took_us": took_us,
        "lines": {file: sorted(found) for file, found in lines.items()},
    }


def _judge(suite: _Suite, mutant: dict[str, Any]) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_REAL, _TEST_DEADLINE_S)
    try:
        engine = suite.mutated(mutant)
    except Exception as fault:  # noqa: BLE001  # whatever the engine says: it is not a policy
        return {"stillborn": str(fault).splitlines()[0][:200] if str(fault) else "?"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_REAL, _TEST_DEADLINE_S)
    try:
        for number in mutant["order"]:
            if not suite.holds(engine, number)[0]:
                return {"killed_by": number}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"killed_by": None}


def main() -> None:
    """Serve lines until the parent closes the pipe. Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    suite: _Suite | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if suite is None:
                suite = _Suite(request)
                answer = _first_look(suite)
            else:
                answer = _judge(suite, request)
        except BaseException as panic:  # noqa: BLE001  # pyo3's PanicException: the engine may be broken now
            answer = {"panic": str(panic)[:200]}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            os._exit(1)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
