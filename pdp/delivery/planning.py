"""The safe order from what a tenant has to what an export wants: never is anything let through that neither does.

With O the things that open and C those that close, before (O1, C1) and after (O2, C2), an access is let through where
an O matches it and no C does (INVARIANT pointwise, `port.py`). So

1. prepare   things without effect: inert ones, words for people, and whatever can be there disabled
2. close     C2 is put in force beside C1        (O1, C1 ∪ C2): within before
3. narrow    what only O1 has goes               (O1 ∩ O2, C1 ∪ C2): within both
4. turn      what only changes its contents      (mixed, C1 ∪ C2): each access within before or within after
5. release   what only C1 has goes               (within O2, C2): within after
6. open      what only O2 has comes              (O2, C2): within after
7. tidy      inert things that nothing names any more
8. push      where the vendor stages; the candidate, too, was never wider: anybody may push it at any moment

Two things need care. A `closes` that changes its contents has a stand-in with the new contents from step 2 to step 5,
unless it is all that turns. An inert thing that changes its meaning changes whatever names it, at once: allows that
lean on it are taken away in step 3 and come back in step 6 (`paused`); under denies there may be one at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.delivery.ordering import allows_of, needed_first, staying
from pdp.delivery.plan import SCHEMA, Phase, Plan, Step, after_step, held_digest, orders, standing_digest
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pdp.delivery.plan import Op
    from pdp.delivery.port import Capabilities, Held, Key, Standing, Thing

MAX_STEPS: Final = 20_000  # of a plan: 500 policies and their objects, five times over


def make_plan(  # noqa: PLR0913  # a plan's givens, each by its name
    wanted: Sequence[Thing],
    standing: Standing,
    capabilities: Capabilities,
    stand_in: Callable[[Thing], Thing],
    *,
    vendor: str,
    tenant: str,
    export: str,
    known: Collection[Key] | None = None,
    quiet_only: bool = False,
    unpushed: bool = False,
) -> Plan:
    """The steps, the same for the same givens. Raises ExportError where no order is safe, or things are not ours.

    `known`: what we have delivered; something else under a name of ours is somebody's. None: take over what is there.
    `quiet_only`: stop once everything new is there without effect. `unpushed`: what an earlier apply has changed may
    still wait in the candidate, so that there is something to push even where nothing is to be changed.
    """
    if quiet_only and not capabilities.quiet:
        raise ExportError("this vendor has no state in which rules are there without effect")
    planning = _Planning(wanted, standing, capabilities, stand_in)
    planning.refuse(known)
    planning.prepare()
    if not quiet_only:
        planning.close()
        planning.narrow()
        planning.turn()
        planning.release()
        planning.open()
        planning.tidy()
        planning.check()
    if capabilities.staging and (planning.steps or unpushed) and not quiet_only:
        planning.steps.append(Step(len(planning.steps) + 1, "push", "push"))
    if len(planning.steps) > MAX_STEPS:
        raise ExportError(f"a plan of {len(planning.steps)} steps: {MAX_STEPS} at most")
    return Plan(
        schema=SCHEMA,
        vendor=vendor,
        tenant=tenant,
        export=export,
        before=standing_digest(standing.held),
        steps=tuple(planning.steps),
        paused=tuple(sorted(planning.paused)),
        ahead=tuple(key for key, before in standing.foreign if before),
    )


class _Planning:
    def __init__(
        self,
        wanted: Sequence[Thing],
        standing: Standing,
        capabilities: Capabilities,
        stand_in: Callable[[Thing], Thing],
    ) -> None:
        self.want: dict[Key, Thing] = {one.key: one for one in wanted}
        self.had: dict[Key, Held] = {one.thing.key: one for one in standing.held}
        if len(self.want) != len(wanted) or len(self.had) != len(standing.held):
            raise ExportError("two objects have one name")
        self.now: tuple[Held, ...] = standing.held
        self.steps: list[Step] = []
        self._quiet = capabilities.quiet
        self._stand_in_of = stand_in
        both = self.want.keys() & self.had.keys()
        self._meant = {key for key in both if self.want[key].meaning != self.had[key].thing.meaning}
        self._reworded = {key for key in both - self._meant if self.want[key].body != self.had[key].thing.body}
        self._shaken = self._leaning({key for key in self._meant if self.want[key].effect == "inert"})
        self.paused = {key for key in both & self._shaken.keys() if self._opens_now(key)}
        self._under_closes = {
            inert for key, on in self._shaken.items() if self._is("closes", key) and self._is_live(key) for inert in on
        }
        turned = {key for key in self._meant if self._opens_now(key)} - self.paused
        if self._under_closes:  # an allow must not turn beside a deny that turns by itself
            self.paused |= turned
            turned = set()
        self._turned = turned
        self._shifting = {key for key in self._meant if self._is("closes", key) and self._is_live(key)}
        alone = len(self._shifting) + len(self._under_closes) <= 1 and not turned
        self._stand_ins: dict[Key, Thing] = {} if alone else {key: self._free_stand_in(key) for key in self._shifting}

    # What there is.

    def _is(self, effect: str, key: Key) -> bool:
        thing = self.want.get(key) or self.had[key].thing
        return thing.effect == effect

    def _is_live(self, key: Key) -> bool:
        return key in self.had and self.had[key].live

    def _opens_now(self, key: Key) -> bool:
        return self._is("opens", key) and self._is_live(key)

    def _free_stand_in(self, key: Key) -> Thing:
        """One that an earlier plan left behind goes on standing in until it is removed in step 5."""
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

    def refuse(self, known: Collection[Key] | None) -> None:
        """Raises ExportError."""
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
        if len(self._under_closes) > 1:
            names = ", ".join(f"`{key}`" for key in sorted(self._under_closes))
            raise ExportError(f"no order is safe: {names} change their meaning under rules that deny, all at once")

    # Steps.

    def _emit(  # noqa: PLR0913  # a step's parts, each by its name
        self,
        op: Op,
        phase: Phase,
        key: Key,
        thing: Thing | None = None,
        *,
        live: bool = True,
        behind: Key | None = None,
    ) -> None:
        before = next((one for one in self.now if one.thing.key == key), None)
        step = Step(len(self.steps) + 1, op, phase, key, thing, live, behind, held_digest(before))
        self.now = after_step(self.now, step)
        self.steps.append(step)

    def _is_there(self, key: Key) -> bool:
        return any(one.thing.key == key for one in self.now)

    def prepare(self) -> None:
        """Step 1."""
        for thing in needed_first(self.want.values()):
            key = thing.key
            if thing.effect == "inert":
                if key not in self.had:
                    self._emit("add", "prepare", key, thing)
                elif key in self._reworded or (key in self._meant and not self._holds_up(key)):
                    self._emit("change", "prepare", key, thing)
            elif key not in self.had:
                if key.kind in self._quiet:
                    self._emit("add", "prepare", key, thing, live=False)
            elif key in self._reworded or (key in self._meant and not self.had[key].live):
                self._emit("change", "prepare", key, thing, live=self.had[key].live)

    def _holds_up(self, inert: Key) -> bool:
        """Whether something that counts leans on it."""
        return any(inert in on and self._is_live(key) for key, on in self._shaken.items() if not self._is("inert", key))

    def close(self) -> None:
        """Step 2."""
        for key, thing in self.want.items():
            if thing.effect == "closes":
                self._put_in_force(key, thing, "close")
                if key in self._stand_ins:
                    stand_in = self._stand_ins[key]
                    self._emit("add", "close", stand_in.key, stand_in)
        for place, (leading, _) in self._denies().items():
            self._lead(place, leading)

    def _put_in_force(self, key: Key, thing: Thing, phase: Phase) -> None:
        if not self._is_there(key):
            self._emit("add", phase, key, thing)
        elif not next(one.live for one in self.now if one.thing.key == key):
            self._emit("change", phase, key, thing)

    def _denies(self) -> dict[str, tuple[list[Key], list[Key]]]:
        """The denies that come before all allows of their place, each with its stand-in, and those that come behind.

        Raises ExportError.
        """
        found: dict[str, tuple[list[Key], list[Key]]] = {}
        state: dict[str, int] = {}  # 0: leading denies, 1: allows, 2: trailing denies
        allows = {thing.key.place for thing in self.want.values() if thing.ordered and thing.effect == "opens"}
        for key, thing in self.want.items():
            if not thing.ordered or thing.effect == "inert":
                continue
            at = state.get(key.place, 0)
            if thing.effect == "opens":
                if at == 2:  # noqa: PLR2004
                    raise ExportError(f"`{key}` allows behind a rule that denies")
                state[key.place] = 1
            elif at == 0 and key.place in allows:
                stand_in = self._stand_ins.get(key)
                leading, _ = found.setdefault(key.place, ([], []))
                leading += [key] if stand_in is None else [key, stand_in.key]
            else:
                state[key.place] = 2
                found.setdefault(key.place, ([], []))[1].append(key)
        return found

    def _lead(self, place: str, leading: Sequence[Key]) -> None:
        """Denies first, in their order: a move of one that stands behind an allow; a new one goes before what others
        have there, too.
        """
        for at, key in enumerate(leading):
            relevant = {*leading, *(one.thing.key for one in self.now if one.thing.effect == "opens")}
            stands = [one for one in orders(self.now).get(place, []) if one in relevant]
            if key not in self.had or stands[: at + 1] != list(leading[: at + 1]):
                self._emit("move", "close", key, behind=leading[at - 1] if at else None)

    def narrow(self) -> None:
        """Step 3."""
        for key, held in self.had.items():
            if held.thing.effect != "opens":
                continue
            if key not in self.want:
                self._emit("remove", "narrow", key)
            elif key in self.paused:
                if key.kind in self._quiet:
                    self._emit("change", "narrow", key, held.thing, live=False)
                else:
                    self._emit("remove", "narrow", key)

    def turn(self) -> None:
        """Step 4. Inert things first, no allow leans on them now; the one under denies of before is the last of them:
        then all denies of after have what they are to have.
        """
        inert = [key for key, thing in self.want.items() if thing.effect == "inert" and key in self._meant]
        for key in sorted(inert, key=lambda one: (one in self._under_closes, one)):
            if self._holds_up(key):
                self._emit("change", "turn", key, self.want[key])
        for key in sorted(self._turned):
            self._emit("change", "turn", key, self.want[key])

    def release(self) -> None:
        """Step 5."""
        for key in sorted(self._shifting):
            self._emit("change", "release", key, self.want[key])
        for key, held in self.had.items():
            if held.thing.effect == "closes" and key not in self.want:
                self._emit("remove", "release", key)
        for _, stand_in in sorted(self._stand_ins.items()):
            self._emit("remove", "release", stand_in.key)
        for place, (leading, trailing) in self._denies().items():
            self._trail(place, [key for key in leading if key in self.want], trailing)

    def _trail(self, place: str, leading: Sequence[Key], trailing: Sequence[Key]) -> None:
        """What comes behind the allows does not stand before a deny that comes before them."""
        for key in trailing:
            stands = orders(self.now)[place]
            if leading and stands.index(key) < stands.index(leading[-1]):
                self._emit("move", "release", key, behind=leading[-1])

    def open(self) -> None:
        """Step 6: in the order of the place, each where it belongs before it counts."""
        stays = {place: staying(self.now, place, list(self.want)) for place in orders(self.now)}
        behind: dict[str, Key] = {}
        for key, thing in self.want.items():
            if thing.effect == "opens":
                if not self._is_there(key):
                    self._emit("add", "open", key, thing)
                if thing.ordered and key not in stays.get(key.place, ()):
                    self._place(key, behind.get(key.place))
                self._put_in_force(key, thing, "open")
            if thing.ordered:
                behind[key.place] = key

    def _place(self, key: Key, behind: Key | None) -> None:
        """A move, unless everything that belongs before it stands before it and nothing else does."""
        ours = [one for one in orders(self.now)[key.place] if one in self.want]
        earlier = set(self._before(key))
        if set(ours[: ours.index(key)]) != earlier & set(ours):
            self._emit("move", "open", key, behind=behind)

    def _before(self, key: Key) -> Iterable[Key]:
        for one, thing in self.want.items():
            if one == key:
                return
            if thing.ordered and one.place == key.place:
                yield one

    def tidy(self) -> None:
        """Step 7."""
        gone = [held.thing for key, held in self.had.items() if held.thing.effect == "inert" and key not in self.want]
        for thing in reversed(needed_first(gone)):
            self._emit("remove", "tidy", thing.key)

    def check(self) -> None:
        """What the steps lead to is what is wanted: a fault of ours otherwise, and no plan. Raises ExportError."""
        is_ = {one.thing.key: (one.thing.body, one.live) for one in self.now}
        if is_ != {key: (thing.body, True) for key, thing in self.want.items()}:
            raise ExportError("the plan does not lead to the export")
        wanted: dict[str, list[Key]] = {}
        for key, thing in self.want.items():
            if thing.ordered:
                wanted.setdefault(key.place, []).append(key)
        if {place: allows_of(self.want, keys) for place, keys in orders(self.now).items()} != {
            place: allows_of(self.want, keys) for place, keys in wanted.items()
        }:
            raise ExportError("the plan does not lead to the order of the export")
