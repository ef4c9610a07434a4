"""One line of `pdp doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and how it stands. `next_step` is there for everything that is not ok."""

    status: Status
    topic: str
    detail: str
    next_step: str = ""


MARK: Final = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
STYLE: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def ok(topic: str, detail: str) -> Finding:
    return Finding("ok", topic, detail)


def warn(topic: str, detail: str, next_step: str) -> Finding:
    return Finding("warn", topic, detail, next_step)


def fail(topic: str, detail: str, next_step: str) -> Finding:
    return Finding("fail", topic, detail, next_step)
