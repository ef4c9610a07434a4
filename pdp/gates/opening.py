"""Every gate of this house, made of the settings: for the admin API and for commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.bundle.bundle import bundle_of_canonical
from pdp.directory.snapshot import load_snapshot
from pdp.errors import RecordDamagedError
from pdp.gates.aside import ForesightAside
from pdp.gates.foresight import Bounds, ForesightGate, Ground
from pdp.gates.gates import own_gates
from pdp.gates.invariants import InvariantsGate
from pdp.revisions.opening import open_registers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.revisions.activations import Activations
    from pdp.revisions.gate import Gate
    from pdp.settings import Settings
    from pdp.store.store import Store


def open_gates(  # noqa: PLR0913  # the composition root names each
    settings: Settings,
    store: Store,
    *,
    open_engine: Callable[[], Engine],
    configured: Callable[[], Bundle],
    clock: Callable[[], datetime],
    aside: bool = False,
) -> tuple[Gate, ...]:
    """In the order in which they run. `configured`: the bundle that decides where nothing was ever activated.

    `aside`: what takes seconds of Python runs in a process of its own. Raises SettingsError where a key cannot be read.
    """
    expected = _expected_of(settings, store, configured)
    foresight: Gate = (
        ForesightAside(settings, clock, expected)
        if aside
        else foresight_gate(settings, store, open_engine=open_engine, configured=configured, clock=clock)
    )
    return (
        *own_gates(open_engine, expected),
        InvariantsGate(settings.policy_invariants_file, expected),
        foresight,
    )


def foresight_gate(
    settings: Settings,
    store: Store,
    *,
    open_engine: Callable[[], Engine],
    configured: Callable[[], Bundle],
    clock: Callable[[], datetime],
) -> ForesightGate:
    """The gate itself, which judges in this process. Raises as `open_gates`."""
    activations = open_registers(settings, store).activations

    def look() -> Ground:
        return Ground(bundle_of_record(activations, configured), load_snapshot(store, clock()), clock())

    return ForesightGate(look, open_engine, bounds_of(settings), _expected_of(settings, store, configured))


def bundle_of_record(activations: Activations, configured: Callable[[], Bundle]) -> Bundle:
    """What decides now. Raises RecordDamagedError where its text is not the one that was activated."""
    found = activations.current_text(0)
    if found is None:
        return configured()
    active, text = found
    bundle = bundle_of_canonical(text)
    if bundle.digest != active.digest:
        raise RecordDamagedError("the text of what is of record is not the one of its digest")
    return bundle


def _expected_of(settings: Settings, store: Store, configured: Callable[[], Bundle]) -> Callable[[], Bundle | None]:
    """A draft's own manifest must not take it past three gates."""
    activations = open_registers(settings, store).activations
    return lambda: None if settings.profile == "plain" else bundle_of_record(activations, configured)


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(
        settings.foresight_losing_share,
        settings.foresight_stale_share,
        frozenset(settings.foresight_protected_roles),
        frozenset(settings.foresight_protected_departments),
        settings.foresight_losing_device_share,
    )
