"""A town with small policies of one fact, an engine that may lie or fail, and tables that may be wrong or late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from pdp.bundle.bundle import Bundle
from pdp.errors import EngineError, EngineSupersededError, EngineTimeoutError, NotReadyError, SpaceError
from pdp.space.diagram import Diagram
from pdp.space.facts import fact_of, schema_leaves
from pdp.space.payloads import canonical
from pdp.space.space import Built, DecisionSpace
from pdp.table.decision_table import table_of
from pdp.table.keeper import TableKeeper
from pdp.table.kept import Found
from pdp.table.laid import laid_out
from pdp.table.proof import proof_documents
from tests.unit.table.policies import encoded, fine, policy

ALLOW = {"outcome": "allow", "reasons": ["OK"], "obligations": {}}
DENY = {"outcome": "deny", "reasons": ["NO"], "obligations": {}}
STEP_UP = {"outcome": "step_up", "reasons": ["MORE"], "obligations": {}, "required_auth_level": 3}
Answers = dict[str, dict[str, Any]]  # by zone; the others are denied
OFFICE: Answers = {"office": ALLOW}
LEVEL = 1_000


def bundle(name: str, profile: str = "zta") -> Bundle:
    """A policy that nobody evaluates: the engine of these tests knows its answers by its digest."""
    return policy(f"package pdp\n\ndecision := 1 # {name}\n", revision=name, profile=profile)


def document(zone: str) -> bytes:
    asked = fine()
    asked["context"]["zone"] = zone
    return encoded(asked)


def space_with(of: Bundle, answers: Answers) -> DecisionSpace:
    fact, diagram = fact_of(schema_leaves()["context", "zone"]), Diagram()
    diagram.sizes[LEVEL] = len(fact.values)
    kids = tuple(diagram.leaf(canonical(answers.get(str(zone), DENY))) for zone in fact.values)
    return DecisionSpace(of, {LEVEL: fact}, diagram, diagram.node(LEVEL, kids), Built(1, 6, ("x", 6)))


def found_in(space: DecisionSpace) -> Found:
    return Found(
        table_of(laid_out(space.bundle.digest, space.facts, space.diagram, space.verdict)), proof_documents(space)
    )


class Town:
    """Implements the ports `Engine` and `Tables`. What a test sets counts from the next call on."""

    name = "scripted"

    def __init__(self) -> None:
        self.policies: dict[str, Answers] = {}  # what the engine says, by digest
        self.spaces: dict[str, Answers] = {}  # what was counted out
        self.active_bundle: Bundle | None = None
        self.faults: list[EngineError | SpaceError | None] = []  # of the next calls for a table
        self.silent = 0  # how many of the next evaluations time out
        self.absent = False  # another worker makes the table
        self.making: asyncio.Event | None = None  # whoever makes a table waits for it
        self.made: list[str] = []
        self.called_wrong: list[str] = []
        self.doubts: set[str] = set()
        self.unwritable = False  # the folder of the marks
        self.now = 0.0
        self.asked: list[bytes] = []
        self.held: asyncio.Event | None = None  # an evaluation waits for it
        self.waiting = asyncio.Event()  # set when one does
        self.sought = asyncio.Event()  # set when a table is
        self.keeper = self.worker()

    def worker(self, differed: Callable[[], None] = lambda: None) -> TableKeeper:
        """One more of this town."""
        return TableKeeper(self, self.active, self, differed=differed, settled_s=0, clock=lambda: self.now)

    async def turn(self, keeper: TableKeeper | None = None) -> None:
        """One of each of its three turns."""
        one = self.keeper if keeper is None else keeper
        await one.look()
        await one.heed()
        await one.check()

    def has(self, of: Bundle, answers: Answers, *, counted: Answers | None = None) -> Bundle:
        self.policies[of.digest], self.spaces[of.digest] = answers, answers if counted is None else counted
        return of

    def active(self) -> Bundle:
        if self.active_bundle is None:
            raise NotReadyError("no policy is active")
        return self.active_bundle

    def says(self, zone: str, of: Bundle | None = None) -> Any:
        said = self.keeper.answer(document(zone), (of or self.active()).digest)
        return None if said is None else json.loads(said)["outcome"]

    # The engine.

    async def activate(self, bundle: Bundle) -> None:
        self.active_bundle = bundle

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        if self.held is not None:
            self.waiting.set()
            await self.held.wait()
        return [self._one(one, digest) for one in documents]

    def _one(self, one: bytes, digest: str | None) -> bytes | EngineError:
        assert digest is not None, "a table may be held against its own policy only"
        if self.silent:
            self.silent -= 1
            return EngineTimeoutError("too slow")
        if digest != self.active().digest:
            return EngineSupersededError("another bundle has become active")
        self.asked.append(one)
        zone = json.loads(one)["context"]["zone"]
        return json.dumps(self.policies[digest].get(zone, DENY), indent=1).encode()

    async def close(self) -> None:
        return

    # The tables.

    async def table(self, bundle: Bundle) -> Found | None:
        self.made.append(bundle.revision)
        self.sought.set()
        if self.making is not None:
            await self.making.wait()
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return None if self.absent else found_in(space_with(bundle, self.spaces[bundle.digest]))

    async def doubt(self, digest: str) -> None:
        if self.unwritable:
            raise EngineError("the folder cannot be written")
        self.called_wrong.append(digest)
        self.doubts.add(digest)

    async def doubted(self, digest: str) -> bool:
        return digest in self.doubts
