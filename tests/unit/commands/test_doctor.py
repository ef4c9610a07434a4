from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.commands.checkup import Checkup
from pdp.commands.finding import Finding
from pdp.settings import load_settings
from pdp.shipping.ledger import Ledger, Standing
from tests.certificates import Authority
from tests.servers import free_port
from tests.tokens import jwks
from tests.unit.commands.conftest import only_json
from tests.unit.commands.registers import NOW, fill
from tests.unit.declog.logs import writer_at

pytestmark = pytest.mark.anyio


def by_topic(said: Any) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for finding in said["findings"]:
        found.setdefault(finding["topic"], []).append((finding["status"], finding["detail"]))
    return found


def test_a_fresh_place_has_warnings_and_no_failure_and_nothing_is_made(pdp, place):
    result = pdp("doctor", "--json")
    assert result.exit_code == 0
    found = by_topic(only_json(result))
    assert found["policy"][0][0] == found["engine"][0][0] == "ok"
    assert found["directory"] == [("warn", "there is none yet")]
    assert list(place.iterdir()) == []


def test_every_warning_and_failure_has_a_next_step(pdp, place):
    fill(place / "var", seen=NOW - timedelta(hours=30))
    for finding in only_json(pdp("doctor", "--bundle", place / "none", "--json"))["findings"]:
        assert (finding["status"] == "ok") == (finding["next_step"] == "")


def test_a_filled_directory_is_counted_and_its_stale_posture_is_a_warning(pdp, place):
    fill(place / "var", seen=NOW - timedelta(hours=30))
    found = by_topic(only_json(pdp("doctor", "--json")))
    assert found["directory"] == [("ok", "sqlite, epoch 1, 1 users, 1 devices")]
    assert found["posture"][0][0] == "warn"
    assert "1 stale" in found["posture"][0][1]
    assert found["caller keys"] == [("warn", "there is no caller")]


def test_a_policy_that_cannot_be_used_fails(pdp, place):
    result = pdp("doctor", "--bundle", place / "none")
    assert result.exit_code == 1
    assert "FAIL  policy: " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("1 failed")


def test_an_opa_server_that_is_not_there_fails(pdp):
    result = pdp("doctor", "--engine", "opa", "--opa-url", f"http://127.0.0.1:{free_port()}", "--json")
    assert result.exit_code == 1
    assert by_topic(only_json(result))["engine"][0][0] == "fail"


def test_each_setting_says_where_it_comes_from_and_no_password_is_shown(pdp, place, monkeypatch):
    (place / "pdp.toml").write_text('node = "a"\n')
    monkeypatch.setenv("PDP_WORKERS", "3")
    url = f"postgresql://sekisho:secret@127.0.0.1:{free_port()}/x?password=secret"
    result = pdp("doctor", "--database-url", url, "--json")
    settings = [detail for _, detail in by_topic(only_json(result))["settings"]]
    assert "node = a (pdp.toml)" in settings
    assert "workers = 3 (PDP_WORKERS)" in settings
    assert any(detail.startswith("database_url = postgresql://127.0.0.1") for detail in settings)
    assert "secret" not in result.stdout
    assert by_topic(only_json(result))["directory"][0][0] == "fail"


def test_a_caller_key_that_ends_soon_is_a_warning_unless_another_follows_it(pdp, place):
    fill(place / "var")
    pdp("caller", "add", "gw", "--expires-in-days", "10")
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"][0][0] == "warn"
    pdp("caller", "rotate", "gw")
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"] == [("ok", "1 callers")]
    pdp("caller", "revoke", "gw")
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"] == [("warn", "gw: no valid key")]


def test_what_a_dead_process_left_in_the_log_is_a_warning(pdp, place):
    writer_at(place / "var" / "decisions").open()
    found = by_topic(only_json(pdp("doctor", "--json")))["decision log"]
    assert [status for status, _ in found] == ["ok", "warn"]
    assert ".w0." in found[1][1]


def test_a_log_that_is_no_directory_fails(pdp, place):
    (place / "var").mkdir()
    (place / "var" / "decisions").write_text("not a log")
    result = pdp("doctor", "--json")
    assert result.exit_code == 1
    assert by_topic(only_json(result))["decision log"][0][0] == "fail"


async def findings(now: datetime, **settings: Any) -> list[Finding]:
    return await Checkup(load_settings(environ={}, **settings), {}, now, lambda _ja, en: en).all()


async def test_a_clock_that_was_set_back_fails(place: Path):
    fill(place / "var")
    writer_at(place / "var" / "decisions").open()
    long_ago = datetime(2024, 1, 1, tzinfo=UTC)
    clocks = [finding for finding in await findings(long_ago) if finding.topic == "clock"]
    assert len(clocks) == 2  # before this program was written, and before the log's own records
    assert {finding.status for finding in clocks} == {"fail"}


async def test_callers_that_are_not_authenticated_are_a_warning(place: Path):
    found = await findings(NOW, unsafe_no_caller_auth=True)
    assert any(finding.status == "warn" and "not authenticated" in finding.detail for finding in found)


async def test_without_a_policy_the_engine_is_not_tried(place: Path):
    found = await findings(NOW, bundle=str(place / "none"))
    assert [(f.status, f.topic) for f in found if f.topic in ("policy", "engine")] == [
        ("fail", "policy"),
        ("warn", "engine"),
    ]


def test_a_redis_that_is_not_there_is_a_warning_because_decisions_are_as_right_without_it(pdp, monkeypatch):
    monkeypatch.setenv("PDP_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    (found,) = by_topic(only_json(pdp("doctor", "--json")))["shared cache"]
    assert found[0] == "warn"
    assert found[1].startswith("does not answer: ")


def test_a_redis_url_that_cannot_be_used_fails_and_its_password_is_not_shown(pdp, monkeypatch):
    monkeypatch.setenv("PDP_REDIS_URL", "redis://:hunter2@redis.example:6379")
    result = pdp("doctor", "--json")
    assert result.exit_code == 1
    assert by_topic(only_json(result))["shared cache"][0][0] == "fail"
    assert "hunter2" not in result.stdout + result.stderr


def test_a_secret_that_is_too_short_fails(pdp, place, monkeypatch):
    (place / "secret").write_text("short")
    monkeypatch.setenv("PDP_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("PDP_REDIS_SECRET_FILE", str(place / "secret"))
    (found,) = by_topic(only_json(pdp("doctor", "--json")))["shared cache"]
    assert found[0] == "fail"


def test_a_cache_that_is_switched_off_is_said(pdp, monkeypatch):
    monkeypatch.setenv("PDP_CACHE", "off")
    (found,) = by_topic(only_json(pdp("doctor", "--json")))["shared cache"]
    assert found[0] == "warn"


def test_the_keys_of_each_issuer_are_looked_at(pdp, place):
    (place / "keys.json").write_text(json.dumps(jwks()))
    (place / "pdp.toml").write_text(
        """
        [[issuers]]
        issuer = "https://idp.example.jp"
        audiences = ["https://pdp.example.jp"]
        jwks_file = "keys.json"

        [[issuers]]
        issuer = "https://city.example.jp"
        audiences = ["https://pdp.example.jp"]
        jwks_file = "not-there.json"
        """
    )
    result = pdp("doctor", "--json")
    assert result.exit_code == 1
    good, bad = by_topic(only_json(result))["issuer"]
    assert good == ("ok", "https://idp.example.jp: 2 keys")
    assert bad[0] == "fail"


def test_a_caller_that_is_known_by_its_certificate_needs_no_key(pdp, place):
    fill(place / "var")
    pdp("caller", "add", "gw", "--no-key")
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"] == [("warn", "gw: no valid key")]
    bound = only_json(pdp("caller", "bind", "gw", "--certificate-sha256", "0" * 64, "--json"))
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"] == [("ok", "1 callers")]
    pdp("caller", "unbind", "gw", bound["binding_id"])
    assert by_topic(only_json(pdp("doctor", "--json")))["caller keys"] == [("warn", "gw: no valid key")]


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (10, "warn"), (-1, "fail")])
def test_the_end_of_the_servers_certificate_is_told_in_time(pdp, place, monkeypatch, days, status):
    authority = Authority(place)
    ends_in = timedelta(days=days) if days > 0 else timedelta(minutes=-1)
    server = authority.issue("server", "server", host="localhost", ends_in=ends_in)
    for name, value in (
        ("TLS_CERT_FILE", server.certificate),
        ("TLS_KEY_FILE", server.key),
        ("TLS_CLIENT_CA_FILE", authority.certificate),
        ("TLS_CLIENT_CERTIFICATE", "optional"),
    ):
        monkeypatch.setenv(f"PDP_{name}", str(value))
    found = by_topic(only_json(pdp("doctor", "--json")))["TLS"]
    assert [said for said, _ in found] == [status, "warn"]  # the authority of this test ends in two days
    server.key.write_text("nothing")
    ((said, detail),) = by_topic(only_json(pdp("doctor", "--json")))["TLS"]
    assert said == "fail"
    assert str(place) not in detail


def test_plain_http_beyond_this_machine_is_a_warning(pdp, place, monkeypatch):
    assert by_topic(only_json(pdp("doctor", "--json")))["TLS"][0][0] == "ok"
    monkeypatch.setenv("PDP_HOST", "0.0.0.0")
    assert by_topic(only_json(pdp("doctor", "--json")))["TLS"][0][0] == "warn"


def test_who_keeps_the_store_and_who_signs_for_the_log_is_told(pdp, place):
    writer = writer_at(place / "var" / "decisions")
    writer.open()
    found = by_topic(only_json(pdp("doctor", "--json")))
    assert found["log proof"] == [("warn", "there is no signed head")]
    assert found["log store"] == [("warn", "it was never kept")]
    writer.seal("close")
    pdp("audit", "compact", "--once")
    pdp("audit", "checkpoint")
    found = by_topic(only_json(pdp("doctor", "--json")))
    assert found["log proof"][0][0] == found["log store"][0][0] == "ok"
    assert "1 files, 0 records" in found["log store"][0][1]
    (place / "var" / "decisions" / "proof" / "node-1.checkpoint").write_text("no head")
    assert by_topic(only_json(pdp("doctor", "--json")))["log proof"] == [("fail", "the head is damaged")]


def test_a_target_that_was_never_shipped_to_is_a_warning(pdp, place):
    writer_at(place / "var" / "decisions").open()
    (place / "pdp.toml").write_text('[[log_targets]]\nname = "soc"\nto = "file:/tmp/soc"\nformat = "json"\n')
    assert by_topic(only_json(pdp("doctor", "--json")))["log shipping soc"] == [("warn", "nothing was ever shipped")]
    (place / "var" / "shipping").mkdir()
    standing = Standing(
        shipped=40, refused=7, refused_bytes=4_096, let_go=2, last_attempt="2026-11-23T08:00:00.000000Z"
    )
    Ledger(place / "var" / "shipping").write("soc", standing)
    ((status, detail),) = by_topic(only_json(pdp("doctor", "--json")))["log shipping soc"]
    assert (status, "7 records were refused" in detail, "2 found no room" in detail) == ("warn", True, True)
