"""Which log targets have not had a segment yet: what the keeper of the store asks before it removes one.

Copies in a ClickHouse or an object store are made from the store's own files and ask for no segments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.declog.layout import segment_name
from pdp.errors import SettingsError
from pdp.shipping.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName
    from pdp.model.log_target import LogTarget
    from pdp.shipping.following import Position


class Unshipped:
    def __init__(self, state: Path, targets: Sequence[LogTarget], layout: Layout) -> None:
        self._ledger: Final = Ledger(state / "shipping")
        self._targets: Final = tuple(target.name for target in targets)
        self._layout: Final = layout

    def wanted_by(self, name: SegmentName) -> list[str]:
        """Names of targets; also those whose position cannot be read, which in doubt want it. Raises OSError."""
        return [target for target in self._targets if not self._has(target, name)]

    def _has(self, target: str, name: SegmentName) -> bool:
        try:
            standing = self._ledger.read(target)
        except SettingsError:
            return False
        return standing is not None and _is_past(standing.positions, name, self._size(name))

    def _size(self, name: SegmentName) -> int:
        try:
            return self._layout.sealed_path(name).stat().st_size
        except FileNotFoundError:
            return 0


def _is_past(positions: Mapping[str, Position], name: SegmentName, size: int) -> bool:
    at = positions.get(".".join(name.owner))
    reached = None if at is None else segment_name(at.segment)
    if at is None or reached is None:
        return False
    return reached > name or (reached == name and at.offset >= size)
