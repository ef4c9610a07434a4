"""The first page: what is refused now, and is anything blind or late."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.console import charts
from pdp.console.approvals import awaited
from pdp.console.pages import Page
from pdp.console.said import Said
from pdp.console.words import N_, moment, span_text
from pdp.model.directory import JST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit

HOURS: Final = (24, 72, 168)
_TOP: Final = 8
_OFFSET_MIN: Final = 540
LATE_HEAD_S: Final = 300.0  # a head comes each second while there are records; five minutes are a fault


class Worry(NamedTuple):
    """Something that an operator should look at. `level`: `bad` denies or loses something, `warn` does not yet."""

    level: str
    text: str
    page: str


async def overview(visit: Visit) -> Response:
    hours = next((n for n in HOURS if visit.one("hours") == str(n)), HOURS[0])
    until = _whole_hour(visit.now) + timedelta(hours=1)
    window = {"since": (until - timedelta(hours=hours)).isoformat(), "until": until.isoformat()}
    health = await visit.ask("/admin/v1/health")
    directory = await visit.ask("/admin/v1/directory") if visit.may("read_directory") else None
    shown: dict[str, Any] = {"log": None, "by_reason": None, "by_resource": None, "over_time": None}
    if visit.may("audit_read") or visit.may("audit_operate"):
        shown["log"] = await _groups(visit, window, by="day,outcome" if hours > HOURS[1] else "hour,outcome")
        if shown["log"].ok:
            shown["over_time"] = _over_time(shown["log"].data, until, hours, Said(visit.lang))
            shown["by_reason"] = await _groups(visit, window, by="reason", outcome="deny", limit=str(_TOP))
            shown["by_resource"] = await _groups(visit, window, by="resource", outcome="deny", limit=str(_TOP))
    return visit.page(
        "overview.html",
        words=await visit.words(),
        hours=hours,
        choices=HOURS,
        window=window,
        today=visit.now,
        health=health,
        directory=directory,
        worries=worries(visit, health, directory),
        awaited=await awaited(visit),
        **shown,
    )


async def _groups(visit: Visit, window: Mapping[str, str], **params: str) -> Answer:
    return await visit.ask("/audit/v1/decisions/groups", **window, utc_offset_min=str(_OFFSET_MIN), **params)


def _over_time(data: Mapping[str, Any], until: datetime, hours: int, said: Said) -> dict[str, Any]:
    """Every hour or day of the window, those without a decision too."""
    daily = hours > HOURS[1]
    counted: dict[str, dict[str, int]] = {}
    for row in data["groups"]:
        counted.setdefault(str(row["day" if daily else "hour"])[: 10 if daily else 13], {})[row["outcome"]] = row[
            "decisions"
        ]
    step = timedelta(days=1) if daily else timedelta(hours=1)
    first = (until - timedelta(hours=hours)).astimezone(JST)
    rows: list[charts.Column] = []
    at = first.replace(hour=0) if daily else first
    while at < until:
        parts = counted.get(at.strftime("%Y-%m-%d" if daily else "%Y-%m-%d %H"), {}) or counted.get(
            at.strftime("%Y-%m-%dT%H"), {}
        )
        label = at.strftime("%m/%d" if daily else "%H:00")
        tip = ", ".join(
            f"{said.outcome(outcome)} {parts[outcome]:,}" for outcome in charts.OUTCOMES if outcome in parts
        )
        rows.append(charts.Column(label, parts, f"{at.strftime('%m/%d' if daily else '%m/%d %H:00')} {tip}"))
        at += step
    totals = {name: sum(row.parts.get(name, 0) for row in rows) for name in charts.OUTCOMES}
    return {"rows": rows, "totals": totals, "all": sum(totals.values())}


def _whole_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def worries(visit: Visit, health: Answer, directory: Answer | None) -> list[Worry]:
    """The worst first."""
    found: list[Worry] = []
    if not health.ok:
        found.append(Worry("bad", visit.say("The state of the workers cannot be had"), "health"))
    else:
        workers = health.data["workers"]
        if not workers:
            found.append(Worry("warn", visit.say("No worker has reported yet"), "health"))
        now = moment(health.data["now"])
        for worker in workers:
            found += _of_worker(visit, worker, 0.0 if now is None else now.timestamp())
    if directory is not None and directory.ok:
        found += _of_directory(visit, directory.data)
    return sorted(dict.fromkeys(found), key=lambda worry: (worry.level != "bad", worry.text))


def _of_worker(visit: Visit, worker: Mapping[str, Any], now: float) -> list[Worry]:
    numbers: Mapping[str, float | None] = worker["numbers"]
    said, pid = Said(visit.lang), worker["pid"]
    found = [
        Worry("bad", visit.say("Worker %(pid)s: %(check)s is at fault: %(detail)s", pid=pid, check=said.word(c["name"]),
                               detail=said.detail(c["detail"])), "health")
        for c in worker["checks"] if not c["ok"]
    ]  # fmt: skip
    if worker["late"]:
        found.append(Worry("bad", visit.say("Worker %(pid)s has said nothing since %(at)s", pid=pid,
                                            at=str(worker["seen_at"])[:19]), "health"))  # fmt: skip
    if numbers.get("log_unrecorded"):
        text = visit.say("%(count)s records could not be kept", count=int(numbers["log_unrecorded"] or 0))
        found.append(Worry("bad", text, "health"))
    if numbers.get("log_altered"):
        found.append(Worry("bad", visit.say("A segment of the log is not what was signed for"), "health"))
    if numbers.get("log_spilling"):
        found.append(Worry("warn", visit.say("Records go to the second place of the log"), "health"))
    if numbers.get("cache_shared_up") == 0.0:
        found.append(Worry("warn", visit.say("The shared cache does not answer"), "health"))
    signed = numbers.get("log_signed_at")
    if signed is not None and now - signed > LATE_HEAD_S:
        found.append(Worry("warn", visit.say("The newest signed head of the log is old"), "health"))
    return found


def _of_directory(visit: Visit, directory: Mapping[str, Any]) -> list[Worry]:
    found: list[Worry] = []
    for source in directory["sources"]:
        if source["state"] != "ok":
            level = "bad" if source["state"] == "down" and source["required"] else "warn"
            age = span_text(source["age_s"], visit.lang)
            text = visit.say("Source %(name)s: last success %(age)s ago", name=source["name"], age=age)
            found.append(Worry(level, text, "directory"))
        if source["pending"]:
            text = visit.say("Source %(name)s waits for an approval", name=source["name"])
            found.append(Worry("warn", text, "directory"))
    posture = directory["posture"]
    if posture["source"] != "ok":
        found.append(Worry("bad", visit.say("The source of device states counts as unavailable"), "directory"))
    if any(emergency["holds"] for emergency in directory["emergencies"]):
        found.append(Worry("warn", visit.say("Emergency mode is declared"), "directory"))
    return found


def top(answer: Answer, key: str) -> list[tuple[str, int]]:
    """Names with their counts; for the templates."""
    rows: Sequence[Mapping[str, Any]] = answer.data["groups"] if answer.ok else []
    return [(str(row[key] or "—"), row["decisions"]) for row in rows]


PAGES: Final = (Page("", overview, title=N_("Overview")),)
