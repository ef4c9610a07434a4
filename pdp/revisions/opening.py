"""The parts of `pdp.revisions`, made of the settings: for a worker, for the admin API and for commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pdp.revisions.activations import Activations
from pdp.revisions.following import Ground, PolicyFollower
from pdp.revisions.instances import Instances, Reviews
from pdp.revisions.last_good import LastGood
from pdp.revisions.lease import Lease
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.revisions.results import Results
from pdp.revisions.sealing import Sealing
from pdp.revisions.statement import read_keys, read_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.revisions.following import Activator, Kept
    from pdp.revisions.metrics import RevisionMetrics
    from pdp.settings import Settings
    from pdp.store.store import Store


class Registers(NamedTuple):
    """What people work with."""

    revisions: Revisions
    activations: Activations
    instances: Instances
    reviews: Reviews
    results: Results


def open_registers(settings: Settings, store: Store) -> Registers:
    """Nothing is read yet. Raises SettingsError where a key cannot be read."""
    people = People(settings.policy_people)
    sealing = sealing_of(settings)
    sealing.keys(), sealing.own()  # a key that cannot be read is found at the start, not on the day it is needed
    return Registers(
        Revisions(store, people, sealing, warn_max_days=settings.policy_warn_max_days),
        Activations(store, people, sealing, warn_max_days=settings.policy_warn_max_days),
        Instances(store),
        Reviews(store, people),
        Results(store),
    )


def sealing_of(settings: Settings) -> Sealing:
    """The files are read each time: a key that was changed counts without a restart."""
    file = settings.bundle_signing_key_file
    return Sealing(lambda: read_keys(settings.bundle_keys), lambda: read_signing_key(file) if file else None)


def open_follower(  # noqa: PLR0913  # the parts of a worker that it stands between
    settings: Settings,
    store: Store,
    *,
    activator: Activator,
    archive: Kept,
    clock: Callable[[], datetime],
    instance: str,
    metrics: RevisionMetrics,
    changed: Callable[[Bundle], None],
) -> PolicyFollower:
    """One worker's follower, which has not begun. Raises SettingsError where a key cannot be read."""
    sealing = sealing_of(settings)
    sealing.keys()
    return PolicyFollower(
        Ground(
            activations=Activations(store, People(settings.policy_people), sealing),
            instances=Instances(store),
            activator=activator,
            archive=archive,
            last_good=LastGood(settings.state_path / "policy"),
            keys=sealing.keys,
            clock=clock,
            lease=Lease(timedelta(seconds=settings.policy_lease_s), settings.policy_lease_end),
            instance=instance,
            profile=settings.profile,
            poll_s=settings.policy_poll_s,
            changed=changed,
            failed=metrics.failed,
            warn_max=timedelta(days=settings.policy_warn_max_days),
        )
    )
