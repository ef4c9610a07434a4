"""Holds an event against the resolved OCSF schema in ../shared: required, unknown, enumerations, types, constraints."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / "../shared/vectors/ocsf"
_COMPILED = ("category_uid", "class_uid", "type_uid")  # the official compiler fills their enumerations


def vectors(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip("absent: ../shared")
    return json.loads(path.read_text(encoding="utf-8"))


class Schema:
    def __init__(self) -> None:
        self._all = vectors("ocsf-1.8.0-selected-resolved.json")
        self._classes = {entry["class_uid"]: entry for entry in self._all["classes"].values()}

    def faults(self, event: dict[str, Any]) -> list[str]:
        found: list[str] = []
        known = self._classes.get(event.get("class_uid"))
        if known is None:
            return [f"no class {event.get('class_uid')}"]
        profiles = set(event["metadata"].get("profiles", []))
        if not profiles <= set(known["profiles"]):
            found.append(f"profiles {profiles}")
        if event["category_uid"] != known["category_uid"]:
            found.append("category_uid")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            found.append("type_uid")
        self._object("", event, known, profiles, found)
        return found

    def _object(self, at: str, value: Any, shape: Any, profiles: set[str], found: list[str]) -> None:
        if not isinstance(value, dict):
            found.append(f"{at}: no object")
            return
        attributes = {
            name: attribute
            for name, attribute in shape["attributes"].items()
            if attribute.get("profile") is None or attribute["profile"] in profiles
        }
        found += [f"{at}.{name}: unknown" for name in value if name not in attributes]
        found += [
            f"{at}.{name}: missing"
            for name, attribute in attributes.items()
            if attribute["requirement"] == "required" and name not in value
        ]
        for kind, names in (shape.get("constraints") or {}).items():
            count = sum(name in value for name in names)
            if (kind == "at_least_one" and count < 1) or (kind == "just_one" and count != 1):
                found.append(f"{at}: {kind} of {names}")
        for name, member in value.items():
            if name in attributes:
                self._attribute(f"{at}.{name}", member, attributes[name], profiles, found)

    def _attribute(self, at: str, value: Any, attribute: Any, profiles: set[str], found: list[str]) -> None:
        if attribute.get("is_array"):
            if not isinstance(value, list):
                found.append(f"{at}: no array")
                return
            for number, entry in enumerate(value):
                self._attribute(f"{at}[{number}]", entry, {**attribute, "is_array": False}, profiles, found)
            return
        enum = attribute.get("enum")
        if enum and at.rpartition(".")[2] not in _COMPILED and str(value) not in enum:
            found.append(f"{at}: {value} is not in the enumeration")
        kind = attribute["type"]
        if kind in self._all["objects"]:
            self._object(at, value, self._all["objects"][kind], profiles, found)
        elif not _is_a(kind, value):
            found.append(f"{at}: {value!r} is no {kind}")

    def captions(self, event: dict[str, Any]) -> list[str]:
        """Names beside an id that are not its caption."""
        attributes = self._classes[event["class_uid"]]["attributes"]
        pairs = {"activity_id": "activity_name", "action_id": "action", "disposition_id": "disposition"}
        pairs |= {"severity_id": "severity", "status_id": "status"}
        return [
            f"{name}: {event[name]}"
            for number, name in pairs.items()
            if attributes[number]["enum"][str(event[number])] != event[name]
        ]


def _is_a(kind: str, value: Any) -> bool:
    if kind in ("integer_t", "long_t", "timestamp_t", "port_t"):
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "boolean_t":
        return isinstance(value, bool)
    if kind == "ip_t":
        return bool(ipaddress.ip_address(value))
    if kind.endswith("_t"):
        return isinstance(value, str) or kind in ("json_t", "float_t")
    return True
