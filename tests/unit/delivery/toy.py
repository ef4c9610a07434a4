"""A vendor of eight accesses: things are sets of them. Small enough to try every order, and read as vendors read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from pdp.delivery.port import Capabilities, Effect, Held, Key, Standing, Thing, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ACCESSES = frozenset(range(8))


def inert(name: str, members: Iterable[int], words: str = "", of: Iterable[str] = ()) -> Thing:
    """Its members, and those of the sets that it is made of."""
    body: dict[str, Any] = {"members": sorted(members), "of": sorted(of), "description": words}
    needs = tuple(Key("set", "", one) for one in body["of"])
    return Thing(Key("set", "", name), body, "inert", meaning_of(body, "description"), needs)


def _members(bodies: Mapping[str, Mapping[str, Any]], name: str) -> frozenset[int]:
    body = bodies[name]
    return frozenset(body["members"]).union(*(_members(bodies, one) for one in body["of"]))


def rule(
    name: str, effect: Effect, sets: Iterable[str], *, ordered: bool = False, words: str = "", kind: str = "rule"
) -> Thing:
    """Matches what is in all of its sets."""
    body: dict[str, Any] = {"name": name, "effect": effect, "sets": sorted(sets), "description": words}
    needs = tuple(Key("set", "", one) for one in body["sets"])
    return Thing(Key(kind, "", name), body, effect, meaning_of(body, "description"), needs, ordered)


def let_through(held: Sequence[Held], *, default_open: bool) -> frozenset[int]:
    """First match for the ordered ones; of the others, any deny denies."""
    bodies = {one.thing.key.name: one.thing.body for one in held if one.thing.effect == "inert"}
    sets = {name: _members(bodies, name) for name in bodies}
    live = [one.thing for one in held if one.live and one.thing.effect != "inert"]
    loose = [one for one in live if not one.ordered]
    found = set()
    for access in ACCESSES:

        def matches(thing: Thing, access: int = access) -> bool:
            return all(access in sets[name] for name in thing.body["sets"])

        if any(one.effect == "closes" and matches(one) for one in loose):
            continue
        first = next((one for one in live if one.ordered and matches(one)), None)
        if first is not None:
            opened = first.effect == "opens"
        else:
            opened = default_open or any(one.effect == "opens" and matches(one) for one in loose)
        if opened:
            found.add(access)
    return frozenset(found)


class ToyCourier:
    """The port `Courier`."""

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        return msgspec.json.decode(files["things.json"], type=tuple[Thing, ...])

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        del exports
        return {"things.json": msgspec.json.encode([one.thing for one in held if one.live])}

    def stand_in(self, thing: Thing) -> Thing:
        key = msgspec.structs.replace(thing.key, name=f"{thing.key.name}.next")
        return msgspec.structs.replace(thing, key=key, body={**thing.body, "name": key.name})


class ToyTenant:
    """The port `Tenant`, in memory. `fault`: called before and after each write; what it raises, the caller gets."""

    def __init__(
        self, held: Iterable[Held] = (), fault: Callable[[str, int], None] = lambda _when, _count: None
    ) -> None:
        self.held = tuple(held)
        self.foreign: tuple[tuple[Key, bool], ...] = ()
        self.history: list[tuple[Held, ...]] = [self.held]
        self.writes = 0
        self.jobs = 0
        self._fault = fault

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self) -> Standing:
        return Standing(self.held, self.foreign)

    async def look(self, key: Key) -> Held | None:
        return next((one for one in self.held if one.thing.key == key), None)

    async def order(self, place: str) -> tuple[Key, ...]:
        return tuple(one.thing.key for one in self.held if one.thing.ordered and one.thing.key.place == place)

    async def add(self, thing: Thing, *, live: bool) -> None:
        assert await self.look(thing.key) is None
        assert all([await self.look(need) for need in thing.needs]), "it names what is not there"
        self._written((*self.held, Held(thing, live)))

    async def change(self, thing: Thing, *, live: bool) -> None:
        self._written(tuple(Held(thing, live) if one.thing.key == thing.key else one for one in self.held))

    async def remove(self, key: Key) -> None:
        assert not any(key in one.thing.needs for one in self.held), "something names it"
        self._written(tuple(one for one in self.held if one.thing.key != key))

    async def move(self, key: Key, behind: Key | None) -> None:
        moved = next(one for one in self.held if one.thing.key == key)
        rest = [one for one in self.held if one.thing.key != key]
        at = next((n for n, one in enumerate(rest) if one.thing.ordered), 0)
        if behind is not None:
            at = 1 + next(n for n, one in enumerate(rest) if one.thing.key == behind)
        self._written((*rest[:at], moved, *rest[at:]))

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        self._fault("before", self.writes)
        if not note:
            self.jobs += 1
            keep(f"job-{self.jobs}")
        self.writes += 1
        self._fault("after", self.writes)

    def _written(self, held: tuple[Held, ...]) -> None:
        self._fault("before", self.writes)
        self.held = held
        self.history.append(held)
        self.writes += 1
        self._fault("after", self.writes)
