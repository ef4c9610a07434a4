"""Searches: which resources match, in which order, and which of them stand on the page that is asked for.

A filter is always evaluated by the library, on resources; the store only narrows down what is looked through. Where
the store's answer is exact (one attribute that has a column, compared with `eq`), nothing need be looked through:
that is the question which every provider asks before it creates somebody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scim2_models import InvalidCursorException, ScimFilter, SearchRequest, TooManyException
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator, ValuePath
from scim2_server.storage import SearchPage
from sqlalchemy import false, select

from pdp.scim import limits
from pdp.scim.documents import resource_of
from pdp.scim.names import exact_key, name_key
from pdp.scim.provider import COMPARING, model_of
from pdp.scim.rows import GROUPS, MEMBERS, TABLES, USERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scim2_models import Resource, ResponseParameters
    from scim2_models.path import AttrPath, FilterNode
    from sqlalchemy import ColumnElement

    from pdp.scim.rows import Rows

    Condition = Callable[[str], ColumnElement[bool]]

_CORE: Final = {
    "User": "urn:ietf:params:scim:schemas:core:2.0:user",
    "Group": "urn:ietf:params:scim:schemas:core:2.0:group",
}
_COLUMNS: Final[Mapping[tuple[str, str], Condition]] = {
    ("User", "id"): lambda value: USERS.c.id == value,
    ("User", "username"): lambda value: USERS.c.user_name_key == name_key(value),
    ("User", "externalid"): lambda value: USERS.c.external_id == exact_key(value),
    ("User", "groups.value"): lambda value: USERS.c.id.in_(
        select(MEMBERS.c.member_id).where(MEMBERS.c.group_id == value)
    ),
    ("Group", "id"): lambda value: GROUPS.c.id == value,
    ("Group", "displayname"): lambda value: GROUPS.c.display_name_key == name_key(value),
    ("Group", "externalid"): lambda value: GROUPS.c.external_id == exact_key(value),
    ("Group", "members.value"): lambda value: GROUPS.c.id.in_(
        select(MEMBERS.c.group_id).where(MEMBERS.c.member_id == value)
    ),
}


class Key(NamedTuple):
    """Orders resources: without a value of `sortBy` last, then by id."""

    missing: bool
    value: Any
    id: str


class _Found(NamedTuple):
    key: Key
    type: str


def search(
    rows: Rows, types: Sequence[str], asked: SearchRequest[Any], position: Any, parameters: ResponseParameters[Any]
) -> SearchPage:
    """One page, as the library's storage interface says. Raises TooManyException, InvalidCursorException."""
    descending = asked.sort_by is not None and asked.sort_order == SearchRequest.SortOrder.descending
    found = [_Found(*pair) for type_ in types for pair in _matching(rows, type_, asked)]
    if asked.sort_by is not None or len(types) > 1:
        found.sort(key=lambda one: one.key, reverse=descending)
    keys = [one.key for one in found]
    start, stop = _slice(keys, asked, position, descending=descending)
    start, stop = _that_fit(rows, found, start, min(stop, len(found)), parameters)
    chosen = found[start:stop]
    page = SearchPage(len(found), load(rows, [(one.type, one.key.id) for one in chosen], parameters))
    if asked.cursor is not None and chosen:
        page.next = _written("next", keys[stop - 1]) if stop < len(found) else None
        page.previous = _written("previous", keys[start]) if start > 0 else None
    return page


def load(
    rows: Rows, chosen: Sequence[tuple[str, str]], parameters: ResponseParameters[Any] | None
) -> list[Resource[Any]]:
    """These resources in this order, with members and groups where the answer will show them."""
    found: dict[str, Resource[Any]] = {}
    for type_ in TABLES:
        ids = [id_ for of, id_ in chosen if of == type_]
        related: Mapping[str, Sequence[Any]] = {}
        if ids and type_ == "User" and shows(parameters, "groups"):
            related = rows.memberships(ids)
        elif ids and type_ == "Group" and shows(parameters, "members"):
            related = rows.members(ids)
        for row in rows.several(type_, ids):
            found[row.id] = resource_of(row, related.get(row.id, ()))
    return [found[id_] for _, id_ in chosen if id_ in found]


def shows(parameters: ResponseParameters[Any] | None, attribute: str) -> bool:
    """Whether the answer keeps this attribute; True where it is not sure."""
    if parameters is None:
        return True
    if parameters.attributes:
        return any(attribute in str(path).casefold() for path in parameters.attributes)
    return all(str(path).casefold().rpartition(":")[2] != attribute for path in parameters.excluded_attributes or ())


def _matching(rows: Rows, type_: str, asked: SearchRequest[Any]) -> Iterator[tuple[Key, str]]:
    conditions, exact = _narrowed(type_, asked.filter)
    if exact and asked.sort_by is None:
        for id_ in rows.ids(type_, *conditions):
            yield Key(missing=False, value="", id=id_), type_
        return
    model = model_of(type_)
    wanted = None if exact else ScimFilter[model](str(asked.filter))  # type: ignore[valid-type]
    for resource in _resources(rows, type_, conditions, str(asked.filter or "")):
        with COMPARING:
            if wanted is not None and not wanted.match(resource):
                continue
            value = None if asked.sort_by is None else asked.sort_value(resource)
        yield Key(value is None and asked.sort_by is not None, "" if value is None else value, str(resource.id)), type_


def _resources(rows: Rows, type_: str, conditions: Sequence[ColumnElement[bool]], text: str) -> Iterator[Resource[Any]]:
    """What is looked through, with members or groups only where the filter may ask for them."""
    stored = list(rows.where(type_, *conditions))
    related: Mapping[str, Sequence[Any]] = {}
    if type_ == "Group" and "members" in text.casefold():
        ids = [row.id for row in stored]
        if sum(rows.sizes(ids).values()) > limits.MEMBERS_IN_ANSWER:
            raise TooManyException(detail="this filter would look through too many members; ask for one member")
        related = rows.members(ids)
    elif type_ == "User" and "groups" in text.casefold():
        related = rows.memberships([row.id for row in stored])
    for row in stored:
        yield resource_of(row, related.get(row.id, ()))


def _narrowed(type_: str, wanted: ScimFilter[Any] | None) -> tuple[list[ColumnElement[bool]], bool]:
    """(what the store can check, whether that is the whole filter)."""
    if wanted is None:
        return [], True
    node = wanted.ast
    terms: tuple[FilterNode, ...] = (node,)
    if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
        terms = node.terms
    checked = [_condition(type_, term) for term in terms]
    return [one for one in checked if one is not None], all(one is not None for one in checked)


def _condition(type_: str, term: FilterNode) -> ColumnElement[bool] | None:
    compared = _equality(term)
    if compared is None:
        return None
    path, value = compared
    if path.uri is not None and path.uri.casefold() != _CORE[type_]:
        return None
    name = path.attr if path.sub_attr is None else f"{path.attr}.{path.sub_attr}"
    if name.casefold() in ("members", "groups"):
        name += ".value"  # RFC 7644 section 3.4.2.2: a complex attribute is compared by its value
    condition = _COLUMNS.get((type_, name.casefold()))
    if condition is None:
        return None
    return condition(value) if len(value) <= limits.NAME_CHARACTERS else false()


def _equality(term: FilterNode) -> tuple[AttrPath, str] | None:
    """`attribute eq "text"`, or `attribute[value eq "text"]`."""
    if isinstance(term, ValuePath):
        inner = _equality(term.val_filter)
        if inner is None or inner[0].attr.casefold() != "value" or inner[0].sub_attr or inner[0].uri:
            return None
        return term.attr_path, inner[1]
    if isinstance(term, Comparison) and term.op == CompareOperator.eq and isinstance(term.value, str):
        return term.attr_path, term.value
    return None


def _slice(keys: Sequence[Key], asked: SearchRequest[Any], position: Any, *, descending: bool) -> tuple[int, int]:
    count = limits.RESULTS if asked.count is None else asked.count
    if asked.cursor is None:
        start = asked.start_index_0 or 0
        return start, start + count
    if count == 0 or position is None:
        return 0, count
    direction, anchor = _read(position)
    # Bisection wants an ascending list: a descending one is looked at from its end.
    line = keys[::-1] if descending else keys
    left, right = bisect_left(line, anchor), bisect_right(line, anchor)
    before, after = (len(keys) - right, len(keys) - left) if descending else (left, right)
    return (after, after + count) if direction == "next" else (max(before - count, 0), before)


def _that_fit(
    rows: Rows, found: Sequence[_Found], start: int, stop: int, parameters: ResponseParameters[Any]
) -> tuple[int, int]:
    """As much of the page as members fill an answer; a service may return fewer than it is asked for."""
    groups = [one.key.id for one in found[start:stop] if one.type == "Group"]
    if not groups or not shows(parameters, "members"):
        return start, stop
    sizes, shown = rows.sizes(groups), 0
    for index in range(start, stop):
        shown += sizes.get(found[index].key.id, 0)
        if shown > limits.MEMBERS_IN_ANSWER and index > start:
            return start, index
    return start, stop


def _written(direction: str, key: Key) -> dict[str, Any]:
    """A position, as the library seals it into a cursor: JSON."""
    value = {"at": key.value.isoformat()} if isinstance(key.value, datetime) else key.value
    return {"d": direction, "m": key.missing, "v": value, "i": key.id}


def _read(position: Any) -> tuple[str, Key]:
    """Sealed and of this very query, so that its form need not be doubted; another version's may differ."""
    try:
        value = position["v"]
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["at"])
        return position["d"], Key(position["m"], value, position["i"])
    except (KeyError, TypeError, ValueError):
        raise InvalidCursorException from None
