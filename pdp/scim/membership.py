"""Changes of a group's members without the group: a list of additions and removals, whatever the group's size.

The library applies a PATCH to a whole resource, which takes 0.1 s for each operation where the group has 5,700
members, and providers send an operation for each member. Operations that only touch `members` are therefore taken
out and done in the store; the others go the library's way. The two kinds touch different attributes, so that their
order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scim2_models import InvalidValueException
from scim2_models.path import AttrPath, CompareOperator, Comparison, LogicalExpr, LogicalOperator, ValuePath

from pdp.scim import limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scim2_models import PatchOp, PatchOperation, Path
    from scim2_models.path import FilterNode, PathNode

_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:group"


class Member(NamedTuple):
    """`type` is User or Group, or None where the client did not say."""

    id: str
    type: str | None = None
    display: str | None = None


@dataclass(frozen=True, slots=True)
class MemberChanges:
    """In order: `everybody` is removed first, then `remove`, then `add`; nobody stands in both."""

    everybody: bool = False
    remove: frozenset[str] = frozenset()
    add: dict[str, Member] = field(default_factory=dict)

    def then_add(self, members: Sequence[Member]) -> MemberChanges:
        added = {**self.add, **{member.id: member for member in members if member.id not in self.add}}
        return replace(self, add=added, remove=self.remove.difference(added))

    def then_remove(self, ids: frozenset[str]) -> MemberChanges:
        kept = {id_: member for id_, member in self.add.items() if id_ not in ids}
        return replace(self, add=kept, remove=self.remove | ids)


class Split(NamedTuple):
    """A PATCH in its two parts. `others` are the operations that are not plain changes of members."""

    members: MemberChanges | None
    others: tuple[PatchOperation[Any], ...]
    walks_members: bool  # some of the others reach into members, which must be loaded for them


def split(patch: PatchOp[Any], path_type: type[Path[Any]]) -> Split:
    """Take the changes of members out of a validated PATCH of a group. Raises InvalidValueException.

    `path_type` is the group model's own.

    Where an operation reaches into members in another way (a filter by type, a sub-attribute), all of them go the
    library's way: their order among themselves does matter.
    """
    changes, others = MemberChanges(), []
    touched = False
    for operation in _flat(patch.operations or [], path_type):
        if not _is_of_members(operation.path):
            others.append(operation)
            continue
        changed = _changed(changes, operation)
        if changed is None:
            return Split(None, tuple(patch.operations or ()), walks_members=True)
        changes, touched = changed, True
    return Split(changes if touched else None, tuple(others), walks_members=False)


def members_of(value: Any) -> list[Member]:
    """The members in a value as a client writes it. Raises InvalidValueException where one has no id."""
    entries = value if isinstance(value, list) else [value]
    return [_member(entry) for entry in entries]


def _flat(operations: Sequence[PatchOperation[Any]], path_type: type[Path[Any]]) -> Iterator[PatchOperation[Any]]:
    """Each operation; one without a path that writes members among others becomes several."""
    for operation in operations:
        value = operation.value
        if operation.path or not isinstance(value, dict):
            yield operation
            continue
        of_members = {name: entry for name, entry in value.items() if _is_of_members(name)}
        for name, entry in of_members.items():
            yield operation.model_copy(update={"path": path_type(name), "value": entry})
        rest = {name: entry for name, entry in value.items() if name not in of_members}
        if rest:
            yield operation.model_copy(update={"value": rest})


def _is_of_members(path: Any) -> bool:
    text = "" if path is None else str(path).casefold().removeprefix(f"{_CORE}:")
    return text == "members" or text.startswith(("members[", "members.", "members "))


def _changed(changes: MemberChanges, operation: PatchOperation[Any]) -> MemberChanges | None:
    """None: the operation is not a plain change of members."""
    node = _node(operation)
    whole = isinstance(node, AttrPath) and node.sub_attr is None
    if operation.op == "remove":
        return _removed(changes, operation.value, node, whole=whole)
    if not whole or operation.value is None:
        return None
    if operation.op == "replace":
        return MemberChanges(everybody=True).then_add(members_of(operation.value))
    return changes.then_add(members_of(operation.value))


def _removed(changes: MemberChanges, value: Any, node: PathNode | None, *, whole: bool) -> MemberChanges | None:
    if not whole:
        ids = _selected(node) if value is None else None
    elif value is None:
        return MemberChanges(everybody=True)
    else:  # Entra lists whom it removes
        ids = frozenset(member.id for member in members_of(value))
    return None if ids is None else changes.then_remove(ids)


def _node(operation: PatchOperation[Any]) -> PathNode | None:
    return None if operation.path is None else operation.path.ast


def _selected(node: PathNode | None) -> frozenset[str] | None:
    """The ids in `members[value eq "a" or value eq "b"]`; None for every other selection."""
    if not isinstance(node, ValuePath) or node.sub_attr is not None:
        return None
    terms: tuple[FilterNode, ...] = (node.val_filter,)
    if isinstance(node.val_filter, LogicalExpr) and node.val_filter.op == LogicalOperator.or_:
        terms = node.val_filter.terms
    ids = [_compared(term) for term in terms]
    return None if None in ids else frozenset(id_ for id_ in ids if id_ is not None)


def _compared(term: FilterNode) -> str | None:
    plain = isinstance(term, Comparison) and term.op == CompareOperator.eq and isinstance(term.value, str)
    if not plain or term.attr_path.attr.casefold() != "value" or term.attr_path.uri is not None:  # type: ignore[attr-defined]
        return None
    return str(term.value)  # type: ignore[attr-defined]


def _member(entry: Any) -> Member:
    if not isinstance(entry, dict):
        raise InvalidValueException(detail="a member is an object with a `value`")
    said = {name.casefold(): value for name, value in entry.items()}
    if unknown := sorted(set(said) - {"value", "type", "display", "$ref"}):
        raise InvalidValueException(detail=f"a member has no `{unknown[0][:64]}`")
    id_, type_, display = said.get("value"), said.get("type"), said.get("display")
    if not isinstance(id_, str) or not id_:
        raise InvalidValueException(detail="a member is named by its `value`, the id of a user or group")
    if not isinstance(type_, str | None) or not isinstance(display, str | None):
        raise InvalidValueException(detail="`type` and `display` of a member are texts")
    if len(display or "") > limits.NAME_CHARACTERS:
        raise InvalidValueException(detail=f"`display` is longer than {limits.NAME_CHARACTERS} characters")
    return Member(id_, type_, display)
