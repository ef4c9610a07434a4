"""Drafts, their checks and their approval: everything up to the moment at which a revision may be activated.

Each method is one transaction, and blocks. Each checks by what right it is asked, in this order: the role, the state,
and then whether this person may do it to this revision.

INVARIANT (two persons): what is approved was written by others than who approves it, under whatever names, and an
approval counts for the very contents that it was given for.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, insert, select

from pdp.errors import BadRequestError, ConflictError, NotPermittedError
from pdp.revisions.allowed import steps_for
from pdp.revisions.approval_seal import seal_of
from pdp.revisions.files import bundle_of, check_files, decode_files, encode_files
from pdp.revisions.revision import BUNDLE_GATE, Approval, Detail, GateResult, HistoryEntry, Revision
from pdp.revisions.rows import (
    Said,
    approvals_of,
    authors_of,
    begin,
    checked_reason,
    enter,
    gates_of,
    history_of,
    newest_epoch,
    put_text,
    remember,
    revision_at,
    revision_of,
    standing,
    take,
    text_of,
)
from pdp.revisions.sealing import Sealing
from pdp.revisions.states import after
from pdp.revisions.warning import checked_days, no_former
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from sqlalchemy import Connection

    from pdp.revisions.files import Files
    from pdp.revisions.person import People, Person
    from pdp.revisions.states import State, Step
    from pdp.store.store import Store

MAX_PAGE: Final = 200
ENDORSERS: Final = 2  # persons beside the author, for an emergency
_OWN_WORK: Final = "nobody approves what they wrote themselves, under whatever name"


class Revisions:
    """The register of revisions in the control database. `people`: which names are one person.

    `sealing` signs for the approvals that are given here, where a key is.
    """

    def __init__(self, store: Store, people: People, sealing: Sealing | None = None, *, warn_max_days: int = 0) -> None:
        self._store = store
        self._people = people
        self._sealing = sealing or Sealing()
        self._warn_max_days = warn_max_days

    def create(
        self, person: Person, files: Mapping[str, Any], reason: str, now: datetime, *, parent: int | None = None
    ) -> Revision:
        """A new draft. `parent`: the revision that it was made from.

        Raises BadRequestError where the files make no bundle, NotFoundError where there is no such parent.
        """
        person.require("create")
        said, held = checked_reason(reason), check_files(files)
        bundle = bundle_of(held)
        with self._store.write() as connection:
            begin(connection)
            if parent is not None:
                revision_at(connection, parent)
            values = {
                "name": bundle.revision,
                "profile": bundle.profile,
                "digest": put_text(connection, bundle.canonical, now),
                "source_digest": put_text(connection, encode_files(held), now),
                "state": "draft",
                "author": person.id,
                "reason": said,
                "parent": parent,
                "round": 1,
                "emergency": False,
                "warn_days": 0,
                "created_at": now,
                "changed_at": now,
            }
            made = enter(connection, values)
            remember(connection, _first(made, now))
        return made

    def edit(  # noqa: PLR0913  # who, what, why, when and against what
        self, person: Person, number: int, files: Mapping[str, Any], reason: str, now: datetime, *, source_digest: str
    ) -> Revision:
        """Other contents for a draft. `source_digest`: of the contents that they were made from.

        Raises ConflictError where somebody else has changed them meanwhile.
        """
        person.require("edit")
        said, held = checked_reason(reason), check_files(files)
        bundle = bundle_of(held)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            _require_contents(revision, source_digest)
            changes = {
                "name": bundle.revision,
                "profile": bundle.profile,
                "digest": put_text(connection, bundle.canonical, now),
                "source_digest": put_text(connection, encode_files(held), now),
            }
            details = {"digest": changes["digest"], "source_digest": changes["source_digest"]}
            again = {"round": revision.round + 1}
            return take(connection, revision, "edit", Said(person.id, now, said, details), **changes, **again)

    def keep_gates(
        self, person: Person, number: int, source_digest: str, results: Sequence[GateResult], now: datetime
    ) -> Revision:
        """What the gates found in these contents. Checked is what every gate let through, or had nothing to say of.

        Raises ConflictError where the contents are others by now.
        """
        passed = _all_passed(results)
        person.require("pass")
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            _require_contents(revision, source_digest)
            step: Step = "pass" if passed else "fail"
            details = {result.name: result.result for result in results}
            found = take(connection, revision, step, Said(person.id, now, "checked", details))
            _write_gates(connection, found, results, now)
        return found

    def submit(self, person: Person, number: int, reason: str, now: datetime, *, warn_days: int = 0) -> Revision:
        """Ask for the approval of a checked revision, with a time of warning where `warn_days` is not 0.

        Raises ConflictError for a time of warning where nothing was ever activated: there is nobody to warn.
        """
        person.require("submit")
        said, days = checked_reason(reason), checked_days(warn_days, self._warn_max_days)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            if days and revision.profile != "zta":
                raise BadRequestError("only a policy of profile `zta` can warn before it refuses")
            if days and not newest_epoch(connection):
                raise no_former()
            details = {"warn_days": days} if days else {}
            return take(connection, revision, "submit", Said(person.id, now, said, details), warn_days=days)

    def withdraw(self, person: Person, number: int, reason: str, now: datetime) -> Revision:
        """Take it back to work on it; approvals that it has count no longer."""
        return self._simple(person, number, "withdraw", reason, now, again=True)

    def discard(self, person: Person, number: int, reason: str, now: datetime) -> Revision:
        """Give it up for good. It stays in the history."""
        return self._simple(person, number, "discard", reason, now)

    def reject(self, person: Person, number: int, reason: str, now: datetime) -> Revision:
        """Send it back to its author, also after an approval or from the schedule."""
        return self._simple(person, number, "reject", reason, now, again=True)

    def approve(
        self, person: Person, number: int, reason: str, now: datetime, *, source_digest: str | None = None
    ) -> Revision:
        """The second person's word. `source_digest`: of the contents that they have looked at.

        Raises NotPermittedError for whoever wrote any of it, ConflictError where the contents are others.
        """
        person.require("approve")
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            after(revision.state, "approve")
            self._require_other(connection, revision, person, source_digest)
            word = Said(person.id, now, said, {"digest": revision.digest})
            self._write_approval(connection, revision, "approve", word)
            return take(connection, revision, "approve", word)

    def endorse(
        self, person: Person, number: int, reason: str, now: datetime, *, source_digest: str | None = None
    ) -> Revision:
        """One of the two further persons of an emergency; the second one's word approves, whatever the gates say.

        All but the gate `bundle`: what does not load helps nobody. Raises as `approve`.
        """
        person.require("endorse")
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            after(revision.state, "endorse")
            self._require_other(connection, revision, person, source_digest)
            gates = {gate.name: gate.result for gate in gates_of(connection, revision)}
            if gates.get(BUNDLE_GATE) != "passed":
                raise ConflictError(
                    "it has not been shown that this revision loads", next_step="check it first, also in an emergency"
                )
            self._write_approval(connection, revision, "endorse", Said(person.id, now, said))
            word = [approval.by for approval in standing(connection, revision)]
            if self._people.count(word) >= ENDORSERS:
                return take(connection, revision, "endorse", Said(person.id, now, said, {"by": word}), emergency=True)
            state = revision.state
            remember(connection, HistoryEntry(number, now, person.id, "endorse", state, state, said, {"by": word}))
            return revision

    def all(self, states: Collection[State] = (), *, before: int | None = None, size: int = 50) -> tuple[Revision, ...]:
        """Revisions, the newest first; `before`: the last number of the page before."""
        table = tables.policy_revisions
        query = select(table).order_by(table.c.number.desc()).limit(min(size, MAX_PAGE))
        if states:
            query = query.where(table.c.state.in_(states))
        if before is not None:
            query = query.where(table.c.number < before)
        with self._store.read() as connection:
            return tuple(revision_of(row) for row in connection.execute(query))

    def detail(self, number: int) -> Detail:
        """Raises NotFoundError."""
        with self._store.read() as connection:
            revision = revision_at(connection, number)
            return Detail(
                revision,
                history_of(connection, number),
                approvals_of(connection, revision),
                gates_of(connection, revision),
                authors_of(connection, number),
            )

    def may(self, person: Person, detail: Detail) -> tuple[Step, ...]:
        """What this person may do with it next, under whatever name they are its author."""
        return steps_for(person, detail, self._people)

    def files(self, number: int) -> tuple[Revision, Files]:
        """All files of a revision. Raises NotFoundError, RecordDamagedError where they are not what was kept."""
        with self._store.read() as connection:
            revision = revision_at(connection, number)
            return revision, decode_files(text_of(connection, revision.source_digest), revision.source_digest)

    def _simple(  # noqa: PLR0913  # who, what, why and when
        self,
        person: Person,
        number: int,
        step: Any,
        reason: str,
        now: datetime,
        *,
        again: bool = False,
    ) -> Revision:
        """A step that needs a role and the state alone. `again`: it begins a new round."""
        person.require(step)
        said = checked_reason(reason)
        with self._store.write() as connection:
            begin(connection)
            revision = revision_at(connection, number)
            changes: dict[str, Any] = {}
            if again:
                changes = {"round": revision.round + 1, "emergency": False, "scheduled_at": None, "scheduled": None}
                changes["warn_days"] = 0  # it is asked for anew, with the next round
            return take(connection, revision, step, Said(person.id, now, said), **changes)

    def _require_other(
        self, connection: Connection, revision: Revision, person: Person, source_digest: str | None
    ) -> None:
        if source_digest is not None:
            _require_contents(revision, source_digest)
        if self._people.among(person.id, authors_of(connection, revision.number)):
            raise NotPermittedError(_OWN_WORK, next_step="ask another approver")
        if self._people.among(person.id, (approval.by for approval in standing(connection, revision))):
            raise ConflictError("this person has approved it already", next_step="a further person is needed")

    def _write_approval(
        self, connection: Connection, revision: Revision, kind: Literal["approve", "endorse"], said: Said
    ) -> None:
        given = Approval(
            revision.number,
            revision.round,
            said.by,
            said.at,
            kind,
            said.reason,
            revision.digest,
            revision.source_digest,
        )
        authors = authors_of(connection, revision.number)
        seal = seal_of(given, revision.warn_days, authors, self._sealing.own())
        connection.execute(insert(tables.policy_approvals), {**asdict(given), "seal": seal})


def _first(made: Revision, now: datetime) -> HistoryEntry:
    details = {"digest": made.digest, "source_digest": made.source_digest, "parent": made.parent}
    return HistoryEntry(made.number, now, made.author, "create", None, "draft", made.reason, details)


def _require_contents(revision: Revision, source_digest: str) -> None:
    if revision.source_digest != source_digest:
        raise ConflictError("the contents of the revision are others by now", next_step="look at them, and try again")


def _all_passed(results: Sequence[GateResult]) -> bool:
    """INVARIANT (an empty set of checks fails): at least the bundle itself was looked at, and nothing failed."""
    found = {result.name: result.result for result in results}
    return found.get(BUNDLE_GATE) == "passed" and "failed" not in found.values()


def _write_gates(connection: Connection, revision: Revision, results: Sequence[GateResult], now: datetime) -> None:
    gates = tables.policy_gates
    connection.execute(
        delete(gates).where(gates.c.number == revision.number, gates.c.round == revision.round)
    )  # the former results stand in the history, as words
    rows = [
        {
            "number": revision.number,
            "round": revision.round,
            "name": result.name,
            "source_digest": revision.source_digest,
            "result": result.result,
            "summary": result.summary,
            "details": json.dumps(dict(result.details), ensure_ascii=False, sort_keys=True),
            "at": now,
        }
        for result in results
    ]
    if rows:
        connection.execute(insert(gates), rows)
