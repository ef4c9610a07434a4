"""A decision that was made, told as a scenario: the same facts about invented people, and its answer expected.

A record holds facts, and a scenario says what the registers hold, so each fact becomes an entry that leads to it. Names
stay out: the person is `u-1`, the terminal `d-1`. Whether the story leads to the same facts is tried, not assumed
(`unlike`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.model.directory import JST
from pdp.model.input import decode_input

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.decision import Decision
    from pdp.model.input import Device, InputV1, Subject

USER: Final = "u-1"
DEVICE: Final = "d-1"
_ANOTHER: Final = "u-2"
_DAY: Final = timedelta(days=1)
_NAMES: Final = frozenset({("subject", "id"), ("device", "id"), ("device", "posture", "source")})


def retold(document: InputV1, answer: Mapping[str, Any], now: datetime, name: str) -> dict[str, Any]:
    """The scenario document. `answer` has outcome, reasons, obligations and perhaps the level; `now` is aware."""
    expect = {
        key: answer[key] for key in ("outcome", "reasons", "obligations", "required_auth_level") if answer.get(key)
    }
    return {
        "id": name,
        "title": {"ja": f"記録から: {answer['outcome']}", "en": f"from the log: {answer['outcome']}"},
        "now": now.astimezone(JST).isoformat(timespec="seconds"),
        "directory": _directory(document, now),
        "request": _request(document),
        "expect": expect,
    }


def as_text(document: Mapping[str, Any]) -> str:
    """YAML with one line for each part; every value is JSON, which YAML reads."""
    encode = msgspec.json.encode
    lines: list[str] = []
    for key, value in document.items():
        if key == "steps":
            lines += ["steps:", *(f"  - {encode(step).decode()}" for step in value)]
            continue
        if key != "directory":
            lines.append(f"{key}: {encode(value).decode()}")
            continue
        lines.append("directory:")
        for register, entries in value.items():
            lines.append(f"  {register}: {encode(entries).decode()}")
    return "\n".join(lines) + "\n"


def unlike(document: InputV1, decision: Decision) -> list[str]:
    """The facts that the story leads to with another value: `path: recorded, told`."""
    told = msgspec.to_builtins(decode_input(decision.input))
    return sorted(_differences(msgspec.to_builtins(document), told, ()))


def _differences(one: Any, other: Any, path: tuple[str, ...]) -> list[str]:
    if path in _NAMES:
        return []
    if isinstance(one, dict):
        return [line for key in one for line in _differences(one[key], other.get(key), (*path, key))]
    return [] if one == other else [f"{'.'.join(path)}: {one}, {other}"]


def _directory(document: InputV1, now: datetime) -> dict[str, Any]:
    day = now.astimezone(JST).date()
    past = {"from": str(day - 30 * _DAY), "until": str(day - _DAY)}
    current = {"from": str(day - _DAY), "until": str(day + 30 * _DAY)}
    found: dict[str, Any] = {}
    if document.subject.kind != "unknown":
        found["users"] = [_user(document.subject, str(day + _DAY))]
    device = document.device
    if device.registered:
        found["devices"] = [_device(device)]
    if device.permit != "none":
        entry = {"device": DEVICE, "user": USER, **(past if device.permit == "expired" else current)}
        found["permits"] = [entry | ({"held": True} if device.permit == "held" else {})]
    if device.loan != "none":
        user = _ANOTHER if device.loan == "mismatch" else USER
        found["loans"] = [{"device": DEVICE, "user": user, **(past if device.loan == "expired" else current)}]
    if document.context.work_permit != "none":
        found["work_permits"] = [_work_permit(document, past, current)]
    if document.resource.group != "unknown":
        own = msgspec.to_builtins(document.resource)
        found["resources"] = [{key: value for key, value in own.items() if key != "tenant"}]
    if document.context.disaster_mode is True:
        found["disaster"] = current
    return found


def _user(subject: Subject, tomorrow: str) -> dict[str, Any]:
    user: dict[str, Any] = {
        "id": USER,
        "kind": subject.kind,
        "organisation": subject.organisation,
        "identity_source": subject.identity_source,
        "posts": [{"department": department} for department in subject.departments],
        "roles": subject.roles,
    }
    if subject.employment == "not_started":
        user["employment"] = {"from": tomorrow}
    elif subject.employment != "active":
        user["employment"] = {"status": subject.employment}
    return user


def _device(device: Device) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": DEVICE,
        "class": device.class_,
        "shared": device.shared,
        "state": device.state,
        "takeout": device.takeout,
        "returned_from_outside": device.returned_from_outside,
        "posture": msgspec.to_builtins(device.posture),
    }
    if device.relation in ("own", "assigned_to_other"):
        said["owner"] = USER if device.relation == "own" else _ANOTHER
    elif device.relation == "pool":
        said["department"] = "pool"
    return said


def _work_permit(document: InputV1, past: dict[str, str], current: dict[str, str]) -> dict[str, Any]:
    state, until = document.context.work_permit, document.context.work_permit_until
    window = dict(past if state == "out_of_window" else current)
    if state == "valid":
        window = {"from": current["from"]} | ({} if until == "none" else {"until": until})
    return {
        "id": "w-1",
        "users": [_ANOTHER if state == "not_named" else USER],
        "resources": ["another-system" if state == "out_of_scope" else document.resource.id],
        "devices": [DEVICE],
        **window,
    }


def _request(document: InputV1) -> dict[str, Any]:
    context = document.context
    said: dict[str, Any] = {
        "user": USER,
        "auth_level": document.subject.auth_level,
        "auth_age_min": document.subject.auth_age_min,
        "device": DEVICE,
        "resource": document.resource.id,
        "action": document.action.name,
        "zone": context.zone,
        "underlay": context.underlay,
        "path_encrypted": context.path_encrypted,
        "country": context.country,
        "risk": list(context.risk),
        "pep": context.pep,
        "sources": msgspec.to_builtins(context.sources),
    }
    return said | ({"tenant": "another-tenant"} if document.resource.tenant == "other" else {})
