"""A child of `test_child_process.py`: it reads its order to the end and does that."""

from __future__ import annotations

import signal
import sys
from typing import Final, Literal

import msgspec

PROGRAM: Final = "tests.unit.engine.child"


class Order(msgspec.Struct, frozen=True):
    does: Literal["answer", "half", "nothing", "wait"]
    text: str = ""


class Answer(msgspec.Struct, frozen=True):
    text: str


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    match order.does:
        case "answer":
            sys.stdout.buffer.write(msgspec.json.encode(Answer(order.text)))
        case "half":
            sys.stdout.buffer.write(b'{"text":')
        case "wait":
            signal.pause()


if __name__ == "__main__":
    main()
