"""Which revocations are new (`pdp.identity.revocations`), held against those that were told. Pure.

A mark that another house's event made is told on, once. INVARIANT (no echo): a session and a token end for good, so
their mark is told when it is first seen and never again, and a subject's mark only where it moved on. Two houses that
tell each other of everything therefore fall silent.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from pdp.ssf.sending.happenings import of_mark
from pdp.ssf.sending.naming import Account, Person, Session, Token
from pdp.ssf.sending.watching import Row
from pdp.store.columns import instant_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from pdp.identity.revocations import Mark
    from pdp.ssf.sending.naming import About


def new_marks(told: Mapping[str, str], marks: Iterable[Mark], users: Container[str]) -> tuple[list[Row], list[str]]:
    """What has to be told, the oldest first, and the keys of marks that are no more. `users`: ids of the directory."""
    rows: list[Row] = []
    seen: set[str] = set()
    for mark in sorted(marks, key=lambda one: (one.not_before, one.kind, one.id, one.issuer)):
        key = key_of(mark)
        seen.add(key)
        held = told.get(key)
        if held is not None and (mark.kind != "subject" or datetime.fromisoformat(held) >= mark.not_before):
            continue
        happenings = of_mark(_about(mark, users), mark.not_before)
        rows.append(Row("mark", key, instant_text(mark.not_before), tuple(happenings)))
    return rows, sorted(told.keys() - seen)


def key_of(mark: Mark) -> str:
    """Which mark it is: 64 hexadecimal digits, whatever its parts are."""
    return sha256(f"{mark.kind}\0{mark.id}\0{mark.issuer}".encode()).hexdigest()


def _about(mark: Mark, users: Container[str]) -> About:
    if mark.kind == "session":
        return Session(mark.id)
    if mark.kind == "token":
        return Token(mark.id, mark.issuer)
    return Person(mark.id, mark.issuer) if mark.id in users else Account(mark.id, mark.issuer)
