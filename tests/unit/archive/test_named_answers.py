"""Every named question against a reading of the log's own lines in plain Python: no column, no Parquet, no SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from pdp.archive.duck import DuckQueries
from pdp.archive.queries import QUERIES
from pdp.archive.tail import publish_tails
from pdp.declog.record import encode_record, read_record, refusal_of
from pdp.errors import BadRequestError
from pdp.model.decision import Outcome, Verdict
from pdp.model.input import UNKNOWN_POSTURE
from pdp.model.request import Refusal
from tests.unit.archive.logs import Worker, names, record
from tests.unit.archive.test_store import publish, store_at
from tests.unit.declog.samples import uuid7_at

DAY = datetime(2026, 4, 1, tzinfo=UTC)
SINCE, UNTIL = DAY + timedelta(hours=3), DAY + timedelta(hours=21)  # some records lie outside
OFFSET = 540
PEOPLE = ("u-0001", "u-0002", "山田 太郎", "o'neil", "u-0003")
VERDICTS = (
    Verdict(Outcome.ALLOW, ("OK_BASE",)),
    Verdict(Outcome.LIMIT, ("OK_BYOD_COMMUNICATION",), {"save": "off"}),
    Verdict(Outcome.STEP_UP, ("AUTH_LEVEL",), {}, 3),
    Verdict(Outcome.DENY, ("DEVICE_LOST", "PATCH_OVERDUE")),
    Verdict(Outcome.DENY, ("PATCH_OVERDUE",)),
)
KNOWN_POSTURE = msgspec.structs.replace(UNKNOWN_POSTURE, age_hours=3, patch_age_days=2)


def some_record(random: Random, number: int) -> bytes:
    """Facts of every kind that a question asks about; several records of one instant."""
    at = DAY + timedelta(minutes=random.randrange(24 * 12) * 5, microseconds=random.randrange(2))
    if random.randrange(12) == 0:
        fault = BadRequestError("the body is not JSON")
        refusal = Refusal(fault=fault, wire="authzen", body_sha256="ab" * 32, body_bytes=7, request_id="r-9")
        return refusal_of(refusal, decision_id=uuid7_at(at, number), time=at, caller_id="gateway-1")
    choose = random.choice
    body = record(
        at,
        number,
        choose(VERDICTS),
        person=choose(PEOPLE),
        device=f"d-{random.randrange(4):05d}",
        subject__kind=choose(["staff", "staff", "contractor", "emergency_account"]),
        subject__employment=choose(["active", "active", "ended", "suspended", "not_started"]),
        subject__departments=choose([[], ["tax"], ["welfare", "tax"], ["防災"]]),
        device__class_=choose(["managed_pc", "maintenance_pc"]),
        device__ownership=choose(["organisation", "private"]),
        device__permit=choose(["none", "valid", "expired"]),
        device__posture=choose([UNKNOWN_POSTURE, KNOWN_POSTURE]),
        resource__id=choose(["groupware", "tax-app", "住民記録"]),
        resource__group=choose(["communication", "server_admin", "disaster", "account_admin"]),
        context__business_hours=choose([True, False]),
        context__business_day=choose([True, True, False]),
        context__disaster_mode=choose([True, False, False, "unknown"]),
        context__work_permit=choose(["valid", "out_of_window", "none"]),
        action__name=choose(["access", "access", "administer"]),
    )
    changed: dict[str, Any] = {
        "source_ip": choose([None, "192.0.2.7", "2001:db8::7"]),
        "caller_id": choose(["gateway-1", "gateway-2"]),
        "policy_revision": choose(["2026-04-01.1", "2026-04-01.2"]),
    }
    return encode_record(msgspec.structs.replace(read_record(body), **changed))


class Sample(NamedTuple):
    root: Path
    records: list[dict[str, Any]]  # of all lines, as JSON


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Two stored files, a published tail and lines that nobody has published, of two workers."""
    root, random = tmp_path_factory.mktemp("log"), Random(20260401)
    bodies = [some_record(random, number) for number in range(600)]
    first, second = Worker(root), Worker(root, "w1", DAY)
    store = store_at(root)
    for worker, part in ((first, bodies[:250]), (second, bodies[250:400])):
        worker.write(part)
        worker.seal()
        publish(store)
    first.write(bodies[400:500])
    store.place.make(store.disk)
    publish_tails(store.layout, store.place, names(root)[1:2], store.disk)
    first.write(bodies[500:])
    older, newer, other = map(str, names(root))
    places = [*((older, n) for n in range(1, 251)), *((other, n) for n in range(1, 151))]
    places += [(newer, n) for n in range(251, 451)]
    rows = [msgspec.json.decode(body) | {"place": place} for body, place in zip(bodies, places, strict=True)]
    return Sample(root, rows)


# -- what a line says ----------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def part(row: dict[str, Any], *path: str) -> Any:
    found: Any = row.get("input")
    for name in path:
        found = None if found is None else found[name]
    return found


def flag(value: Any) -> str | None:
    return {True: "true", False: "false"}.get(value, value) if value is None or isinstance(value, bool) else str(value)


def person(row: dict[str, Any]) -> Any:
    return part(row, "subject", "id") or row.get("subject_id")


def device(row: dict[str, Any]) -> Any:
    return part(row, "device", "id") or row.get("device_id")


def resource(row: dict[str, Any]) -> Any:
    return part(row, "resource", "id") or row.get("resource_id")


def departments(row: dict[str, Any]) -> Any:
    return part(row, "subject", "departments")


def brief(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["id"], at(row["time"]), row["outcome"], tuple(row["reasons"]), person(row), told(departments(row)),
        device(row), resource(row), row.get("action"), row.get("source_ip"), row["caller_id"],
        row.get("policy_revision"),
    )  # fmt: skip


def told(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def hour(row: dict[str, Any], offset_min: int = 0) -> datetime:
    """The hour in UTC, as a place on another clock shows it."""
    return at(row["time"]).replace(minute=0, second=0, microsecond=0) + timedelta(minutes=offset_min)


def department(row: dict[str, Any]) -> Any:
    return (departments(row) or [None])[0]


def counted(keys: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*key, count) for key, count in Counter(keys).items()]


def gathered(rows: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], tuple[Any, ...]]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def times(rows: list[Any]) -> tuple[datetime, datetime]:
    return min(at(row["time"]) for row in rows), max(at(row["time"]) for row in rows)


def newest(rows: Iterable[dict[str, Any]], count: int) -> list[tuple[Any, ...]]:
    """A page, with where each row stands: there the next one begins."""
    found = ((*brief(row), *row["place"]) for row in rows)
    return sorted(found, key=lambda row: (row[1], row[0], *row[-2:]), reverse=True)[:count]


def permitted(row: dict[str, Any]) -> bool:
    return row["outcome"] in ("allow", "limit")


def in_disaster(row: dict[str, Any]) -> bool:
    return part(row, "context", "disaster_mode") is True


# -- the answers ---------------------------------------------------------------------------------------

Rows = list[dict[str, Any]]
Answer = Callable[[Rows], list[tuple[Any, ...]]]
PAGE = 20


def denied(rows: Rows) -> Rows:
    return [row for row in rows if row["outcome"] == "deny"]


def maintenance(rows: Rows) -> list[tuple[Any, ...]]:
    chosen = [
        row
        for row in rows
        if part(row, "subject", "kind") == "contractor" or part(row, "device", "class") == "maintenance_pc"
    ]

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        permit = part(row, "context", "work_permit")
        return (
            person(row),
            device(row),
            resource(row),
            permit,
            part(row, "context", "work_permit_until"),
            row["outcome"],
        )

    return [(*k, *times(found), len(found), k[3] != "valid") for k, found in gathered(chosen, key).items()]


def private(rows: Rows) -> list[tuple[Any, ...]]:
    chosen = [row for row in rows if part(row, "device", "ownership") == "private"]

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        own = part(row, "device", "class"), part(row, "device", "permit"), part(row, "resource", "group")
        return (person(row), device(row), *own, row["outcome"])

    found = gathered(chosen, key).items()
    return [(*k, len(of), *times(of), k[3] == "expired", k[4] != "communication") for k, of in found]


def unknown_posture(rows: Rows) -> list[tuple[Any, ...]]:
    chosen = [row for row in rows if permitted(row) and part(row, "device", "posture", "age_hours") == "unknown"]
    key = lambda row: (part(row, "device", "class"), part(row, "resource", "group"), row["outcome"])  # noqa: E731
    return [(*k, len(of), len({device(row) for row in of})) for k, of in gathered(chosen, key).items()]


def top_denied(rows: Rows) -> list[tuple[Any, ...]]:
    found = gathered(denied(rows), lambda row: (resource(row),)).items()
    counts = [(*k, len(of), len({person(row) for row in of} - {None})) for k, of in found]
    return sorted(counts, key=lambda row: (-row[1], row[0] is None, row[0]))[:2]


def privileged(rows: Rows) -> list[tuple[Any, ...]]:
    def out_of_hours(row: dict[str, Any]) -> bool:
        return any(flag(part(row, "context", name)) != "true" for name in ("business_hours", "business_day"))

    chosen = [
        row
        for row in rows
        if part(row, "resource", "group") in ("server_admin", "account_admin")
        or part(row, "action", "name") == "administer"
        or part(row, "subject", "kind") == "emergency_account"
    ]
    return [(*brief(row), part(row, "resource", "group"), out_of_hours(row)) for row in chosen]


def exceptions(rows: Rows) -> list[tuple[Any, ...]]:
    chosen = [
        row
        for row in rows
        if permitted(row)
        and (
            in_disaster(row)
            or part(row, "subject", "kind") == "emergency_account"
            or part(row, "resource", "group") == "disaster"
        )
    ]
    own = lambda row: (in_disaster(row), part(row, "subject", "kind"), part(row, "resource", "group"))  # noqa: E731
    return [(*brief(row), *own(row)) for row in chosen]


def course(rows: Rows) -> list[tuple[Any, ...]]:
    """One person's day, in the order of the columns of its report."""
    return [
        (
            at(row["time"]), device(row), part(row, "device", "class"), part(row, "context", "zone"),
            part(row, "context", "underlay"), row.get("source_ip"), resource(row), row.get("action"), row["outcome"],
            tuple(row["reasons"]), row["id"],
        )
        for row in of_person(rows)
    ]  # fmt: skip


def revisions(rows: Rows) -> list[tuple[Any, ...]]:
    found = gathered(
        (row for row in rows if row["kind"] == "decision"), lambda row: (row["policy_revision"], row["bundle_digest"])
    )
    return [(*k, *times(of), len(of)) for k, of in found.items()]


def of_person(rows: Rows) -> Rows:
    return [row for row in rows if person(row) == "山田 太郎"]


def of_tax(rows: Rows) -> Rows:
    return [row for row in rows if "tax" in (departments(row) or [])]


def first_of_tax(rows: Rows) -> Rows:
    return [row for row in rows if department(row) == "tax"]


def by_reason(rows: Rows, key: Callable[[dict[str, Any]], tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return counted((*key(row), reason) for row in denied(rows) for reason in row["reasons"])


EXPECTED: dict[str, tuple[dict[str, object], Answer]] = {
    "person_day": ({"person": "山田 太郎", "page": PAGE}, lambda rows: newest(of_person(rows), PAGE)),
    "device_day": (
        {"device": "d-00002", "page": 1_000},
        lambda rows: newest((row for row in rows if device(row) == "d-00002"), 1_000),
    ),
    "denials": ({"page": PAGE}, lambda rows: newest(denied(rows), PAGE)),
    "newest": ({"page": PAGE}, lambda rows: newest(rows, PAGE)),
    "denials_by_reason_hour": ({"utc_offset": OFFSET}, lambda rows: by_reason(rows, lambda row: (hour(row, OFFSET),))),
    "by_source_ip": (
        {"source_ip": "2001:db8::7"},
        lambda rows: [brief(row) for row in rows if row.get("source_ip") == "2001:db8::7"],
    ),
    "top_denied_resources": ({"rank": 2}, top_denied),
    "department_export": ({"department": "tax"}, lambda rows: [(row["id"], at(row["time"])) for row in of_tax(rows)]),
    "counts": (
        {"department": "tax", "utc_offset": OFFSET},
        lambda rows: counted((hour(row, OFFSET), "tax", row["outcome"]) for row in first_of_tax(rows)),
    ),
    "report_01_denials": ({}, lambda rows: by_reason(rows, lambda row: (department(row),))),
    "report_02_exceptions": ({}, exceptions),
    "report_03_leavers": (
        {},
        lambda rows: [
            (*brief(row), part(row, "subject", "employment"))
            for row in rows
            if part(row, "subject", "employment") in ("ended", "suspended", "not_started")
        ],
    ),
    "report_04_remote_maintenance": ({}, maintenance),
    "report_05_private_devices": ({}, private),
    "report_06_unknown_posture": ({}, unknown_posture),
    "report_07_revisions": ({}, revisions),
    "report_08_person_day": ({"person": "山田 太郎"}, course),
    "report_09_privileged": ({}, privileged),
}
COLUMNS = {"department_export": ("id", "time")}  # the others are held to the bytes elsewhere
OTHERS = {"by_id", "report_10_completeness"}  # below


def answer(sample: Sample, name: str, params: dict[str, object]) -> list[tuple[Any, ...]]:
    table = DuckQueries([sample.root]).run(name, params)
    table = table.select(COLUMNS.get(name, table.column_names))
    return [tuple(told(str(v) if k == "id" else v) for k, v in row.items()) for row in table.to_pylist()]


def test_every_named_question_is_compared():
    assert EXPECTED.keys() | OTHERS == QUERIES.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_named_question_says_what_the_lines_say(sample: Sample, name: str):
    params, expected = EXPECTED[name]
    asked = params | {"since": SINCE, "until": UNTIL}
    rows = [row for row in sample.records if SINCE <= at(row["time"]).replace(tzinfo=UTC) < UNTIL]
    found, wanted = answer(sample, name, asked), expected(rows)
    assert len(wanted) > 1
    assert Counter(found) == Counter(wanted)
    if QUERIES[name].newest_first:
        assert found == wanted


def test_each_decision_is_found_by_its_id(sample: Sample):
    for row in sample.records[::97]:
        (found,) = DuckQueries([sample.root]).run("by_id", {"id": row["id"]}).to_pylist()
        assert (str(found["id"]), found["time"], found["outcome"]) == (row["id"], at(row["time"]), row["outcome"])


def test_the_state_of_the_log_is_told_by_worker(sample: Sample):
    found = {row["worker"]: row for row in DuckQueries([sample.root]).run("report_10_completeness", {}).to_pylist()}
    told_of = {worker: (row["segments"], row["records"], row["stored"], row["fresh"]) for worker, row in found.items()}
    assert told_of == {"w0": (2, 450, 1, 1), "w1": (1, 150, 1, 0)}
    assert all(row["missing_segments"] == row["damaged_segments"] == row["removed"] == 0 for row in found.values())
