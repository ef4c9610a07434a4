"""Files of stories: one that cannot be read hides no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.errors import ScenarioError
from pdp.scenario.files import Misread, documents_in, read_all, read_scenarios, scenario_of
from pdp.scenario.format import Scenario

STEP = (
    "now: 2023-08-01T10:00:00+09:00, request: {user: u-1, auth_level: 2, resource: mail, action: access, zone: office}"
)
GOOD = f"{{id: good, {STEP}, expect: {{outcome: deny}}}}"


def test_all_or_none_names_the_first_story_that_is_misread(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("{id: bad}", encoding="utf-8")
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    assert [type(one) for one in read_all([tmp_path])] == [Scenario, Misread]
    with pytest.raises(ScenarioError, match="`bad`"):
        read_scenarios([tmp_path])


def test_a_file_that_is_no_yaml_is_misread_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{id: [", encoding="utf-8")
    (tmp_path / "b.yml").write_text(f"{GOOD}\n---\n---\n{GOOD}", encoding="utf-8")
    broken, *stories = read_all([tmp_path])
    assert isinstance(broken, Misread) and broken.where == str(tmp_path / "a.yaml")
    assert [one.where for one in stories] == [f"{tmp_path / 'b.yml'}: document {number}" for number in (1, 3)]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "story.yaml"
    file.write_text(GOOD, encoding="utf-8")
    assert len(read_all([file, tmp_path])) == 1
    assert [one["id"] for one in documents_in([file, file])] == ["good"]


def test_where_nothing_is_to_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no scenario was found"):
        read_all([tmp_path])
    with pytest.raises(ScenarioError, match="no such file"):
        read_all([tmp_path / "gone.yaml"])


def test_one_text_holds_one_story() -> None:
    assert scenario_of(GOOD).id == "good"
    with pytest.raises(ScenarioError, match="one scenario is expected"):
        scenario_of(f"{GOOD}\n---\n{GOOD}")
