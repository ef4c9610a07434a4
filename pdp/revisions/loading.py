"""How a worker has a revision decide, with the policy before it where it warns before it refuses (`pdp.grace`)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.activation import Former
from pdp.bundle.bundle import bundle_of_canonical
from pdp.errors import BundleError, NotReadyError, SekishoError
from pdp.logs import get_log
from pdp.revisions.statement import read_statement
from pdp.revisions.trust import RevisionRefusedError
from pdp.revisions.warning import Served, warn_in

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.revisions.following import Following, Ground
    from pdp.revisions.revision import Active

RETRY: Final = timedelta(seconds=15)  # before what was refused is tried again: a load costs half a second
_log = get_log("pdp.revisions")


class Loader:
    """Of one worker. `again_at`: when a former policy that could not be had is tried again."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.again_at: datetime | None = None

    async def load(self, bundle: Bundle, active: Active, now: Following) -> Served | None:
        """Have the bundle decide; what became of its time of warning. `now` is what decides here. Raises as `activate`.

        Where the former policy cannot be had, the new one decides at once, all its refusals count, and that is told.
        """
        ground, same = self._ground, bundle.digest == now.digest
        self.again_at = None
        warning = self._wanted(active)
        if warning is None:
            if not same or now.warning is not None:  # else there is nothing to load
                await ground.activator.activate(bundle)
            return None
        if same and now.warning == warning:
            return warning
        try:
            former = await asyncio.to_thread(self._former, warning.former)
            await ground.activator.activate(bundle, Former(former, warning.until))
        except SekishoError as fault:
            if not same or now.warning is None or now.warning.fault is None:  # else it decides without it already
                await ground.activator.activate(bundle)
            ground.failed("former")
            self.again_at = ground.clock() + RETRY
            _log.error("new refusals count at once: the former policy cannot be had", reason=fault.message)
            return warning._replace(fault=fault.message)
        return warning

    def _wanted(self, active: Active) -> Served | None:
        """The time of warning of its statement, within the bound of this worker's own settings; None: none, or over."""
        ground, warn = self._ground, warn_in(active)
        if warn is None:
            return None
        until = min(warn.end, _signed_at(active) + ground.warn_max)
        return None if until <= ground.clock() else Served(warn.former, until)

    def _former(self, digest: str) -> Bundle:
        """From this host's archive, else from the database; the digest is in the signed statement."""
        ground = self._ground
        try:
            return ground.archive.load(digest)
        except NotReadyError:
            text = ground.activations.text(digest)
        if sha256(text).hexdigest() != digest:
            raise RevisionRefusedError("damaged", f"the text of the former policy is not the one with digest {digest}")
        return bundle_of_canonical(text)


def _signed_at(active: Active) -> datetime:
    """When it was made of record, as its statement says. Raises BundleError where it says no time."""
    try:
        found = datetime.fromisoformat(read_statement(active.statement).at)
    except ValueError:
        found = datetime.min  # noqa: DTZ901  # refused below, as one that names no offset
    if found.tzinfo is None:
        raise BundleError("the statement of what is of record names no time")
    return found
