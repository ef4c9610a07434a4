"""The notary of a node: looks at its segments, writes down what it saw, and signs.

One turn:

1. look at the directory, where it has changed, for segments that are not closed in the ledger;
2. read each on, from the disk and after a sync: what is signed for can survive a power failure;
3. for each that has more records, or has become final, one leaf: its name, how many records, their root;
4. append the leaves and the signed head over all leaves to the ledger, synced;
5. only then show the head: the file of the newest head, and the anchors.

It reads files that others write and never stands in a decision's way. Whatever it cannot do it does at the
next turn. Used by one thread of one process, which holds the node's proof lock.
"""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.declog.disk import write_durably
from pdp.declog.layout import segment_name
from pdp.declog.marks import rfc3339
from pdp.errors import RecordDamagedError, SettingsError
from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.entries import FileLeaf, KeyLeaf, SegmentLeaf
from pdp.transparency.follower import SegmentFollower
from pdp.transparency.ledger import LedgerWriter, read_ledger
from pdp.transparency.note import parse_note
from pdp.transparency.seal import read_seal, seal_path
from pdp.transparency.standing import Closed, Known, Standing, resume, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.transparency.entries import Leaf
    from pdp.transparency.ledger import Ledger, Mark
    from pdp.transparency.note import NoteKey, Signer
    from pdp.transparency.place import ProofPlace


SEALED_FILES: Final = ("store/manifest.db",)  # below the log's directory: written in place, sealed by who writes them
_STANDING_S: Final = 60.0  # what a start has to read again at most: a minute of heads
_STEADY_S: Final = 0.1  # a directory's time may stand still for a clock tick (10 ms) while names change in it


@dataclass(frozen=True, slots=True)
class Turn:
    """`head` and `note` are None where there was nothing new; `behind`: there is more to read at once."""

    head: Checkpoint | None
    note: str | None
    behind: bool


class Notary:
    """Opening reads the ledger, from where the last notary left its standing, and blocks.

    Raises RecordDamagedError where the ledger is not what was written: nothing is signed on top of it, and
    it stays as it is for the inspection. Raises SettingsError where the signing key is not the ledger's and
    no `previous` signer hands over to it, or the origin has changed; OSError where the disk refuses.

    `rest` is called every few lines: it lets whoever serves have the processor.
    """

    def __init__(  # noqa: PLR0913  # the composition names each
        self,
        layout: Layout,
        place: ProofPlace,
        signer: Signer,
        *,
        origin: str,
        clock: Callable[[], datetime],
        disk: Disk,
        previous: Signer | None = None,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._layout = layout
        self._place = place
        self._signer = signer
        self._clock = clock
        self._disk = disk
        self._rest = rest
        place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk.sync_directory(place.directory.parent)  # also where it is there: who made it may have died before this
        known = _sound_ledger(place, [key.key for key in (signer, previous) if key is not None], rest)
        ledger = known.ledger
        self._origin = origin
        self._keys = [str(key) for key in ledger.keys]
        self._handover = _handover(ledger, signer, previous)
        if ledger.origin not in ("", origin):
            raise SettingsError(f"the ledger of the decision log was begun as `{ledger.origin}`, not as `{origin}`")
        self._writer = LedgerWriter(place, ledger, origin, disk=disk)
        self._stated = known.stated
        self._closed = known.closed
        self._files = ledger.files
        self._looked_at: dict[str, int] = {}
        self._kept: Mark | None = None  # the newest head that the standing names
        self._kept_at = time.monotonic()
        self._followers: dict[SegmentName, SegmentFollower] = {}
        self._seen = 0, 0.0  # the directory's time, and when it was first seen
        self._looked = -1.0
        self._unshown: str | None = None
        self.altered: tuple[str, ...] = ()  # segments that are not any more what was signed for
        self.fault: str | None = None  # why a segment could not be read in the last turn, by errno name
        if ledger.heads:
            self._show(ledger.heads[-1][1])
            self._keep_standing()

    @property
    def size(self) -> int:
        """Leaves of the tree."""
        return self._writer.size

    def turn(self) -> Turn:
        """Read on, and sign for what is new. Raises OSError; then nothing was signed, and the next turn tries again."""
        self._look()
        self.fault = None
        behind = False
        ready: list[SegmentFollower] = []
        for follower in list(self._followers.values()):
            reached, new = self._advance(follower)
            behind = behind or not reached
            if new:
                ready.append(follower)
        files, looked_at = self._file_leaves()
        leaves: list[Leaf] = [*self._key_leaves(), *(self._leaf(follower) for follower in ready), *files]
        if not leaves:
            if self._unshown is not None:
                self._show(self._unshown)
            return Turn(None, None, behind)
        signers: Sequence[Signer] = (*self._handover, self._signer)
        head, note = self._writer.write(leaves, signers)
        self._settle(ready)
        self._files.update({leaf.file: leaf for leaf in files})
        self._looked_at.update(looked_at)
        self._show(note)
        if self._kept is None or time.monotonic() - self._kept_at >= _STANDING_S:
            self._keep_standing()
        return Turn(head, note, behind)

    def close(self) -> None:
        if self._writer.mark is not self._kept:
            with suppress(OSError):  # the next start reads on from the one before
                self._keep_standing()
        self._writer.close()

    # -- looking -------------------------------------------------------------------------------------

    def _look(self) -> None:
        changed, now = self._layout.segments.stat().st_mtime_ns, time.monotonic()
        if changed != self._seen[0]:
            self._seen = changed, now
        elif self._looked > self._seen[1] + _STEADY_S:
            return
        self._looked = now
        for name in self._layout.names():
            if name.node != self._place.node or name in self._followers or name in self._closed:
                continue
            expected = self._stated.get(str(name), (0, ""))
            self._followers[name] = SegmentFollower(
                self._layout, name, disk=self._disk, expected=expected, rest=self._rest
            )

    def _advance(self, follower: SegmentFollower) -> tuple[bool, bool]:
        """Whether the end was reached, and whether there is something to sign for."""
        try:
            reached = follower.advance()
        except FileNotFoundError:  # a name without a record that its worker took back, or a theft
            if follower.stated:
                self._object_to(follower)
            else:
                del self._followers[follower.name]
            return True, False
        except OSError as fault:
            self.fault = errno.errorcode.get(fault.errno or 0, "unknown")
            return True, False
        if follower.altered:
            self._object_to(follower)
            return reached, False
        final = reached and follower.state != "open"
        return reached, final or follower.records > follower.stated

    def _object_to(self, follower: SegmentFollower) -> None:
        """No more is signed for a segment that is not what was signed for: the inspection names what differs."""
        self.altered = (*self.altered, str(follower.name))
        self._closed.add(follower.name)
        del self._followers[follower.name]

    # -- writing -------------------------------------------------------------------------------------

    def _key_leaves(self) -> list[Leaf]:
        key = str(self._signer.key)
        return [] if key in self._keys else [KeyLeaf(key, rfc3339(self._clock()))]

    def _leaf(self, follower: SegmentFollower) -> SegmentLeaf:
        final = follower.state != "open"
        return SegmentLeaf(
            segment=str(follower.name),
            state=follower.state,
            records=follower.records,
            root=follower.root,
            chain=follower.chain,
            note=follower.note() if final else "",
            at=rfc3339(self._clock()),
        )

    def _settle(self, ready: list[SegmentFollower]) -> None:
        """What the ledger now holds."""
        key = str(self._signer.key)
        if key not in self._keys:
            self._keys.append(key)
        self._handover = ()
        for follower in ready:
            follower.stated = follower.records
            if follower.state != "open":
                del self._followers[follower.name]
                self._closed.add(follower.name)
                self._stated.pop(str(follower.name), None)
            else:
                self._stated[str(follower.name)] = follower.records, follower.root

    def _file_leaves(self) -> tuple[list[FileLeaf], dict[str, int]]:
        """Of files that are written in place and were sealed anew, and when: seen once they are in the ledger."""
        leaves, looked_at = [], {}
        for file in SEALED_FILES:
            path = self._layout.root / file
            try:
                changed = seal_path(path).stat().st_mtime_ns
                if changed == self._looked_at.get(file):
                    continue
                seal = read_seal(path)
            except FileNotFoundError:
                continue
            before = self._files.get(file)
            if seal is not None and seal.state == "whole":
                looked_at[file] = changed
                if before is None or seal.number > before.number:  # else the inspection says so
                    leaves.append(FileLeaf(file, seal.number, seal.sha256, rfc3339(self._clock())))
        if not leaves:
            self._looked_at.update(looked_at)
        return leaves, looked_at

    def _keep_standing(self) -> None:
        """Write down where the newest head stands, for the next start. Raises OSError."""
        mark = self._writer.mark
        if mark is None:
            return
        self._closed.gather([name for name in self._layout.names() if name.node == self._place.node])
        upto, beyond = self._closed.written()
        standing = Standing(
            origin=self._origin,
            head=mark.note,
            number=mark.number,
            offset=mark.offset,
            lines=mark.lines,
            peaks=tuple(peak.hex() for peak in mark.tree.peaks),
            keys=tuple(self._keys),
            open=self._stated,
            closed=upto,
            beyond=beyond,
            files=tuple(self._files.values()),
        )
        write_durably(self._disk, self._place.standing, written(standing, self._newest_signer()).encode())
        self._kept, self._kept_at = mark, time.monotonic()

    def _newest_signer(self) -> Signer:
        """Of the key that the ledger names last: a new one has not signed yet."""
        return self._handover[0] if self._handover else self._signer

    def _show(self, note: str) -> None:
        self._unshown = note
        keys = "".join(f"{key}\n" for key in self._keys).encode()
        if not self._place.keys.exists() or self._place.keys.read_bytes() != keys:
            write_durably(self._disk, self._place.keys, keys)
        write_durably(self._disk, self._place.checkpoint, note.encode())
        if not self._place.signed.exists():
            self._mark()
        self._unshown = None

    def _mark(self) -> None:
        """That a head was signed, where it outlives the proof: not before it is so. Raises OSError."""
        self._place.signed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._disk.close(self._disk.create(self._place.signed))
        self._disk.sync_directory(self._place.signed.parent)


def _sound_ledger(place: ProofPlace, trusted: Sequence[NoteKey], rest: Callable[[], None]) -> Known:
    known = resume(place, trusted, rest)
    ledger = read_ledger(place, whole=False, rest=rest, begun=None if known is None else known.ledger)
    if known is None:
        known = Known(ledger, Closed.of(()), {})
    shown = _shown(place)
    if ledger.finding is not None:
        raise RecordDamagedError(f"the ledger `{ledger.finding.segment}` is not what was written")
    newest = ledger.heads[-1][0] if ledger.heads else None
    # It may be an older one, where the process died before it showed the newest.
    if shown is not None and (
        newest is None or shown.size > newest.size or (shown.size == newest.size and shown != newest)
    ):
        raise RecordDamagedError(f"the ledger of `{place.node}` does not hold the newest signed head")
    for text, leaves in ledger.segments.items():
        name, leaf = segment_name(text), leaves[-1][1]
        if leaf.state == "open" or name is None:
            known.stated[text] = leaf.records, leaf.root
        else:
            known.stated.pop(text, None)
            known.closed.add(name)
    return known


def _shown(place: ProofPlace) -> Checkpoint | None:
    if not place.checkpoint.exists():
        return None
    note = parse_note(place.checkpoint.read_text("utf-8", "replace"))
    checkpoint = None if note is None else parse_checkpoint(note.text)
    if checkpoint is None:
        raise RecordDamagedError(f"the newest signed head of `{place.node}` cannot be read")
    return checkpoint


def _handover(ledger: Ledger, signer: Signer, previous: Signer | None) -> tuple[Signer, ...]:
    """Who must sign the next turn besides the signer: the key before it, where the key is new."""
    if not ledger.keys or signer.key == ledger.keys[-1]:
        return ()
    if signer.key in ledger.keys:
        raise SettingsError(f"the signing key `{signer.key.id.hex()}` was replaced and does not come back")
    if previous is None or previous.key != ledger.keys[-1]:
        raise SettingsError(
            f"the ledger is signed with the key `{ledger.keys[-1].id.hex()}`, not with `{signer.key.id.hex()}`",
            next_step="name the key before this one as well, so that it signs for the new one",
        )
    return (previous,)
