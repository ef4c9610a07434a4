"""Resources in the store, for the SCIM library: one object for one request of one tenant.

Each SCIM operation, a single request or one operation of a bulk request, is one transaction. A write is one change of
the directory (`pdp.directory.changes`), in which the resource and the person that it is stand or fall together.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from scim2_models import (
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import ScimStorage
from sqlalchemy import bindparam, select

from pdp.directory.changes import change
from pdp.scim import limits, removals, searching
from pdp.scim.documents import Stored, decoded, document_of, encoded, etag, group_columns, resource_of, user_columns
from pdp.scim.faults import HeldBackError
from pdp.scim.membership import MemberChanges, members_of
from pdp.scim.people import People
from pdp.scim.person import NoIdError, user_id
from pdp.scim.rows import USERS, Rows, users_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from scim2_server.storage import SearchPage

    from pdp.directory.changes import Change
    from pdp.model.provisioning import ScimTenant
    from pdp.store.store import Store

_ALL: Final = ResponseParameters[Any]()
_TAKEN: Final = (
    select(USERS.c.id)
    .where(
        USERS.c.id != bindparam("self"),
        ((USERS.c.tenant == bindparam("tenant")) & (USERS.c.user_name_key == bindparam("name")))
        | (USERS.c.user_id == bindparam("person")),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Tenant:
    """`id` is the caller's id."""

    id: str
    settings: ScimTenant


@dataclass(slots=True)
class _Work:
    """One transaction. `change` and `people` only where it may write."""

    rows: Rows
    change: Change | None = None
    people: People | None = None


@dataclass
class TenantStorage(ScimStorage):
    """`now` is the time of the request; `new_id` gives ids that sort by time. `committed` is called, in the thread that
    works, with the directory's new epoch after each commit that moved it.

    Raises DirectoryError where the store does not answer, beside what the library's interface names.
    """

    store: Store
    tenant: Tenant
    now: datetime
    new_id: Callable[[], str]
    committed: Callable[[int], None]
    writes: bool = True
    _work: _Work | None = field(default=None, init=False)

    supports_cursors = True

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One transaction. INVARIANT (a bound that bites): HeldBackError commits what was done, and is then raised."""
        held_back: HeldBackError | None = None
        if not self.writes:
            with self.store.read() as connection, self._working(_Work(Rows(connection, self.tenant.id))):
                yield
            return
        with change(self.store, self.now) as inside:
            before = inside.epoch
            people = People(inside, self.tenant.id, self.tenant.settings)
            with self._working(_Work(Rows(inside.connection, self.tenant.id), inside, people)):
                try:
                    yield
                except HeldBackError as fault:
                    held_back = fault
        if inside.epoch != before:
            self.committed(inside.epoch)
        if held_back is not None:
            raise held_back

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        with self._inside() as work:
            found = searching.load(work.rows, [(_name(resource_type), resource_id)], response_parameters)
            if not found:
                raise NotFoundException(detail=f"there is no {_name(resource_type)} with this id")
            return found[0]

    def get_without_members(self, resource_type: ResourceType, resource_id: str) -> Resource[Any]:
        """A group as if it had no members. Raises NotFoundException."""
        with self._inside() as work:
            return resource_of(work.rows.find(_name(resource_type), resource_id))

    def size(self, group_id: str) -> int:
        """How many members the group has."""
        with self._inside() as work:
            return work.rows.sizes([group_id]).get(group_id, 0)

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        with self._inside() as work:
            types = [_name(resource_type) for resource_type in resource_types]
            return searching.search(work.rows, types, search_request, position, search_request)

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        with self._inside() as work:
            type_ = _name(resource_type)
            if work.rows.count(type_) >= limits.RESOURCES:
                raise InvalidValueException(detail=f"there are {limits.RESOURCES} of these already, which is the most")
            row = Stored(type_, self.new_id(), 1, self.now, self.now, "")
            document = document_of(resource)
            if type_ == "User":
                document.setdefault("active", True)  # said once, here: later, nobody is active by omission
                self._put_user(work, row, document, new=True)
                return resource_of(row._replace(document=encoded(document)))
            work.rows.put(row, group_columns(document), new=True)
            self._change_members(work, row.id, MemberChanges().then_add(members_of(_members(resource))))
            return self._written(work, type_, row.id)

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """The whole new state. A group's members are what `resource` says."""
        if _name(resource_type) == "User":
            return self.update_with(resource_type, resource, None, expected_version=expected_version)
        changes = MemberChanges(everybody=True).then_add(members_of(_members(resource)))
        with self._inside() as work:
            self.update_with(resource_type, resource, changes, expected_version=expected_version)
            return self._written(work, "Group", str(resource.id))

    def update_with(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        changes: MemberChanges | None,
        *,
        expected_version: str | None = None,
    ) -> Resource[Any]:
        """As `update`, but the members of a group change by `changes`, whatever `resource` says of them.

        The group that is returned has no members: nobody who changes one of thousands is shown the others.
        """
        with self._inside() as work:
            type_, id_ = _name(resource_type), str(resource.id)
            held = work.rows.find(type_, id_)
            _check(held, expected_version)
            row = held._replace(version=held.version + 1, changed_at=self.now)
            document = document_of(resource)
            if type_ == "User":
                self._put_user(work, row, document, new=False)
                return self._written(work, type_, id_)
            before, columns = decoded(held.document), group_columns(document)
            touched = set() if changes is None else work.rows.change_members(id_, changes)
            if not touched and before == document:
                return resource_of(held)
            work.rows.put(row, columns, new=False)
            if _rule_names(before) != _rule_names(document):  # what the group gives is no longer the same
                touched.update(member.id for member in work.rows.members([id_]).get(id_, ()))
            self._settle(work, touched)
            return resource_of(row._replace(document=columns["document"]))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """Raises HeldBackError where the tenant has removed as many people as it may: this one is then inactive."""
        with self._inside() as work:
            type_ = _name(resource_type)
            held = work.rows.find(type_, resource_id)
            _check(held, expected_version)
            if type_ == "User":
                self._delete_user(work, held)
            else:
                members = {member.id for member in work.rows.members([held.id]).get(held.id, ())}
                work.rows.remove(type_, held.id, self.now)
                self._settle(work, members)

    def _delete_user(self, work: _Work, held: Stored) -> None:
        assert work.people is not None
        limit = removals.bound(
            work.rows.connection, self.tenant.id, self.tenant.settings.max_removals_percent, self.now
        )
        if limit.reached:
            self._disable(work, held)
            raise HeldBackError(limit.removed, limit.of, limit.free_in_s)
        query = select(USERS.c.user_id, USERS.c.granted).where(USERS.c.id == held.id)
        person, granted = work.rows.connection.execute(query).one()
        work.people.part(person, granted)
        work.rows.remove("User", held.id, self.now)
        removals.count(work.rows.connection, self.tenant.id, self.now)

    def _disable(self, work: _Work, held: Stored) -> None:
        document = decoded(held.document)
        if document.get("active") is not False:
            row = held._replace(version=held.version + 1, changed_at=self.now)
            self._put_user(work, row, {**document, "active": False}, new=False)

    def _put_user(self, work: _Work, row: Stored, document: dict[str, Any], *, new: bool) -> None:
        assert work.people is not None
        columns = user_columns(document)
        try:
            person = user_id(document, self.tenant.settings)
        except NoIdError as fault:
            raise InvalidValueException(detail=str(fault)) from None
        self._check_unique(work, row.id, columns["user_name_key"], person)
        if new:
            columns |= {"user_id": person, "granted": ()}
        work.rows.put(row, columns, new=new)
        if new:
            work.people.settle_new(row.id, person, columns["document"])
        else:
            work.people.settle([row.id])

    def _check_unique(self, work: _Work, id_: str, user_name_key: str, person: str) -> None:
        """One name in this tenant, and one user id of the directory in all of them."""
        asked = {"self": id_, "tenant": self.tenant.id, "name": user_name_key, "person": person}
        if work.rows.connection.execute(_TAKEN, asked).first() is not None:
            raise UniquenessException(detail="this name, or this user id, is taken")

    def _change_members(self, work: _Work, group_id: str, changes: MemberChanges) -> None:
        self._settle(work, work.rows.change_members(group_id, changes))

    def _settle(self, work: _Work, members: set[str]) -> None:
        """Groups give kinds and roles; without a rule there is nothing to give."""
        assert work.people is not None
        if members and self.tenant.settings.groups:
            work.people.settle(users_among(work.rows, members))

    def _written(self, work: _Work, type_: str, id_: str) -> Resource[Any]:
        return searching.load(work.rows, [(type_, id_)], _ALL)[0]

    @contextmanager
    def _inside(self) -> Iterator[_Work]:
        """The transaction of the operation that runs, or one of its own."""
        if self._work is not None:
            yield self._work
            return
        with self.operation():
            yield cast("_Work", self._work)

    @contextmanager
    def _working(self, work: _Work) -> Iterator[None]:
        self._work = work
        try:
            yield
        finally:
            self._work = None


def _name(resource_type: ResourceType) -> str:
    return str(resource_type.name)


def _check(held: Stored, expected_version: str | None) -> None:
    if expected_version is not None and expected_version != etag(held.version):
        raise PreconditionFailedException


def _members(group: Resource[Any]) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = group.model_dump().get("members") or []
    return members


def _rule_names(document: dict[str, Any]) -> tuple[Any, Any]:
    return document.get("displayName"), document.get("externalId")
