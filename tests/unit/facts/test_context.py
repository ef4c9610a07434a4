"""Where somebody is, and which work permit fits: the corners at which a mistake would open a door."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import msgspec
import pytest

from pdp.errors import BadRequestError
from pdp.facts.document import build_facts
from pdp.facts.reference import KnownNetwork
from pdp.model.authentication import Authentication
from pdp.model.directory import JST, Period, WorkPermit
from pdp.model.input import Context
from pdp.model.request import Network
from tests.unit.facts.worlds import NOW, REFERENCE, REQUEST, dates, facts, snapshot

# As `read_reference` orders them: the longest prefix first.
NESTED = replace(
    REFERENCE,
    networks=(
        KnownNetwork(ip_network("10.9.0.0/16"), "sase", needs_tunnel=True, country="SG"),
        KnownNetwork(ip_network("10.0.0.0/8"), "office", needs_tunnel=False, country="JP"),
        KnownNetwork(ip_network("fe80::/10"), "office", needs_tunnel=False, country="JP"),
        KnownNetwork(ip_network("192.168.0.0/16"), "office", needs_tunnel=False, country=None),
    ),
)


def context(network: Network) -> Context:
    return facts(msgspec.structs.replace(REQUEST, network=network), reference=NESTED).document.context


# --- place


@pytest.mark.parametrize(
    ("address", "tunnel", "zone"),
    [
        ("10.9.0.1", True, "sase"),
        ("10.9.0.1", False, "public"),
        ("::ffff:10.9.0.1", False, "public"),
        ("10.8.0.1", False, "office"),
    ],
)
def test_an_address_whose_tunnel_is_missing_is_public_and_never_of_the_wider_network(
    address: str, tunnel: bool, zone: str
) -> None:
    assert context(Network(address, tunnel)).zone == zone


@pytest.mark.parametrize("address", ["fe80::1%eth0", "fe80::1%1", "::ffff:10.0.0.1%eth0"])
def test_an_address_that_means_something_on_one_link_only_is_bad_input(address: str) -> None:
    assert context(Network(address.partition("%")[0])).zone == "office"
    with pytest.raises(BadRequestError):
        context(Network(address))


@pytest.mark.parametrize(
    ("network", "country"),
    [
        (Network("10.0.0.1", country="US"), "US"),
        (Network("10.0.0.1"), "JP"),
        (Network("192.168.0.1", country="US"), "US"),
        (Network("192.168.0.1"), "unknown"),
        (Network("203.0.113.1", country="US"), "US"),
        (Network("203.0.113.1"), "unknown"),
        (Network("10.9.0.1", tunnel=True), "SG"),
        (Network("10.9.0.1", tunnel=False), "unknown"),
        (Network(country="US"), "US"),
        (Network(), "unknown"),
    ],
)
def test_the_gateways_word_on_the_country_goes_before_the_networks(network: Network, country: str) -> None:
    assert context(network).country == country


# --- work permits

MORNING = datetime(2023, 8, 1, 9, tzinfo=JST)
EVENING = datetime(2023, 8, 1, 18, tzinfo=JST)
NIGHT = datetime(2023, 8, 1, 15, tzinfo=UTC)


def permit(name: str = "R5-012", **changes: object) -> WorkPermit:
    values = {
        "id": name,
        "users": frozenset({"u-1"}),
        "resources": frozenset({"mail"}),
        "devices": frozenset({"d-1"}),
        "period": Period(MORNING, EVENING),
    }
    return WorkPermit(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "until"),
    [
        ([EVENING], "2023-08-01T18:00:00+09:00"),
        ([EVENING, NIGHT], "2023-08-02T00:00:00+09:00"),
        ([None], "none"),
        ([EVENING, None], "none"),
        ([MORNING, EVENING], "2023-08-01T18:00:00+09:00"),
    ],
)
def test_of_several_valid_work_permits_the_latest_end_counts_whatever_their_order(
    ends: list[datetime | None], until: str
) -> None:
    permits = [permit(str(number), period=Period(None, end)) for number, end in enumerate(ends)]
    for order in (permits, permits[::-1]):
        built = facts(work_permits=order).document.context
        assert (built.work_permit, built.work_permit_until) == ("valid", until)


VALID = permit("valid")
OTHER_WINDOW = permit("window", period=dates("2023-09-01", "2023-09-02"))
OTHER_DEVICE = permit("device", devices=frozenset({"d-2"}))
OTHER_SYSTEM = permit("system", resources=frozenset({"ledger"}))
OTHER_PERSON = permit("person", users=frozenset({"u-2"}))
OTHER_WORLD = permit("world", users=frozenset({"u-2"}), resources=frozenset({"ledger"}))
PAST_OF_MINE = permit("past", resources=frozenset({"ledger"}), period=dates(None, "2023-07-01"))


@pytest.mark.parametrize(
    ("permits", "state"),
    [
        ([VALID, OTHER_WINDOW, OTHER_DEVICE, OTHER_SYSTEM, OTHER_PERSON], "valid"),
        ([OTHER_WINDOW, OTHER_DEVICE, OTHER_SYSTEM, OTHER_PERSON], "out_of_window"),
        ([OTHER_DEVICE, OTHER_PERSON], "out_of_scope"),
        ([OTHER_SYSTEM, OTHER_PERSON], "out_of_scope"),
        ([OTHER_PERSON, OTHER_WORLD, PAST_OF_MINE], "not_named"),
        ([OTHER_WORLD, PAST_OF_MINE], "none"),
    ],
)
def test_the_closest_work_permit_gives_the_state_whatever_their_order(permits: list[WorkPermit], state: str) -> None:
    for order in (permits, permits[::-1]):
        assert facts(work_permits=order).document.context.work_permit == state


def test_work_permits_of_other_people_for_other_systems_note_no_border() -> None:
    assert "context.work_permit" not in facts(work_permits=[OTHER_WORLD]).horizon.changes
    assert facts(work_permits=[OTHER_PERSON]).horizon.changes["context.work_permit"] == EVENING > NOW


# --- sources


@pytest.mark.parametrize("brings", ["posture", "identity"])
@pytest.mark.parametrize(
    ("silence", "missing", "held", "state"),
    [
        (None, False, "ok", "ok"),
        (timedelta(seconds=1), False, "ok", "ok"),
        (timedelta(0), False, "ok", "unavailable"),
        (timedelta(hours=-1), False, "ok", "unavailable"),
        (None, True, "ok", "unavailable"),
        (timedelta(hours=1), True, "ok", "unavailable"),
        (timedelta(hours=1), False, "unavailable", "unavailable"),
    ],
)
def test_a_required_source_that_was_silent_too_long_is_unavailable_though_nobody_says_so(
    brings: str, silence: timedelta | None, missing: bool, held: str, state: str
) -> None:
    until = None if silence is None else NOW + silence
    known = replace(snapshot(**{f"{brings}_source": held}), **{f"{brings}_missing": missing, f"{brings}_until": until})
    built = build_facts(REQUEST, Authentication(2, NOW - timedelta(minutes=12)), known, REFERENCE, NOW)
    sources = built.document.context.sources
    assert getattr(sources, brings) == state
    assert {sources.posture, sources.identity} <= {"ok", state}
    border = built.horizon.changes.get(f"context.sources.{brings}")
    assert border == (until if until is not None and until > NOW else None)
