from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.registers import fill

POLICIES = Path(__file__).parents[3] / "policies"
CONTEXTS = "contexts:\n  - {id: desk, zone: office, underlay: office, auth_level: 2, business_hours: true}\n"


@pytest.fixture
def draft(place):
    """A copy of the shipped policy that closes the groupware's group to managed PCs."""
    fill(place / "var")
    root = place / "draft"
    shutil.copytree(POLICIES, root)
    matrix = root / "data" / "matrix.yaml"
    line = "        managed_pc:  {office: {level: 2}, outside: {level: 2}}\n"
    text = matrix.read_text(encoding="utf-8")
    assert line in text
    matrix.write_text(text.replace(line, "", 1), encoding="utf-8")
    (place / "desk.yaml").write_text(CONTEXTS, encoding="utf-8")
    return root


def test_who_would_lose_is_told_to_people_to_programs_and_to_a_file(pdp, draft, place):
    said = (
        "simulate",
        "population",
        "--against",
        draft,
        "--contexts",
        place / "desk.yaml",
        "--out",
        place / "out.json",
    )
    result = pdp(*said, "--json")
    assert result.exit_code == 0, result.stderr
    found = only_json(result)
    assert found["changes"]["loses"]["users"] > 0
    assert "groupware" in found["changes"]["loses"]["resource"]
    assert found["changes"]["gains"]["cells"] == 0
    kept = json.loads((place / "out.json").read_text(encoding="utf-8"))
    assert kept["changes"] == found["changes"]
    assert (place / "out.json").stat().st_mode & 0o077 == 0


def test_nothing_to_compare_is_a_question_that_is_none(pdp, place):
    fill(place / "var")
    result = pdp("simulate", "population")
    assert result.exit_code == 2
    assert "nothing would change" in told(result)[0]


def test_a_file_of_contexts_that_is_none_is_refused(pdp, draft, place):
    (place / "bad.yaml").write_text("contexts: [{id: x}]\n", encoding="utf-8")
    assert pdp("simulate", "population", "--against", draft, "--contexts", place / "bad.yaml").exit_code == 2
    assert pdp("simulate", "population", "--against", draft, "--contexts", place / "none.yaml").exit_code == 2


HOME = Path(__file__).parents[1] / "simulate" / "home.json"


def test_a_new_refusal_is_shown_as_it_would_count_in_a_time_of_warning(pdp, draft):
    facts = {"resource.id": "groupware", "resource.group": "communication", "resource.segment": "cloud"}
    said = [
        "simulate",
        "request",
        HOME,
        *(word for fact, value in facts.items() for word in ("--fact", f"{fact}={value}")),
    ]
    said += ["--fact", "subject.auth_level=2", "--bundle", draft]
    assert pdp(*said, "--json").exit_code == 1
    result = pdp(*said, "--former", POLICIES, "--json")
    assert result.exit_code == 0, result.stderr
    found = only_json(result)
    assert (found["outcome"], found["in_time_of_warning"]["outcome"]) == ("deny", "allow")
    assert found["in_time_of_warning"]["warned"]["reasons"] == found["reasons"] == ["DEVICE_CLASS"]
    lost = pdp(*said, "--former", POLICIES, "--fact", "device.state=lost", "--lang", "ja")
    assert lost.exit_code == 1
    assert "警告期間中も即時に拒否するものである" in "".join(lost.stdout.split("\n"))
