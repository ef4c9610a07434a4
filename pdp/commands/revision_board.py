"""What the commands for revisions stand on: the registers, who sits at this machine, and the trail.

Whoever may write the state directory of a service can do anything to it, so a command has every role; what it has not
is a second person. The kernel says who runs it, and the rule of two persons holds here as everywhere.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdp.revisions.opening import Registers, open_registers
from pdp.revisions.person import ROLES, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pdp.commands.call import PlainStateCall, StateCall
    from pdp.commands.terminal import Terminal
    from pdp.revisions.revision import Active, Revision
    from pdp.settings import Settings
    from pdp.signals.port import Kind
    from pdp.store.store import Store
    from pdp.trail.event import Action


@dataclass(frozen=True)
class Board:
    settings: Settings
    terminal: Terminal
    store: Store
    registers: Registers
    person: Person
    tell: Callable[[Kind, str], None]

    @property
    def now(self) -> datetime:
        from pdp.parts import utc_now

        return utc_now()

    def change(self, action: Action, number: int | None, reason: str, make: Callable[[], Any]) -> Any:
        """Do it, written down before and after. Raises what `make` raises."""
        from pdp.errors import CallerRefusedError, SekishoError
        from pdp.trail.keeping import record_query

        what = None if number is None else f"revision {number}"
        begun = record_query(self.settings, action, {}, object=what, reason=reason, outcome="begun")
        try:
            made = make()
        except SekishoError as fault:
            outcome: Any = "refused" if isinstance(fault, CallerRefusedError) else "failed"
            record_query(self.settings, action, {}, object=what, outcome=outcome, error=fault.code, of=begun)
            raise
        record_query(self.settings, action, {}, object=what, outcome="done", of=begun)
        return made


@contextmanager
def open_board(call: PlainStateCall | StateCall) -> Iterator[Board]:
    """Raises SettingsError and DirectoryError."""
    from pdp.commands.composed import store_of
    from pdp.commands.telling import telling
    from pdp.trail.keeping import os_user

    settings, terminal = call.settings(), call.terminal
    with store_of(settings) as store:
        registers = open_registers(settings, store)
        person = Person(f"os_user:{os_user().id}", ROLES)
        with telling(settings, terminal) as tell:
            yield Board(settings, terminal, store, registers, person, tell)


def tell_revision(board: Board, revision: Revision) -> None:
    """Say how the revision stands now."""
    from pdp.commands.revision_lines import say_revision
    from pdp.governance.told import revision_told

    if board.terminal.as_json:
        board.terminal.json(revision_told(revision))
    say_revision(board.terminal, revision)


def tell_active(board: Board, active: Active) -> None:
    """Say what is of record now, to the workers too."""
    from pdp.commands.revision_lines import say_active
    from pdp.governance.told import active_told

    board.tell("policy", str(active.epoch))
    if board.terminal.as_json:
        board.terminal.json(active_told(active))
    say_active(board.terminal, active)
