"""What an export wants otherwise than a tenant has it, and which of that must not change where it stands.

Two things need care. A `closes` that changes its contents has a stand-in with the new contents while it changes, unless
it is all that turns. An inert thing that changes its meaning changes whatever names it, at once: allows that lean on it
are `paused`, taken away before and put back after; under denies there may be one at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pdp.delivery.port import Held, Key, Standing, Thing


class Difference:
    """`meant`: what there is and is to mean something else. `reworded`: what only says it in other words, for people.

    `under_closes`: inert things that change under a deny that counts. `turned`: allows that change where they stand.
    `shifting`: denies that change; `stand_ins`: for each of them, where it needs one.
    """

    def __init__(self, wanted: Sequence[Thing], standing: Standing, stand_in: Callable[[Thing], Thing]) -> None:
        """Raises ExportError where two things have one name."""
        self.want: dict[Key, Thing] = {one.key: one for one in wanted}
        self.had: dict[Key, Held] = {one.thing.key: one for one in standing.held}
        if len(self.want) != len(wanted) or len(self.had) != len(standing.held):
            raise ExportError("two objects have one name")
        self._stand_in_of = stand_in
        both = self.want.keys() & self.had.keys()
        self.meant = {key for key in both if self.want[key].meaning != self.had[key].thing.meaning}
        self.reworded = {key for key in both - self.meant if self.want[key].body != self.had[key].thing.body}
        self._shaken = self._leaning({key for key in self.meant if self.want[key].effect == "inert"})
        self.paused = {key for key in both & self._shaken.keys() if self._opens_now(key)}
        self.under_closes = {
            inert for key, on in self._shaken.items() if self._is("closes", key) and self.is_live(key) for inert in on
        }
        turned = {key for key in self.meant if self._opens_now(key)} - self.paused
        if self.under_closes:  # an allow must not turn beside a deny that turns by itself
            self.paused |= turned
            turned = set()
        self.turned = turned
        self.shifting = {key for key in self.meant if self._is("closes", key) and self.is_live(key)}
        alone = len(self.shifting) + len(self.under_closes) <= 1 and not turned
        self.stand_ins: dict[Key, Thing] = {} if alone else {key: self._free_stand_in(key) for key in self.shifting}

    def is_live(self, key: Key) -> bool:
        return key in self.had and self.had[key].live

    def holds_up(self, inert: Key) -> bool:
        """Whether something that counts leans on it."""
        return any(inert in on and self.is_live(key) for key, on in self._shaken.items() if not self._is("inert", key))

    def refuse(self, known: Collection[Key] | None) -> None:
        """Raises ExportError where things are not ours, or no order is safe. `known`: what was delivered from here."""
        if known is not None and (strangers := sorted(self.had.keys() - set(known))):
            shown = ", ".join(f"`{key}`" for key in strangers[:5])
            raise ExportError(
                f"{len(strangers)} objects have names of ours and were not delivered from here: {shown}",
                next_step="look at them; `--adopt` takes them over, and removes what the export does not have",
            )
        for key, thing in self.want.items():
            if key in self.had and self.had[key].thing.effect != thing.effect:
                raise ExportError(f"`{key}` is there with another effect: remove it by hand first")
            if lacking := [need for need in thing.needs if need not in self.want]:
                raise ExportError(f"`{key}` names `{lacking[0]}`, which the export does not have")
        if len(self.under_closes) > 1:
            names = ", ".join(f"`{key}`" for key in sorted(self.under_closes))
            raise ExportError(f"no order is safe: {names} change their meaning under rules that deny, all at once")

    def _is(self, effect: str, key: Key) -> bool:
        thing = self.want.get(key) or self.had[key].thing
        return thing.effect == effect

    def _opens_now(self, key: Key) -> bool:
        return self._is("opens", key) and self.is_live(key)

    def _free_stand_in(self, key: Key) -> Thing:
        """One that an earlier plan left behind goes on standing in until it is released."""
        found = self._stand_in_of(self.want[key])
        while found.key in self.had or found.key in self.want:
            found = self._stand_in_of(found)
        return found

    def _leaning(self, shaken: Collection[Key]) -> dict[Key, set[Key]]:
        """Whatever names one of these, in what is there or what is wanted, directly or not; and which of them."""
        found: dict[Key, set[Key]] = {key: {key} for key in shaken}
        things = [*self.want.values(), *(one.thing for one in self.had.values())]
        grown = bool(found)
        while grown:
            grown = False
            for thing in things:
                on = {one for need in thing.needs for one in found.get(need, ())}
                if not on <= found.get(thing.key, set()):
                    found.setdefault(thing.key, set()).update(on)
                    grown = True
        return found
