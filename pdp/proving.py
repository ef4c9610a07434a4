"""What signs for the decision log, made from the settings: for the service, and for an administrator's commands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.declog.layout import Layout
    from pdp.settings import Settings
    from pdp.transparency.keeper import Keeper
    from pdp.transparency.place import ProofPlace

_KEY: Final = "log-signing.pem"
_PREVIOUS: Final = "log-signing.previous.pem"
_REST_S: Final = 0.0002


@dataclass(frozen=True, slots=True)
class Signing:
    """Which keys sign, and as whom. `made` says that the keys are ours to make and to replace."""

    origin: str
    key: Path
    previous: Path
    made: bool


def signing_of(settings: Settings) -> Signing:
    from pathlib import Path

    state = settings.state_path
    return Signing(
        origin=settings.log_origin or f"sekisho.log/{settings.node}",
        key=Path(settings.log_key_file) if settings.log_key_file else state / _KEY,
        previous=Path(settings.log_previous_key_file) if settings.log_previous_key_file else state / _PREVIOUS,
        made=not settings.log_key_file and not settings.log_previous_key_file,
    )


def log_of(settings: Settings) -> tuple[Layout, ProofPlace]:
    from pdp.declog.layout import Layout
    from pdp.transparency.place import ProofPlace

    root = settings.state_path / "decisions"
    return Layout(root), ProofPlace(root, settings.node)


def open_keeper(settings: Settings, *, on_fault: Callable[[str], None] = lambda _: None) -> Keeper:
    """The keeper of this node's proof, not started: nothing is read or written yet.

    Raises SettingsError where an anchor or a key that the settings name cannot be used.
    """
    from pdp.declog.disk import PosixDisk
    from pdp.parts import utc_now
    from pdp.transparency.anchors import AnchorFeed, open_anchor
    from pdp.transparency.keeper import Keeper
    from pdp.transparency.notary import Notary
    from pdp.transparency.signer import make_key_file, read_signer

    signing = signing_of(settings)
    layout, place = log_of(settings)
    anchors = [
        open_anchor(address, node=settings.node, clock=utc_now, ca_file=settings.log_anchor_ca_file)
        for address in settings.log_anchors
    ]
    if not signing.made:
        read_signer(signing.key, signing.origin)

    def open_notary() -> Notary:
        layout.make(PosixDisk())
        if signing.made:
            make_key_file(signing.key)
        previous = read_signer(signing.previous, signing.origin) if signing.previous.exists() else None
        return Notary(
            layout,
            place,
            read_signer(signing.key, signing.origin),
            origin=signing.origin,
            clock=utc_now,
            disk=PosixDisk(),
            previous=previous,
            # A thread that only computes would keep the interpreter lock for 5 ms at a time.
            rest=lambda: time.sleep(_REST_S),
        )

    return Keeper(
        place,
        open_notary,
        lambda: [AnchorFeed(anchor) for anchor in anchors],
        every_s=settings.log_checkpoint_s,
        on_fault=on_fault,
    )
