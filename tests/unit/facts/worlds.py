"""A small, healthy world, and one fact changed at a time."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from ipaddress import ip_network
from typing import Any

from pdp.facts.document import Facts, build_facts
from pdp.facts.reference import Calendar, KnownNetwork, Reference
from pdp.model.authentication import Authentication
from pdp.model.directory import (
    JST,
    CatalogueRow,
    Device,
    Period,
    Post,
    PostureReport,
    SegmentFrom,
    Snapshot,
    User,
    period_of_dates,
    snapshot_of,
)
from pdp.model.request import AccessRequest, Network

NOW = datetime(2023, 8, 1, 10, 0, tzinfo=JST)  # a Tuesday

REFERENCE = Reference(
    catalogue={
        "mail": CatalogueRow("mail", "communication", (SegmentFrom("cloud"),), departments=()),
        "ledger": CatalogueRow(
            "ledger",
            "business",
            (SegmentFrom("lgwan"), SegmentFrom("internet", datetime(2023, 2, 1, tzinfo=JST))),
            departments=("soumu",),
        ),
        "dashboard": CatalogueRow("dashboard", "data", (SegmentFrom("cloud"),)),
        "tsu-data": CatalogueRow("tsu-data", "data", (SegmentFrom("cloud"),), organisations=("tsu", "mie")),
    },
    business_cut_over=None,
    networks=(
        KnownNetwork(ip_network("10.0.0.0/8"), "office", needs_tunnel=False, country="JP"),
        KnownNetwork(ip_network("100.64.0.0/16"), "sase", needs_tunnel=True, country=None),
    ),
    calendar=Calendar(time(8, 30), time(17, 15), frozenset({5, 6}), frozenset({datetime(2023, 8, 11).date()})),
    own_tenants=frozenset({"own", "mie"}),
    home_organisation="mie",
)

USER = User("u-1", "staff", posts=(Post("soumu", Period()),))
DEVICE = Device(
    "d-1",
    "managed_pc",
    owner="u-1",
    takeout="permitted",
    posture=PostureReport(certificate=True, observed_at=NOW - timedelta(hours=1), source="asset"),
)
REQUEST = AccessRequest(
    subject_id="u-1",
    resource_id="mail",
    action="access",
    device_id="d-1",
    network=Network(source_ip="10.1.2.3", underlay="office"),
)


def snapshot(**registers: Any) -> Snapshot:
    return snapshot_of(**({"epoch": 1, "users": [USER], "devices": [DEVICE]} | registers))


def facts(
    request: AccessRequest = REQUEST,
    now: datetime = NOW,
    proof: Authentication = Authentication(2, NOW - timedelta(minutes=12)),
    reference: Reference = REFERENCE,
    **registers: Any,
) -> Facts:
    return build_facts(request, proof, snapshot(**registers), reference, now)


def dates(start: str | None, until: str | None) -> Period:
    return period_of_dates(
        None if start is None else datetime.fromisoformat(start).date(),
        None if until is None else datetime.fromisoformat(until).date(),
    )
