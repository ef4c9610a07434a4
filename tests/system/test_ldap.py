"""The LDAP source against a real slapd: TLS in every form, paging, limits, faults in the middle, 7,500 members of staff."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pdp.errors import ConnectorError
from pdp.model.directory import Post
from tests.certificates import Authority
from tests.slapd_server import BASE, PASSWORD, READER, change, entry, group, people, person, slapd_server
from tests.unit.connectors.identity.ldap.sources import seen as seen_at
from tests.unit.connectors.identity.ldap.sources import source as source_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from connectors.identity.ldap.source import LdapSource
    from tests.slapd_server import SlapdServer
    from tests.unit.connectors.identity.ldap.sources import Seen

pytestmark = [pytest.mark.anyio, pytest.mark.system]

ROLE = f"cn=disaster,ou=groups,{BASE}"
STAFF = 7_500
USER = {
    "kinds": [
        {"kind": "staff", "attribute": "employeeType", "values": ["正規職員"]},
        {"kind": "shared_account", "under": f"ou=shared,{BASE}"},
    ],
    "departments": {"main": "departmentNumber", "others": ["ou"]},
    "groups": [{"dn": ROLE, "roles": ["disaster_response"]}],
}


def dn(number: int) -> str:
    return f"uid=u-{number:05d},ou=people,{BASE}"


@pytest.fixture(scope="module")
def prefecture() -> Iterator[SlapdServer]:
    """A whole prefecture. Tests change only what they name themselves."""
    tree = (
        people(STAFF)
        + person("u-late", modifyTimestamp="20260402000000Z")
        + person("u-locked", pwdAccountLockedTime="000001010000Z")
        + person("u-concurrent", ou=["zaisei", "jinji"])
        + person("u-odd", employeeType="不明")
        + entry(
            f"uid=counter,ou=shared,{BASE}",
            {"objectClass": "inetOrgPerson", "cn": "窓口", "sn": "x", "employeeType": "正規職員"},
        )
        + entry(
            f"ou=elsewhere,{BASE}",
            {"objectClass": ["referral", "extensibleObject"], "ref": "ldap://127.0.0.1:1/dc=else"},
        )
        + group("inner", [dn(2), ROLE])
        + group("disaster", [dn(1), f"cn=inner,ou=groups,{BASE}"])
    )
    with slapd_server(tree) as server:
        yield server


def source(server: SlapdServer, password: str = PASSWORD, **settings) -> LdapSource:
    return source_with(
        password,
        **{
            "url": server.ldaps_url, "ca_file": server.ca_file, "base": BASE, "dialect": "openldap", "bind_dn": READER,
            "password_file": "password", "overlap_s": 1, "timeout_s": 20.0, "user": USER, **settings,
        },
    )  # fmt: skip


async def seen(one: LdapSource, cursor: str | None = None) -> Seen:
    """By the real clock, because slapd stamps by it."""
    return await seen_at(one, cursor, datetime.now(UTC))


async def test_a_prefecture_is_read_whole_within_seconds(prefecture):
    start = time.perf_counter()
    run = await seen(source(prefecture))
    took = time.perf_counter() - start
    assert len(run.users) == STAFF + 5
    assert run.complete
    assert took < 15  # 0.4 s on an idle machine: only a hang, or a search of its own for each account, takes so long
    assert run.users["u-00001"].roles == ("disaster_response",)
    assert run.users["u-00002"].roles == ("disaster_response",)  # through a group in a circle of groups
    assert run.users["u-00003"].roles == ()
    assert run.users["u-00003"].name == "職員 u-00003"
    assert run.users["u-locked"].status == "suspended"
    assert run.users["u-concurrent"].posts == (Post("soumu"), Post("jinji"), Post("zaisei"))
    assert run.users["u-odd"].kind == "unknown"
    assert run.users["counter"].kind == "shared_account"
    assert run.codes() == ["reference", "unknown_kind"]  # the referral in the tree was seen, and not followed


async def test_a_hundred_changes_are_read_without_reading_the_rest(prefecture):
    first = await seen(source(prefecture))
    prefecture.modify("".join(change(dn(number), "departmentNumber", "kikaku") for number in range(101, 201)))
    start = time.perf_counter()
    second = await seen(source(prefecture), first.cursor)
    took = time.perf_counter() - start
    assert not second.complete
    changed = {key for key, user in second.users.items() if user.posts == (Post("kikaku"),)}
    assert changed == {f"u-{number:05d}" for number in range(101, 201)}
    assert len(second.users) < 200  # and the few of the overlap
    assert took < 5  # 0.05 s on an idle machine


async def test_a_change_of_a_group_makes_the_next_run_a_full_one(prefecture):
    first = await seen(source(prefecture))
    prefecture.replace(f"cn=inner,ou=groups,{BASE}", "member", dn(5))
    second = await seen(source(prefecture), first.cursor)
    prefecture.replace(f"cn=inner,ou=groups,{BASE}", "member", dn(2), ROLE)
    assert second.complete
    assert second.users["u-00002"].roles == ()
    assert second.users["u-00005"].roles == ("disaster_response",)


async def test_who_was_deleted_is_missing_in_a_full_run():
    with slapd_server(people(3)) as server:
        one = source(server, user={**USER, "groups": []})
        first = await seen(one)
        server.delete(dn(2))
        assert set((await seen(one, first.cursor)).users) <= {"u-00001", "u-00003"}
        last = await seen(one)
    assert last.complete
    assert set(last.users) == {"u-00001", "u-00003"}


async def test_start_tls_and_a_client_certificate_read_the_same(prefecture):
    certificate = prefecture.client_certificate("reader")
    settings = {"url": prefecture.named_url, "start_tls": True, "page_size": 1_000}
    simple = await seen(source(prefecture, **settings))
    external = await seen(
        source(
            prefecture,
            **settings,
            bind="external",
            client_certificate=str(certificate.certificate),
            client_key=str(certificate.key),
            bind_dn="",
            password_file="",
        )
    )
    assert simple.users == external.users
    assert len(simple.users) == STAFF + 5


async def test_a_certificate_of_another_authority_is_not_accepted(prefecture, tmp_path: Path):
    other = Authority(tmp_path)
    for settings in ({}, {"url": prefecture.named_url, "start_tls": True}):
        with pytest.raises(ConnectorError, match="certificate is not accepted") as raised:
            await seen(source(prefecture, ca_file=str(other.certificate), **settings))
        assert raised.value.fault == "refused"


async def test_a_certificate_for_another_name_is_not_accepted(prefecture):
    with pytest.raises(ConnectorError, match="certificate is not accepted"):
        await seen(source(prefecture, server_name="dc1.pref.example"))
    with pytest.raises(ConnectorError, match="certificate is not accepted"):
        await seen(source(prefecture, url=prefecture.ldaps_url.replace("localhost", "127.0.0.1")))


async def test_start_tls_that_is_refused_ends_the_run_before_the_password_is_said():
    """What a machine on the way does that strips StartTLS: it answers that the server cannot."""
    with slapd_server(people(1), tls=False) as server, pytest.raises(ConnectorError, match="refuses StartTLS"):
        await seen(source(server, url=server.named_url, start_tls=True))


async def test_a_wrong_password_is_refused_and_not_repeated(prefecture):
    with pytest.raises(ConnectorError) as raised:
        await seen(source(prefecture, password="not-the-password"))
    assert raised.value.fault == "refused"
    assert "not-the-password" not in str(raised.value)


async def test_a_size_limit_of_the_server_fails_the_run_and_never_halves_it():
    with slapd_server(people(40), limits="size.prtotal=25") as server, pytest.raises(ConnectorError) as raised:
        await seen(source(server, page_size=10, user={**USER, "groups": []}))
    assert raised.value.fault == "refused"


async def test_a_server_without_paging_fails_the_run():
    with slapd_server(people(3), limits="size.prtotal=disabled") as server, pytest.raises(ConnectorError):
        await seen(source(server, user={**USER, "groups": []}))


@asynccontextmanager
async def relay(port: int, most: int) -> AsyncIterator[tuple[int, _Both]]:
    """(a port before the server, `reached` when `most` bytes of answers have passed: it holds the rest till `go_on`)."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4_096):
                passed += len(data)
                if answers and passed > most:
                    reached.set()
                    await go_on.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(pump(reader, back, answers=False), pump(there, writer, answers=True))
        back.transport.abort()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], _Both(reached, go_on)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


class _Both(NamedTuple):
    reached: asyncio.Event
    go_on: asyncio.Event


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_server_that_dies_in_the_middle_of_paging_fails_the_run_in_time(how):
    """The relay holds an answer in the middle of the pages, the server dies, and then what was sent arrives."""
    with slapd_server(people(3_000)) as server:
        settings = {"page_size": 10, "timeout_s": 1.0, "user": {**USER, "groups": []}}
        async with relay(server.tls_port, 60_000) as (port, events):
            task = asyncio.create_task(seen(source(server, url=f"ldaps://localhost:{port}", **settings)))
            await events.reached.wait()
            getattr(server, how)()
            events.go_on.set()
            with pytest.raises(ConnectorError) as raised:
                await asyncio.wait_for(task, 20)
    assert raised.value.fault == ("unreachable" if how == "kill" else "timeout")


async def test_a_server_that_is_away_fails_the_run_and_the_next_one_goes_on():
    with slapd_server(people(2)) as server:
        one = source(server, user={**USER, "groups": []})
        first = await seen(one)
        server.kill()
        with pytest.raises(ConnectorError) as raised:
            await seen(one, first.cursor)
        assert raised.value.fault == "unreachable"
        server.restart()
        assert (await seen(one, first.cursor)).users.keys() == {"u-00001", "u-00002"}


async def test_others_have_their_turn_while_a_prefecture_is_read(prefecture):
    """The source may run inside a service: no page of 500 may hold the event loop from its first entry to its last."""
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watching = asyncio.create_task(watch())
    await seen(source(prefecture))
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert turns >= 2 * STAFF // 50
