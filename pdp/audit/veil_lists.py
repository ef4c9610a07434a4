"""Which columns an operator is shown, and which of them as pseudonyms. Pure.

INVARIANT (closed list): a column that stands in neither list is not shown, so that a new one is hidden until somebody
decides. Free text may carry a name (a path, a message, a request id, what a policy said), the document that the
policy saw does, and a digest of something short can be tried out: none of them is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PSEUDONYMS: Final[Mapping[str, str]] = {
    "person": "person",
    "subject_id": "person",
    "device": "device",
    "device_id": "device",
    "source_ip": "source_ip",
    "session_id": "session",
}

ORDERS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "report_04_remote_maintenance": (
        ("outside_permit", "descending"),
        *((name, "ascending") for name in ("first", "person", "device", "resource", "outcome")),
    ),
    "report_05_private_devices": (
        ("decisions", "descending"),
        *((name, "ascending") for name in ("person", "device", "resource_group", "outcome")),
    ),
}
"""Of reports whose `ORDER BY` has names in it: the same with pseudonyms. Equal rows in the order of names would tell
of these."""

SHOWN: Final = frozenset(
    {
        # of a record
        *("id", "kind", "time", "now", "wire", "caller_id", "profile", "resource", "resource_id", "action", "outcome"),
        *(
            "reasons",
            "required_auth_level",
            "expires_at",
            "policy_revision",
            "bundle_digest",
            "directory_epoch",
            "cache",
        ),
        *("step_cache_us", "step_caller_us", "step_engine_us", "step_facts_us", "step_identity_us"),
        *("step_obligations_us", "error_code", "body_bytes", "segment", "seq"),
        # groups of people and things, as reports and groupings name them
        *(
            "departments",
            "department",
            "resource_group",
            "device_class",
            "subject_kind",
            "employment",
            "reason",
            "hour",
        ),
        *("day", "caller", "revision", "zone", "underlay", "permit", "work_permit"),
        # counts and what is worked out
        *("decisions", "denials", "people", "devices", "first", "last", "emergency_mode", "outside_permit", "expired"),
        *("beyond_communication", "out_of_hours", "permit_until"),
        # of the log's segments
        *("node", "worker", "segments", "records", "stored", "fresh", "removed", "missing_segments"),
        "damaged_segments",
    }
)
