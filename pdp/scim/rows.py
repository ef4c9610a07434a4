"""The queries over what one tenant brought, within the caller's transaction. Another tenant's rows are never seen."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from scim2_models import InvalidValueException, NotFoundException
from sqlalchemy import bindparam, delete, func, insert, select, update

from pdp.scim import limits
from pdp.scim.documents import Membership, Stored, decoded
from pdp.scim.membership import Member
from pdp.scim.people import chunks
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Table

    from pdp.scim.membership import MemberChanges

USERS: Final = tables.scim_users
GROUPS: Final = tables.scim_groups
MEMBERS: Final = tables.scim_members
TABLES: Final[Mapping[str, Table]] = {"User": USERS, "Group": GROUPS}
_COUNTS: Final = {
    type_: select(func.count()).select_from(table).where(table.c.tenant == bindparam("tenant"))
    for type_, table in TABLES.items()
}


class Rows:
    """The rows of `tenant` by the name of their resource type."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self.connection = connection
        self._tenant = tenant

    def mine(self, type_: str) -> ColumnElement[bool]:
        return TABLES[type_].c.tenant == self._tenant

    def find(self, type_: str, id_: str) -> Stored:
        """Raises NotFoundException, for a row of another tenant too."""
        found = next(self.several(type_, [id_]), None)
        if found is None:
            raise NotFoundException(detail=f"there is no {type_} with this id")
        return found

    def several(self, type_: str, ids: Sequence[str]) -> Iterator[Stored]:
        """In the order of their ids."""
        for chunk in chunks(ids):
            yield from self.where(type_, TABLES[type_].c.id.in_(chunk))

    def where(self, type_: str, *conditions: ColumnElement[bool]) -> Iterator[Stored]:
        """In the order of their ids, which is that in which they were made."""
        c = TABLES[type_].c
        query = select(c.id, c.version, c.created_at, c.changed_at, c.document)
        for row in self.connection.execute(query.where(self.mine(type_), *conditions).order_by(c.id)):
            yield Stored(type_, *row)

    def ids(self, type_: str, *conditions: ColumnElement[bool]) -> list[str]:
        c = TABLES[type_].c
        query = select(c.id).where(self.mine(type_), *conditions).order_by(c.id)
        return list(self.connection.execute(query).scalars())

    def count(self, type_: str) -> int:
        found: int = self.connection.execute(_COUNTS[type_], {"tenant": self._tenant}).scalar_one()
        return found

    def put(self, row: Stored, columns: Mapping[str, Any], *, new: bool) -> None:
        """Write the row. `columns` are those of `documents.user_columns` or `group_columns`, and `user_id`."""
        table = TABLES[row.type]
        values = {**columns, "version": row.version, "changed_at": row.changed_at}
        if new:
            fixed = {"id": row.id, "tenant": self._tenant, "created_at": row.created_at}
            self.connection.execute(insert(table), {**fixed, **values})
        else:
            self.connection.execute(update(table).where(table.c.id == row.id, self.mine(row.type)).values(values))

    def remove(self, type_: str, id_: str, now: datetime) -> None:
        """The row, and its place in every group; members of a group go by cascade."""
        of_groups = select(MEMBERS.c.group_id).where(MEMBERS.c.member_id == id_)
        changed = update(GROUPS).where(self.mine("Group"), GROUPS.c.id.in_(of_groups))
        self.connection.execute(changed.values(version=GROUPS.c.version + 1, changed_at=now))
        self.connection.execute(delete(MEMBERS).where(MEMBERS.c.member_id == id_))
        self.connection.execute(delete(TABLES[type_]).where(TABLES[type_].c.id == id_, self.mine(type_)))

    def members(self, group_ids: Sequence[str]) -> dict[str, list[Member]]:
        """By group, in the order of their ids."""
        found: dict[str, list[Member]] = defaultdict(list)
        c = MEMBERS.c
        for chunk in chunks(group_ids):
            query = select(c.group_id, c.member_id, c.type, c.display).where(c.group_id.in_(chunk))
            for group_id, *member in self.connection.execute(query.order_by(c.group_id, c.member_id)):
                found[group_id].append(Member(*member))
        return found

    def sizes(self, group_ids: Sequence[str]) -> dict[str, int]:
        """How many members each group has; groups without any are not there."""
        found: dict[str, int] = {}
        for chunk in chunks(group_ids):
            query = select(MEMBERS.c.group_id, func.count()).where(MEMBERS.c.group_id.in_(chunk))
            found.update((id_, size) for id_, size in self.connection.execute(query.group_by(MEMBERS.c.group_id)))
        return found

    def memberships(self, user_ids: Sequence[str]) -> dict[str, list[Membership]]:
        """The groups that these users are direct members of, by user."""
        found: dict[str, list[Membership]] = defaultdict(list)
        for chunk in chunks(user_ids):
            query = (
                select(MEMBERS.c.member_id, GROUPS.c.id, GROUPS.c.document)
                .join_from(MEMBERS, GROUPS)
                .where(MEMBERS.c.member_id.in_(chunk), self.mine("Group"))
            )
            for member_id, group_id, document in self.connection.execute(query.order_by(GROUPS.c.id)):
                found[member_id].append(Membership(group_id, _display_name(document)))
        return found

    def change_members(self, group_id: str, changes: MemberChanges) -> set[str]:
        """Apply them; the ids of those who came or went. Raises InvalidValueException for members that do not exist."""
        held = {member.id for member in self.members([group_id]).get(group_id, ())}
        gone = (held - changes.add.keys()) if changes.everybody else held & changes.remove
        new = [member for id_, member in changes.add.items() if id_ not in held]
        if len(held) - len(gone) + len(new) > limits.MEMBERS:
            raise InvalidValueException(detail=f"a group has at most {limits.MEMBERS} members")
        self._remove_members(group_id, gone)
        self._add_members(group_id, new)
        return gone | {member.id for member in new}

    def _remove_members(self, group_id: str, ids: Collection[str]) -> None:
        for chunk in chunks(ids):
            these = (MEMBERS.c.group_id == group_id) & MEMBERS.c.member_id.in_(chunk)
            self.connection.execute(delete(MEMBERS).where(these))

    def _add_members(self, group_id: str, members: Sequence[Member]) -> None:
        types = self._types([member.id for member in members])
        rows = []
        for member in members:
            type_ = types.get(member.id)
            if type_ is None or member.id == group_id or (member.type or type_).casefold() != type_.casefold():
                raise InvalidValueException(detail=f"there is no such member `{member.id[: limits.ID_CHARACTERS]}`")
            rows.append({"group_id": group_id, "member_id": member.id, "type": type_, "display": member.display})
        if rows:
            self.connection.execute(insert(MEMBERS), rows)

    def _types(self, ids: Sequence[str]) -> dict[str, str]:
        """Of those that exist for this tenant: User or Group."""
        found: dict[str, str] = {}
        for type_, table in TABLES.items():
            for chunk in chunks(ids):
                query = select(table.c.id).where(self.mine(type_), table.c.id.in_(chunk))
                found.update((id_, type_) for id_ in self.connection.execute(query).scalars())
        return found


def users_among(rows: Rows, ids: Iterable[str]) -> list[str]:
    """Those of the ids that are users."""
    listed = list(ids)
    return [id_ for chunk in chunks(listed) for id_ in rows.ids("User", USERS.c.id.in_(chunk))]


def _display_name(document: str) -> str:
    return str(decoded(document).get("displayName", ""))
