"""The process that asks the engine. It is started as `python -m pdp.audit.asker`, never imported.

It works in the order of arrival, one question at a time, at a lower priority than whoever decides. Its parent ends
it: by closing the pipe, by SIGKILL, or by dying.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

import msgspec

from pdp.audit.answering import Answering
from pdp.audit.question import BYTES, FAULT, GROUND, HEAD, QUESTION, READY, TAIL, Export, Fault, Ground, Head, Question
from pdp.engine.frames import FrameReader, frame
from pdp.errors import (
    BadRequestError,
    NotFoundError,
    NotPermittedError,
    NotReadyError,
    RecordDamagedError,
    SekishoError,
)

_STDIN: Final = 0
_STDOUT: Final = 1
_READ: Final = 1 << 18
_PIECE: Final = 1 << 18
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_NICE: Final = 10
_BESIDE_MB: Final = 2048  # for the tail, the answer and the libraries, beside the engine's own memory
_MAX_MESSAGE: Final = 1_000
_encode: Final = msgspec.msgpack.Encoder().encode


def main() -> None:
    """Serve until the parent closes the pipe. Arguments: the parent's process id, megabytes for the engine."""
    _prepare_process(int(sys.argv[1]), int(sys.argv[2]))
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
    match fault:
        case NotFoundError():
            return _told("not_found", fault)
        case BadRequestError():
            return _told("bad_request", fault)
        case NotPermittedError():
            return _told("not_permitted", fault)
        case NotReadyError():
            return _told("not_ready", fault)
        case RecordDamagedError():
            return _told("damaged", fault)
    print(f"a question to the decision log failed: {type(fault).__name__}: {fault}", file=sys.stderr)  # noqa: T201
    return Fault("internal", "the question could not be answered")


def _told(kind: str, fault: SekishoError) -> Fault:
    return msgspec.convert(
        {"kind": kind, "message": fault.message[:_MAX_MESSAGE], "next_step": fault.next_step}, type=Fault
    )


def _send(kind: int, body: bytes = b"") -> None:
    rest = memoryview(frame(kind, 0, body))
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]


def _prepare_process(parent: int, memory_mb: int) -> None:
    # A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group; the parent decides when this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold people's data
    most = (memory_mb + _BESIDE_MB) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main()
