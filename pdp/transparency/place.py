"""Where the proof of a decision log lies, beside its segments.

proof/NODE.NUMBER.ledger     leaves of the node's tree and its signed heads; written by one process, never reopened
proof/NODE.checkpoint        the newest signed head, as a note
proof/NODE.standing          how far the notary is, signed: it goes on from there without reading all ledgers again
proof/NODE.timestamps        what time-stamp authorities signed for heads, appended only; where one is configured
proof/NODE.keys              the public keys that signed, one a line: give auditors a copy
locks/NODE.proof             held by the process that writes them
locks/NODE.signed            empty, from the first signed head on: that there was a proof, where it is gone
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_LEDGER: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9]{6,9})\.ledger", re.ASCII)
_OTHER: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\.(?:checkpoint|keys|standing|timestamps)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProofPlace:
    """`root` is the directory of the decision log."""

    root: Path
    node: str

    @property
    def directory(self) -> Path:
        return self.root / "proof"

    @property
    def checkpoint(self) -> Path:
        return self.directory / f"{self.node}.checkpoint"

    @property
    def keys(self) -> Path:
        return self.directory / f"{self.node}.keys"

    @property
    def standing(self) -> Path:
        return self.directory / f"{self.node}.standing"

    @property
    def timestamps(self) -> Path:
        return self.directory / f"{self.node}.timestamps"

    @property
    def lock(self) -> Path:
        return self.root / "locks" / f"{self.node}.proof"

    @property
    def signed(self) -> Path:
        return self.root / "locks" / f"{self.node}.signed"

    def ledger(self, number: int) -> Path:
        return self.directory / f"{self.node}.{number:06d}.ledger"

    def ledgers(self) -> list[tuple[int, Path]]:
        """By number. Raises OSError."""
        if not self.directory.is_dir():
            return []
        found = ((_LEDGER.fullmatch(path.name), path) for path in self.directory.iterdir())
        return sorted((int(name[2]), path) for name, path in found if name is not None and name[1] == self.node)


def nodes_with_proof(root: Path) -> list[str]:
    """Whose ledgers, heads or keys lie here. Raises OSError."""
    directory = root / "proof"
    if not directory.is_dir():
        return []
    names = (_LEDGER.fullmatch(path.name) or _OTHER.fullmatch(path.name) for path in directory.iterdir())
    return sorted({name[1] for name in names if name is not None})


def is_of_proof(name: str) -> bool:
    """Whether a file of `proof/` may have this name."""
    return (_LEDGER.fullmatch(name) or _OTHER.fullmatch(name)) is not None
