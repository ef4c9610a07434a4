"""`pdp exception`: asked for here, granted by another, on the database of this host and over the API of a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from pdp.callers.caller import Caller
from pdp.directory.changes import change
from pdp.errors import NotAuthenticatedError
from pdp.governance.exceptions_desk import ExceptionsDesk
from pdp.governance.reception import Reception
from pdp.governance.routes import governance_router
from pdp.model.directory import Device, User
from pdp.parts import new_id, utc_now
from pdp.revisions.exceptions import Exceptions
from pdp.revisions.person import People
from pdp.store.store import Store, open_store
from pdp.trail.keeping import Trail, trail_path
from pdp.trail.reading import events_of
from tests.http_server import serving
from tests.revision_files import APPROVER, AUTHOR, WHY

UNTIL = (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="seconds")


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    (place / "var").mkdir()
    store = open_store(f"sqlite:///{(place / 'var' / 'sekisho.db').resolve()}")
    store.migrate()
    with change(store, datetime.now(UTC)) as inside:
        inside.put_user(User("u-1", "staff"))
        inside.put_device(Device("d-1", "byod_phone"))
    yield store
    store.close()


def only_json(done: Any) -> Any:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_an_exception_is_asked_for_granted_by_another_and_ended_at_the_command_line(pdp, place, store: Store):
    asked = only_json(
        pdp("exception", "request", "--kind", "device", "--user", "u-1", "--device", "d-1", "--until", UNTIL,
            "--reason", WHY, "--json")
    )  # fmt: skip
    assert (asked["kind"], asked["state"], asked["users"]) == ("device", "asked", ["u-1"])
    own = pdp("exception", "approve", "1", "--note", WHY)
    assert own.exit_code == 2 and "nobody grants what they asked for" in own.stderr
    assert pdp("exception", "show", "1").exit_code == 1
    Exceptions(store, People()).grant(APPROVER, 1, WHY, datetime.now(UTC))
    (found,) = only_json(pdp("exception", "list", "--json"))["exceptions"]
    assert (found["in_force"], found["may"]) == (True, ["end"])
    shown = pdp("exception", "show", "1", "--lang", "ja")
    assert shown.exit_code == 0 and "例外措置 1（端末の利用許可）: 有効" in shown.stdout
    assert "in force" in pdp("exception", "list", "--lang", "en").stdout
    ended = only_json(pdp("exception", "end", "1", "--note", "the phone is sold", "--json"))
    assert (ended["state"], ended["note"]) == ("ended", "the phone is sold")
    told = [(event.action, event.outcome) for event in events_of(trail_path(place / "var"))]
    assert told == [
        ("exception.ask", "begun"), ("exception.ask", "done"), ("exception.grant", "begun"),
        ("exception.grant", "failed"), ("exception.end", "begun"), ("exception.end", "done"),
    ]  # fmt: skip


def test_what_others_asked_for_is_granted_or_refused_and_only_they_take_it_back(pdp, store: Store):
    now = datetime.now(UTC)
    for _ in range(2):
        Exceptions(store, People()).ask(
            AUTHOR, "disaster", _everybody(), starts=now, ends=now + timedelta(days=1), reason=WHY, now=now
        )
    assert pdp("exception", "withdraw", "1", "--note", WHY).exit_code == 2
    assert only_json(pdp("exception", "approve", "1", "--note", WHY, "--json"))["state"] == "granted"
    assert "却下" in pdp("exception", "refuse", "2", "--note", WHY, "--lang", "ja").stdout
    assert [one["id"] for one in only_json(pdp("exception", "list", "--state", "granted", "--json"))["exceptions"]] == [
        1
    ]
    for bad in (["list", "--state", "gone"], ["show", "9"], ["approve", "9", "--note", WHY],
                ["request", "--kind", "disaster", "--until", "tomorrow", "--reason", WHY]):  # fmt: skip
        assert pdp("exception", *bad).exit_code == 2, bad


def _everybody() -> Any:
    from pdp.revisions.exceptions import Scope

    return Scope()


PERMISSIONS: dict[str, Any] = {"author-key": "policy_author", "approver-key": "policy_approve"}


class Elsewhere:
    """The desks that this test does not ask; who comes in is looked at there."""

    def __init__(self, reception: Reception) -> None:
        self.reception = reception

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@contextmanager
def service(place: Path, store: Store) -> Iterator[int]:
    """The real paths of the API, on a real socket."""

    async def introduce(request: Any) -> Caller:
        key = (request.header("authorization") or "").removeprefix("Bearer ")
        if key not in PERMISSIONS:
            raise NotAuthenticatedError("no such key")
        return Caller(key.removesuffix("-key"), frozenset({PERMISSIONS[key]}))

    trail = Trail(place / "trail", node="n", clock=utc_now)
    reception = Reception(introduce, trail, utc_now, new_id)
    desk = ExceptionsDesk(reception, Exceptions(store, People()), lambda _: None)
    elsewhere: Any = Elsewhere(reception)
    app = FastAPI()
    app.include_router(governance_router(elsewhere, desk, elsewhere))
    with serving(app) as port:
        yield port


def test_the_same_over_the_api_of_a_running_service(pdp, place: Path, store: Store):
    with service(place, store) as port:

        def over(who: str, *arguments: str) -> Any:
            (place / "key").write_text(f"{who}-key\n")
            return pdp("exception", *arguments, "--url", f"http://127.0.0.1:{port}", "--key-file", str(place / "key"))

        asked = only_json(
            over("author", "request", "--kind", "disaster", "--until", UNTIL, "--reason", "大雨特別警報", "--json")
        )
        assert (asked["asked_by"], asked["reason"]) == ("caller:author", "大雨特別警報")
        own = over("author", "approve", "1", "--note", WHY)
        assert own.exit_code == 2 and "role" in own.stderr
        assert over("approver", "approve", "1", "--note", WHY).exit_code == 0
        assert over("approver", "show", "1").exit_code == 0
        assert [
            one["state"] for one in only_json(over("author", "list", "--state", "granted", "--json"))["exceptions"]
        ] == ["granted"]
        assert over("approver", "approve", "1", "--note", WHY).exit_code == 2, "it is granted"
        assert over("stranger", "list").exit_code == 2
        assert over("author", "show", "7").exit_code == 2


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("http://pdp.example.jp", "key", "https"),
        ("ftp://127.0.0.1", "key", "https"),
        ("https://", "key", "no address"),
        ("http://127.0.0.1:1", "missing", "cannot be read"),
        ("http://127.0.0.1:1", "key", "cannot be reached"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_used_is_refused(pdp, place: Path, url: str, key: str, said: str):
    (place / "key").write_text("k\n")
    done = pdp("exception", "list", "--url", url, "--key-file", str(place / key))
    assert done.exit_code in (2, 3) and said in done.stderr
    assert pdp("exception", "list", "--url", "https://pdp.example.jp").exit_code == 2
