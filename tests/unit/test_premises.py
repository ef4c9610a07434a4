"""Premises that are remembered are those that would be built: for whatever request, proof, directory and instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.bundle.bundle import make_bundle
from pdp.bundle.footprint import WHOLE, Footprint
from pdp.cache.key import KeyMaker
from pdp.errors import BadRequestError
from pdp.facts.document import build_facts
from pdp.model.authentication import Authentication
from pdp.model.directory import Period, Permit, Snapshot
from pdp.model.input import encode_input
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, Network, Reading, UnverifiedToken
from pdp.premises import Premises, PremisesMemory
from pdp.recent import MAX_QUESTIONS
from tests.properties.test_horizon import INSTANTS, PROOFS, device, snapshots
from tests.unit.facts.worlds import DEVICE, NOW, REFERENCE, REQUEST, USER, snapshot

STEP = timedelta(microseconds=1)
PROOF = Authentication(2, NOW - timedelta(minutes=12))
BUNDLE = make_bundle(
    manifest={"revision": "1", "metadata": {"profile": "zta", "entrypoint": "x/y"}},
    modules={"x.rego": "package x\n\ny := 1\n"},
    data={},
)
FOOTPRINTS = (
    WHOLE,
    Footprint(()),
    Footprint((("subject", "employment"),)),
    Footprint((("context", "business_hours"), ("device", "permit"))),
)
FEW = Footprint((("device", "permit"), ("subject", "employment")))


def memory(footprint: Footprint = WHOLE) -> PremisesMemory:
    return PremisesMemory(REFERENCE, footprint, KeyMaker(BUNDLE, footprint, "regorus"))


def of(held: PremisesMemory, request: AccessRequest = REQUEST, now: datetime = NOW, **other: Any) -> Premises:
    return held.of_request(request, other.get("proof", PROOF), other.get("world", WORLD), now).premises


RECENT = replace(DEVICE.posture, observed_at=NOW - timedelta(minutes=30))  # its age changes in half an hour
MINE = replace(DEVICE, certificate_sha256="ab" * 32, posture=RECENT)
WORLD = snapshot(devices=[MINE, replace(DEVICE, id="d-2", owner=None)])


def test_the_same_question_in_the_same_world_is_not_built_again() -> None:
    held = memory()
    first = of(held)
    assert of(held) is first
    assert of(held, now=NOW + timedelta(seconds=1)) is first
    assert of(held, msgspec.structs.replace(REQUEST)) is first, "an equal request, not the same object"


def test_they_are_what_the_facts_are() -> None:
    facts = build_facts(REQUEST, PROOF, WORLD, REFERENCE, NOW)
    keys = KeyMaker(BUNDLE, WHOLE, "regorus")
    built = of(memory())
    assert built == Premises(
        encode_input(facts.document), keys.of_input(facts.document), facts.horizon.earliest(), "communication"
    )


def test_another_snapshot_of_the_directory_is_another_world_even_where_it_is_equal() -> None:
    """The object counts, not its epoch: a database that was restored goes back to an epoch that it had before."""
    held = memory()
    first = of(held)
    again = replace(WORLD)
    assert (again == WORLD, again.epoch) == (True, WORLD.epoch)
    assert of(held, world=again) is not first
    lost = snapshot(devices=[replace(DEVICE, state="lost")])
    assert b'"lost"' in of(held, world=lost).document
    assert b'"lost"' not in of(held).document


def test_a_clock_that_goes_back_is_not_answered_from_the_future() -> None:
    over = NOW + timedelta(hours=1)
    leaving = snapshot(users=[replace(USER, employment=Period(None, over))])
    held = memory()
    assert b'"ended"' in of(held, now=over, world=leaving).document
    assert b'"ended"' not in of(held, now=over - STEP, world=leaving).document
    assert b'"ended"' in of(held, now=over, world=leaving).document


def test_they_stand_until_the_first_border_of_any_fact_and_not_at_it() -> None:
    held = memory(FEW)
    first = of(held)
    border = build_facts(REQUEST, PROOF, WORLD, REFERENCE, NOW).horizon.earliest()
    assert border is not None
    assert of(held, now=border - STEP) is first
    after = of(held, now=border)
    assert after.document != first.document, "a fact that the policy does not read is in the record all the same"
    assert after.key == first.key


def test_only_the_borders_of_what_the_policy_reads_end_an_answer() -> None:
    ends = NOW + timedelta(days=40)
    world = snapshot(users=[replace(USER, employment=Period(None, ends))])
    assert of(memory(), world=world).changes == NOW + timedelta(microseconds=1), "the age of the posture report"
    assert of(memory(FEW), world=world).changes == ends
    assert of(memory(Footprint((("context", "business_day"),))), world=world).changes < NOW + timedelta(days=1)
    assert of(memory(Footprint((("device", "class"),))), world=world).changes is None


@pytest.mark.parametrize("footprint", FOOTPRINTS, ids=str)
@pytest.mark.parametrize("after", [timedelta(seconds=30), timedelta(seconds=-30)])
def test_the_end_of_a_token_ends_an_answer_whatever_the_policy_reads(footprint: Footprint, after: timedelta) -> None:
    """A policy need not read the authentication at all; without a valid token it would not have been asked."""
    proof = Authentication(2, NOW, NOW + after)
    assert of(memory(footprint), proof=proof).changes == NOW + after
    assert of(memory(footprint)).changes != NOW + after


def test_two_proofs_are_two_questions() -> None:
    held = memory()
    first = of(held)
    for other in (Authentication(3, PROOF.at), Authentication(2, NOW), Authentication(2, PROOF.at, NOW + STEP)):
        built = of(held, proof=other)
        assert (built.document, built.changes) != (first.document, first.changes)


def test_a_request_that_is_refused_is_refused_again() -> None:
    held = memory()
    wrong = msgspec.structs.replace(REQUEST, action="fly")
    for _ in range(2):
        with pytest.raises(BadRequestError):
            of(held, wrong)


def test_the_memory_is_bounded_and_what_was_asked_last_stays() -> None:
    held = memory()
    oldest, first = of(held, _by("u-oldest")), of(held)
    for number in range(MAX_QUESTIONS - 2):
        of(held, _by(f"u-{number:05}"))
    assert of(held) is first
    of(held, _by("u-last"))
    assert of(held) is first
    assert of(held, _by("u-oldest")) is not oldest


def _by(user: str) -> AccessRequest:
    return msgspec.structs.replace(REQUEST, subject_id=user)


# --- Nothing of a request is forgotten --------------------------------------------------------------------------------

# For every field: other values than those of REQUEST, and at least one that changes the facts where any does.
OTHERS: dict[str, tuple[Any, ...]] = {
    "subject_id": ("u-2", ""),
    "resource_id": ("ledger", "tsu-data", "nothing", ""),
    "action": ("read", "administer"),
    "identity": (AssertedClaims(acr="phr"), UnverifiedToken("eyJ")),
    "device_id": ("d-2", "d-9", "", None),
    "certificate_sha256": ("ab" * 32, "cd" * 32, ""),
    "network": (
        Network(),
        Network(source_ip="203.0.113.1", underlay="office"),
        Network(source_ip="10.1.2.3", underlay="home"),
        Network(source_ip="10.1.2.3", underlay="office", tunnel=True),
        Network(source_ip="10.1.2.3", underlay="office", path_encrypted=False),
        Network(source_ip="10.1.2.3", underlay="office", path_encrypted="unknown"),
        Network(source_ip="10.1.2.3", underlay="office", country="US"),
    ),
    "risk": (("bulk_download",), ("malware_alert", "bulk_download")),
    "pep": (("save",), ("clipboard", "save")),
    "tenant": ("own", "elsewhere", ""),
    "organisation": ("tsu", "mie", ""),
    "path": ("/x",),
    "session_id": ("s-1",),
    "request_id": ("r-1",),
    "trace_id": ("t-1",),
    "wire": ("ext_authz",),
    "document": ({"subject": {}},),
    "fresh": (True,),
    "client_request": (ClientRequest("GET", "https://app.example.jp/"),),
    "reading": (Reading(),),
}
CHANGES_NO_FACTS = {
    "identity",
    "path",
    "session_id",
    "request_id",
    "trace_id",
    "wire",
    "document",
    "fresh",
    "client_request",
    "reading",
}


def test_the_table_above_names_every_field() -> None:
    assert list(OTHERS) == list(AccessRequest.__struct_fields__)
    for name in Network.__struct_fields__:
        base = getattr(REQUEST.network, name)
        assert any(getattr(other, name) != base for other in OTHERS["network"][1:]), name


def base_for(name: str) -> AccessRequest:
    """A request in which the field counts: an organisation does where the row names several."""
    return msgspec.structs.replace(REQUEST, resource_id="tsu-data") if name == "organisation" else REQUEST


@pytest.mark.parametrize("name", list(OTHERS))
def test_a_request_that_differs_in_any_field_has_the_premises_that_would_be_built_for_it(name: str) -> None:
    """The memory's own list of fields is written by hand: one that is missing there gives somebody else's facts."""
    base = base_for(name)
    held, moved = memory(), False
    for value in OTHERS[name]:
        changed = msgspec.structs.replace(base, **{name: value})
        assert changed != base
        of(held, base)
        assert of(held, changed) == of(memory(), changed), (name, value)
        moved = moved or of(memory(), changed) != of(memory(), base)
    assert moved is (name not in CHANGES_NO_FACTS), "a value that changes the facts, or a field that never does"


REQUESTS = st.fixed_dictionaries(
    {name: st.sampled_from((getattr(REQUEST, name), *OTHERS[name])) for name in OTHERS}
).map(lambda fields: AccessRequest(**fields))


@settings(max_examples=25)
@given(data=st.data())
def test_any_course_of_questions_is_answered_as_if_each_were_the_first(data: st.DataObject) -> None:
    worlds = [data.draw(snapshots(st.builds(device, st.none() | INSTANTS)), label="world") for _ in range(2)]
    footprint = data.draw(st.sampled_from(FOOTPRINTS), label="footprint")
    requests = data.draw(st.lists(REQUESTS, min_size=1, max_size=3), label="requests")
    proofs = data.draw(st.lists(PROOFS, min_size=1, max_size=2), label="proofs")
    held, instants = memory(footprint), [NOW]
    for _ in range(8):
        request, proof = data.draw(st.sampled_from(requests)), data.draw(st.sampled_from(proofs))
        world, now = data.draw(st.sampled_from(worlds)), data.draw(st.sampled_from(instants) | INSTANTS)
        facts = build_facts(request, proof, world, REFERENCE, now)
        fresh = of(memory(footprint), request, now, proof=proof, world=world)
        assert of(held, request, now, proof=proof, world=world) == fresh
        assert fresh.document == encode_input(facts.document)
        borders = facts.horizon.changes.values()
        instants = [now, *(border + step for border in borders for step in (-STEP, timedelta()))]


def test_a_plain_document_is_its_own_premises_and_nothing_in_it_changes_by_itself() -> None:
    held = PremisesMemory(None, WHOLE, KeyMaker(replace(BUNDLE, profile="plain"), WHOLE, "regorus"))
    one, other = ({"subject": {"id": name}} for name in ("a", "b"))
    first, second = (
        held.of_document(msgspec.structs.replace(REQUEST, document=it), NOW).premises for it in (one, other)
    )
    assert (first.document, first.changes) == (b'{"subject":{"id":"a"}}', None)
    assert first.key != second.key


def test_a_permit_of_somebody_else_is_not_remembered_as_ones_own() -> None:
    world: Snapshot = snapshot(permits=[Permit("d-1", "u-1", Period())])
    held = memory()
    assert b'"permit":"valid"' in of(held, world=world).document
    assert b'"permit":"none"' in of(held, _by("u-2"), world=world).document
