from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import Device
from pdp.store.store import Store, open_store
from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.registers import NOW

DEVICES = 40
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def a_kind_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.MODULES, "file", "tests.unit.commands.file_connector")  # type: ignore[arg-type]


@pytest.fixture
def feed(place: Path) -> Path:
    """A source `mdm` over a file, and a directory of forty devices with serials."""
    (place / "var").mkdir()
    (place / "pdp.toml").write_text(
        '[[connectors]]\nname = "mdm"\nkind = "file"\nrequired = true\nsettings = {file = "feed.json"}\n'
    )
    store = stored(place)
    store.migrate()
    with change(store, NOW) as inside:
        inside.add("devices", {f"d-{n}": Device(f"d-{n}", "managed_pc") for n in range(DEVICES)})
        inside.add("aliases", {f"serial sn-{n}": Alias(f"d-{n}") for n in range(DEVICES)})
    store.close()
    file = place / "feed.json"
    say(file, range(DEVICES))
    return file


def stored(place: Path) -> Store:
    return open_store(f"sqlite:///{(place / 'var' / 'sekisho.db').resolve()}")


def say(file: Path, numbers: range, **facts: Any) -> None:
    file.write_text(
        json.dumps([{"names": {"serial": f"SN-{n}"}, "facts": {"tampered": False, **facts}} for n in numbers])
    )


def ended(result: Any) -> tuple[int, str, str | None]:
    (ending,) = only_json(result)
    return result.exit_code, ending["outcome"], ending["fault"]


def test_a_run_is_applied_and_the_same_is_seen_in_the_status(pdp, feed):
    assert ended(pdp("connector", "run", "--once", "--json")) == (0, "applied", None)
    status = only_json(pdp("directory", "status", "--json"))
    assert status["sources"] == {"posture": "ok", "identity": "ok"}
    (source,) = status["connectors"]
    assert (source["name"], source["state"], source["rows"], source["unmatched"]) == ("mdm", "ok", DEVICES, 0)
    assert status["posture"]["fresh"] == DEVICES


def test_a_run_that_fails_says_why_and_ends_with_three(pdp, feed):
    feed.unlink()
    assert ended(pdp("connector", "run", "mdm", "--once", "--json")) == (3, "failed", "unreachable")
    status = only_json(pdp("directory", "status", "--json"))
    assert status["sources"]["posture"] == "unavailable"
    (source,) = status["connectors"]
    assert (source["state"], source["fault"], source["failures"]) == ("down", "unreachable", 1)


@pytest.mark.parametrize(("lang", "words"), [("ja", ("取得元", "失敗", "停止")), ("en", ("source", "failed", "down"))])
def test_people_read_the_same_in_their_language(pdp, feed, lang, words):
    feed.unlink()
    ran = pdp("connector", "run", "--once", "--lang", lang)
    status = pdp("directory", "status", "--lang", lang)
    assert words[0] in ran.stdout and words[1] in ran.stdout
    assert words[2] in status.stdout and "unreachable" in status.stdout


def test_a_trial_says_what_a_run_would_do_and_writes_nothing(pdp, feed, place):
    say(feed, range(DEVICES + 5))
    (found,) = only_json(pdp("connector", "check", "--json"))
    assert found["counts"] == {"received": 45, "matched": 40, "unknown": 5, "added": 40, "would_remove": 0}
    assert found["samples"]["unknown"][0] == "serial=SN-40"
    assert "unknown: 5" in pdp("connector", "check").stdout
    store = stored(place)
    assert load_snapshot(store).devices["d-0"].posture.observed_at is None
    store.close()


def test_a_removal_is_shown_approved_and_then_done(pdp, feed):
    pdp("connector", "run", "--once", "--json")
    say(feed, range(10))
    assert ended(pdp("connector", "run", "--once", "--full", "--json")) == (1, "stopped", "removals_pending")
    assert "pdp connector approve mdm" in pdp("directory", "status").stdout
    shown = pdp("connector", "approve", "mdm")
    assert shown.exit_code == 1
    assert (
        "30 of 40 rows (75.0 %) would go" in shown.stdout and "- d-10" in shown.stdout and "and 10 more" in shown.stdout
    )
    assert "40 件のうち 30 件" in pdp("connector", "approve", "mdm", "--lang", "ja").stdout
    answered = pdp("connector", "approve", "mdm", "--yes", "--json")
    assert (answered.exit_code, only_json(answered)["state"]) == (0, "approved")
    assert ended(pdp("connector", "run", "--once", "--json")) == (0, "applied", None)
    assert only_json(pdp("directory", "status", "--json"))["connectors"][0]["rows"] == 10
    nothing = pdp("connector", "approve", "mdm", "--yes")
    assert nothing.exit_code == 2
    assert "no removal of `mdm` waits" in told(nothing)[0]


def test_a_removal_may_be_refused(pdp, feed):
    pdp("connector", "run", "--once", "--json")
    say(feed, range(10))
    pdp("connector", "run", "--once", "--full", "--json")
    assert only_json(pdp("connector", "reject", "mdm", "--yes", "--json"))["state"] == "rejected"
    assert ended(pdp("connector", "run", "--once", "--full", "--json")) == (1, "stopped", "removals_rejected")


def test_a_source_is_forgotten_only_when_it_is_meant(pdp, feed):
    pdp("connector", "run", "--once", "--json")
    assert pdp("connector", "forget", "mdm").exit_code == 1
    assert only_json(pdp("connector", "forget", "mdm", "--yes", "--json")) == {"source": "mdm", "reports": DEVICES}
    assert only_json(pdp("directory", "status", "--json"))["connectors"] == []
    assert pdp("connector", "forget", "mdm", "--yes").exit_code == 2


def test_the_latest_runs_are_listed(pdp, feed):
    pdp("connector", "run", "--once", "--json")
    pdp("connector", "run", "--once", "--full", "--json")
    runs = only_json(pdp("connector", "runs", "mdm", "--json"))
    assert [(run["outcome"], run["complete"], run["counts"]["matched"]) for run in runs] == [
        ("applied", True, DEVICES),
        ("applied", True, DEVICES),
    ]
    assert "applied" in pdp("connector", "runs", "mdm").stdout


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("", "no source is configured"),
        ('[[connectors]]\nname = "mdm"\nkind = "skysea"\n', "`skysea` is not a kind of connector"),
        ('[[connectors]]\nname = "MDM 1"\nkind = "file"\n', "connectors"),
        ('[[connectors]]\nname = "mdm"\nkind = "file"\ninterval_s = 1\n', "interval_s"),
        ('[[connectors]]\nname = "mdm"\nkind = "file"\nintervall_s = 60\n', "intervall_s"),
        ('[[connectors]]\nname = "mdm"\nkind = "file"\nfacts = ["health"]\n', "facts"),
        ('[[connectors]]\nname = "mdm"\nkind = "file"\nsettings = {path = "x"}\n', "`mdm`"),
        ('[[connectors]]\nname = "mdm"\nkind = "file"\n' * 2, "the same name"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_by_name(pdp, place, toml, said):
    (place / "pdp.toml").write_text(toml)
    result = pdp("connector", "run", "--once")
    assert result.exit_code == 2
    assert said in told(result)[0]


def test_a_name_that_is_not_configured_is_refused(pdp, feed):
    result = pdp("connector", "run", "edr", "--once")
    assert (result.exit_code, "`edr`" in told(result)[0]) == (2, True)


def test_the_process_runs_until_it_is_told_to_end_and_then_frees_its_sources(feed, place):
    start = (
        "from connectors import registry; registry.MODULES['file'] = 'tests.unit.commands.file_connector';"
        "from pdp.cli import main; main()"
    )
    command = [sys.executable, "-c", start, "connector", "run"]
    with subprocess.Popen(
        command, cwd=place, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        assert running.stderr is not None
        line = ""
        deadline = time.monotonic() + 30
        while "source ran" not in line and time.monotonic() < deadline:
            line = running.stderr.readline().decode()
            if not line:
                break
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0, running.stderr.read().decode()
    assert "source ran" in line
    store = stored(place)
    (source,) = load_snapshot(store).sources
    assert (source.fault, source.rows) == (None, DEVICES)
    store.close()


def test_the_doctor_says_which_source_never_ran_and_which_is_ill(pdp, feed):
    def sources() -> list[tuple[str, str]]:
        checks = only_json(pdp("doctor", "--json"))["findings"]
        return [(check["status"], check["detail"]) for check in checks if check["topic"] == "sources"]

    assert sources() == [("warn", "mdm: it has never been run")]
    pdp("connector", "run", "--once", "--json")
    assert sources() == [("ok", "mdm")]
    say(feed, range(10))
    pdp("connector", "run", "--once", "--full", "--json")
    assert sources() == [
        ("warn", "mdm: ok (removals_pending)"),
        ("warn", "mdm: a removal waits for approval"),
    ]
