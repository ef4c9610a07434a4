"""From an entry to a user: shapes of Active Directory and OpenLDAP, Japanese text, hostile values."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from connectors.identity.ldap.mapping import Membership, name_key, person
from connectors.identity.ldap.messages import Entry
from connectors.identity.ldap.names import parse_name
from connectors.identity.ldap.settings import LdapSettings
from connectors.port import Refused
from pdp.model.directory import Post

GROUP = "CN=災害対応,OU=Groups,DC=pref"
DN = "CN=山田 太郎,OU=総務課,OU=Staff,DC=pref"
STAFF = {"kinds": [{"kind": "staff", "attribute": "employeeType", "values": ["正規", "1"]}]}


def settings(dialect: str = "active_directory", **user) -> LdapSettings:
    return msgspec.convert(
        {
            "url": "ldaps://dc1.pref.example", "base": "DC=pref", "dialect": dialect,
            "bind_dn": "cn=r", "password_file": "p", "user": {**STAFF, **user},
        },
        LdapSettings,
    )  # fmt: skip


def entry(dn: str = DN, **attributes) -> Entry:
    held = {
        "samaccountname": "yamada",
        "displayname": "山田 太郎",
        "employeetype": "正規",
        "useraccountcontrol": "512",
        **attributes,
    }
    return Entry(
        dn,
        {
            name: tuple(
                v if isinstance(v, bytes) else v.encode() for v in (value if isinstance(value, list) else [value])
            )
            for name, value in held.items()
            if value is not None
        },
    )


def mapped(one: Entry, of: LdapSettings, membership: Membership | None = None):
    found = person(one, of, membership or Membership())
    assert not isinstance(found, Refused)
    return found.user, sorted(note.code for note in found.refused)


def test_an_ordinary_account_becomes_a_user():
    user, codes = mapped(entry(departmentnumber="soumu"), settings(departments={"main": "departmentNumber"}))
    assert (user.id, user.kind, user.name, user.status) == ("yamada", "staff", "山田 太郎", "active")
    assert user.posts == (Post("soumu"),)
    assert codes == []


@pytest.mark.parametrize("control", ["514", "66050", "2", "-2147483646"])
def test_a_disabled_account_is_suspended(control):
    assert mapped(entry(useraccountcontrol=control), settings())[0].status == "suspended"


@pytest.mark.parametrize(
    ("control", "code"), [(None, "no_account_state"), ("", "bad_number"), ("0x200", "bad_number"), (["512", "514"], "several_values"), ("９", "bad_number"), ("9" * 20, "bad_number")]
)  # fmt: skip
def test_an_account_whose_state_cannot_be_read_is_suspended_and_counted(control, code):
    user, codes = mapped(entry(useraccountcontrol=control), settings())
    assert user.status == "suspended"
    assert codes == [code]


@pytest.mark.parametrize("never", ["0", "9223372036854775807", None, "9223372036854775806"])
def test_an_account_that_never_expires_has_no_end(never):
    user, codes = mapped(entry(accountexpires=never), settings())
    assert user.employment.end is None
    assert (user.status, codes) == ("active", [])


def test_an_account_expires_at_active_directorys_instant():
    """133 514 784 000 000 000 steps of 100 ns after 1601 are midnight of 2024-02-04 in UTC."""
    user, _ = mapped(entry(accountexpires="133514784000000000"), settings())
    assert user.employment.end == datetime(2024, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize("value", ["-1", "soon", "1e5", "", ["0", "1"], "99999999999999999999"])
def test_an_end_that_cannot_be_read_suspends(value):
    user, codes = mapped(entry(accountexpires=value), settings())
    if value == "":
        assert (user.status, codes) == ("active", [])  # an empty value is none
    else:
        assert user.status == "suspended"
        assert len(codes) == 1


def test_of_several_dates_the_narrowest_counts():
    of = settings(employment={"start": ["hireDate"], "until": ["contractEnd", "retireDate"]})
    user, codes = mapped(
        entry(hiredate="令和6年4月1日", contractend="2026/3/31", retiredate="20300331000000Z", accountexpires="0"), of
    )
    assert codes == []
    assert user.employment.start == datetime(2024, 3, 31, 15, tzinfo=UTC)
    assert user.employment.end == datetime(2026, 3, 31, 15, tzinfo=UTC)


def test_an_end_before_its_start_suspends():
    of = settings(employment={"start": ["hireDate"], "until": ["retireDate"]})
    user, codes = mapped(entry(hiredate="2026-04-01", retiredate="2025-04-01"), of)
    assert (user.status, codes) == ("suspended", ["bad_date"])


@pytest.mark.parametrize("word", ["臨時", "正規 職員", "正規\u200b", "", "STAFF"])
def test_a_word_that_no_rule_knows_is_kind_unknown_and_counted(word):
    user, codes = mapped(entry(employeetype=word), settings())
    assert user.kind == "unknown"
    assert "unknown_kind" in codes


def test_two_rules_that_differ_are_no_kind():
    kinds = [*STAFF["kinds"], {"kind": "contractor", "under": "OU=Staff,DC=pref"}]
    user, codes = mapped(entry(), settings(kinds=kinds))
    assert (user.kind, codes) == ("unknown", ["kind_conflict"])


@pytest.mark.parametrize("kind", ["shared_account", "emergency_account"])
@pytest.mark.parametrize("first", [True, False])
def test_a_shared_or_emergency_account_is_never_staff_whatever_the_order_of_rules(kind, first):
    rule = {"kind": kind, "under": "ou=総務課,ou=staff,dc=pref"}
    kinds = [rule, *STAFF["kinds"]] if first else [*STAFF["kinds"], rule]
    user, _ = mapped(entry(), settings(kinds=kinds))
    assert user.kind == kind


def test_main_and_further_posts_come_from_their_attributes_by_the_table():
    of = settings(departments={"main": "department", "others": ["extensionAttribute3"], "separator": ";", "words": {"総務課": "soumu", "財政課": "zaisei", "人事課": "jinji"}})  # fmt: skip
    user, codes = mapped(entry(department="総務課", extensionattribute3="財政課;人事課;不明課"), of)
    assert [post.department for post in user.posts] == ["soumu", "zaisei", "jinji"]
    assert codes == ["unknown_department"]


def test_two_values_where_one_main_post_is_expected_give_none():
    user, codes = mapped(entry(department=["soumu", "jinji"]), settings(departments={"main": "department"}))
    assert (user.posts, codes) == ((), ["several_values"])


def test_the_deepest_unit_gives_the_department():
    units = [
        {"under": "OU=Staff,DC=pref", "department": "honcho"},
        {"under": "OU=総務課,OU=Staff,DC=pref", "department": "soumu"},
    ]
    user, _ = mapped(entry(), settings(departments={"units": units}))
    assert user.posts == (Post("soumu"),)


def test_roles_and_departments_come_from_groups_by_folded_names():
    of = settings(groups=[{"dn": GROUP, "roles": ["disaster_response"], "departments": ["bousai"]}])
    membership = Membership({name_key(parse_name(DN.upper())): frozenset({parse_name(GROUP.lower())})})
    user, _ = mapped(entry(), of, membership)
    assert user.roles == ("disaster_response",)
    assert user.posts == (Post("bousai"),)


def test_a_guid_is_written_as_active_directory_shows_it():
    raw = bytes.fromhex("33221100554477668899aabbccddeeff")
    user, _ = mapped(entry(objectguid=raw), settings(id="objectGUID", id_form="guid"))
    assert UUID(user.id) == UUID("00112233-4455-6677-8899-aabbccddeeff")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "no_id"), ("", "bad_id"), ("a" * 129, "bad_id"), ("a\nb", "bad_text"), ("\u202eadmin", "bad_text"),
        (b"\xff\xfe", "bad_text"), (["a", "b"], "several_values"), ("ｙａｍａｄａ", "bad_id"),
    ],
)  # fmt: skip
def test_an_id_that_cannot_be_one_gives_nobody(value, code):
    found = person(entry(samaccountname=value), settings(), Membership())
    assert isinstance(found, Refused)
    assert found.code == code


def test_a_name_with_control_characters_is_left_out_and_counted():
    user, codes = mapped(entry(displayname="山田\x1b[31m", cn="山田 太郎"), settings())
    assert user.name == "山田 太郎"
    assert codes == ["bad_text"]


def test_a_municipality_that_the_table_does_not_know_is_not_the_prefecture():
    of = settings(organisation={"attribute": "company", "words": {"津市": "tsu", "三重県": "mie"}})
    assert mapped(entry(company="津市"), of)[0].organisation == "tsu"
    for company in ("四日市市", None, ["津市", "三重県"]):
        user, codes = mapped(entry(company=company), of)
        assert user.organisation == "unknown"
        assert codes == ["unknown_organisation"]


@pytest.mark.parametrize("lock", ["000001010000Z", "20260331091500Z", "nonsense"])
def test_a_lock_of_the_password_policy_suspends(lock):
    one = entry(uid="yamada", pwdaccountlockedtime=lock)
    assert mapped(one, settings("openldap"))[0].status == "suspended"


@pytest.mark.parametrize(
    ("flag", "status"), [("TRUE", "suspended"), ("true", "suspended"), ("FALSE", "active"), ("yes", "suspended")]
)
def test_the_lock_of_389_directory_server_suspends_and_so_does_one_that_cannot_be_read(flag, status):
    assert mapped(entry(uid="yamada", nsaccountlock=flag), settings("openldap"))[0].status == status


def test_a_leave_suspends():
    of = settings(employment={"suspended_attribute": "employeeStatus", "suspended_values": ["休職", "育休"]})
    assert mapped(entry(employeestatus="休職"), of)[0].status == "suspended"
    assert mapped(entry(employeestatus="在職"), of)[0].status == "active"


def test_ids_in_lower_case_where_the_settings_say_so():
    assert mapped(entry(samaccountname="YAMADA"), settings(id_lower=True))[0].id == "yamada"


def test_a_generalized_time_with_an_offset_is_that_instant():
    of = settings(employment={"until": ["retireDate"]})
    user, _ = mapped(entry(retiredate="202603312359+0900"), of)
    assert user.employment.end == datetime(2026, 3, 31, 14, 59, tzinfo=UTC)
    assert mapped(entry(retiredate="99991231000000Z"), of)[0].employment.end is None
    bad, codes = mapped(entry(retiredate="20261331000000Z"), of)
    assert (bad.status, codes) == ("suspended", ["bad_date"])
