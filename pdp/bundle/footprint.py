"""What a bundle can see of its input: the value (placeholder of the lead: the footprint helper replaces this file)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Footprint:
    paths: tuple[tuple[str, ...], ...]

    def reads(self, path: tuple[str, ...] | str) -> bool:
        at = tuple(path.split(".")) if isinstance(path, str) else path
        return any(known[: len(at)] == at or at[: len(known)] == known for known in self.paths)

    @property
    def whole(self) -> bool:
        return () in self.paths


WHOLE: Final = Footprint(((),))
