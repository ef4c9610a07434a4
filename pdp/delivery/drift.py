"""What of a tenant is no longer as it was delivered. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.delivery.plan import orders
from pdp.delivery.port import Key  # msgspec reads it at run time
from pdp.model.rules import Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.delivery.port import Held, Standing

What = Literal["missing", "altered", "reworded", "silenced", "unknown", "moved", "ahead"]

_WORDS: Final[Mapping[What, Words]] = {
    "missing": Words("なくなった", "is gone"),
    "altered": Words("内容が違う", "has other contents"),
    "reworded": Words("説明が違う", "has another description"),
    "silenced": Words("有効／無効が違う", "is enabled or disabled otherwise"),
    "unknown": Words("配信していないものが当方の名前である", "has a name of ours and was not delivered"),
    "moved": Words("順序が違う", "stands elsewhere"),
    "ahead": Words("他者の規則が先に評価される", "is somebody else's rule that is looked at first"),
}
_OF_NOTE: Final = frozenset({"reworded", "ahead"})  # told, and no drift: they change nothing of ours


class Difference(msgspec.Struct, frozen=True):
    """One thing. `members`: of its body, those that differ."""

    what: What
    key: Key
    members: tuple[str, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether access can be another one for it."""
        return self.what not in _OF_NOTE

    def words(self) -> Words:
        """What people read."""
        said = _WORDS[self.what]
        members = f" ({', '.join(self.members)})" if self.members else ""
        return Words(f"{self.key}: {said.ja}{members}", f"{self.key} {said.en}{members}")


def drift(delivered: Sequence[Held], standing: Standing) -> tuple[Difference, ...]:
    """Every difference, those that count first."""
    had = {one.thing.key: one for one in delivered}
    has = {one.thing.key: one for one in standing.held}
    found = [Difference("missing", key) for key in had.keys() - has.keys()]
    found += [Difference("unknown", key) for key in has.keys() - had.keys()]
    for key in had.keys() & has.keys():
        ours, theirs = had[key].thing, has[key].thing
        members = tuple(
            name for name in sorted({*ours.body, *theirs.body}) if ours.body.get(name) != theirs.body.get(name)
        )
        if members:
            found.append(Difference("altered" if ours.meaning != theirs.meaning else "reworded", key, members))
        if had[key].live != has[key].live:
            found.append(Difference("silenced", key))
    now = orders(standing.held)
    for place, keys in orders(delivered).items():
        there = [key for key in now.get(place, []) if key in had]
        kept = [key for key in keys if key in has]
        found += [Difference("moved", ours) for ours, theirs in zip(kept, there, strict=True) if ours != theirs]
    found += [Difference("ahead", key) for key, before in standing.foreign if before]
    return tuple(sorted(found, key=lambda one: (not one.counts, one.what, one.key)))
