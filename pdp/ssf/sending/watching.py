"""What the registers say of everybody, held against what was told. Pure: the directory and the time are values.

A person's state is the employment of the facts, a device's is what every decision asks of a posture: the caps at which
the score for gateways says that the policy denies (`pdp.posture.score`). A state is judged anew where the directory's
value is another one, or its time has come, so a look costs little where nothing changes.

INVARIANT (nothing is missed): what was told is kept with the events in one transaction, and compared with how things
stand. Whatever changed while nobody looked is told with the next look, however long that takes; only what changed and
changed back in between is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pdp.cut_off.entries import LOST as LOST_STATES
from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.subject import subject_facts
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.posture.score import CAPS, score
from pdp.ssf.events import COMPLIANT, NOT_COMPLIANT
from pdp.ssf.sending.happenings import ABSENT, LOST, WITHDRAWN, of_device, of_person

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pdp.model.directory import Device, Snapshot, User
    from pdp.posture.score import Thresholds
    from pdp.ssf.sending.happenings import Happening

DENIED_AT: Final = CAPS["patch_deny"]  # and below: above it a decision only warns, or asks for more
_WITHDRAWN: Final = frozenset({"quarantined", "retired"})
_NOBODY: Final = ""
_SPARE: Final = 10_000  # times that count no more may stand among those that do

Register = Literal["user", "device", "mark"]
_OF_DIRECTORY: Final[tuple[Register, ...]] = ("user", "device")


class Row(NamedTuple):
    """A state that is to be kept as told, and what has to be told of it."""

    register: Register
    key: str
    state: str
    happenings: tuple[Happening, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """All that a state is judged by, and the directory of the look before."""

    snapshot: Snapshot
    thresholds: Thresholds
    now: datetime
    earlier: Snapshot | None


class Watch:
    """One worker's look at the directory. `told`: by register and id, the state that was told last."""

    def __init__(self, told: Mapping[tuple[Register, str], str]) -> None:
        self._told: dict[Register, dict[str, str]] = {"user": {}, "device": {}}
        for (register, key), state in told.items():
            self._told[register][key] = state
        self._seen: dict[Register, dict[str, User | Device]] = {"user": {}, "device": {}}  # judged, as they were
        self._until: dict[tuple[Register, str], datetime] = {}
        self._due: list[tuple[datetime, Register, str]] = []  # a heap; an entry counts that `_until` has
        self._last: tuple[Snapshot, Thresholds] | None = None

    def look(self, snapshot: Snapshot, thresholds: Thresholds, now: datetime) -> list[Row]:
        """Every state that differs from what was told, in the order of the registers. Nothing is taken as told yet."""
        last = self._last
        if last is not None and last[1] != thresholds:
            self._seen = {"user": {}, "device": {}}
            self._until.clear()
            self._due.clear()
        candidates: dict[Register, set[str]] = {"user": set(), "device": set()}
        if last is None or last[0] is not snapshot or last[1] != thresholds:
            candidates = {register: self._moved(register, snapshot) for register in _OF_DIRECTORY}
        while self._due and self._due[0][0] <= now:
            at, register, key = heappop(self._due)
            if self._until.get((register, key)) == at:
                del self._until[register, key]
                candidates[register].add(key)
        look = _Look(snapshot, thresholds, now, None if last is None else last[0])
        self._last = (snapshot, thresholds)
        rows = (self._row(register, key, look) for register in _OF_DIRECTORY for key in sorted(candidates[register]))
        return [row for row in rows if row is not None]

    def keep(self, rows: Iterable[Row]) -> None:
        """These were told, and that is kept."""
        for row in rows:
            self._told[row.register][row.key] = row.state

    def _moved(self, register: Register, snapshot: Snapshot) -> set[str]:
        """Whose value is not the one that was judged, and who is not there any more."""
        values: Mapping[str, User | Device] = snapshot.users if register == "user" else snapshot.devices
        seen = self._seen[register].get
        moved = {key for key, value in values.items() if seen(key) is not value}
        return moved | (self._told[register].keys() - values.keys())

    def _row(self, register: Register, key: str, look: _Look) -> Row | None:
        told = self._told[register].get(key)
        state = self._user(key, look) if register == "user" else self._device(key, look)
        if state == told:
            return None
        if register == "user":
            return Row(register, key, state, tuple(of_person(key, told, state, look.now)))
        return Row(register, key, state, tuple(of_device(key, _users(key, look), told, state, look.now)))

    def _user(self, key: str, look: _Look) -> str:
        user = look.snapshot.users.get(key)
        if user is None:
            self._gone("user", key)
            return ABSENT
        horizon = Horizon(look.now)
        state = subject_facts(key, user, NOT_AUTHENTICATED, horizon).employment
        self._judged("user", key, user, horizon.changes.get("subject.employment"))
        return state

    def _device(self, key: str, look: _Look) -> str:
        device = look.snapshot.devices.get(key)
        if device is None:
            self._gone("device", key)
            return WITHDRAWN
        horizon = Horizon(look.now)
        facts = device_facts(key, None, _NOBODY, look.snapshot, horizon)
        if device.state in LOST_STATES:
            state = LOST
        elif device.state in _WITHDRAWN:
            state = WITHDRAWN
        else:
            state = COMPLIANT if score(facts, look.thresholds) > DENIED_AT else NOT_COMPLIANT
        self._judged("device", key, device, horizon.changes.get("device.posture.age_hours"))
        return state

    def _gone(self, register: Register, key: str) -> None:
        self._seen[register].pop(key, None)
        self._until.pop((register, key), None)

    def _judged(self, register: Register, key: str, value: User | Device, until: datetime | None) -> None:
        """It is judged anew where it is another one, and at `until`. Times that were replaced go now and then."""
        self._seen[register][key] = value
        if until is None:
            self._until.pop((register, key), None)
        elif self._until.get((register, key)) != until:
            self._until[register, key] = until
            heappush(self._due, (until, register, key))
        if len(self._due) > 2 * len(self._until) + _SPARE:
            self._due = sorted((at, *thing) for thing, at in self._until.items())  # sorted is a heap


def _users(device_id: str, look: _Look) -> list[str]:
    """Whose device it is now: its owner, whoever it is lent to, whoever has a permit. Of one that is gone: was.

    The owner of a device that was taken out is known only to the sender that saw it before.
    """
    snapshot, earlier = look.snapshot, look.earlier
    device = snapshot.devices.get(device_id) or (None if earlier is None else earlier.devices.get(device_id))
    found = {one.user for one in snapshot.loans.get(device_id, ()) if one.period.holds(look.now)}
    found |= {one.user for one in snapshot.permits.get(device_id, ()) if one.period.holds(look.now)}
    if device is not None and device.owner:
        found.add(device.owner)
    return sorted(found)
