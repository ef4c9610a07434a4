"""A plan: ordered steps from what a tenant has to what an export wants, and what each step makes of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.delivery.port import Held, Key, Thing, digest_of
from pdp.model.rules import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA: Final = "sekisho.delivery/v1"

Op = Literal["add", "change", "remove", "move", "push"]
Phase = Literal["prepare", "close", "narrow", "turn", "release", "open", "tidy", "push"]

PHASES: Final[Mapping[Phase, Words]] = {
    "prepare": Words("効力のないものを用意", "prepare what has no effect yet"),
    "close": Words("拒否を効かせる", "put what denies in force"),
    "narrow": Words("許可を減らす", "take away what allows"),
    "turn": Words("中身を入れ替える", "change contents"),
    "release": Words("不要になった拒否を外す", "take away denies that are no longer needed"),
    "open": Words("許可を加える", "add what allows"),
    "tidy": Words("使わなくなったものを消す", "remove what nothing names any more"),
    "push": Words("反映", "push"),
}
_OPS: Final[Mapping[Op, Words]] = {
    "add": Words("追加", "add"),
    "change": Words("変更", "change"),
    "remove": Words("削除", "remove"),
    "move": Words("移動", "move"),
    "push": Words("反映", "push"),
}


class Step(msgspec.Struct, frozen=True):
    """One call to the vendor. `expects`: the digest of the thing as it was planned against; "" where there is none."""

    number: int
    op: Op
    phase: Phase
    key: Key | None = None
    thing: Thing | None = None  # of `add` and `change`: what it is to be
    live: bool = True
    behind: Key | None = None  # of `move`; None: the place's very beginning
    expects: str = ""

    def words(self) -> Words:
        """What people read."""
        name = "" if self.key is None else f" {self.key}"
        quiet = ("", "") if self.live else ("（無効のまま）", " (without effect)")
        behind = ("", "")
        if self.op == "move":
            behind = ("（先頭へ）", " (first)") if self.behind is None else (
                f"（{self.behind.name} の次へ）", f" (behind {self.behind.name})"
            )  # fmt: skip
        op = _OPS[self.op]
        return Words(f"{op.ja}{name}{quiet[0]}{behind[0]}", f"{op.en}{name}{quiet[1]}{behind[1]}")


class Plan(msgspec.Struct, frozen=True):
    """`export`: digest of the certificate. `before`: digest of what the tenant had. `paused`: allows that are taken
    away and come back in the course of the plan. `ahead`: rules of others before the last of ours: no proof has them.
    """

    schema: str
    vendor: str
    tenant: str
    export: str
    before: str
    steps: tuple[Step, ...]
    paused: tuple[Key, ...] = ()
    ahead: tuple[Key, ...] = ()

    @property
    def digest(self) -> str:
        """Of everything in it."""
        return digest_of(self)

    def count(self, op: Op) -> int:
        """How many steps of this kind."""
        return sum(1 for step in self.steps if step.op == op)


def held_digest(held: Held | None) -> str:
    """The digest of one thing and its state; "" for none."""
    return "" if held is None else digest_of([held.thing.key, held.thing.body, held.live])


def standing_digest(held: Sequence[Held]) -> str:
    """The digest of all things and of the order of the ordered ones."""
    things = sorted((one.thing.key, held_digest(one)) for one in held)
    return digest_of([things, sorted(orders(held).items())])


def orders(held: Sequence[Held]) -> dict[str, list[Key]]:
    """The ordered things of every place, in their order."""
    found: dict[str, list[Key]] = {}
    for one in held:
        if one.thing.ordered:
            found.setdefault(one.thing.key.place, []).append(one.thing.key)
    return found


def after_step(held: Sequence[Held], step: Step) -> tuple[Held, ...]:
    """What a tenant has once this step is done. Raises KeyError or ValueError for a step that does not fit."""
    if step.op == "push" or step.key is None:
        return tuple(held)
    at = {one.thing.key: number for number, one in enumerate(held)}
    if step.op == "add":
        if step.thing is None or step.key in at:
            raise ValueError(f"`{step.key}` is there already")
        return (*held, Held(step.thing, step.live))
    number = at[step.key]
    rest = [*held[:number], *held[number + 1 :]]
    if step.op == "remove":
        return tuple(rest)
    if step.op == "change":
        if step.thing is None:
            raise ValueError(f"`{step.key}` is to be changed into nothing")
        return (*held[:number], Held(step.thing, step.live), *held[number + 1 :])
    return tuple(_moved(rest, held[number], step.behind))


def _moved(rest: list[Held], moved: Held, behind: Key | None) -> list[Held]:
    """Others that stand before everything are not known here: the beginning is before the first of ours."""
    place = moved.thing.key.place
    ours = [number for number, one in enumerate(rest) if one.thing.ordered and one.thing.key.place == place]
    if behind is None:
        at = ours[0] if ours else len(rest)
    else:
        at = next(number for number in ours if rest[number].thing.key == behind) + 1
    return [*rest[:at], moved, *rest[at:]]


def states(held: Sequence[Held], steps: Sequence[Step]) -> Iterator[tuple[Held, ...]]:
    """What the tenant has before the first step and after each."""
    now = tuple(held)
    yield now
    for step in steps:
        now = after_step(now, step)
        yield now
