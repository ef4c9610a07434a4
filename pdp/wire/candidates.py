"""Who and what can be the answer of a search: the port, and its adapters for both profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pdp.errors import BundleError
from pdp.model.input import ACTIONS
from pdp.wire.authzen_mapping import RESOURCE_TYPE, SUBJECT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.model.directory import Snapshot


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entity that may be found. `id` is the name where the kind is action.

    `properties` are what the service itself knows of it: they go before those of the request.
    """

    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)


class Candidates(Protocol):
    """What a search looks through, in a stable order. A type that is not known has no candidates."""

    def subjects(self, type_: str) -> Sequence[Candidate]: ...

    def resources(self, type_: str) -> Sequence[Candidate]: ...

    def actions(self) -> Sequence[Candidate]: ...


@dataclass(frozen=True, slots=True)
class ListedCandidates:
    """Profile `plain`: the lists that the bundle's own data holds. `bundle_candidates` makes one."""

    subjects_by_type: Mapping[str, Sequence[Candidate]]
    resources_by_type: Mapping[str, Sequence[Candidate]]
    action_names: Sequence[Candidate]

    def subjects(self, type_: str) -> Sequence[Candidate]:
        return self.subjects_by_type.get(type_, ())

    def resources(self, type_: str) -> Sequence[Candidate]:
        return self.resources_by_type.get(type_, ())

    def actions(self) -> Sequence[Candidate]:
        return self.action_names


class DirectoryCandidates:
    """Profile `zta`: everybody in the directory, every system of the directory and of the bundle's catalogue.

    The lists are made when they are asked for; of 7,500 users that takes some milliseconds.
    """

    def __init__(self, snapshot: Snapshot, catalogue: Iterable[str]) -> None:
        self._users = snapshot.users
        self._systems = {*snapshot.resources, *catalogue}

    def subjects(self, type_: str) -> Sequence[Candidate]:
        return [Candidate(name) for name in sorted(self._users)] if type_ == SUBJECT_TYPE else ()

    def resources(self, type_: str) -> Sequence[Candidate]:
        return [Candidate(name) for name in sorted(self._systems)] if type_ == RESOURCE_TYPE else ()

    def actions(self) -> Sequence[Candidate]:
        return _ACTIONS


_ACTIONS: Final = tuple(Candidate(name) for name in ACTIONS)
_NOTHING: Final[dict[str, Any]] = {}


def bundle_candidates(bundle: Bundle) -> ListedCandidates:
    """The candidates in `data.authzen.search`; none where the bundle has no such document.

    Its form: `{"subjects": {TYPE: [ENTRY, …]}, "resources": {TYPE: [ENTRY, …]}, "actions": [ENTRY, …]}`, where an
    entry is an id, or an object of `id` (of an action: `name`) and `properties`. Raises BundleError for
    any other form.
    """
    document = _object(
        _object(bundle.data.get("authzen", _NOTHING), "authzen").get("search", _NOTHING), "authzen.search"
    )
    return ListedCandidates(
        subjects_by_type=_by_type(document, "subjects"),
        resources_by_type=_by_type(document, "resources"),
        action_names=_entries(document.get("actions", []), "actions", "name"),
    )


def _by_type(document: Mapping[str, Any], name: str) -> dict[str, Sequence[Candidate]]:
    lists = _object(document.get(name, _NOTHING), f"authzen.search.{name}")
    return {type_: _entries(entries, f"{name}.{type_}", "id") for type_, entries in lists.items()}


def _entries(entries: Any, where: str, naming: str) -> tuple[Candidate, ...]:
    if not isinstance(entries, list):
        raise BundleError("must be a list", where=f"authzen.search.{where}")
    found = tuple(_candidate(entry, where, naming) for entry in entries)
    if len({candidate.id for candidate in found}) != len(found):
        raise BundleError("an entry stands twice", where=f"authzen.search.{where}")
    return found


def _candidate(entry: Any, where: str, naming: str) -> Candidate:
    if isinstance(entry, str):
        return Candidate(entry)
    if isinstance(entry, dict) and isinstance(entry.get(naming), str) and entry.keys() <= {naming, "properties"}:
        return Candidate(
            entry[naming], _object(entry.get("properties", _NOTHING), f"authzen.search.{where}.properties")
        )
    raise BundleError(
        f"an entry is a text, or an object of `{naming}` and `properties`", where=f"authzen.search.{where}"
    )


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BundleError("must be an object", where=where)
    return value
