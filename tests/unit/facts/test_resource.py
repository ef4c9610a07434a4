"""To what: the catalogue's row at one instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from pdp.model.directory import CatalogueRow, Period, SegmentFrom
from tests.unit.facts.worlds import NOW, REFERENCE, REQUEST, facts

ROW = CatalogueRow("mail", "communication", (SegmentFrom("cloud"),))
BEFORE, AFTER = NOW - timedelta(microseconds=1), NOW + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({}, "in_service"),
        ({"readonly_from": AFTER}, "in_service"),
        ({"readonly_from": NOW}, "readonly"),
        ({"readonly_from": BEFORE}, "readonly"),
        ({"service": Period(AFTER, None)}, "not_started"),
        ({"service": Period(NOW, None)}, "in_service"),
        ({"service": Period(None, AFTER)}, "in_service"),
        ({"service": Period(None, NOW)}, "ended"),
        ({"service": Period(None, NOW), "readonly_from": BEFORE}, "ended"),
        ({"service": Period(AFTER, None), "readonly_from": BEFORE}, "not_started"),
    ],
)
def test_the_status_changes_at_the_instant_itself(row: dict[str, object], status: str) -> None:
    assert facts(resources=[replace(ROW, **row)]).document.resource.status == status


@pytest.mark.parametrize(("start", "segment"), [(AFTER, "cloud"), (NOW, "lgwan"), (BEFORE, "lgwan")])
def test_a_system_moves_at_the_instant_itself(start: object, segment: str) -> None:
    moving = replace(ROW, segments=(SegmentFrom("cloud"), SegmentFrom("lgwan", start)))  # type: ignore[arg-type]
    assert facts(resources=[moving]).document.resource.segment == segment


def test_a_row_of_the_directory_goes_before_the_bundles() -> None:
    assert facts(resources=[replace(ROW, sensitivity=1)]).document.resource.sensitivity == 1
    assert facts().document.resource.sensitivity == 2


def test_what_nobody_has_classified_is_the_most_sensitive() -> None:
    assert facts(msgspec.structs.replace(REQUEST, resource_id="x")).document.resource.sensitivity == 3


@pytest.mark.parametrize(
    ("named", "asked", "organisations"),
    [
        ((), None, ["nara"]),
        ((), "tsu", ["tsu"]),
        (("tsu", "mie", "tsu"), None, ["mie", "tsu"]),
        (("tsu", "mie"), "mie", ["mie"]),
        (("tsu", "mie"), "nara", []),
        (("tsu", "mie"), "", []),
    ],
)
def test_a_row_that_names_organisations_is_narrowed_by_the_request_and_never_widened(
    named: tuple[str, ...], asked: str | None, organisations: list[str]
) -> None:
    built = facts(
        msgspec.structs.replace(REQUEST, organisation=asked),
        reference=replace(REFERENCE, home_organisation="nara"),
        resources=[replace(ROW, organisations=named)],
    )
    assert built.document.resource.organisations == organisations


@pytest.mark.parametrize(
    ("asked", "tenant"), [(None, "own"), ("mie", "own"), ("own", "own"), ("x", "other"), ("", "other")]
)
def test_a_tenant_is_ours_only_where_the_bundle_lists_it(asked: str | None, tenant: str) -> None:
    assert facts(msgspec.structs.replace(REQUEST, tenant=asked)).document.resource.tenant == tenant
