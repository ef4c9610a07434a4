"""OCSF 1.8.0, class Web Resources Activity (6001) with the profiles `host` and `security_control`. Pure.

`type_uid = class_uid * 100 + activity_id`. `status_id` says whether the access came about, `action_id` what this
control did. What OCSF has no place for stands in `unmapped`. Source: ocsf-schema release 1.8.0; standards, 10.2.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp import __version__
from pdp.shipping.view import milliseconds

if TYPE_CHECKING:
    from pdp.declog.record import Record
    from pdp.shipping.view import View

CATEGORY: Final = 6
CLASS: Final = 6001
VERSION: Final = "1.8.0"
_PRODUCT: Final = {"name": "Sekisho", "vendor_name": "Sekisho", "version": __version__}

_OTHER: Final = (99, "Other")
_ACTIVITIES: Final[dict[str, tuple[int, str]]] = {
    **dict.fromkeys(("access", "read", "download", "screen_transfer", "can_read", "GET", "HEAD"), (2, "Read")),
    **dict.fromkeys(("create", "can_create", "POST"), (1, "Create")),
    **dict.fromkeys(("write", "can_write", "update", "can_update", "PUT", "PATCH"), (3, "Update")),
    **dict.fromkeys(("delete", "can_delete", "DELETE"), (4, "Delete")),
    "search": (5, "Search"),
}
# outcome: action, disposition, severity, status
_Control = tuple[tuple[int, str], tuple[int, str], tuple[int, str], tuple[int, str]]
_SUCCESS: Final = (1, "Success")
_FAILURE: Final = (2, "Failure")
_ALLOWED: Final = (1, "Allowed")
_DENIED: Final = (2, "Denied")
_CONTROLS: Final[dict[str, _Control]] = {
    "allow": (_ALLOWED, (1, "Allowed"), (1, "Informational"), _SUCCESS),
    "limit": ((4, "Modified"), (1, "Allowed"), (1, "Informational"), _SUCCESS),
    "step_up": (_DENIED, (23, "Challenge"), (2, "Low"), _FAILURE),
    "deny": (_DENIED, (2, "Blocked"), (3, "Medium"), _FAILURE),
}
_REFUSED: Final[_Control] = (_DENIED, (25, "Rejected"), (3, "Medium"), _FAILURE)
_FAULTY: Final[_Control] = (_DENIED, (27, "Error"), (4, "High"), _FAILURE)

_DEVICE_TYPES: Final[dict[str, int]] = {
    "managed_pc": 2,
    "section_pc": 2,
    "mobile_pc": 3,
    "byod_phone": 5,
    "byod_tablet": 4,
    "byod_pc": 3,
    "maintenance_pc": 3,
    "municipal_pc": 2,
    "mynumber_terminal": 2,
}
_DEVICE_NAMES: Final = {0: "Unknown", 2: "Desktop", 3: "Laptop", 4: "Tablet", 5: "Mobile"}
_MULTI_FACTOR: Final = 2  # levels of authentication at and above which a second factor was used
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def ocsf_event(view: View, *, short: bool = False) -> bytes:
    """One event as compact JSON. `short`: without `unmapped`, and marked so, for carriers that bound an event."""
    event = ocsf_document(view)
    if short:
        del event["unmapped"]
        event["metadata"]["is_truncated"] = True
    return _encode(event)


def ocsf_document(view: View) -> dict[str, Any]:
    record = view.record
    activity, activity_name = _activity(record.action)
    (action_id, action), (disposition_id, disposition), (severity_id, severity), (status_id, status) = _control(record)
    first = record.reasons[0] if record.reasons else None
    reasons = ", ".join(record.reasons)
    event = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "Web Resources Activity",
        "type_uid": CLASS * 100 + activity,
        "type_name": f"Web Resources Activity: {activity_name}",
        "time": view.time_ms,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": first,
        "status_detail": reasons or None,
        "message": f"PDP {record.outcome}: {reasons}" if reasons else f"PDP {record.outcome}",
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        **_policy(record),
        "actor": _actor(view),
        "device": _device(view),
        "src_endpoint": _endpoint(record.source_ip),
        "http_request": _request(record),
        "web_resources": [_resource(view)],
        "metadata": _metadata(view),
        "unmapped": _unmapped(view),
    }
    return {name: value for name, value in event.items() if value is not None}


def _activity(action: str | None) -> tuple[int, str]:
    if action is None:
        return 0, "Unknown"
    return _ACTIVITIES.get(action) or _OTHER


def _control(record: Record) -> _Control:
    if record.kind == "refusal":
        return _REFUSED
    return _FAULTY if record.fault is not None else _CONTROLS[record.outcome]


def _policy(record: Record) -> dict[str, Any]:
    if record.policy_revision is None and record.bundle_digest is None:
        return {}
    policy = _known({"name": "sekisho", "uid": record.bundle_digest, "version": record.policy_revision})
    applied = {"decision": record.outcome, "policy": policy | {"is_applied": True}}
    return {"policy": policy, "authorizations": [applied]}


def _actor(view: View) -> dict[str, Any] | None:
    record = view.record
    actor: dict[str, Any] = {}
    if record.subject_id:
        actor["user"] = {"uid": record.subject_id, "type_id": 0 if view.facts.subject.kind == "unknown" else 1}
    if record.session_id:
        level = view.facts.subject.auth_level
        multi = None if level is None else level >= _MULTI_FACTOR
        actor["session"] = _known({"uid": record.session_id, "is_mfa": multi})
    return actor or None


def _device(view: View) -> dict[str, Any] | None:
    if not view.record.device_id:
        return None
    facts = view.facts.device
    type_id = _DEVICE_TYPES.get(facts.class_, 0)
    personal = {"private": True, "organisation": False}.get(facts.ownership)
    return _known(
        {
            "uid": view.record.device_id,
            "type_id": type_id,
            "type": _DEVICE_NAMES[type_id],
            "is_personal": personal,
            "is_managed": facts.registered,
        }
    )


def _endpoint(address: str | None) -> dict[str, Any] | None:
    """A pseudonym is no address, and has its own place."""
    if not address:
        return None
    try:
        return {"ip": str(ipaddress.ip_address(address))}
    except ValueError:
        return {"uid": address}


def _request(record: Record) -> dict[str, Any] | None:
    known = _known({"uid": record.request_id, "url": {"path": record.path} if record.path else None})
    return known or None


def _resource(view: View) -> dict[str, Any]:
    name = view.record.resource_id or "unknown"
    return _known({"uid": name, "name": name, "type": None if view.group == "unknown" else view.group})


def _metadata(view: View) -> dict[str, Any]:
    record = view.record
    masked = [*(f"masked:{key}" for key in view.masked), *(f"erased:{key}" for key in view.erased)]
    return _known(
        {
            "version": VERSION,
            "product": _PRODUCT,
            "profiles": ["host", "security_control"],
            "uid": record.id,
            "correlation_uid": record.trace_id or record.request_id,
            "event_code": record.error_code or (record.reasons[0] if record.reasons else None),
            "log_name": "decisions",
            "log_provider": f"{view.node}.{view.worker}",
            "log_version": record.schema,
            "sequence": view.seq,
            "logged_time": milliseconds(record.time),
            "labels": masked or None,
        }
    )


def _unmapped(view: View) -> dict[str, Any]:
    record = view.record
    return _known(
        {
            "outcome": record.outcome,
            "reasons": record.reasons,
            "obligations": record.obligations or None,
            "required_auth_level": record.required_auth_level,
            "expires_at": record.expires_at,
            "caller": record.caller_id,
            "wire": record.wire,
            "cache": record.cache,
            "action": record.action,
            "directory_epoch": record.directory_epoch,
            "subject_kind": view.facts.subject.kind,
            "departments": view.facts.subject.departments or None,
            "device_class": view.facts.device.class_,
            "segment": view.facts.resource.segment,
            "epoch": view.epoch,
            "error_message": record.error_message,
        }
    )


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
