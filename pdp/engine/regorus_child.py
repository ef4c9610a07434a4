"""The process in which regorus runs. It is started as `python -m pdp.engine.regorus_child`, never imported.

Why a process of its own: regorus holds the GIL for a whole evaluation, has no timeout, overflows the stack
on deep nesting and panics on some arguments. Here each of these ends this process and nothing else.

INVARIANT (nobody's help): around every evaluation the kernel's own timer is armed, with SIGALRM at its
default action. It ends this process although no Python code can run, and although the parent may be gone.

INVARIANT (no trace): every document is evaluated in its own clone of the loaded engine (0.3 µs, shares
the data), so that nothing of one evaluation can be seen by the next, after an error neither.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, Final

import regorus

from pdp.engine.child_bounds import prepare_process
from pdp.engine.frames import (
    EVALUATE,
    FAULT,
    HELLO,
    LOAD,
    MAX_FAULT_CHARS,
    MAX_VALUE_BYTES,
    PANIC,
    PARSE,
    UNDEFINED,
    VALUE,
    FrameReader,
    frame,
)

_STDIN: Final = 0
_STDOUT: Final = 1
_READ_BYTES: Final = 1 << 18

# regorus refuses lines beyond 1,024 columns, which OPA accepts; a bundle's files have limits of their own.
_MAX_COLUMNS: Final = 1 << 20
_MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # pdp.bundle.bundle.MAX_FILE_BYTES
_MAX_LINES: Final = 200_000

# `eval_rule_as_json` says so for undefined. A policy whose whole answer is this text is refused with it:
# no profile knows a verdict that is a string.
_UNDEFINED_TEXT: Final = '"<undefined>"'


class _Deadline:
    """Ends this process where the body takes longer than `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Loaded:
    """The one bundle of this process."""

    def __init__(self, load: dict[str, Any]) -> None:
        self.entrypoint: str = load["entrypoint"]
        self.deadline_s: float = load["deadline_s"]
        self._engine = empty_engine()
        with _Deadline(load["load_deadline_s"]):
            for name, text in load["modules"].items():
                self._engine.add_policy(name, text)
            self._engine.add_data_json(load["data"])
            self._engine.eval_query_as_json("true")  # looks through all rules: unsafe variables show here
        self.evaluate(b"{}")

    def evaluate(self, document: bytes) -> str:
        with _Deadline(self.deadline_s):
            clone = self._engine.clone()
            clone.set_input_json(document.decode())
            value: str = clone.eval_rule_as_json(self.entrypoint)
        return value


def empty_engine() -> Any:
    """An engine with the limits of a bundle's files."""
    engine = regorus.Engine()
    engine.set_policy_length_config(max_col=_MAX_COLUMNS, max_file_bytes=_MAX_FILE_BYTES, max_lines=_MAX_LINES)
    engine.set_gather_prints(True)  # `print` would write the input to stderr
    return engine


def _parse(request: dict[str, Any]) -> bytes:
    with _Deadline(request["deadline_s"]):
        engine = empty_engine()
        engine.add_policy(request["name"], request["text"])
        tree: str = engine.get_ast_as_json()
    return tree.encode()


def _answer(loaded: _Loaded | None, kind: int, body: bytes) -> tuple[_Loaded | None, int, bytes]:
    if kind == LOAD:
        return _Loaded(json.loads(body)), VALUE, b""
    if kind == PARSE:
        return loaded, VALUE, _parse(json.loads(body))
    if kind != EVALUATE or loaded is None:
        raise ValueError(f"a frame of kind {kind} is not expected")
    value = loaded.evaluate(body)
    if value == _UNDEFINED_TEXT:
        return loaded, UNDEFINED, b""
    encoded = value.encode()
    if len(encoded) > MAX_VALUE_BYTES:
        raise ValueError(f"the value is larger than {MAX_VALUE_BYTES} bytes")
    return loaded, VALUE, encoded


def _fault_text(fault: BaseException) -> bytes:
    text = str(fault).partition("\n\nStack backtrace")[0]
    return text[:MAX_FAULT_CHARS].encode(errors="replace")


def _write(frame_bytes: bytes) -> None:
    rest = memoryview(frame_bytes)
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]


def main() -> None:
    """Serve frames until the parent closes the pipe. Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    loaded: _Loaded | None = None
    reader = FrameReader()
    _write(frame(HELLO, 0))
    while chunk := os.read(_STDIN, _READ_BYTES):
        for kind, number, body in reader.feed(chunk):
            try:
                loaded, answer, value = _answer(loaded, kind, body)
            except Exception as fault:  # noqa: BLE001  # whatever it is, it goes to the parent as a fault
                answer, value = FAULT, _fault_text(fault)
            except BaseException as panic:  # noqa: BLE001  # pyo3's PanicException: the engine may be broken now
                _write(frame(PANIC, number, _fault_text(panic)))
                os._exit(1)
            _write(frame(answer, number, value))
    os._exit(0)  # no time is lost on taking the engine apart


if __name__ == "__main__":
    main()
