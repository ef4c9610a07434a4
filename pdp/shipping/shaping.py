"""From a line of the log to the event of one target: filter, mask, format. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from pdp.model.log_target import SYSLOG
from pdp.shipping.cef import cef_event
from pdp.shipping.ocsf import ocsf_event
from pdp.shipping.own_json import own_event
from pdp.shipping.port import Event
from pdp.shipping.view import view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.model.log_target import LogTarget
    from pdp.shipping.following import Found
    from pdp.shipping.masking import Mask
    from pdp.shipping.port import Level
    from pdp.shipping.view import View

_LEVELS: Final[dict[str, Level]] = {"allow": "info", "limit": "info", "step_up": "notice", "deny": "warning"}
_FORMATS: Final[dict[str, Callable[[View], bytes]]] = {"ocsf": ocsf_event, "cef": cef_event, "json": own_event}

_SHORT: Final[dict[str, Callable[[View], bytes]]] = {
    "ocsf": partial(ocsf_event, short=True),
    "json": partial(own_event, short=True),
}


class Shaper:
    def __init__(self, target: LogTarget, mask: Mask) -> None:
        self._outcomes: Final = frozenset(target.outcomes)
        self._groups: Final = frozenset(target.resource_groups)
        self._mask: Final = mask
        self._format: Final = _FORMATS[target.format]
        self._bounded: Final = target.scheme in SYSLOG
        self._event_bytes: Final = target.event_bytes
        self._short: Final = _SHORT.get(target.format)

    def __call__(self, found: Found) -> Event | None:
        """The event, or None where this target does not want it. Raises RecordDamagedError."""
        view = view_of(found.body, node=found.node, worker=found.worker, epoch=found.epoch, seq=found.seq)
        record = view.record
        if self._outcomes and record.outcome not in self._outcomes:
            return None
        if self._groups and view.group not in self._groups:
            return None
        view = self._mask(view)
        body = self._format(view)
        if self._bounded and len(body) > self._event_bytes and self._short is not None:
            body = self._short(view)
        level: Level = "warning" if record.fault is not None else _LEVELS[record.outcome]
        return Event(body, record.time, found.node, found.worker, found.seq, level, record.kind)
