"""A small town in which every kind of pair occurs: owners, borrowers, permits, sections, named workers, strangers."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.model.directory import (
    Device,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    Snapshot,
    User,
    WorkPermit,
    snapshot_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

POLICIES = Path(__file__).parents[3] / "policies"
NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def policy() -> Bundle:
    return read_bundle(POLICIES)


def changed(change: Callable[[dict[str, Any]], None], bundle: Bundle | None = None) -> Bundle:
    """The shipped policy with other data; `change` gets a copy of `data.zta`."""
    bundle = policy() if bundle is None else bundle
    data = copy.deepcopy(dict(bundle.data))
    change(data["zta"])
    return make_bundle(manifest={**bundle.manifest, "revision": "draft"}, modules=bundle.modules, data=data)


_REASON = """
# METADATA
# title: {code}
# description: {code}
# custom:
#   code: {code}
#   group: {group}
#   fix: none
#   user: {{ja: 文, en: text}}
#   admin: {{ja: 文, en: text}}
r_{code} := true
"""


def small(decision: str) -> Bundle:
    """A policy of these rules, which may give OK and NO, over the shipped reference data."""
    texts = _REASON.format(code="OK", group="ok") + _REASON.format(code="NO", group="1")
    return make_bundle(
        manifest={"revision": "small", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": f"package pdp\n{texts}\n{decision}"},
        data=policy().data,
    )


def engine() -> RegorusEngine:
    return RegorusEngine(timedelta(seconds=20), 2)


def town() -> Snapshot:
    current = Period(NOW - 100 * DAY, NOW + 100 * DAY)
    return snapshot_of(
        epoch=7,
        users=[
            User("u-own", "staff", posts=(Post("soumu"),), roles=("server_admin",)),
            User("u-two", "staff", posts=(Post("zeimu"), Post("soumu", Period(NOW - DAY, None)))),
            User("u-moves", "staff", posts=(Post("soumu", Period(None, NOW + 30 * DAY)), Post("zeimu", Period(NOW + 30 * DAY)))),
            User("u-term", "fixed_term_staff", posts=(Post("zeimu"),), employment=Period(None, NOW + 60 * DAY)),
            User("u-left", "staff", posts=(Post("zeimu"),), employment=Period(None, NOW - DAY)),
            User("u-work", "contractor", posts=()),
            User("u-town", "municipal_staff", organisation="tsu", identity_source="federated"),
            User("u-bare", "staff"),
        ],
        devices=[
            _device("d-own", "managed_pc", owner="u-own", takeout="permitted"),
            _device("d-old", "managed_pc", owner="u-two", hours=20),
            _device("d-patch", "managed_pc", owner="u-moves", patch=25, takeout="permitted"),
            _device("d-phone", "byod_phone", owner="u-own"),
            _device("d-section", "section_pc", department="zeimu", shared=True),
            _device("d-bare", "section_pc", department="soumu", edr="not_managed"),
            _device("d-lent", "mobile_pc", department="soumu"),
            _device("d-work", "maintenance_pc", owner="u-work"),
            _device("d-town", "municipal_pc", owner="u-town"),
        ],
        permits=[Permit("d-phone", "u-own", Period(NOW - 100 * DAY, NOW + 20 * DAY))],
        loans=[Loan("d-lent", "u-two", current), Loan("d-lent", "u-own", Period(NOW - 50 * DAY, NOW - 40 * DAY))],
        work_permits=[
            WorkPermit("w", frozenset({"u-work"}), frozenset({"consolidated-server-x"}), frozenset({"d-work"}), current)
        ],
    )  # fmt: skip


def _device(id_: str, class_: Any, *, hours: int = 1, patch: int = 3, edr: Any = True, **register: Any) -> Device:
    report = PostureReport(
        certificate=True,
        disk_encrypted=True,
        edr_running=edr,
        edr_risk="none" if edr is True else "unknown",
        av_current=True,
        firewall=True,
        screen_lock=True,
        tampered=False,
        patch_age_days=patch,
        observed_at=NOW - timedelta(hours=hours),
        source="test",
    )
    return Device(id_, class_, posture=report, **register)
