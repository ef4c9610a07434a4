"""From what a source of people said to what would be written. Pure.

A person who is gone from the source is not deleted but `ended`: the record of their decisions, permits and
devices stays whole, and the next question is denied. A person belongs to the source that brought them; nobody
changes another's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.directory.changes import names_in
from pdp.directory.registers import id_fault
from pdp.model.input import Employment, IdentitySource, SubjectKind
from pdp.sources.bounds import Noted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pdp.model.directory import User
    from pdp.model.source import SourceSettings
    from pdp.sources.bounds import How
    from pdp.sources.gathering import Gathered

_WORDS: Final = {
    "kind": get_args(SubjectKind),
    "identity_source": get_args(IdentitySource),
    "status": get_args(Employment),
}
_MAX_NAME: Final = 500  # characters, as an import file allows
_MAX_LIST: Final = 200  # posts or roles of one person


@dataclass(slots=True)
class IdentityPlan(Noted):
    """`add` and `change` by id; `own`: who belongs to the source from now on, and did not before.

    `removals`: who would lose every access now. `of`: how many of the source's people have some.
    """

    add: dict[str, User] = field(default_factory=dict)
    change: dict[str, User] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    removals: dict[str, How] = field(default_factory=dict)
    of: int = 0


def plan_identity(
    gathered: Gathered,
    held: Mapping[str, User],
    owners: Mapping[str, str],
    settings: SourceSettings,
    now: datetime,
) -> IdentityPlan:
    """`held` and `owners`: of everybody whom the run names and whom the source owns, at least."""
    plan = IdentityPlan()
    named = _one_each(gathered, plan)
    mine = {id_ for id_, owner in owners.items() if owner == settings.name}
    for id_, user in named.items():
        before, owner = held.get(id_), owners.get(id_)
        if before is not None and owner != settings.name and not (owner is None and settings.adopt):
            plan.note("conflict", f"{id_} ({owner or 'import'})")
            continue
        if owner != settings.name:
            plan.own.add(id_)
        _lay(user, before, plan, now)
    _leave(gathered, plan, mine, held, named, now)
    owned = mine | plan.own
    plan.of = sum(1 for id_ in owned if id_ in held and _has_access_or_will(held[id_], now))
    return plan


def _one_each(gathered: Gathered, plan: IdentityPlan) -> dict[str, User]:
    """Every usable person once. Who stands there twice with two contents is refused: neither is believed."""
    for refused in gathered.refused:
        plan.note(f"refused_{refused.code}", refused.key or refused.detail)
    found: dict[str, User] = {}
    twice: set[str] = set()
    for user in gathered.items:
        plan.counts["received"] += 1
        fault = _fault(user)
        if fault is not None:
            plan.note(f"refused_{fault}", str(user.id))
        elif found.setdefault(user.id, user) != user:
            twice.add(user.id)
    for id_ in sorted(twice):
        plan.note("refused_twice", id_)
        del found[id_]
    return found


def _fault(user: User) -> str | None:
    if any(id_fault(name) for name in names_in("users", user)):
        return "bad_id"
    sound = all(getattr(user, name) in words for name, words in _WORDS.items())
    short = len(user.name) <= _MAX_NAME and max(len(user.posts), len(user.roles)) <= _MAX_LIST
    times = (user.employment, *(post.period for post in user.posts))
    return None if sound and short and "\0" not in user.name and all(map(_is_aware, times)) else "malformed"


def _is_aware(period: Any) -> bool:
    return all(instant is None or instant.tzinfo is not None for instant in (period.start, period.end))


def _lay(user: User, before: User | None, plan: IdentityPlan, now: datetime) -> None:
    if before is None:
        plan.add[user.id] = user
        plan.counts["added"] += 1
    elif before == user:
        plan.counts["unchanged"] += 1
    else:
        plan.change[user.id] = user
        plan.counts["changed"] += 1
        if _has_access(before, now) and not _has_access(user, now):
            plan.removals[user.id] = "disabled"


def _leave(  # noqa: PLR0913, PLR0917  # what a departure is judged by
    gathered: Gathered,
    plan: IdentityPlan,
    mine: set[str],
    held: Mapping[str, User],
    named: Mapping[str, User],
    now: datetime,
) -> None:
    """Who is gone. A record that was refused is still there: its person stays as the directory has them."""
    still = named.keys() | _ids(gathered.items) | {refused.key for refused in gathered.refused}
    left = set(gathered.removed) | (mine if gathered.complete else set())
    for id_ in sorted((left & mine & held.keys()) - still):
        if _has_access_or_will(held[id_], now):
            plan.change[id_] = replace(held[id_], status="ended")
            plan.removals[id_] = "gone"
            plan.counts["removed"] += 1
    plan.counts["not_ours"] += len(set(gathered.removed) - mine)


def _ids(users: Iterable[User]) -> set[str]:
    return {user.id for user in users}


def _has_access(user: User, now: datetime) -> bool:
    """Whether this person can be allowed anything now. An end that lies ahead takes away nothing yet."""
    return user.kind != "unknown" and user.status == "active" and user.employment.holds(now)


def _has_access_or_will(user: User, now: datetime) -> bool:
    return user.status != "ended" and not user.employment.is_over(now)
