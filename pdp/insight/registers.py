"""People, devices and sources as JSON values, for whoever may read the directory. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pdp.directory.freshness import freshness
from pdp.directory.posture import FACTS
from pdp.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from pdp.model.directory import Device, Period, PostureReport, Snapshot, User
    from pdp.model.source import SourceHealth

Json = dict[str, Any]
MAX_PAGE: Final = 200
_GONE: Final = "check the id; whoever is bound to departments sees those of them only"


@dataclass(frozen=True, slots=True)
class Registers:
    """One snapshot, as eyes see it that are bound to `within` (None: by nothing). `limit`: when a posture is stale."""

    snapshot: Snapshot
    now: datetime
    limit: timedelta
    within: tuple[str, ...] | None = None

    def summary(self, age: timedelta | None) -> Json:
        """How large, how fresh, and how its sources are."""
        snapshot = self.snapshot
        fresh = freshness(snapshot, self.now, self.limit)
        return {
            "epoch": snapshot.epoch,
            "age_s": None if age is None else age.total_seconds(),
            "users": len(snapshot.users),
            "devices": len(snapshot.devices),
            "permits": sum(map(len, snapshot.permits.values())),
            "loans": sum(map(len, snapshot.loans.values())),
            "work_permits": len(snapshot.work_permits),
            "classes": dict(sorted(Counter(device.class_ for device in snapshot.devices.values()).items())),
            "posture": {
                "devices": fresh.devices,
                "fresh": fresh.fresh,
                "stale": fresh.stale,
                "unknown": fresh.unknown,
                "newest": _time(fresh.newest),
                "oldest": _time(fresh.oldest),
                "limit_hours": self.limit.total_seconds() / 3600,
                "source": snapshot.posture_source,
            },
            "sources": [source_json(source, self.now) for source in snapshot.sources],
            "emergencies": [
                {"reason": e.reason, **_period(e.period), "holds": e.period.holds(self.now)}
                for e in snapshot.emergencies
            ],
        }

    def users(self, text: str, department: str, size: int, after: str) -> Json:
        """Those whose id or name holds the text, by id."""
        wanted = text.casefold()
        found = (
            user
            for _, user in self._sorted(self.snapshot.users, after)
            if self.sees_user(user)
            and (not wanted or wanted in user.id.casefold() or wanted in user.name.casefold())
            and (not department or department in _departments(user))
        )
        return _page("users", [self._user_line(user) for user in islice(found, size + 1)], size)

    def devices(self, text: str, class_: str, state: str, size: int, after: str) -> Json:
        """Those whose id or owner holds the text, by id."""
        wanted = text.casefold()
        found = (
            device
            for _, device in self._sorted(self.snapshot.devices, after)
            if self.sees_device(device)
            and (not wanted or wanted in device.id.casefold() or wanted in (device.owner or "").casefold())
            and (not class_ or device.class_ == class_)
            and (not state or device.state == state)
        )
        return _page("devices", [self.device_line(device) for device in islice(found, size + 1)], size)

    def user(self, user_id: str) -> Json:
        """Everything about one person. Raises NotFoundError."""
        snapshot, now = self.snapshot, self.now
        user = snapshot.users.get(user_id)
        if user is None or not self.sees_user(user):
            raise NotFoundError("there is nobody of this id among those that you may see", next_step=_GONE)
        permits = [p for many in snapshot.permits.values() for p in many if p.user == user_id]
        loans = [booked for many in snapshot.loans.values() for booked in many if booked.user == user_id]
        theirs = {permit.device for permit in permits} | {loan.device for loan in loans}
        theirs |= {device.id for device in snapshot.devices.values() if device.owner == user_id}
        return {
            **self._user_line(user),
            "posts": [
                {"department": p.department, **_period(p.period), "holds": p.period.holds(now)} for p in user.posts
            ],
            "employment": _period(user.employment),
            "employed": user.employment.holds(now),
            "devices": [self.device_line(snapshot.devices[id_]) for id_ in sorted(theirs) if id_ in snapshot.devices],
            "permits": [
                {"device": p.device, "held": p.held, **_period(p.period), "holds": p.period.holds(now)} for p in permits
            ],
            "loans": [{"device": one.device, **_period(one.period), "holds": one.period.holds(now)} for one in loans],
            "work_permits": [
                {
                    "id": work.id,
                    "resources": sorted(work.resources),
                    "devices": sorted(work.devices),
                    **_period(work.period),
                    "holds": work.period.holds(now),
                }
                for work in snapshot.work_permits
                if user_id in work.users
            ],
        }

    def device(self, device_id: str, reports: Sequence[PostureReport], names: Sequence[str]) -> Json:
        """Everything about one device; `reports` are those of each source. Raises NotFoundError."""
        snapshot, now = self.snapshot, self.now
        device = snapshot.devices.get(device_id)
        if device is None or not self.sees_device(device):
            raise NotFoundError("there is no device of this id among those that you may see", next_step=_GONE)
        permits, loans = snapshot.permits.get(device_id, ()), snapshot.loans.get(device_id, ())
        return {
            **self.device_line(device),
            "takeout": device.takeout,
            "returned_from_outside": device.returned_from_outside,
            "certificate_sha256": device.certificate_sha256,
            "names": sorted(names),
            "facts": _facts(device.posture),
            "reports": [
                {"source": r.source, **self._observed(r), "facts": _facts(r)}
                for r in sorted(reports, key=lambda r: r.source)
            ],
            "permits": [
                {"user": p.user, "held": p.held, **_period(p.period), "holds": p.period.holds(now)} for p in permits
            ],
            "loans": [{"user": one.user, **_period(one.period), "holds": one.period.holds(now)} for one in loans],
        }

    def sees_user(self, user: User) -> bool:
        return self.within is None or not _departments(user).isdisjoint(self.within)

    def sees_device(self, device: Device) -> bool:
        if self.within is None or device.department in self.within:
            return True
        owner = self.snapshot.users.get(device.owner or "")
        return owner is not None and self.sees_user(owner)

    def device_line(self, device: Device) -> Json:
        owner = self.snapshot.users.get(device.owner or "")
        return {
            "id": device.id,
            "class": device.class_,
            "owner": device.owner,
            "owner_name": None if owner is None else owner.name,
            "department": device.department,
            "shared": device.shared,
            "state": device.state,
            "source": device.posture.source,
            **self._observed(device.posture),
        }

    def _user_line(self, user: User) -> Json:
        return {
            "id": user.id,
            "name": user.name,
            "kind": user.kind,
            "organisation": user.organisation,
            "identity_source": user.identity_source,
            "departments": [p.department for p in user.posts if p.period.holds(self.now)],
            "roles": list(user.roles),
            "status": user.status if user.employment.holds(self.now) or user.status != "active" else "ended",
        }

    def _observed(self, report: PostureReport) -> Json:
        age = None if report.observed_at is None else max(0.0, (self.now - report.observed_at).total_seconds())
        return {
            "observed_at": _time(report.observed_at),
            "age_s": age,
            "stale": age is None or age > self.limit.total_seconds(),
        }

    @staticmethod
    def _sorted(rows: Mapping[str, Any], after: str) -> Iterator[tuple[str, Any]]:
        return ((id_, rows[id_]) for id_ in sorted(rows) if id_ > after)


def source_json(source: SourceHealth, now: datetime) -> Json:
    age = source.age(now)
    return {
        "name": source.name,
        "kind": source.kind,
        "brings": source.brings,
        "required": source.required,
        "state": source.state(now),
        "age_s": None if age is None else age.total_seconds(),
        "last_success_at": _time(source.last_success_at),
        "last_attempt_at": _time(source.last_attempt_at),
        "fault": source.fault,
        "rows": source.rows,
        "unmatched": source.unmatched,
        "refused": source.refused,
        "pending": source.pending,
    }


def _departments(user: User) -> set[str]:
    return {post.department for post in user.posts}


def _facts(report: PostureReport) -> Json:
    return {fact: _plain(getattr(report, fact)) for fact in FACTS}


def _plain(value: Any) -> Any:
    return "unknown" if value is None else value


def _period(period: Period) -> Json:
    return {"from": _time(period.start), "until": _time(period.end)}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _page(name: str, rows: Sequence[Json], size: int) -> Json:
    shown = list(rows[:size])
    return {name: shown, "next": shown[-1]["id"] if len(rows) > size else None}


def callers_json(callers: Iterable[Any], now: datetime) -> list[Json]:
    """The register of callers (`pdp.callers.listing.ListedCaller`), without a secret."""
    return [
        {
            "id": caller.id,
            "permissions": sorted(caller.permissions),
            "created_at": _time(caller.created_at),
            "networks": list(caller.bounds.networks),
            "profile": caller.bounds.profile,
            "keys": [
                {
                    "id": key.key_id,
                    "created_at": _time(key.created_at),
                    "expires_at": _time(key.expires_at),
                    "revoked_at": _time(key.revoked_at),
                    "counts": _counts(key.expires_at, now) and _counts(key.revoked_at, now),
                }
                for key in caller.keys
            ],
            "bindings": [
                {"kind": bound.bound.kind, "created_at": _time(bound.created_at), "revoked_at": _time(bound.revoked_at)}
                for bound in caller.bindings
            ],
        }
        for caller in callers
    ]


def _counts(end: datetime | None, now: datetime) -> bool:
    return end is None or now < end
