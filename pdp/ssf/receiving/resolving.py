"""From the names in an event to ours: people, sessions, tokens and devices, as far as this stream may touch them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, select

from pdp.identity.revocations import EVERY, MAX_ID
from pdp.posture.naming import match_devices
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from pdp.model.issuer import Issuer
    from pdp.model.signal_stream import SignalStream
    from pdp.ssf.subjects import Simple

SOURCE_PREFIX: Final = "ssf:"  # so that no stream speaks with the name of a connector, a caller or an import


_ADDRESSES: Final = ("email", "account")  # whose capital letters say nothing to a mail server


class Named(NamedTuple):
    """A name that a mark can be made for: what was issued by `issuer`, or, where it is empty, by anybody."""

    id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Found:
    """`ids` of a register; `marks` for revocations. `fault`: why there is nothing, in a word of the record."""

    ids: tuple[str, ...] = ()
    marks: tuple[Named, ...] = ()
    fault: str = ""


class Resolver:
    """Finds whom one stream speaks of, within a transaction of the caller."""

    def __init__(self, stream: SignalStream, issuers: Mapping[str, Issuer]) -> None:
        """`issuers`: those whose tokens count here, by name."""
        self._stream = stream
        self._issuers = issuers
        self._domains = frozenset(domain.lower() for domain in stream.email_domains)

    def users(self, connection: Connection, names: tuple[Simple, ...]) -> Found:
        """People of the directory. A `sub` of an issuer of ours is marked, known to the directory or not."""
        marks: dict[Named, None] = {}
        ids: dict[str, None] = {}
        elsewhere = False
        for name in names:
            id_, mark = self._person(name)
            rows = _rows(connection, id_, any_case=name.format in _ADDRESSES)
            ours = [row for row, organisation in rows if self._may_touch(organisation)]
            elsewhere = elsewhere or len(ours) < len(rows) or (not rows and bool(self._stream.organisations))
            ids |= dict.fromkeys(ours)
            if mark is None:
                marks |= dict.fromkeys(Named(row, EVERY) for row in ours)
            elif ours or not (rows or self._stream.organisations):
                marks[mark] = None
        if not marks:
            return Found(fault="other_organisation" if elsewhere else "subject_unknown")
        return Found(tuple(ids), tuple(marks))

    def _person(self, name: Simple) -> tuple[str, Named | None]:
        """(the id that it has in the directory, or "", the name that its tokens have, where that is known)."""
        if name.format == "iss_sub":
            whose, sub = name.values
            issuer = self._issuers.get(whose)
            if issuer is None or len(sub) > MAX_ID:
                return "", None
            return sub if issuer.subject_claim == "sub" else "", Named(sub, whose)
        if name.format == "opaque":
            return name.values[0], None
        if name.format in _ADDRESSES:
            address = name.values[0].removeprefix("acct:")
            local, _, domain = address.rpartition("@")
            return local if domain.lower() in self._domains else address, None
        return "", None

    def _may_touch(self, organisation: str) -> bool:
        return not self._stream.organisations or organisation in self._stream.organisations

    def sessions(self, names: tuple[Simple, ...]) -> Found:
        """Ids of sessions, as marks can be made for."""
        whose = self._stream.issuer if self._stream.issuer in self._issuers else EVERY
        marks = [Named(one.values[-1], whose) for one in names if one.format in ("opaque", "iss_sub")]
        marks = [mark for mark in marks if len(mark.id) <= MAX_ID]
        return Found(marks=tuple(marks), fault="" if marks else "subject_unknown")

    def tokens(self, names: tuple[Simple, ...]) -> Found:
        """Tokens of issuers of ours, by `jti`."""
        marks = [Named(jti, whose) for whose, jti in (one.values for one in names) if whose in self._issuers]
        marks = [mark for mark in marks if len(mark.id) <= MAX_ID]
        return Found(marks=tuple(marks), fault="" if marks else "subject_unknown")

    def devices(self, connection: Connection, names: tuple[Simple, ...]) -> Found:
        """The one device that these names mean, by whatever the stream's names are in the directory."""
        values = [one.values[-1] for one in names if one.format in ("iss_sub", "opaque")]
        source = SOURCE_PREFIX + self._stream.name
        asked = [({kind: value}, source) for value in values for kind in self._stream.device_names]
        found = {match.device for match in match_devices(connection, asked) if match.device is not None}
        if len(found) != 1:
            return Found(fault="subject_ambiguous" if found else "subject_unknown")
        (device,) = found
        if self._stream.organisations:
            rows = tables.devices.c
            owner = connection.execute(select(rows.owner).where(rows.id == device)).scalar_one()
            if not any(self._may_touch(organisation) for _, organisation in _rows(connection, owner or "")):
                return Found(fault="other_organisation")
        return Found((device,))


def _rows(connection: Connection, id_: str, *, any_case: bool = False) -> list[tuple[str, str]]:
    """(id, organisation) of the person of this id. `any_case`: else of those whose ids differ in capitals alone."""
    if not id_:
        return []
    users = tables.users.c
    query = select(users.id, users.organisation)
    rows = connection.execute(query.where(users.id == id_)).all()
    if not rows and any_case:
        rows = connection.execute(query.where(func.lower(users.id) == id_.lower())).all()
    return [(row.id, row.organisation) for row in rows]
