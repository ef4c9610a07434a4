"""Which of our devices a source's record speaks of. Pure.

INVARIANT (no stolen report): a record counts for a device only where none of its names belongs to another
device, and none of its hardware's own names contradicts what we know of that device. A private terminal
that takes the host name of a managed one does not report on its behalf.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pdp.directory.aliases import alias_key, plain_name, split_key, vendor_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pdp.model.source import NameKind

# The maker's numbers: they stay with the terminal for life. Host names, tags and enrolments change.
HARDWARE: Final[frozenset[str]] = frozenset({"serial", "udid"})
Why = Literal["matched", "unknown", "ambiguous", "contradicted", "nameless"]


@dataclass(frozen=True, slots=True)
class Match:
    """`device` only where `why` is `matched`. `candidates`: every device that a name of the record points at."""

    why: Why
    device: str | None = None
    candidates: frozenset[str] = frozenset()


@dataclass(slots=True)
class KnownNames:
    """What the directory calls its devices. `aliases`: alias key to device (`pdp.directory.aliases`)."""

    ids: Collection[str]
    certificates: Mapping[str, str]
    aliases: Mapping[str, str]
    _hardware: dict[tuple[str, str], set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._hardware = defaultdict(set)
        for key, device in self.aliases.items():
            kind, name = split_key(key)
            if kind in HARDWARE:
                self._hardware[device, kind].add(name)

    def find(self, kind: NameKind, name: str, source: str) -> str | None:
        """The device of this name."""
        if kind == "id":
            return name if name in self.ids else None
        if kind == "certificate_sha256":
            return self.certificates.get(name.lower().replace(":", ""))
        key = key_of(kind, name, source)
        return None if key is None else self.aliases.get(key)

    def contradicts(self, device: str, names: Mapping[NameKind, str]) -> bool:
        """Whether the record gives another maker's number than the one that we know of this device."""
        for kind in HARDWARE & names.keys():
            known = self._hardware.get((device, kind))
            plain = plain_name(names[kind])  # type: ignore[index]  # found among its keys
            if known and plain is not None and plain not in known:
                return True
        return False


def key_of(kind: NameKind, name: str, source: str) -> str | None:
    """The alias key under which this name of this source is kept."""
    return alias_key(kind, vendor_name(source, name) if kind == "vendor_id" else name)


def match(
    names: Mapping[NameKind, str], known: KnownNames, source: str, match_by: Collection[NameKind] | None = None
) -> Match:
    """The device that these names speak of. `match_by`: the only kinds that may find one; None: all."""
    used = {kind: name for kind, name in names.items() if match_by is None or kind in match_by}
    if not any(kind in _OWN or key_of(kind, name, source) for kind, name in used.items()):
        return Match("nameless")
    found = {device for kind, name in used.items() if (device := known.find(kind, name, source)) is not None}
    if not found:
        return Match("unknown")
    candidates = frozenset(found)
    if len(found) > 1:
        return Match("ambiguous", candidates=candidates)
    (device,) = found
    if known.contradicts(device, names):
        return Match("contradicted", candidates=candidates)
    return Match("matched", device, candidates)


def wanted_keys(names: Iterable[Mapping[NameKind, str]], source: str) -> set[str]:
    """Every alias key that matching these records may ask for."""
    keys = (key_of(kind, name, source) for these in names for kind, name in these.items() if kind not in _OWN)
    return {key for key in keys if key is not None}


_OWN: Final = ("id", "certificate_sha256")
