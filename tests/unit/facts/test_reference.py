"""What a bundle's data mean to the facts, and which data are refused before anybody is judged by them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
import pytest

from pdp.errors import BundleError
from pdp.facts.reference import CatalogueEntry, Reference, catalogue_row, read_reference
from pdp.model.directory import JST, CatalogueRow, Period, SegmentFrom
from pdp.model.request import Network
from tests.unit.facts.worlds import REQUEST, facts

ZTA: dict[str, Any] = {
    "catalogue": [{"id": "mail", "group": "communication"}, {"id": "ledger", "group": "business"}],
    "networks": [
        {"cidr": "10.0.0.0/8", "zone": "office", "country": "JP"},
        {"cidr": "10.9.0.0/16", "zone": "sase", "tunnel": "required"},
        {"cidr": "10.9.8.0/24", "zone": "carrier"},
        {"cidr": "fd00::/8", "zone": "office"},
    ],
    "calendar": {
        "office_hours": {"from": "08:30", "until": "17:15"},
        "weekend": ["saturday", "sunday"],
        "closed_dates": {"2023-08-11": "山の日"},
    },
    "parameters": {"own_tenants": ["mie"], "business_cut_over": "2023-02-01"},
}
CUT_OVER = datetime(2023, 1, 31, 15, tzinfo=UTC)


def read(**changes: Any) -> Reference:
    """The reference of the data above; `calendar__weekend=[]` puts another value at that place."""
    zta = deepcopy(ZTA)
    for place, value in changes.items():
        *above, last = place.split("__")
        at = zta
        for name in above:
            at = at[name]
        at[last] = value
    return read_reference({"zta": zta})


def row(entry: dict[str, Any], over: CatalogueRow | None = None, cut_over: datetime | None = CUT_OVER) -> CatalogueRow:
    return catalogue_row(msgspec.convert({"id": "x", **entry}, CatalogueEntry), over, business_cut_over=cut_over)


def test_the_whole_reference_is_read() -> None:
    reference = read(parameters__home_organisation="nara")
    assert set(reference.catalogue) == {"mail", "ledger"}
    assert (reference.business_cut_over, reference.own_tenants) == (CUT_OVER, frozenset({"mie"}))
    assert (reference.home_organisation, read().home_organisation) == ("nara", "mie")
    calendar = reference.calendar
    assert (calendar.opens, calendar.closes) == (time(8, 30), time(17, 15))
    assert (calendar.closed_weekdays, calendar.closed_dates) == (frozenset({5, 6}), frozenset({date(2023, 8, 11)}))


# --- networks


@pytest.mark.parametrize(
    ("address", "tunnel", "zone"),
    [
        ("10.1.0.1", False, "office"),
        ("10.9.0.1", True, "sase"),
        ("10.9.0.1", False, "public"),
        ("10.9.8.1", False, "carrier"),
        ("fd00::1", False, "office"),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_longest_prefix_decides_the_zone_and_whether_a_tunnel_is_needed(
    backwards: bool, address: str, tunnel: bool, zone: str
) -> None:
    reference = read(networks=ZTA["networks"][::-1] if backwards else ZTA["networks"])
    built = facts(msgspec.structs.replace(REQUEST, network=Network(address, tunnel)), reference=reference)
    assert built.document.context.zone == zone


# --- faults


TWICE = [{"id": "mail", "group": "communication"}] * 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"catalogue": TWICE}, "`mail` stands twice"),
        ({"catalogue": [{"id": "mail"}]}, "the group is missing"),
        ({"catalogue": [{"id": "mail", "group": "communication", "colour": "red"}]}, "colour"),
        ({"networks": [{"cidr": "10.0.0.0/8", "zone": zone} for zone in ("office", "sase")]}, "stands twice"),
        (
            {"networks": [{"cidr": cidr, "zone": "office"} for cidr in ("10.0.0.0/8", "10.0.0.0/255.0.0.0")]},
            "stands twice",
        ),
        ({"networks": [{"cidr": "10.0.0.1/8", "zone": "office"}]}, "host bits"),
        ({"networks": [{"cidr": "10.0.0.0/8", "zone": "office", "tunnel": "optional"}]}, "optional"),
        ({"calendar__office_hours": {"from": "17:15", "until": "08:30"}}, "closes before it opens"),
        ({"calendar__office_hours": {"from": "08:30", "until": "08:30"}}, "closes before it opens"),
        ({"calendar__office_hours": {"from": "08:30+09:00", "until": "17:15+09:00"}}, "no offset"),
        ({"calendar__office_hours": {"from": "08:30+09:00", "until": "17:15"}}, "no offset"),
        ({"calendar__office_hours": {"from": "08:30", "until": "17:15Z"}}, "no offset"),
        ({"calendar__office_hours": {"from": "8.30", "until": "17:15"}}, "isoformat"),
        ({"calendar__closed_dates": {"2023-02-30": "x"}}, "day is out of range"),
        ({"calendar__weekend": ["sunday", "payday"]}, "payday"),
        ({"parameters__business_cut_over": "soon"}, "business_cut_over"),
        ({"parameters__business_cut_over": "2023-02-01T00:00:00"}, "offset"),
    ],
)
def test_reference_data_that_would_mislead_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BundleError, match=word):
        read(**changes)


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"group": "mynumber", "segment": "internet"}, "go together"),
        ({"group": "business", "segment": "mynumber"}, "go together"),
        (
            {"group": "mynumber", "segments": [{"segment": "mynumber"}, {"segment": "lgwan", "from": "2024-04-01"}]},
            "go",
        ),
        (
            {"group": "business", "segments": [{"segment": "lgwan"}, {"segment": "mynumber", "from": "2024-04-01"}]},
            "go",
        ),
        ({"group": "unknown", "segment": "mynumber"}, "go together"),
        ({"group": "business", "segment": "unknown"}, "known segment"),
        (
            {"group": "business", "segments": [{"segment": "lgwan"}, {"segment": "unknown", "from": "2024-04-01"}]},
            "known segment",
        ),
        ({"group": "business", "segments": [{"segment": "lgwan", "from": "2022-04-01"}]}, "the first segment"),
        ({"group": "business", "segments": [{"segment": "lgwan"}, {"segment": "internet"}]}, "the first segment"),
        *(
            (
                {
                    "group": "business",
                    "segments": [
                        {"segment": "lgwan"},
                        {"segment": "internet", "from": "2023-02-01"},
                        {"segment": "cloud", "from": second},
                    ],
                },
                "in the order",
            )
            for second in ("2023-01-01", "2023-02-01")
        ),
        ({"group": "business", "from": "2023-04-03", "until": "2023-04-01"}, "ends before it starts"),
        ({"group": "business", "from": "2023-04-31"}, "day is out of range"),
        ({"group": "business", "readonly_from": "2023-04-01T10:00:00"}, "offset"),
    ],
)
def test_a_row_that_would_mislead_is_refused(entry: dict[str, Any], word: str) -> None:
    with pytest.raises(BundleError, match=word):
        row(entry)


# --- segments


@pytest.mark.parametrize(
    ("entry", "cut_over", "segments"),
    [
        ({"group": "business"}, CUT_OVER, (SegmentFrom("lgwan"), SegmentFrom("internet", CUT_OVER))),
        ({"group": "business"}, None, (SegmentFrom("lgwan"),)),
        ({"group": "business", "segment": "lgwan"}, CUT_OVER, (SegmentFrom("lgwan"),)),
        ({"group": "communication"}, CUT_OVER, (SegmentFrom("cloud"),)),
        ({"group": "mynumber"}, CUT_OVER, (SegmentFrom("mynumber"),)),
        ({"group": "unknown"}, CUT_OVER, (SegmentFrom("unknown"),)),
        (
            {
                "group": "legacy",
                "segment": "cloud",
                "segments": [{"segment": "lgwan"}, {"segment": "internet", "from": "2023-02-01"}],
            },
            None,
            (SegmentFrom("lgwan"), SegmentFrom("internet", CUT_OVER)),
        ),
    ],
)
def test_the_segments_of_a_row_and_of_one_that_names_none(
    entry: dict[str, Any], cut_over: datetime | None, segments: tuple[SegmentFrom, ...]
) -> None:
    assert row(entry, cut_over=cut_over).segments == segments


# --- a row over another

HELD = CatalogueRow(
    "x",
    "legacy",
    (SegmentFrom("internet"),),
    service=Period(datetime(2022, 4, 1, tzinfo=JST), datetime(2024, 4, 1, tzinfo=JST)),
    readonly_from=datetime(2024, 3, 1, tzinfo=JST),
    departments=("soumu",),
    organisations=("tsu",),
    sensitivity=3,
    title_ja="旧文書",
    title_en="old documents",
)


@pytest.mark.parametrize(
    ("entry", "changed"),
    [
        ({}, {}),
        ({"group": "data"}, {"group": "data"}),
        ({"segment": "cloud"}, {"segments": (SegmentFrom("cloud"),)}),
        ({"from": "2023-04-01"}, {"service": Period(datetime(2023, 4, 1, tzinfo=JST), HELD.service.end)}),
        ({"until": "2023-03-31"}, {"service": Period(HELD.service.start, datetime(2023, 4, 1, tzinfo=JST))}),
        ({"from": "0001-01-01"}, {"service": Period(None, HELD.service.end)}),
        ({"until": "9999-12-31"}, {"service": Period(HELD.service.start, None)}),
        ({"readonly_from": "2024-02-01"}, {"readonly_from": datetime(2024, 2, 1, tzinfo=JST)}),
        ({"departments": []}, {"departments": ()}),
        ({"organisations": []}, {"organisations": ()}),
        ({"sensitivity": 0}, {"sensitivity": 0}),
        ({"ja": "文書"}, {"title_ja": "文書"}),
        ({"en": "documents"}, {"title_en": "documents"}),
    ],
)
def test_only_what_an_entry_names_is_replaced(entry: dict[str, Any], changed: dict[str, Any]) -> None:
    assert row(entry, HELD) == replace(HELD, **changed)


def test_a_new_end_before_the_held_beginning_is_refused_and_so_is_a_new_beginning_after_the_held_end() -> None:
    for entry in ({"until": "2022-03-30"}, {"from": "2024-04-02"}):
        with pytest.raises(BundleError, match="ends before it starts"):
            row(entry, HELD)


def test_a_held_row_cannot_be_moved_into_the_mynumber_group_or_segment_by_half() -> None:
    for entry in ({"group": "mynumber"}, {"segment": "mynumber"}):
        with pytest.raises(BundleError, match="go together"):
            row(entry, HELD)
