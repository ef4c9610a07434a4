"""What a vendor brings so that its exported rules can be delivered: a pure half, the courier, and a half that speaks.

Everything in a tenant is a `Thing`: a named object with a body. What it does to access is its `effect`:

- `inert`: nothing by itself. Tags, groups, profiles, schedules: others name them.
- `opens`: an allow that stands alone. Without it less is let through, never more.
- `closes`: a deny or a block. Without it more is let through, never less.

INVARIANT (pointwise): an access is let through where a live `opens` matches it, or the vendor's default does, and no
live `closes` that stands before it does. The safe order (`pdp.delivery.planning`) leans on this and on nothing else.

docs/export-delivery.md says how an adapter is written; they stand in `connectors/sase`, two modules each.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

Effect = Literal["inert", "opens", "closes"]
UNSURE: Final = "unsure"  # the fault of a ConnectorError after which nobody knows whether the vendor has done it


class Key(msgspec.Struct, frozen=True, order=True):
    """What a thing is called. `place`: the folder, account or list within which `kind` and `name` are one thing."""

    kind: str
    place: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" if not self.place else f"{self.kind}/{self.place}/{self.name}"


class Thing(msgspec.Struct, frozen=True):
    """An object as we want it, or as the tenant has it.

    `body`: the vendor's words for it, without what the vendor adds (ids, times, counts, defaults that we did not send)
    and without its state (enabled, report-only). What is sent and read back has an equal body.
    `meaning`: a digest of the part of the body that decides about access (`meaning_of`): where two are equal, only
    words for people differ. `needs`: the things of ours that the body names. `ordered`: it stands in the list of its
    place, where the first match decides; then `closes` stand before all `opens` of the place, or behind all.
    """

    key: Key
    body: dict[str, Any]
    effect: Effect
    meaning: str
    needs: tuple[Key, ...] = ()
    ordered: bool = False


class Held(msgspec.Struct, frozen=True):
    """A thing that the tenant has. `live`: it counts; False where it is disabled or only reports."""

    thing: Thing
    live: bool = True


class Standing(msgspec.Struct, frozen=True):
    """What the tenant has now. `held`: ours, the ordered ones in the tenant's order. `foreign`: ordered things of
    others in the same places, which are never touched; `True` where one stands before the last of ours.
    """

    held: tuple[Held, ...]
    foreign: tuple[tuple[Key, bool], ...] = ()


class Capabilities(msgspec.Struct, frozen=True):
    """`staging`: changes wait in a candidate until `push`. `quiet`: kinds that can be there without counting (disabled,
    report-only): they are added so, and enabled in the safe order. `default_open`: what no rule matches is let through.
    """

    staging: bool
    quiet: frozenset[str] = frozenset()
    default_open: bool = False


class Courier(Protocol):
    """The pure half: no network, no clock. Made by `courier(mapping)` of `connectors.sase.NAME_things`."""

    @property
    def capabilities(self) -> Capabilities: ...

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """What an exported folder wants the tenant to have, ordered things in their order. Raises ExportError."""
        ...

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """The way back: files that the target's interpreter reads, from what a tenant has that is live.

        `exports`: the exported folders that things came from, the newest first, for what is never delivered
        (`model.json`, the meaning of sets that this service fills).
        """
        ...

    def stand_in(self, thing: Thing) -> Thing:
        """The same `closes` under another name, which stands in while the first is changed (`NAME.next`)."""
        ...


class Tenant(Protocol):
    """The half that speaks with the vendor, used as `async with`. Every method raises ConnectorError.

    INVARIANT (unsure): a write after which nobody knows whether the vendor has done it (time-out, broken connection,
    5xx) raises ConnectorError with `fault=UNSURE` and is not tried again below this port: who asked looks first. 429
    was not done, and is waited for below. Reading is tried again below.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def read(self) -> Standing:
        """All that is ours, by name or mark, and what stands among it."""
        ...

    async def look(self, key: Key) -> Held | None:
        """One thing as it is now."""
        ...

    async def order(self, place: str) -> tuple[Key, ...]:
        """The ordered things of ours in a place, in their order."""
        ...

    async def add(self, thing: Thing, *, live: bool) -> None:
        """An ordered one at the end of its place, behind those of others too."""
        ...

    async def change(self, thing: Thing, *, live: bool) -> None:
        """Replace the body of the thing of this name; it stays where it stands."""
        ...

    async def remove(self, key: Key) -> None: ...

    async def move(self, key: Key, behind: Key | None) -> None:
        """Right behind another one of ours of its place; None: to the place's very beginning."""
        ...

    async def push(self, note: str, keep: Callable[[str], None]) -> None:
        """Make the candidate count, and wait until it does. Only where `staging`.

        `keep(job)` as soon as the vendor has named the job: it is on the disk when `keep` returns. `note`: what an
        earlier process kept before it ended, so that its job is waited for; "" for none.
        """
        ...


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def meaning_of(body: Mapping[str, Any], *words: str) -> str:
    """The digest of a body without the members that are only read by people (`description`, `comments`)."""
    return digest_of({name: value for name, value in body.items() if name not in words})
