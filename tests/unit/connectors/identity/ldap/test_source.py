"""Runs against a simulated Active Directory: full, incremental, groups, doubles, deletions, and everything it may do wrong."""

from __future__ import annotations

import asyncio
import json

import pytest

from pdp.errors import ConnectorError
from pdp.model.directory import Post
from tests.unit.connectors.identity.ldap.simulated_directory import SimulatedDirectory, simulated_directory
from tests.unit.connectors.identity.ldap.sources import seen, source

pytestmark = pytest.mark.anyio

ROLE = "CN=災害対応,OU=Groups,DC=pref"
INNER = "CN=inner,OU=Groups,DC=pref"


def ad(directory: SimulatedDirectory, **settings):
    user = {
        "kinds": [{"kind": "staff", "attribute": "employeeType", "values": ["正規"]}],
        "departments": {"main": "departmentNumber"},
        "groups": [{"dn": ROLE, "roles": ["disaster_response"]}],
    }
    return source(
        **{
            "url": directory.url, "base": "DC=pref", "bind_dn": "CN=reader,DC=pref", "password_file": "password",
            "page_size": 10, "timeout_s": 5.0, "user": user, **settings,
        }
    )  # fmt: skip


def staff(directory: SimulatedDirectory, name: str, **attributes) -> str:
    dn = f"CN={name},OU=Staff,DC=pref"
    held = {
        "objectCategory": "person", "objectClass": ["user"], "sAMAccountName": name, "displayName": f"職員{name}",
        "employeeType": "正規", "departmentNumber": "soumu", "userAccountControl": 512, "accountExpires": 0, **attributes,
    }  # fmt: skip
    directory.put(dn, **{key: value for key, value in held.items() if value is not None})
    return dn


def group(directory: SimulatedDirectory, dn: str, *members: str) -> None:
    directory.put(dn, objectCategory="group", objectClass=["group"], member=list(members) or [])


async def test_a_full_run_brings_everybody_with_posts_and_roles():
    async with simulated_directory() as directory:
        names = [staff(directory, f"u-{n:03d}") for n in range(35)]
        group(directory, ROLE, *names[:2])
        run = await seen(ad(directory))
    assert len(run.users) == 35
    assert run.complete
    assert run.users["u-000"].roles == ("disaster_response",)
    assert run.users["u-002"].roles == ()
    assert run.users["u-034"].posts == (Post("soumu"),)
    assert run.users["u-034"].name == "職員u-034"
    assert run.refused == []


async def test_an_incremental_run_brings_only_what_changed_since():
    async with simulated_directory() as directory:
        for n in range(30):
            staff(directory, f"u-{n:03d}")
        group(directory, ROLE)
        first = await seen(ad(directory))
        staff(directory, "u-007", departmentNumber="zaisei")
        second = await seen(ad(directory), first.cursor)
        third = await seen(ad(directory), second.cursor)
    assert not second.complete
    assert {key: user.posts for key, user in second.users.items()} == {"u-007": (Post("zaisei"),)}
    assert third.users == {}
    assert not third.complete


@pytest.mark.parametrize("how", ["walk", "in_chain"])
async def test_a_role_that_is_taken_away_in_the_group_is_seen_by_the_next_incremental_run(how):
    async with simulated_directory() as directory:
        one, two = staff(directory, "u-1"), staff(directory, "u-2")
        group(directory, ROLE, one, INNER)
        group(directory, INNER, two, ROLE)  # a circle
        first = await seen(ad(directory, groups={"how": how}))
        assert {key: user.roles for key, user in first.users.items()} == dict.fromkeys(
            ("u-1", "u-2"), ("disaster_response",)
        )
        group(directory, INNER)  # neither account was touched
        second = await seen(ad(directory, groups={"how": how}), first.cursor)
    assert second.complete
    assert second.users["u-2"].roles == ()
    assert second.users["u-1"].roles == ("disaster_response",)


async def test_members_that_come_in_ranges_are_all_read():
    async with simulated_directory(range_size=7) as directory:
        names = [staff(directory, f"u-{n:03d}") for n in range(40)]
        group(directory, ROLE, *names)
        run = await seen(ad(directory))
    assert all(user.roles == ("disaster_response",) for user in run.users.values())
    assert len(run.users) == 40


async def test_a_named_group_that_does_not_exist_fails_the_run():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        with pytest.raises(ConnectorError, match="災害対応"):
            await seen(ad(directory))


async def test_another_domain_controller_means_a_full_run():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        first = await seen(ad(directory))
        directory.invocation = b"\x02" * 16
        second = await seen(ad(directory), first.cursor)
    assert second.complete
    assert set(second.users) == {"u-1"}


async def test_another_mapping_means_a_full_run():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        first = await seen(ad(directory))
        second = await seen(ad(directory, filter="(objectClass=user)"), first.cursor)
    assert second.complete


@pytest.mark.parametrize(
    "cursor", ["", "{}", "nonsense", '{"v":1,"settings":"","server":"","groups":"","at":"x"}', "[" * 10_000]
)
async def test_a_cursor_that_is_not_ours_means_a_full_run(cursor):
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        run = await seen(ad(directory), cursor)
    assert run.complete


async def test_two_objects_with_one_id_are_both_suspended():
    async with simulated_directory() as directory:
        staff(directory, "u-1", employeeNumber="1001")
        staff(directory, "u-2", employeeNumber="1002")
        staff(directory, "impostor", employeeNumber="1001", departmentNumber="jinji")
        group(directory, ROLE)
        run = await seen(ad(directory, user={"id": "employeeNumber", "kinds": [{"kind": "staff", "id_prefix": "1"}]}))
    assert (run.users["1001"].kind, run.users["1001"].status) == ("unknown", "suspended")
    assert run.users["1001"].posts == ()
    assert run.users["1002"].kind == "staff"
    assert run.codes() == ["duplicate_id"]


async def test_an_account_that_takes_the_id_of_an_unchanged_one_is_caught_by_an_incremental_run():
    async with simulated_directory() as directory:
        mapping = {"id": "employeeNumber", "kinds": [{"kind": "staff", "id_prefix": "1"}]}
        staff(directory, "u-1", employeeNumber="1001")
        first = await seen(ad(directory, user=mapping))
        staff(directory, "impostor", employeeNumber="1001")
        second = await seen(ad(directory, user=mapping), first.cursor)
    assert not second.complete
    assert (second.users["1001"].kind, second.users["1001"].status) == ("unknown", "suspended")


async def test_a_deleted_object_is_named_where_deleted_ones_are_read():
    async with simulated_directory() as directory:
        one = staff(directory, "u-1")
        staff(directory, "u-2")
        group(directory, ROLE)
        first = await seen(ad(directory, read_deleted=True))
        directory.delete(one)
        second = await seen(ad(directory, read_deleted=True), first.cursor)
        unseen = await seen(ad(directory), None)
    assert second.removed == ("u-1",)
    assert set(unseen.users) == {"u-2"}


async def test_a_deleted_object_that_was_made_again_is_not_gone():
    async with simulated_directory() as directory:
        one = staff(directory, "u-1")
        group(directory, ROLE)
        first = await seen(ad(directory, read_deleted=True))
        directory.delete(one)
        staff(directory, "u-1")
        second = await seen(ad(directory, read_deleted=True), first.cursor)
    assert second.removed == ()
    assert set(second.users) == {"u-1"}


async def test_references_to_other_servers_are_counted_and_not_followed():
    async with simulated_directory(references=3) as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        run = await seen(ad(directory))
        assert directory.connections == 1
    assert "reference" in run.codes()
    assert set(run.users) == {"u-1"}


async def test_only_attributes_that_are_used_are_asked_for():
    async with simulated_directory() as directory:
        group(directory, ROLE, staff(directory, "u-1"))
        await seen(ad(directory))
        asked = {name for search in directory.searches for name in search["wanted"]}
    assert "*" not in asked
    assert asked == {
        "highestcommittedusn", "dsservicename", "invocationid", "member", "1.1", "samaccountname", "displayname", "cn",
        "departmentnumber", "employeetype", "useraccountcontrol", "accountexpires",
    }  # fmt: skip


async def test_objects_without_an_id_are_counted_and_left_out():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        staff(directory, "nobody", sAMAccountName=None)
        staff(directory, "two", sAMAccountName=["a", "b"])
        staff(directory, "odd", sAMAccountName="u 1\u202e")
        group(directory, ROLE)
        run = await seen(ad(directory))
    assert set(run.users) == {"u-1"}
    assert run.codes() == ["bad_text", "no_id", "several_values"]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("close", "unreachable"),
        ("silent", "timeout"),
        ("garbage", "malformed"),
        ("huge", "too_large"),
        ("notice", "unreachable"),
        ("empty", "malformed"),
        ("bind_answer", "malformed"),
        ("other_id", "malformed"),
        ("no_cookie", "refused"),
        ("size_limit", "refused"),
        ("endless", "too_large"),
    ],
)
@pytest.mark.parametrize("at", [4, 6])  # in the first page of the accounts, and in the third
async def test_a_server_that_misbehaves_in_the_middle_fails_the_run(fault, word, at):
    async with simulated_directory() as directory:
        for n in range(60):
            staff(directory, f"u-{n:03d}")
        group(directory, ROLE)
        directory.fault, directory.at = fault, at
        limit = 0.3 if fault == "silent" else 5.0
        with pytest.raises(ConnectorError) as raised:
            await seen(ad(directory, timeout_s=limit, max_entries=200))
    assert raised.value.fault == word
    assert "secret" not in raised.value.message


async def test_pages_that_repeat_an_object_bring_it_once():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        staff(directory, "u-2")
        group(directory, ROLE)
        directory.objects["again"] = directory.objects["cn=u-1,ou=staff,dc=pref"]
        directory.objects["again,dc=pref"] = directory.objects.pop("again")
        run = await seen(ad(directory))
    assert set(run.users) == {"u-1", "u-2"}
    assert run.users["u-1"].status == "active"


async def test_more_accounts_than_the_bound_fail_the_run():
    async with simulated_directory() as directory:
        for n in range(30):
            staff(directory, f"u-{n:03d}")
        group(directory, ROLE)
        with pytest.raises(ConnectorError, match="max_entries"):
            await seen(ad(directory, max_entries=29))


async def test_a_wrong_password_fails_the_run_without_saying_it():
    async with simulated_directory() as directory:
        with pytest.raises(ConnectorError) as raised:
            await seen(ad(directory, password="guess"))
    assert raised.value.fault == "refused"
    assert "guess" not in str(raised.value)


async def test_an_empty_password_file_never_becomes_an_anonymous_bind():
    async with simulated_directory() as directory:
        directory.password = ""
        with pytest.raises(ConnectorError, match="password_file"):
            await seen(ad(directory, password=""))
        assert directory.connections == 0


async def test_a_run_that_is_cancelled_leaves_no_connection_open():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        directory.fault, directory.at = "silent", 3
        task = asyncio.create_task(seen(ad(directory)))
        await directory.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(directory.idle.wait(), 5)  # the server saw the end


async def test_the_cursor_holds_no_names_and_is_short():
    async with simulated_directory() as directory:
        for n in range(100):
            staff(directory, f"u-{n:03d}")
        group(directory, ROLE)
        run = await seen(ad(directory))
    assert run.cursor is not None
    assert len(run.cursor) < 500
    assert set(json.loads(run.cursor)) == {"v", "settings", "server", "groups", "at"}


async def test_a_membership_by_member_of_needs_no_groups_and_gives_no_cursor():
    async with simulated_directory() as directory:
        staff(directory, "u-1", memberOf=[ROLE.upper()])
        staff(directory, "u-2", memberOf=["not a name"])
        run = await seen(ad(directory, groups={"how": "member_of"}))
    assert run.users["u-1"].roles == ("disaster_response",)
    assert run.users["u-2"].roles == ()
    assert run.cursor is None
    assert run.codes() == ["bad_dn"]


def by_stamp(directory: SimulatedDirectory):
    return ad(
        directory, dialect="openldap", overlap_s=0, filter="(objectClass=user)",
        user={"id": "sAMAccountName", "kinds": [{"kind": "staff", "id_prefix": "u"}]},
    )  # fmt: skip


async def test_a_stamp_of_the_future_does_not_hide_later_changes():
    async with simulated_directory() as directory:
        staff(directory, "u-1", modifyTimestamp="20260301000000Z")
        staff(directory, "u-2", modifyTimestamp="20990101000000Z")
        first = await seen(by_stamp(directory))
        staff(directory, "u-1", modifyTimestamp="20260401000000Z")
        second = await seen(by_stamp(directory), first.cursor)
    assert first.codes() == ["clock_skew"]
    assert not second.complete
    assert "u-1" in second.users


async def test_a_cursor_of_the_future_means_a_full_run():
    async with simulated_directory() as directory:
        staff(directory, "u-1", modifyTimestamp="20260301000000Z")
        first = await seen(by_stamp(directory))
        ahead = first.cursor.replace("20260301000000Z", "20990301000000Z")
        assert (await seen(by_stamp(directory), ahead)).complete


async def test_a_controller_that_was_set_back_means_a_full_run():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        first = await seen(ad(directory))
        directory.changes = 10
        assert (await seen(ad(directory), first.cursor)).complete


async def test_members_by_id_give_roles():
    async with simulated_directory() as directory:
        staff(directory, "u-1")
        staff(directory, "u-2")
        directory.put(ROLE, objectClass=["posixGroup"], memberUid=["u-2", "cn=nobody"])
        run = await seen(ad(directory, groups={"member": "memberUid", "members_are": "ids"}))
    assert {key: user.roles for key, user in run.users.items()} == {"u-1": (), "u-2": ("disaster_response",)}


async def test_notes_have_a_bound_and_say_so():
    async with simulated_directory() as directory:
        for n in range(250):
            staff(directory, f"u-{n:03d}", ou=";".join(f"課{k}" for k in range(50)))
        user = {"departments": {"others": ["ou"], "separator": ";", "words": {"総務課": "soumu"}}}
        run = await seen(ad(directory, user=user, page_size=1_000))
    assert len(run.users) == 250
    assert len(run.refused) == 10_001
    assert run.refused[-1].code == "more_notes"
    assert "2750 more" in run.refused[-1].detail  # 250 of kind unknown, 12,500 of departments


@pytest.mark.parametrize("invocation", [None, [b"a", b"b"]])
async def test_a_server_that_does_not_say_which_controller_it_is_fails_the_run(invocation):
    async with simulated_directory(invocations=invocation or []) as directory:
        group(directory, ROLE)
        with pytest.raises(ConnectorError) as raised:
            await seen(ad(directory))
    assert raised.value.fault in ("inconsistent", "malformed")


@pytest.mark.parametrize("option", ["range=5-9", "range=0-x", "range=", "binary"])
async def test_parts_of_a_group_that_do_not_follow_one_another_fail_the_run_or_count_for_nothing(option):
    async with simulated_directory(range_size=3, range_option=option) as directory:
        group(directory, ROLE, *(staff(directory, f"u-{n}") for n in range(9)))
        with pytest.raises(ConnectorError) as raised:
            await seen(ad(directory))
    assert raised.value.fault in ("inconsistent", "malformed")


async def test_a_directory_that_answers_in_empty_pages_for_a_while_is_read_to_its_end():
    async with simulated_directory(empty_pages=5) as directory:
        staff(directory, "u-1")
        group(directory, ROLE)
        assert set((await seen(ad(directory))).users) == {"u-1"}


async def test_a_certificate_file_that_is_gone_fails_the_run_before_a_connection():
    async with simulated_directory() as directory:
        one = ad(directory, url=f"ldaps://localhost:{directory.port}", ca_file="/absent/ca.pem")
        with pytest.raises(ConnectorError, match="ca_file"):
            await seen(one)
        assert directory.connections == 0
