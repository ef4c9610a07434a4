"""Damage by the thousand: any file of a whole state directory, in any of five ways; is it found, and is the file named?

    python -m tests.properties.flips --flips 2000 [--seed N]

One damage at a time, each found by one look of `pdp audit verify`; counted by kind of file and of damage. It ends with
exit code 1 where one was not found, and names it with what is needed to do it again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pdp.archive.pseudonymising import RuleSet
from pdp.archive.pseudonymising import carry_out as rewrite
from pdp.archive.pseudonymising import plan as rewriting
from pdp.archive.retention import Terms, carry_out, plan
from pdp.archive.store import LocalStore
from pdp.bundle_archive import BundleArchive
from pdp.commands.wholeness import Wholeness, examine
from pdp.declog.layout import Layout
from pdp.declog.record import encode_record, read_record
from pdp.privacy.masking import Masking
from pdp.privacy.old_records import OLD_RECORDS, text_of
from pdp.privacy.pseudonym import make_key_file
from pdp.proving import TRAIL
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from tests.properties.whole_log import whole_state
from tests.unit.archive.logs import Worker, record, some_records
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, Clock
from tests.unit.privacy.samples import PSEUDONYMS
from tests.unit.replaying.world import PLAIN, policy
from tests.unit.transparency.notaries import ORIGIN, anchored, notary_at, signer

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGES: Final = ("flip", "delete", "swap", "truncate", "duplicate")
_ACCIDENTS: Final = {"unsealed", "torn_tail", "retired", "missing_policy"}


def everything(root: Path) -> None:
    """Every kind of file that a state directory may hold of evidence, below `root/state`, and an anchor beside it."""
    state, anchor = root / "state", root / "anchor"
    whole_state(state, anchor)
    log, disk = state / "decisions", HastyDisk()
    store = LocalStore(log, disk=disk)
    policies = (policy("one"), PLAIN)
    for bundle in policies:
        BundleArchive(state / "bundles", disk=disk).keep(bundle)
    # So that its first segment is no longer its newest; and what is kept of policies has decided something.
    Worker(log, "w0", START, disk=disk).write([_under(bundle.digest, at) for at, bundle in enumerate(policies)])
    terms = Terms(12, 36, state / "archive")
    rules = RuleSet(Masking(OLD_RECORDS, PSEUDONYMS), text_of(OLD_RECORDS), PSEUDONYMS.epoch)
    with store.held():
        carry_out(store, plan(store, terms, START), terms, START)
        hold = store.manifest.holds()[0].id
        store.manifest.lift_hold(hold, by="auditor", now=START, reason="closed")
        rewrite(store, rewriting(store, 13, START), rules, START, "auditor")
    place = ProofPlace(log, "local")
    notary = Notary(Layout(log), place, signer(2), origin=ORIGIN, clock=Clock(START + timedelta(days=1)), disk=disk)
    try:
        anchored(anchor, notary.turn().note)
    finally:
        notary.close()
    _trail(state / "trail")
    make_key_file(state / "pseudonyms.key")


def _under(digest: str, number: int) -> bytes:
    return encode_record(structs.replace(read_record(record(START, 900 + number)), bundle_digest=digest))


def _trail(trail: Path) -> None:
    disk, clock = HastyDisk(), Clock()
    worker = Worker(trail, "c0", disk=disk)
    notary = notary_at(trail, key=signer(1, ORIGIN + TRAIL), origin=ORIGIN + TRAIL, clock=clock, disk=disk)
    try:
        for _ in range(2):
            worker.write(some_records(worker.clock.now, 3))
            worker.seal()
            notary.turn()
            clock.forward(seconds=1)
            worker.clock.forward(minutes=1)
    finally:
        notary.close()
    for name in ("start.lock", "local.c0.lock", "local.proof"):
        (trail / "locks" / name).touch(0o600)


class Known:
    """The sound state, and what was proven of it: a look at a copy derives only what differs."""

    def __init__(self) -> None:
        self._proven: set[object] = set()

    def look(self, root: Path) -> Wholeness:
        state = root / "state"
        return examine(
            state / "decisions",
            trail=state / "trail",
            anchors=[root / "anchor"],
            proven=self._proven,
            policies=state / "bundles",
            pseudonym_keys=state / "pseudonyms.key",
        )


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def kind_of(path: Path, root: Path) -> str:
    """`decisions/proof *.ledger` and the like."""
    place = path.relative_to(root).parent
    ending = path.name if path.suffix in ("", ".key") else f"*{''.join(path.suffixes[-1:])}"
    ending = f"*{'.recovery.json' if path.name.endswith('.recovery.json') else ending.removeprefix('*')}"
    if "damaged-" in path.name:
        ending = "*.damaged"
    return f"{place.as_posix().removeprefix('state/')} {ending}"


def names_of(path: Path) -> set[str]:
    return {path.name, f"{path.parent.name}/{path.name}", path.name.removesuffix(".ndjson").removesuffix(".open")}


def is_named(seen: Wholeness, path: Path) -> bool:
    """A break; of what is no evidence of its own, any finding: one more empty lock, a policy that is not kept."""
    empty = path.exists() and not path.stat().st_size
    lesser = (path.parent.name == "locks" or path.name.endswith("lock")) and empty
    lesser |= path.parent.name in ("bundles", "rows", "hourly", "tail")
    told = seen.findings if lesser else seen.breaks
    return bool(names_of(path) & {finding.segment for finding in told})


@dataclass(frozen=True, slots=True)
class Deed:
    """One damage: `names` are the files of which one must be named, `undo` puts all back as it was."""

    what: str
    names: tuple[Path, ...]
    told: str
    undo: Callable[[], None]


def do(what: str, path: Path, other: Path, random: Random) -> Deed | None:
    """None where it would change nothing, or is nothing to be found: a key for pseudonyms may be destroyed."""
    whole = path.read_bytes()
    if what == "delete":
        if path.name == "pseudonyms.key":
            return None
        path.unlink()
        return Deed(what, (path,), "", lambda: _put(path, whole))
    if what == "duplicate":
        twin = path.with_name(random.choice(("copy-", "x.")) + path.name)
        if path.parent.name == "state" or path.name == "anchor":
            return None
        shutil.copy(path, twin)
        return Deed(what, (twin,), twin.name, twin.unlink)
    if what == "swap":
        strange = other.read_bytes()
        if strange == whole:
            return None
        path.write_bytes(strange)
        other.write_bytes(whole)
        return Deed(what, (path, other), other.name, lambda: (_put(path, whole), _put(other, strange), None)[-1])
    if not whole:
        return None
    if what == "truncate":
        length = random.randrange(len(whole))
        if path.name == "anchor" and whole[:length].endswith((b"", b"\n")[bool(length)]):
            return None  # it only knows of fewer heads, as an older copy would
        path.write_bytes(whole[:length])
        told = str(length)
    else:
        at, bit = random.randrange(len(whole)), random.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        told = f"byte {at} bit {bit}"
    return Deed(what, (path,), told, lambda: _put(path, whole))


def _put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def found(seen: Wholeness, deed: Deed) -> bool:
    # A copy of a node's file under another node's name is that other node's, whose log is then not whole.
    alien = deed.what == "duplicate" and any(finding.segment.startswith("copy-local") for finding in seen.breaks)
    return alien or any(is_named(seen, path) for path in deed.names)


def run(root: Path, count: int, seed: int, until: float | None = None) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How many of each kind were done, and those that were not found. Ends early at the time `until`."""
    random, known, done, missed = Random(seed), Known(), Counter[tuple[str, str]](), []
    files = files_of(root)
    by_kind: dict[str, list[Path]] = {}
    for path in files:
        by_kind.setdefault(kind_of(path, root), []).append(path)
    sound = {finding.kind for finding in known.look(root).findings}
    if not sound <= _ACCIDENTS:
        missed.append(f"the sound state has findings: {sorted(sound - _ACCIDENTS)}")
    while sum(done.values()) < count and (until is None or time.monotonic() < until):
        kind = random.choice(sorted(by_kind))  # of each kind as many, however many files it has
        path, other = random.choice(by_kind[kind]), random.choice(files)
        deed = do(random.choice(DAMAGES), path, other, random) if other != path else None
        if deed is None:
            continue
        try:
            if not found(known.look(root), deed):
                missed.append(f"{deed.what} of {path.relative_to(root)} {deed.told}")
        finally:
            deed.undo()
        done[kind, deed.what] += 1
    return done, missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3_600.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        everything(root)
        done, missed = run(root, asked.flips, asked.seed, time.monotonic() + asked.seconds)
    say = sys.stdout.write
    say(f"{'file':<34}{''.join(f'{what:>11}' for what in DAMAGES)}\n")
    for kind in sorted({kind for kind, _ in done}):
        say(f"{kind:<34}{''.join(f'{done[kind, what]:>11}' for what in DAMAGES)}\n")
    say(f"{sum(done.values())} damages, {len(missed)} not found (seed {asked.seed})\n")
    for line in missed:
        say(f"not found: {line}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
