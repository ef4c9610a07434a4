"""The small parts: catalogues, times, charts, windows, accounts, seals."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdp.archive.asking import PARAMETERS
from pdp.archive.queries import QUERIES
from pdp.console import charts
from pdp.console.accounts import Accounts, account_line, demonstration_accounts
from pdp.console.person import PERMISSIONS, roles_of
from pdp.console.reading_order import first_file, reading_order
from pdp.console.said import Said
from pdp.console.sealing import LoginSeal, LoginUnderWay
from pdp.console.trail_words import TrailWords
from pdp.console.windows import window_of
from pdp.console.words import clock_text, date_text, language, span_text
from pdp.errors import BadRequestError, SettingsError
from pdp.model.console import ROLES, ConsoleSettings
from pdp.model.input import DeviceClass
from pdp.revisions.files import from_directory
from pdp.trail.event import ACTIONS

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 23, 12, 4, 5, tzinfo=UTC)


def test_every_text_has_its_japanese_and_the_compiled_catalogues_are_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "catalogues.py"), "check"],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_of_the_trail_has_a_name_and_every_refusal_a_sentence() -> None:
    japanese, english = Said("ja"), Said("en")
    for action in ACTIONS:
        assert action not in (japanese.action(action), english.action(action))
    assert japanese.fault("bad_request") == "入力した内容を処理できません。"
    assert japanese.fault("a_code_of_tomorrow") == japanese.fault(None) == "回答を取得できません"


def test_times_are_japans_and_days_are_written_as_in_letters() -> None:
    assert clock_text("2026-11-23T12:04:05.123456Z") == clock_text("2026-11-23T12:04:05") == "2026-11-23 21:04:05"
    assert clock_text("no time") == "no time" and clock_text(None) == ""
    assert date_text(NOW, "ja") == "令和8年11月23日（2026年・月）"
    assert date_text(datetime(2019, 5, 31, 16, tzinfo=UTC), "ja") == "令和元年6月1日（2019年・土）"
    assert date_text(NOW, "en") == "Monday, 23 November 2026"
    assert [span_text(s, "ja") for s in (0, 59, 60, 7_300, 90_000, None)] == [
        "0秒",
        "59秒",
        "1分",
        "2時間",
        "1日",
        "なし",
    ]


def test_the_language_is_the_chosen_one_then_the_browsers_then_japanese() -> None:
    assert language("en", "ja") == "en" and language("xx", "fr, en-GB;q=0.5, ja") == "en"
    assert language(None, None) == language(None, "fr") == "ja"


def window(since: str, until: str) -> Any:
    visit = SimpleNamespace(now=NOW, one={"since": since, "until": until}.get)
    return window_of(visit, timedelta(hours=24))  # type: ignore[arg-type]


def test_a_window_is_japans_time_and_never_backwards() -> None:
    asked = window("2026-04-01T00:00", "2026-04-02T00:00")
    assert asked.params() == {"since": "2026-04-01T00:00:00+09:00", "until": "2026-04-02T00:00:00+09:00"}
    assert window("2026-03-31T15:00:00+00:00", "2026-04-02T00:00") == asked
    for since, until in (("", ""), ("x", "y"), ("2026-04-02T00:00", "2026-04-01T00:00"), ("9999-12-31T23:59", "")):
        found = window(since, until)
        assert found.since < found.until
    hours = window("2026-04-01T00:10", "2026-04-01T01:20").whole_hours()
    assert (hours.since.minute, hours.until.minute, hours.until.hour) == (0, 0, 2)


def test_a_chart_is_of_its_numbers_and_texts_are_escaped() -> None:
    rows = [charts.Column("<b>", {"deny": 3, "allow": 1}, "<i>"), charts.Column("x", {}, "nothing")]
    drawn = str(charts.columns(rows, 'a "name"'))
    assert drawn.count('class="o-deny"') == drawn.count('class="o-allow"') == 1
    assert "<b>" not in drawn and "<i>" not in drawn and 'a "name"' not in drawn
    gap = str(charts.lines(["a", "b", "c", "d"], [charts.Line("p50", "p50", [1.0, None, 2.0, 3.0])], "n"))
    assert gap.count("<polyline") == 1 and gap.count("<circle") == 1
    assert "<svg" in str(charts.columns([], "empty")) and "<svg" in str(charts.bars([], "empty"))


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_word_of_a_role_and_a_class_has_a_name(lang: Any) -> None:
    said = Said(lang)
    assert all(said.word(role) != role for role in ROLES)
    assert all(said.value("device.class", word) != word for word in DeviceClass.__args__)  # type: ignore[attr-defined]
    assert said.detail("last seen to be current 12 s ago") != "" and "12" in said.detail("head 12")
    assert said.detail("something new") == "something new"


def test_roles_come_from_groups_and_from_the_settings_and_from_nowhere_else() -> None:
    settings = ConsoleSettings(
        accounts_file="x", roles_claim="realm_access.roles", roles={"auditor": ("a", "b")}, people={"u": ("operator",)}
    )
    said = {"realm_access": {"roles": ["b", "auditor", "administrator", 7]}, "roles": ["a"], "groups": ["a"]}
    assert roles_of("u", said, settings) == {"auditor", "operator"}
    assert roles_of("v", {"realm_access": "b"}, settings) == frozenset()
    assert roles_of("v", {"realm_access": {"roles": "b"}}, settings) == {"auditor"}


def test_no_role_has_everything_and_no_one_reads_the_log_and_manages_access() -> None:
    everything = frozenset().union(*PERMISSIONS.values())
    assert all(given < everything for given in PERMISSIONS.values())
    assert not {"audit_read", "manage_sessions"} <= PERMISSIONS["administrator"] | PERMISSIONS["operator"]
    assert not any(word.startswith(("decide", "assert", "push", "provision")) for word in everything)


@pytest.mark.parametrize(
    ("name", "roles", "password"),
    [("", ["auditor"], "x" * 12), ("A", ["auditor"], "x" * 12), ("a b", ["auditor"], "x" * 12),
     ("a", [], "x" * 12), ("a", ["root"], "x" * 12), ("a", ["auditor"], "x" * 11), ("a", ["auditor"], "x" * 257)],
)  # fmt: skip
def test_a_line_that_would_be_no_account_is_not_made(name: str, roles: list[str], password: str) -> None:
    with pytest.raises(BadRequestError):
        account_line(name, roles, password)


@pytest.mark.parametrize("text", ["a auditor x", "a root scrypt$1$1$1$aa$bb", "a auditor", "é", "\x00"])
def test_a_file_with_a_line_that_is_none_is_refused_whole(tmp_path: Path, text: str) -> None:
    file = tmp_path / "accounts"
    file.write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(SettingsError):
        Accounts(file).read()
    with pytest.raises(SettingsError):
        Accounts(tmp_path / "none").read()


def test_the_demonstrations_file_is_ours_alone_and_has_every_role(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    password = demonstration_accounts(file)
    assert file.stat().st_mode & 0o077 == 0
    assert password not in file.read_text(encoding="utf-8")
    found = Accounts(file).check("auditor", password)
    assert found is not None and found.roles == {"auditor"}
    assert set(Accounts(file).read()) == set(ROLES)


def test_a_sealed_login_is_opened_by_its_key_unchanged_and_in_time() -> None:
    login = LoginUnderWay("s", "n", "v", "/console/", int(NOW.timestamp()) + 60)
    sealed = LoginSeal(bytes(32)).seal(login)
    assert LoginSeal(bytes(32)).open(sealed, NOW) == login
    assert LoginSeal(b"1" * 32).open(sealed, NOW) is None
    assert LoginSeal(bytes(32)).open(sealed, NOW + timedelta(minutes=2)) is None
    for text in (
        "",
        "x",
        sealed[:-4],
        sealed[:10] + ("A" if sealed[10] != "A" else "B") + sealed[11:],
        "あ",
        "x" * 5_000,
    ):
        assert LoginSeal(bytes(32)).open(text, NOW) is None


@pytest.mark.parametrize("given", [{}, {"issuer": "https://x"}, {"issuer": "http://x.test", "client_id": "c"},
                                   {"issuer": "https://x", "client_id": "c", "scopes": ("profile",)}])  # fmt: skip
def test_settings_with_which_nobody_could_log_in_safely_are_none(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`"):
        ConsoleSettings(**given)


def test_every_parameter_that_the_trail_may_hold_has_a_name_in_both_languages() -> None:
    """Those of questions, of reports, of changes, and of commands: as the code writes them."""
    asked = {*PARAMETERS, *(name for query in QUERIES.values() for name in query.params)}
    asked |= {"size", "before", "by", "limit", "utc_offset_min", "people", "format", "lang", "everywhere", "actor"}
    asked |= {"sql", "id", "pseudonym", "query", "found", "kind", "at", "days", "warn_days", "user", "target", "what"}
    asked |= {"method", "vendor", "tenant", "plan", "export", "every_s", "changes", "step", "op", "phase", "live"}
    asked |= {"q", "after", "from", "apply", "hot_months", "archive_months", "files", "ordered_by", "lifted", "out"}
    japanese, english = TrailWords("ja"), TrailWords("en")
    for name in asked:
        assert re.search(r"[぀-ヿ一-鿿]|^SQL$", japanese.name(name)), name
        assert english.name(name)[0].isupper() or english.name(name) == "SQL", name
        assert "_" not in english.name(name), name
    assert japanese.name("a_word_of_tomorrow") == "a_word_of_tomorrow"


def test_values_in_the_trail_are_words_and_times_of_clocks() -> None:
    japanese, english = TrailWords("ja"), TrailWords("en")
    assert japanese.value("since", "2026-04-01T00:00:00Z") == "2026-04-01 09:00:00"
    assert (japanese.value("outcome", "deny"), japanese.value("outcome", "refused")) == ("拒否", "拒否")
    assert japanese.value("outcome", ["deny", "allow"]) == "拒否、許可"
    assert japanese.value("kind", "population") == "全利用者の予測"
    assert (english.value("kind", "check"), english.value("people", "true")) == ("Check", "yes")
    assert japanese.value("action", "audit.query") == "判定の閲覧"
    assert (english.value("days", 7), english.value("size", None), english.value("x", 12345)) == ("7", "—", "12,345")


def test_a_policy_is_opened_at_its_entry_point() -> None:
    texts = from_directory(ROOT / "policies")
    assert first_file(texts) == "rules/pdp/decision.rego"
    ordered = reading_order(texts, ["rules/pdp/a_new.rego"])
    assert ordered[0] == "rules/pdp/decision.rego"
    assert ordered[1:] == sorted({*texts, "rules/pdp/a_new.rego"} - {"rules/pdp/decision.rego"})


@pytest.mark.parametrize(
    ("manifest", "first"),
    [
        ('{"metadata": {"entrypoint": "house/allow"}}', "z/allow.rego"),
        ("{", "a.rego"),
        ('{"metadata": {"entrypoint": 7}}', "a.rego"),
        ("[" * 100_000, "a.rego"),
        ('{"metadata": {"entrypoint": "house/(.*"}}', "a.rego"),
    ],
)
def test_a_draft_of_any_kind_is_opened_somewhere(manifest: str, first: str) -> None:
    texts = {
        ".manifest": manifest,
        "a.rego": "package a\nx := 1\n",
        "b_test.rego": "package house\ndefault allow := false\n",
        "house.rego": "package house\nallow if { true }\n",
        "z/allow.rego": "package house # here\ndefault allow := false\n",
    }
    assert first_file(texts) == first
    assert first_file({"README.md": ""}) == "README.md"
    assert first_file({}) == ""
