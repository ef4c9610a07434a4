"""What `pdp audit verify` finds beside the logs: archived policies and the keys for pseudonyms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pdp.archive.inspection import lock_findings
from pdp.archive.store import LocalStore
from pdp.declog.layout import OPEN, SEALED
from pdp.declog.verify import Finding
from pdp.errors import NotReadyError, SettingsError
from pdp.privacy.pseudonym import read_pseudonyms
from pdp.transparency.aside import of_nobody
from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLICY: Final = re.compile(r"([0-9a-f]{64})\.json", re.ASCII)
_PUT_ASIDE: Final = re.compile(r"[0-9a-f]{64}\.damaged-([0-9a-f]{16})", re.ASCII)
_NAMED: Final = re.compile(rb'"bundle_digest":"([0-9a-f]{64})"', re.ASCII)


def policy_findings(policies: Path, log: Path) -> Iterator[Finding]:
    """Each archived policy by the digest that is its name; those that decided here and are not kept. Raises OSError."""
    if not policies.is_dir():
        return
    kept = set()
    for path in sorted(policies.iterdir()):
        policy, aside = _POLICY.fullmatch(path.name), _PUT_ASIDE.fullmatch(path.name)
        if policy is not None:
            kept.add(policy[1])
            if digest_of(path) != policy[1]:
                yield Finding(path.name, "damaged_policy")
        elif aside is not None:
            yield Finding(path.name, "left_over" if digest_of(path).startswith(aside[1]) else "stray_file")
        elif path.name != "lock" and path.exists():
            yield of_nobody(path.name, lambda name: _POLICY.fullmatch(name) is not None)
    yield from lock_findings(policies / "lock", needed=bool(kept))
    for digest in sorted(_named(log) - kept):
        yield Finding(f"{digest}.json", "missing_policy")


def _named(log: Path) -> set[str]:
    """The policies that records of this log name, as far as they can be read."""
    store = LocalStore(log)
    found: set[str] = set()
    try:
        files = store.manifest.files() if store.manifest.exists() else []
        stored = {str(segment.name) for file in files for segment in store.manifest.segments_of(file.name)}
    except NotReadyError:  # a finding of its own
        files, stored = [], set()
    for file in files:
        try:
            table = pq.read_table(store.rows_path(file), columns=["bundle_digest"], partitioning=None)
            named = pc.unique(table["bundle_digest"]).to_pylist()
        except Exception:  # noqa: BLE001, S112  # as well: what was altered fails every reader in its own way
            continue
        found.update(raw.hex() for raw in named if isinstance(raw, bytes))
    for path in sorted(store.layout.segments.iterdir()):
        if path.name.removesuffix(OPEN).removesuffix(SEALED) not in stored:
            with path.open("rb") as lines:
                found.update(match[1].decode() for line in lines for match in _NAMED.finditer(line))
    return found


def pseudonym_findings(keys: Path | None) -> Iterator[Finding]:
    """Whether the keys for pseudonyms are what was written. Where there are none, that is told nowhere."""
    if keys is None or not keys.exists():
        return
    try:
        read_pseudonyms(keys)
    except SettingsError:
        yield Finding(keys.name, "damaged_keys")
