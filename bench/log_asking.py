"""How long the questions of auditors take over the generated day: the named queries, and pages, counts and groups."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal

import duckdb

from bench.log_records import DAY
from pdp.archive.asking import filters_of, groups_of
from pdp.archive.duck import DuckQueries
from pdp.archive.queries import QUERIES
from pdp.archive.search import DuckSearch
from pdp.archive.store import LocalStore
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pdp.archive.asking import Filters

Kind = Literal["common", "report", "export"]
COMMON: Final = ("person_day", "by_id", "denials_by_reason_hour", "denials", "newest")
_PAGE: Final = 100  # rows
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
    """`ask` gives the number of rows. The same over HTTP: `path` below `/audit/v1`, with `params`.

    `second`: of the page after it.
    """

    name: str
    kind: Kind
    ask: Callable[[], int]
    path: str
    params: Mapping[str, str]
    second: bool = False


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
    """Each answers the number of rows that it found."""
    return [_named(DuckQueries([log]), name, about) for name in QUERIES] + _searched(DuckSearch([log]), about)


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
    return Question(name, kind, lambda: queries.run(name, params).num_rows, f"/reports/{name}", params)


def _searched(search: DuckSearch, about: Subjects) -> list[Question]:
    asked = _Asked(search)
    return [
        asked.page("newest", "common"),
        asked.page("newest denials", "common", outcome="deny"),
        asked.second_page("newest denials", "common", outcome="deny"),
        asked.page("one user", "common", person=about.person),
        asked.page("busiest user", "common", person=about.busiest),
        asked.page("one user, denials", "common", person=about.person, outcome="deny"),
        asked.page("one device", "report", device=about.device),
        asked.page("one department", "report", department=about.department),
        Question("one decision", "common", lambda: search.one(about.id).num_rows, f"/decisions/{about.id}", {}),
        asked.count("all"),
        asked.count("one user", person=about.person),
        asked.group("denials, hour, reason", "common", "hour,reason", outcome="deny"),
        asked.group("department, outcome", "report", "department,outcome"),
        asked.group("resource, with people", "report", "resource", people="true"),
    ]


class _Asked:
    """Questions of a search over the whole day."""

    def __init__(self, search: DuckSearch) -> None:
        self._search = search
        self._times = dict(zip(("since", "until"), ((DAY + span).isoformat() for span in _DAY), strict=True))

    def page(self, name: str, kind: Kind, **filters: str) -> Question:
        params, asked = self._of(filters)
        ask = partial(self._search.page, asked, size=_PAGE)
        return Question(f"page: {name}", kind, lambda: ask().table.num_rows, "/decisions", params)

    def second_page(self, name: str, kind: Kind, **filters: str) -> Question:
        params, asked = self._of(filters)
        ask = partial(self._search.page, asked, size=_PAGE)
        end = cache(lambda: ask().next)
        return Question(
            f"page: {name}, second", kind, lambda: ask(before=end()).table.num_rows, "/decisions", params, second=True
        )

    def count(self, name: str, **filters: str) -> Question:
        params, asked = self._of(filters)
        return Question(f"count: {name}", "report", lambda: self._search.count(asked), "/decisions/count", params)

    def group(self, name: str, kind: Kind, by: str, people: str = "false", **filters: str) -> Question:
        params, asked = self._of(filters)
        ask = partial(self._search.group, asked, groups_of(by), people=people == "true")
        params |= {"by": by, "people": people}
        return Question(f"group: {name}", kind, lambda: ask().num_rows, "/decisions/groups", params)

    def _of(self, filters: dict[str, str]) -> tuple[dict[str, str], Filters]:
        params = self._times | filters
        return params, filters_of({name: [value] for name, value in params.items()})


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
