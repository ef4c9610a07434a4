"""Every gate of this house, made of the settings: for the admin API and for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.bundle.bundle import bundle_of_canonical
from pdp.directory.snapshot import load_snapshot
from pdp.errors import RecordDamagedError
from pdp.gates.foresight import Bounds, ForesightGate, Ground
from pdp.gates.gates import own_gates
from pdp.gates.invariants import InvariantsGate
from pdp.revisions.opening import open_registers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.revisions.gate import Gate
    from pdp.settings import Settings
    from pdp.store.store import Store


def open_gates(
    settings: Settings,
    store: Store,
    *,
    open_engine: Callable[[], Engine],
    configured: Callable[[], Bundle],
    clock: Callable[[], datetime],
) -> tuple[Gate, ...]:
    """In the order in which they run. `configured`: the bundle that decides where nothing was ever activated.

    Raises SettingsError where a key cannot be read.
    """
    activations = open_registers(settings, store).activations

    def of_record() -> Bundle:
        found = activations.current_text(0)
        if found is None:
            return configured()
        active, text = found
        bundle = bundle_of_canonical(text)
        if bundle.digest != active.digest:
            raise RecordDamagedError("the text of what is of record is not the one of its digest")
        return bundle

    def look() -> Ground:
        return Ground(of_record(), load_snapshot(store, clock()), clock())

    def expected() -> Bundle | None:
        """A draft's own manifest must not take it past three gates."""
        return None if settings.profile == "plain" else of_record()

    return (
        *own_gates(open_engine, expected),
        InvariantsGate(settings.policy_invariants_file, expected),
        ForesightGate(look, open_engine, bounds_of(settings), expected),
    )


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(
        settings.foresight_losing_share,
        settings.foresight_stale_share,
        frozenset(settings.foresight_protected_roles),
        frozenset(settings.foresight_protected_departments),
    )
