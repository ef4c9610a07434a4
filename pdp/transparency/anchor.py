"""The seam between signed heads and where they are kept off the box."""

from __future__ import annotations

import json
from typing import Protocol


class Anchor(Protocol):
    @property
    def name(self) -> str:
        """For people: where it is, without secrets."""
        ...

    @property
    def every_s(self) -> float:
        """0: it takes each head. Else one so often, the newest, which proves all that the older ones did."""
        ...

    def publish(self, note: str) -> None:
        """Bring one signed head there. Blocks, within a deadline. Raises OSError."""
        ...

    def close(self) -> None: ...


class AnchorError(OSError):
    """An anchor's own fault; `word` is for status and metrics."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def anchor_line(note: str, **more: str) -> str:
    """One line of JSON in ASCII that begins with the head: `pdp audit verify --anchor FILE` finds it anywhere."""
    return json.dumps({"checkpoint": note, **more}, separators=(",", ":"))
