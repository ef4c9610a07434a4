"""The process that asks the engine. It is started as `python -m pdp.audit.asker`, never imported.

It works in the order of arrival, one question at a time, at a lower priority than whoever decides. Its parent ends
it: by closing the pipe, by SIGKILL, or by dying.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import msgspec

from pdp.audit.answering import Answering
from pdp.audit.question import (
    BYTES,
    ERRORS,
    FAULT,
    GROUND,
    HEAD,
    QUESTION,
    READY,
    TAIL,
    Export,
    Fault,
    Ground,
    Head,
    Question,
)
from pdp.engine.child_bounds import prepare_process
from pdp.engine.frames import FrameReader, frame

_STDIN: Final = 0
_STDOUT: Final = 1
_READ: Final = 1 << 18
_PIECE: Final = 1 << 18
_NICE: Final = 10
_BESIDE_MB: Final = 2048  # for the tail, the answer and the libraries, beside the engine's own memory
_MAX_MESSAGE: Final = 1_000
_encode: Final = msgspec.msgpack.Encoder().encode


def main() -> None:
    """Serve until the parent closes the pipe. Arguments: the parent's process id, megabytes for the engine."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=(int(sys.argv[2]) + _BESIDE_MB) * 1024 * 1024)
    os.nice(_NICE)
    reader = FrameReader()
    answering: Answering | None = None
    while chunk := os.read(_STDIN, _READ):
        for kind, _, body in reader.feed(chunk):
            if kind == GROUND:
                answering = Answering.on(msgspec.msgpack.decode(body, type=Ground))
                _send(READY)
            elif kind == QUESTION and answering is not None:
                _serve(answering, msgspec.msgpack.decode(body, type=Question))
            else:
                sys.exit("a frame that is not expected")
    os._exit(0)


def _serve(answering: Answering, question: Question) -> None:
    try:
        if isinstance(question.ask, Export):
            _send(TAIL, _encode(answering.export(question.ask, question.sight, _begin, _piece)))
            return
        answer = answering.answer(question)
    except BaseException as fault:  # noqa: BLE001  # whatever it is, the parent is told, and the asker is told little
        _send(FAULT, _encode(_fault(fault)))
        return
    _send(HEAD, _encode(answer.head))
    _piece(answer.body)
    _send(TAIL, _encode(answer.tail))


def _begin() -> None:
    _send(HEAD, _encode(Head()))


def _piece(data: bytes) -> None:
    for start in range(0, len(data), _PIECE):
        _send(BYTES, data[start : start + _PIECE])


def _fault(fault: BaseException) -> Fault:
    for kind, known in ERRORS.items():
        if isinstance(fault, known):
            return Fault(kind, fault.message[:_MAX_MESSAGE], fault.next_step)
    print(f"a question to the decision log failed: {type(fault).__name__}: {fault}", file=sys.stderr)  # noqa: T201
    return Fault("internal", "the question could not be answered")


def _send(kind: int, body: bytes = b"") -> None:
    rest = memoryview(frame(kind, 0, body))
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]


if __name__ == "__main__":
    main()
