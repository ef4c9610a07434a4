from __future__ import annotations

from typing import Any

import pytest

from tests.unit.audit.world import DAY, OPERATE, READ, World

pytestmark = pytest.mark.anyio

WHY = "苦情対応 2026-17 の本人確認"


@pytest.fixture
def revealer(audit: World) -> str:
    return audit.caller("rev", OPERATE, "audit_reveal")


async def test_a_pseudonym_becomes_a_name_and_the_trail_says_who_why_and_which(audit: World, revealer: str) -> None:
    pseudonym = audit.pseudonyms.of("person", "sato")
    answer = await audit.send(revealer, "POST", "/reveal", {"pseudonym": pseudonym, **DAY, "reason": WHY})
    assert answer.json() == {"pseudonym": pseudonym, "kind": "person", "value": "sato"}
    event = audit.events()[-1]
    assert (event.action, event.outcome, event.object, event.reason) == ("audit.reveal", "done", pseudonym, WHY)
    assert event.parameters["found"] == "person"


async def test_every_kind_of_pseudonym_is_found(audit: World, revealer: str) -> None:
    for kind, value in (("device", "pc-kato"), ("source_ip", "192.0.2.7"), ("session", "s-1")):
        body = {"pseudonym": audit.pseudonyms.of(kind, value), **DAY, "reason": WHY}
        found = (await audit.send(revealer, "POST", "/reveal", body)).json()
        assert (found["kind"], found["value"]) == (kind, value)


async def test_one_record_becomes_readable(audit: World, revealer: str, ids: list[str]) -> None:
    found = (await audit.send(revealer, "POST", "/reveal", {"id": ids[3], "reason": WHY})).json()
    assert (found["person"], found["device"], found["source_ip"]) == ("suzuki", "pc-suzuki", "192.0.2.7")


async def test_the_answer_stands_nowhere_in_the_trail(audit: World, revealer: str) -> None:
    """Not even as a digest: of something so short it could be tried out."""
    body = {"pseudonym": audit.pseudonyms.of("person", "sato"), **DAY, "reason": WHY}
    await audit.send(revealer, "POST", "/reveal", body)
    assert audit.events()[-1].answer_sha256 is None
    everything = b"".join(path.read_bytes() for path in (audit.place / "trail" / "segments").iterdir())
    assert b"sato" not in everything


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reason": None},
        {"reason": ""},
        {"reason": "ok"},
        {"reason": "      "},
        {"reason": "x" * 501},
        {"reason": 12345},
        {"reason": ["because"]},
    ],
)
async def test_without_a_reason_that_says_something_nothing_is_revealed(
    audit: World, revealer: str, wrong: dict[str, Any], ids: list[str]
) -> None:
    answer = await audit.send(revealer, "POST", "/reveal", {"id": ids[0], **wrong})
    assert answer.status_code == 400
    assert audit.askers.asked == []
    assert (audit.events()[-1].outcome, audit.events()[-1].object) == ("failed", ids[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"id": "x"},
        {"id": "../trail"},
        {"pseudonym": "tanaka", **DAY},
        {"pseudonym": "p:1:" + "a" * 26},
        {"pseudonym": "p:1:" + "a" * 26, "since": DAY["until"], "until": DAY["since"]},
        {"pseudonym": "p:1:" + "a" * 26, "since": "0001-01-01T00:00:00+14:00", "until": DAY["since"]},
        {"pseudonym": "p:1:" + "a" * 26, **DAY, "within": "tax"},
        {"id": "019d4657-007b-7000-8000-000000000000", "pseudonym": "p:1:" + "a" * 26},
    ],
)
async def test_what_names_nothing_or_two_things_is_refused(audit: World, revealer: str, wrong: dict[str, Any]) -> None:
    answer = await audit.send(revealer, "POST", "/reveal", {"reason": WHY, **wrong})
    assert answer.status_code == 400, answer.text
    assert audit.askers.asked == []


async def test_a_body_that_is_no_object_is_refused(audit: World, revealer: str) -> None:
    for body in ([], "x", 3, True):
        assert (await audit.send(revealer, "POST", "/reveal", body)).status_code == 400
    url = "/audit/v1/reveal"
    plain = await audit.client.post(url, content="{}", headers={"x-who": revealer, "content-type": "text/plain"})
    assert plain.status_code == 415
    large = await audit.client.post(url, content=b" " * 70_000, headers={"x-who": revealer})
    assert large.status_code == 413


async def test_a_pseudonym_of_nobody_here_is_not_found(audit: World, revealer: str) -> None:
    body = {"pseudonym": audit.pseudonyms.of("person", "yamada"), **DAY, "reason": WHY}
    assert (await audit.send(revealer, "POST", "/reveal", body)).status_code == 404


async def test_the_trail_of_reveals_is_read_by_who_may(audit: World, revealer: str, ids: list[str]) -> None:
    await audit.send(revealer, "POST", "/reveal", {"id": ids[0], "reason": WHY})
    whole = audit.caller("chief", READ, "audit_trail")
    events = (await audit.get(whole, "/trail", action="audit.reveal")).json()["events"]
    assert [(e["actor"]["id"], e["object"], e["reason"]) for e in events] == [("rev", ids[0], WHY)]
    supervisor = audit.caller("sup", "audit_trail")
    events = (await audit.get(supervisor, "/trail", action="audit.reveal")).json()["events"]
    assert [(e["actor"]["id"], e["object"], e["reason"]) for e in events] == [("rev", ids[0], "…")]
