"""Which of our devices are meant, for many names at once, by the rules of every source (`pdp.sources.matching`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from pdp.directory.aliases import find_aliases
from pdp.directory.reading import read_aliases
from pdp.sources.matching import KnownNames, match, wanted_keys
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import Column, Connection

    from pdp.model.source import NameKind
    from pdp.sources.matching import Match

    Names = Mapping[NameKind, str]

_CHUNK: Final = 500  # names in one query


def match_devices(connection: Connection, asked: Sequence[tuple[Names, str]]) -> list[Match]:
    """For each (names, source): the device that they speak of, or why there is none."""
    keys = {key for names, source in asked for key in wanted_keys([names], source)}
    aliases = find_aliases(connection, keys)
    ids = _devices(connection, tables.devices.c.id, {n["id"] for n, _ in asked if "id" in n})
    shown = {_plain_sha256(n["certificate_sha256"]) for n, _ in asked if "certificate_sha256" in n}
    certificates = _devices(connection, tables.devices.c.certificate_sha256, shown)
    found = {*aliases.values(), *ids.values(), *certificates.values()}
    theirs = {key: alias.device for key, alias in read_aliases(connection, found).items()}  # for what contradicts
    known = KnownNames(ids, certificates, {**theirs, **aliases})
    return [match(names, known, source) for names, source in asked]


def _devices(connection: Connection, column: Column[str], values: Collection[str]) -> dict[str, str]:
    """The id of the registered device for each of these values of a column of its own."""
    return {
        value: id_
        for chunk in _chunks(sorted(values))
        for value, id_ in connection.execute(select(column, tables.devices.c.id).where(column.in_(chunk)))
    }


def _plain_sha256(text: str) -> str:
    return text.lower().replace(":", "")


def _chunks(values: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
