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

The stand-in of a `closes` that changes its contents is there from step 2 to step 5; what is paused is taken away in
step 3 and comes back in step 6 (`difference.py` says why there are such).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.delivery.difference import Difference
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
    differs = Difference(wanted, standing, stand_in)
    differs.refuse(known)
    planning = _Planning(differs, standing, capabilities.quiet)
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
        paused=tuple(sorted(differs.paused)),
        ahead=tuple(key for key, before in standing.foreign if before),
    )


class _Planning:
    def __init__(self, differs: Difference, standing: Standing, quiet: Collection[str]) -> None:
        self._differs = differs
        self.want, self.had = differs.want, differs.had
        self.now: tuple[Held, ...] = standing.held
        self.steps: list[Step] = []
        self._quiet = quiet

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
                elif key in self._differs.reworded or (key in self._differs.meant and not self._differs.holds_up(key)):
                    self._emit("change", "prepare", key, thing)
            elif key not in self.had:
                if key.kind in self._quiet:
                    self._emit("add", "prepare", key, thing, live=False)
            elif key in self._differs.reworded or (key in self._differs.meant and not self.had[key].live):
                self._emit("change", "prepare", key, thing, live=self.had[key].live)

    def close(self) -> None:
        """Step 2."""
        for key, thing in self.want.items():
            if thing.effect == "closes":
                self._put_in_force(key, thing, "close")
                if key in self._differs.stand_ins:
                    stand_in = self._differs.stand_ins[key]
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
                stand_in = self._differs.stand_ins.get(key)
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
            elif key in self._differs.paused:
                if key.kind in self._quiet:
                    self._emit("change", "narrow", key, held.thing, live=False)
                else:
                    self._emit("remove", "narrow", key)

    def turn(self) -> None:
        """Step 4. Inert things first, no allow leans on them now; the one under denies of before is the last of them:
        then all denies of after have what they are to have.
        """
        inert = [key for key, thing in self.want.items() if thing.effect == "inert" and key in self._differs.meant]
        for key in sorted(inert, key=lambda one: (one in self._differs.under_closes, one)):
            if self._differs.holds_up(key):
                self._emit("change", "turn", key, self.want[key])
        for key in sorted(self._differs.turned):
            self._emit("change", "turn", key, self.want[key])

    def release(self) -> None:
        """Step 5."""
        for key in sorted(self._differs.shifting):
            self._emit("change", "release", key, self.want[key])
        for key, held in self.had.items():
            if held.thing.effect == "closes" and key not in self.want:
                self._emit("remove", "release", key)
        for _, stand_in in sorted(self._differs.stand_ins.items()):
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
