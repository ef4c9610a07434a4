"""How long the questions of auditors take over the generated day: the named queries, and pages, counts and groups."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import duckdb

from bench.log_records import DAY
from pdp.archive.asking import Filters
from pdp.archive.duck import DuckQueries
from pdp.archive.queries import QUERIES
from pdp.archive.search import DuckSearch
from pdp.archive.store import LocalStore
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


Kind = Literal["common", "report", "export"]
COMMON: Final = ("person_day", "by_id", "denials_by_reason_hour", "denials", "newest")
_DAY: Final = (timedelta(0), timedelta(days=1, hours=1))  # with the fresh tail, which is of the hour after
_HOUR: Final = (timedelta(hours=10), timedelta(hours=11))
_NIGHT: Final = (timedelta(hours=2), timedelta(hours=3))
# Every row of these is told, and the demonstration has more leavers and the like than a page of a day could hold.
_SPANS: Final = {
    "department_export": _HOUR,
    "report_02_exceptions": _NIGHT,
    "report_03_leavers": _NIGHT,
    "report_09_privileged": _NIGHT,
}


@dataclass(frozen=True)
class Question:
    name: str
    kind: Kind
    ask: Callable[[], int]  # gives the number of rows


@dataclass(frozen=True)
class Subjects:
    """Whom and what is asked about: somebody in the middle of the day's people, and whoever asked the most."""

    person: str
    busiest: str
    device: str
    source_ip: str
    department: str
    id: str


def subjects_of(log: Path) -> Subjects:
    """Out of the day's file at noon."""
    store = LocalStore(log)
    files = sorted(store.manifest.files(), key=lambda file: str(file.min_time))
    path = str(store.rows_path(files[len(files) // 2]))
    with duckdb.connect(":memory:") as connection:
        people = connection.execute(
            "SELECT person FROM read_parquet($path) GROUP BY person ORDER BY count(*) DESC, person", {"path": path}
        ).fetchall()
        person = people[len(people) // 4][0]
        found = connection.execute(
            "SELECT device, source_ip, subject_departments[1], id::VARCHAR FROM read_parquet($path)"
            " WHERE person = $person AND subject_departments[1] IS NOT NULL ORDER BY id LIMIT 1",
            {"path": path, "person": person},
        ).fetchall()
    return Subjects(person, people[0][0], *found[0])


def questions(log: Path, about: Subjects) -> list[Question]:
    asked = [_named(DuckQueries([log]), name, about) for name in QUERIES]
    return asked + _searched(DuckSearch([log]), about)


def _named(queries: DuckQueries, name: str, about: Subjects) -> Question:
    query = QUERIES[name]
    since, until = _SPANS.get(name, _DAY)
    known: Mapping[str, Any] = {
        "since": (DAY + since).isoformat(),
        "until": (DAY + until).isoformat(),
        "person": about.person,
        "device": about.device,
        "source_ip": about.source_ip,
        "department": about.department if query.export else None,
        "id": about.id,
    }
    params = {p: known[p] for p in query.params if known.get(p) is not None and (name != "by_id" or p == "id")}
    kind: Kind = "export" if query.export else "common" if name in COMMON else "report"
    return Question(name, kind, lambda: queries.run(name, params).num_rows)


def _searched(search: DuckSearch, about: Subjects) -> list[Question]:
    since, until = ((DAY + span).replace(tzinfo=None) for span in _DAY)
    day = Filters(since, until)

    def page(filters: Filters) -> Callable[[], int]:
        return lambda: search.page(filters, size=100).table.num_rows

    def second_page(filters: Filters) -> Callable[[], int]:
        first = search.page(filters, size=100).next
        return lambda: search.page(filters, size=100, before=first).table.num_rows

    def group(filters: Filters, *by: Any, people: bool = False) -> Callable[[], int]:
        return lambda: search.group(filters, by, people=people).num_rows

    deny = Filters(since, until, outcomes=("deny",))
    return [
        Question("page: newest", "common", page(day)),
        Question("page: newest denials", "common", page(deny)),
        Question("page: newest denials, second", "common", second_page(deny)),
        Question("page: one user", "common", page(Filters(since, until, person=about.person))),
        Question("page: busiest user", "common", page(Filters(since, until, person=about.busiest))),
        Question(
            "page: one user, denials", "common", page(Filters(since, until, person=about.person, outcomes=("deny",)))
        ),
        Question("page: one device", "report", page(Filters(since, until, device=about.device))),
        Question("page: one department", "report", page(Filters(since, until, department=about.department))),
        Question("one decision", "common", lambda: search.one(about.id).num_rows),
        Question("count: all", "report", lambda: search.count(day)),
        Question("count: one user", "report", lambda: search.count(Filters(since, until, person=about.person))),
        Question("group: denials, hour, reason", "common", group(deny, "hour", "reason")),
        Question("group: department, outcome", "report", group(day, "department", "outcome")),
        Question("group: resource, with people", "report", group(day, "resource", people=True)),
    ]


def timed(asked: list[Question], rounds: int, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Milliseconds: the first answer of each question, and the median of `rounds` more."""
    figures: dict[str, dict[str, Any]] = {}
    for question in asked:
        try:
            (rows, first), *others = [_once(question) for _ in range(rounds + 1)]
        except BadRequestError as fault:  # a day with more rows than an answer may have
            say(f"{question.name}: {fault.message}")
            figures[question.name] = {"kind": question.kind, "refused": fault.message}
            continue
        median = statistics.median(ms for _, ms in others)
        figures[question.name] = {
            "kind": question.kind,
            "rows": rows,
            "first_ms": round(first, 1),
            "median_ms": round(median, 1),
            "max_ms": round(max(ms for _, ms in others), 1),
        }
        say(f"{question.name}: {median:,.0f} ms, {rows:,} rows")
    return figures


def _once(question: Question) -> tuple[int, float]:
    start = time.perf_counter()
    rows = question.ask()
    return rows, (time.perf_counter() - start) * 1e3
