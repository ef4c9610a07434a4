from __future__ import annotations

from pathlib import Path

import pytest

from pdp.bundle.bundle import make_bundle, read_bundle
from pdp.errors import BundleError
from pdp.facts.reference import read_reference
from pdp.model.directory import CatalogueRow, SegmentFrom, User, snapshot_of
from pdp.model.input import ACTIONS
from pdp.wire.candidates import Candidate, DirectoryCandidates, bundle_candidates

POLICIES = Path(__file__).parents[3] / "policies"


def of(search: object):
    return bundle_candidates(
        make_bundle(
            manifest={"revision": "1", "metadata": {"profile": "plain", "entrypoint": "a/b"}},
            modules={"a.rego": "package a"},
            data={"authzen": {"search": search}},
        )
    )


def test_the_lists_of_a_bundle_are_its_candidates_in_their_order() -> None:
    known = of(
        {
            "subjects": {"user": ["bob", {"id": "alice", "properties": {"role": "admin"}}, {"id": "carol"}]},
            "resources": {"record": ["r-1"]},
            "actions": ["read", {"name": "delete", "properties": {"soft": True}}],
        }
    )
    assert known.subjects("user") == (Candidate("bob"), Candidate("alice", {"role": "admin"}), Candidate("carol"))
    assert known.resources("record") == (Candidate("r-1"),)
    assert known.actions() == (Candidate("read"), Candidate("delete", {"soft": True}))


def test_what_a_bundle_does_not_list_is_not_there() -> None:
    known = of({})
    assert not known.subjects("user")
    assert not known.resources("record")
    assert not known.actions()
    assert not of({"subjects": {"user": ["a"]}}).subjects("spaceship")


@pytest.mark.parametrize(
    "search",
    [
        [],
        None,
        {"subjects": []},
        {"subjects": {"user": {}}},
        {"subjects": {"user": "alice"}},
        {"subjects": {"user": [1]}},
        {"subjects": {"user": [{"id": 1}]}},
        {"subjects": {"user": [{"properties": {}}]}},
        {"subjects": {"user": [{"id": "a", "properties": []}]}},
        {"subjects": {"user": [{"id": "a", "role": "admin"}]}},
        {"subjects": {"user": ["a", "a"]}},
        {"actions": {}},
        {"actions": [{"id": "read"}]},
    ],
)
def test_a_list_of_another_form_is_a_fault_of_the_bundle(search: object) -> None:
    with pytest.raises(BundleError, match=r"authzen\.search"):
        of(search)


def test_the_directory_and_the_catalogue_are_the_candidates_of_zta() -> None:
    snapshot = snapshot_of(
        epoch=1,
        users=[User("u-2", "staff"), User("u-1", "staff")],
        resources=[CatalogueRow("extra", "business", (SegmentFrom("internet"),)), _row("mail")],
    )
    known = DirectoryCandidates(snapshot, ["mail", "chat"])
    assert known.subjects("user") == [Candidate("u-1"), Candidate("u-2")]
    assert known.resources("application") == [Candidate("chat"), Candidate("extra"), Candidate("mail")]
    assert [action.id for action in known.actions()] == list(ACTIONS)
    assert not known.subjects("group")
    assert not known.resources("todo")


def _row(name: str) -> CatalogueRow:
    return CatalogueRow(name, "communication", (SegmentFrom("cloud"),))


def test_the_shipped_catalogue_fits() -> None:
    catalogue = read_reference(read_bundle(POLICIES).data).catalogue
    known = DirectoryCandidates(snapshot_of(epoch=1), catalogue)
    assert Candidate("mail") in known.resources("application")
