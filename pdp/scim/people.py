"""The people whom a tenant brought, as rows of the directory: made, changed, disabled and taken away again.

INVARIANT (one transaction): whatever is written here is written in the transaction of the SCIM request itself.
INVARIANT (one source): a tenant writes only rows that it owns (`source_users`), or that nobody owns and that it may
adopt; devices, permits and everything else of the directory it cannot reach.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scim2_models import InvalidValueException, UniquenessException
from sqlalchemy import bindparam, insert, select, union_all, update

from pdp.directory.reading import read_users
from pdp.directory.rows import Reader
from pdp.scim.documents import decoded
from pdp.scim.person import GroupName, NoIdError, merged, parted, person_of
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import BindParameter, Connection

    from pdp.directory.changes import Change
    from pdp.model.directory import User
    from pdp.model.provisioning import ScimTenant
    from pdp.scim.person import Person

_USERS: Final = tables.scim_users
_GROUPS: Final = tables.scim_groups
_MEMBERS: Final = tables.scim_members
_OWNERS: Final = tables.source_users
_CHUNK: Final = 500  # ids in one query, below every limit of parameters

# Queries that a provisioner causes thousands of times are built once.
_AMONG: Final[BindParameter[Any]] = bindparam("among", expanding=True)
_ROWS_OF: Final = (
    select(_USERS.c.id, _USERS.c.user_id, _USERS.c.granted, _USERS.c.document)
    .where(_USERS.c.tenant == bindparam("tenant"), _USERS.c.id.in_(_AMONG))
    .order_by(_USERS.c.id)
)
_OWNERS_OF: Final = select(_OWNERS.c.user_id, _OWNERS.c.source).where(_OWNERS.c.user_id.in_(_AMONG))
_GROUPS_OF: Final = (
    select(_MEMBERS.c.member_id, _GROUPS.c.external_id, _GROUPS.c.display_name_key)
    .join_from(_MEMBERS, _GROUPS)
    .where(_MEMBERS.c.member_id.in_(_AMONG))
    .order_by(_MEMBERS.c.group_id)
)


def source_name(tenant: str) -> str:
    """The name under which a tenant owns people, beside the connectors' own names."""
    return f"scim:{tenant}"


class _Row(NamedTuple):
    id: str
    user_id: str
    granted: tuple[str, ...]
    document: str


class People:
    """The people of one tenant within one change of the directory."""

    def __init__(self, change: Change, tenant: str, settings: ScimTenant) -> None:
        self._change = change
        self._connection = change.connection
        self._tenant = tenant
        self._source = source_name(tenant)
        self._settings = settings

    def settle(self, ids: Collection[str]) -> None:
        """Bring the directory in line with these SCIM users as they are stored now.

        Raises UniquenessException where a person belongs to another source, InvalidValueException where one has no
        usable id.
        """
        for chunk in chunks(sorted(ids)):
            self._settle(_rows(self._connection, self._tenant, chunk))

    def settle_new(self, id_: str, person: str, document: str) -> None:
        """As `settle`, of one SCIM user who was made in this transaction, and so is in no group yet."""
        self._settle([_Row(id_, person, (), document)], grouped=False)

    def settle_all(self) -> None:
        """Everybody: after the settings changed. Raises as `settle`, and where one person would take another's id."""
        mine = select(_USERS.c.id).where(_USERS.c.tenant == self._tenant)
        ids = self._connection.execute(mine).scalars().all()
        self._check_moves(ids)
        self.settle(ids)

    def part(self, user_id: str, granted: Collection[str]) -> None:
        """The source has no such person any more. Whom devices or permits name is ended, anybody else removed."""
        held = read_users(self._connection, Reader(), [user_id]).get(user_id)
        if held is None or self._owners([user_id]).get(user_id) != self._source:
            return
        if _is_named(self._connection, user_id):
            self._change.replace("users", {user_id: parted(held, granted)})
        else:
            self._change.remove("users", {user_id: held})

    def _settle(self, rows: Sequence[_Row], *, grouped: bool = True) -> None:
        groups = self._groups([row.id for row in rows]) if grouped else {}
        people = [self._person(row, groups.get(row.id, ())) for row in rows]
        ids = [person.id for person in people]
        held = read_users(self._connection, Reader(), ids)
        owners = self._owners(ids)
        added: dict[str, User] = {}
        changed: dict[str, User] = {}
        for row, person in zip(rows, people, strict=True):
            self._may_write(person.id, owners, is_held=person.id in held)
            before = held.get(person.id)
            after = merged(before, person, row.granted if row.user_id == person.id else (), self._settings)
            if before is None:
                added[person.id] = after
            elif after != before:
                changed[person.id] = after
        self._change.add("users", added)
        self._change.replace("users", changed)
        self._own([id_ for id_ in ids if owners.get(id_) is None])
        self._keep(rows, people)

    def _check_moves(self, ids: Sequence[str]) -> None:
        """Under other ids, nobody may become the person that somebody else is now: devices and permits name ids."""
        rows = [row for chunk in chunks(ids) for row in _rows(self._connection, self._tenant, chunk)]
        holder = {row.user_id: row.id for row in rows}
        taken: set[str] = set()
        for row in rows:
            new = self._person(row, ()).id
            if new in taken or holder.get(new, row.id) != row.id:
                raise UniquenessException(detail="two people would have one user id, or exchange theirs")
            taken.add(new)

    def _person(self, row: _Row, groups: Sequence[GroupName]) -> Person:
        try:
            return person_of(decoded(row.document), groups, self._settings)
        except NoIdError as fault:
            raise InvalidValueException(detail=str(fault)) from None

    def _may_write(self, user_id: str, owners: dict[str, str], *, is_held: bool) -> None:
        owner = owners.get(user_id)
        if owner == self._source or not is_held or (owner is None and self._settings.adopt):
            return
        raise UniquenessException(detail="the directory has this person from another source")

    def _keep(self, rows: Sequence[_Row], people: Sequence[Person]) -> None:
        """What was given, and to whom; a person whose id changed leaves the former row behind."""
        news = []
        for row, person in zip(rows, people, strict=True):
            granted = tuple(sorted(person.roles))
            if row.user_id != person.id:
                self.part(row.user_id, row.granted)
            if row.user_id != person.id or row.granted != granted:
                news.append({"_id": row.id, "user_id": person.id, "granted": granted})
        if news:
            written = update(_USERS).where(_USERS.c.id == bindparam("_id"))
            values = {"user_id": bindparam("user_id"), "granted": bindparam("granted", type_=_USERS.c.granted.type)}
            self._connection.execute(written.values(values), news)

    def _owners(self, user_ids: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for chunk in chunks(user_ids):
            rows = self._connection.execute(_OWNERS_OF, {"among": chunk})
            found.update((user_id, source) for user_id, source in rows)
        return found

    def _own(self, user_ids: Collection[str]) -> None:
        if user_ids:
            self._connection.execute(
                insert(_OWNERS), [{"user_id": user_id, "source": self._source} for user_id in user_ids]
            )

    def _groups(self, ids: Sequence[str]) -> dict[str, list[GroupName]]:
        found: dict[str, list[GroupName]] = defaultdict(list)
        if not self._settings.groups:
            return found
        rows = self._connection.execute(_GROUPS_OF, {"among": list(ids)})
        for member_id, external_id, display_name in rows:
            found[member_id].append(GroupName(external_id, display_name))
        return found


def _rows(connection: Connection, tenant: str, ids: Sequence[str]) -> list[_Row]:
    return [_Row(*row) for row in connection.execute(_ROWS_OF, {"tenant": tenant, "among": list(ids)})]


def _is_named(connection: Connection, user_id: str) -> bool:
    """Whether another register refers to this person, so that the row cannot go."""
    columns = (
        tables.devices.c.owner,
        tables.permits.c.user_id,
        tables.loans.c.user_id,
        tables.work_permit_users.c.user_id,
    )
    named = union_all(*(select(column).where(column == user_id) for column in columns))
    return connection.execute(named.limit(1)).first() is not None


def chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """The ids in pieces that fit into one query."""
    listed = list(ids)
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]
