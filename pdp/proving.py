"""What signs for the decision log, made from the settings: for the service, and for an administrator's commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.declog.layout import Layout
    from pdp.declog.lock import FileLock
    from pdp.model.log_token import TokenKey
    from pdp.settings import Settings
    from pdp.transparency.anchor import Anchor
    from pdp.transparency.keeper import Keeper
    from pdp.transparency.note import Signer
    from pdp.transparency.place import ProofPlace

_KEY: Final = "log-signing.pem"
TRAIL: Final = "/trail"  # after the origin of the decision log: that of the trail's proof
_PREVIOUS: Final = "log-signing.previous.pem"


@dataclass(frozen=True, slots=True)
class Signing:
    """Which keys sign, and as whom. `made` says that the keys are ours to make and to replace.

    `token`: they are in a device, and not in these files.
    """

    origin: str
    key: Path
    previous: Path
    made: bool
    token: TokenKey | None = None

    def signers(self, origin: str) -> tuple[Signer, Signer | None]:
        """The key that signs, and the one before it where there is one. Raises SettingsError, OSError."""
        from pdp.transparency.signer import make_key_file, read_signer

        if self.token is not None:
            from pdp.transparency.token_signer import TokenSigner

            before = self.token.previous_key
            return (
                TokenSigner(self.token, self.token.key, origin),
                TokenSigner(self.token, before, origin) if before else None,
            )
        if self.made:
            make_key_file(self.key)
        previous = read_signer(self.previous, origin) if self.previous.exists() else None
        return read_signer(self.key, origin), previous


def signing_of(settings: Settings) -> Signing:
    from pathlib import Path

    state = settings.state_path
    return Signing(
        origin=settings.log_origin or f"sekisho.log/{settings.node}",
        key=Path(settings.log_key_file) if settings.log_key_file else state / _KEY,
        previous=Path(settings.log_previous_key_file) if settings.log_previous_key_file else state / _PREVIOUS,
        made=not settings.log_key_file and not settings.log_previous_key_file and settings.log_key_token is None,
        token=settings.log_key_token,
    )


def log_of(settings: Settings) -> tuple[Layout, ProofPlace]:
    from pdp.declog.layout import Layout
    from pdp.transparency.place import ProofPlace

    root = settings.decisions_path
    return Layout(root), ProofPlace(root, settings.node)


def trail_of(settings: Settings) -> tuple[Layout, ProofPlace]:
    """Where the trail of the auditors' questions is: a log of the same layout, with a proof of its own."""
    from pdp.declog.layout import Layout
    from pdp.transparency.place import ProofPlace

    root = settings.state_path / "trail"
    return Layout(root), ProofPlace(root, settings.node)


def open_keeper(
    settings: Settings,
    *,
    of: Literal["decisions", "trail"] = "decisions",
    on_fault: Callable[[str], None] = lambda _: None,
    lock: FileLock | None = None,
    rest: Callable[[], None] = lambda: None,
) -> Keeper:
    """The keeper of this node's proof, not started: nothing is read or written yet. `lock`: it is held already.

    `rest` is called after each millisecond of reading or so.

    Raises SettingsError where an anchor or a key that the settings name cannot be used.
    """
    from pdp.declog.disk import PosixDisk
    from pdp.transparency.anchor_feed import AnchorFeed
    from pdp.transparency.keeper import Keeper
    from pdp.transparency.notary import Notary

    signing = signing_of(settings)
    layout, place = log_of(settings) if of == "decisions" else trail_of(settings)
    origin = signing.origin if of == "decisions" else f"{signing.origin}{TRAIL}"
    anchors = _anchors(settings, place)
    if not signing.made and signing.token is None:
        signing.signers(origin)

    def open_notary() -> Notary:
        layout.make(PosixDisk())
        signer, previous = signing.signers(origin)
        return Notary(
            layout,
            place,
            signer,
            origin=origin,
            clock=utc_now,
            disk=PosixDisk(),
            previous=previous,
            rest=rest,
        )

    return Keeper(
        place,
        open_notary,
        lambda: [AnchorFeed(anchor) for anchor in anchors],
        every_s=settings.log_checkpoint_s,
        on_fault=on_fault,
        lock=lock,
    )


def _anchors(settings: Settings, place: ProofPlace) -> list[Anchor]:
    """Raises SettingsError where one of them cannot be used."""
    if not settings.log_anchors:
        return []
    from pdp.transparency.anchors import open_anchor  # clients of four protocols

    return [
        open_anchor(
            address,
            node=settings.node,
            clock=utc_now,
            ca_file=settings.log_anchor_ca_file,
            tsa_file=settings.log_anchor_tsa_file,
            stamps=place.timestamps,
        )
        for address in settings.log_anchors
    ]


def utc_now() -> datetime:
    return datetime.now(UTC)
