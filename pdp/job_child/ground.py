"""What every kind of work stands on: the database, the policies, an engine."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pdp.errors import BadRequestError
from pdp.gates.opening import bundle_of_record
from pdp.parts import configured_bundle, open_directory, open_engine
from pdp.revisions.files import bundle_of
from pdp.revisions.opening import open_registers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.jobs.job import Order
    from pdp.settings import Settings
    from pdp.store.store import Store

PATIENT_MS: Final = 10_000  # of one evaluation: a check may take longer, decisions may not
_CHILDREN: Final = 2  # evaluators at once, on a host with as many cores


class Say(Protocol):
    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Tell how far it is; `phase` is one word, at most 32 characters."""
        ...


@dataclass(frozen=True)
class Ground:
    settings: Settings
    store: Store

    def of_record(self) -> Bundle:
        return bundle_of_record(open_registers(self.settings, self.store).activations, self.configured)

    def configured(self) -> Bundle:
        return configured_bundle(self.settings)

    def engine(self) -> Engine:
        """One of its own, with nothing loaded: an OPA server of the settings is the one that decides."""
        own = msgspec.structs.replace(self.settings, engine="regorus", engine_deadline_ms=PATIENT_MS)
        return open_engine(own, children=min(_CHILDREN, os.cpu_count() or 1))


@contextmanager
def ground_of(order: Order) -> Iterator[Ground]:
    """Raises DirectoryError where the database does not answer."""
    store = open_directory(order.settings)
    try:
        yield Ground(order.settings, store)
    finally:
        store.close()


def draft_of(order: Order) -> Bundle:
    """The revision that the order is about. Raises BundleError."""
    if order.files is None:
        raise BadRequestError("this is asked of a revision")
    return bundle_of(order.files)
