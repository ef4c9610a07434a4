"""The Prisma Access export against the vendor's OpenAPI and the community's SDK; wrong documents are refused by both.

Neither knows everything (sase-export.md, section d): the SDK refuses valid HIP objects, and the OpenAPI's own schema of
a rule refuses every rule, so its part for security rules is taken.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from connectors.sase.prisma import target
from connectors.sase.prisma_calendar import Calendar, schedule
from pdp.model.rules import Office
from tests.scm_models import faults
from tests.spaces import shipped_model
from tests.unit.connectors.sase.prisma_tenant import EVERY_CONTROL, documents, exported, mapping

if TYPE_CHECKING:
    from pathlib import Path

_SCM = ("security-rules", "hip-profiles", "external-dynamic-lists", "address-groups", "dynamic-user-groups", "tags")
_OPENAPI = (
    "hip-objects",
    "hip-profiles",
    "address-groups",
    "dynamic-user-groups",
    "tags",
    "schedules",
    "security-rules",
)


SCHEDULE = schedule(
    "zt-business-hours",
    "Prisma Access",
    Calendar((date(2026, 11, 24), date(2026, 11, 25))),
    Office("08:30", "17:15", (5, 6), ()),
    hours=True,
)


@cache
def shipped() -> dict[str, Any]:
    """Every kind of document: with all controls carried out, and with a schedule, which no shipped rule asks for."""
    held = mapping(enforces=list(EVERY_CONTROL), log_setting="Cortex Data Lake")
    made = documents(exported(target(held), shipped_model()))
    return {**made, "schedules": [SCHEDULE]}


def a_rule(**changes: Any) -> dict[str, Any]:
    rule = next(one for one in shipped()["security-rules"] if one["action"] == "allow")
    return {**rule, **changes}


# The vendor's OpenAPI.


def schemas(shared: Path) -> dict[str, Any]:
    """The schemas of objects and rules. A clone may have the shared material without these files."""
    folder = shared / "vendor-schemas"
    if not (folder / "pan_objects.yaml").is_file():
        pytest.skip("absent: ../shared/vendor-schemas")
    return _read(folder)


@cache
def _read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("pan_objects.yaml", "pan_security.yaml"):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        found |= yaml.load((folder / name).read_text(encoding="utf-8"), loader)["components"]["schemas"]
    rule, base = found["security-rule-type"], found["base-rule-properties"]
    both = {**base["properties"], **rule["allOf"][1]["properties"], "folder": {"type": "string"}}
    asked = [*rule["required"], *rule["allOf"][1]["required"], "name"]
    found["security-rules"] = {"type": "object", "properties": both, "required": sorted({*asked})}
    return found


def strict(schema: Any, *, top: bool = True) -> Any:
    """A schema that refuses keys it does not know. An alternative that names one key is chosen by that key."""
    if not isinstance(schema, dict):
        return schema
    made = {key: held for key, held in schema.items() if key != "required" or not isinstance(held, bool)}
    if "properties" in made:
        made["properties"] = {name: strict(held) for name, held in made["properties"].items()}
    if "items" in made:
        made["items"] = strict(made["items"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in made:
            made[several] = [strict(held, top=False) for held in made[several]]
    if "required" in made:
        made["required"] = [name for name in made["required"] if name != "id"]
    elif not top and len(made.get("properties", {})) == 1:
        made["required"] = list(made["properties"])
    if top and made.get("type") == "object":
        made["unevaluatedProperties"] = False
    return made


def refusals(shared: Path, kind: str, document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(strict(schemas(shared)[kind]))
    return [fault.message for fault in validator.iter_errors(document)]


@pytest.mark.parametrize("kind", _OPENAPI)
def test_the_vendors_openapi_takes_every_document(shared: Path, kind: str) -> None:
    validator = jsonschema.Draft202012Validator(strict(schemas(shared)[kind]))
    held = shipped()[kind]
    assert held
    assert [fault.message for one in held for fault in validator.iter_errors(one)] == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("security-rules", {"action": "permit"}),
        ("security-rules", {"conditions": []}),
        ("security-rules", {"source": "any"}),
        ("hip-objects", {"anti_malware": {"criteria": {"real_time_protection": True}}}),
        ("hip-objects", {"disk_encryption": {"criteria": {"encrypted_locations": [{"state": "encrypted"}]}}}),
        ("hip-objects", {"posture": {}}),
        ("hip-profiles", {"match": "x" * 2049}),
        ("hip-profiles", {"name": "端末"}),
        ("address-groups", {"dynamic": {"filter": "x" * 2048}}),
        ("address-groups", {"name": "x" * 64}),
        ("dynamic-user-groups", {"filter": None}),
        ("tags", {"color": "Beige"}),
        ("schedules", {"schedule_type": {"non_recurring": ["2026/13/24@08:30-2026/11/24@17:14"]}}),
    ],
)
def test_the_vendors_openapi_refuses_wrong_documents(shared: Path, kind: str, change: dict[str, Any]) -> None:
    good = shipped()[kind][0]
    assert refusals(shared, kind, good) == []
    assert refusals(shared, kind, {**good, **change})


# The community's SDK.


def test_the_sdk_takes_every_document() -> None:
    found = faults({kind: shipped()[kind] for kind in (*_SCM, "schedules")})
    assert {kind: [fault for fault in told if fault] for kind, told in found.items()} == {kind: [] for kind in found}


def test_the_sdk_refuses_wrong_documents() -> None:
    first = {kind: shipped()[kind][0] for kind in _SCM}
    wrong = {
        "security-rules": [
            a_rule(action="permit"),
            a_rule(name="端末"),
            a_rule(conditions=[]),
            a_rule(source=["a", "a"]),
            {key: held for key, held in a_rule().items() if key != "folder"},
        ],
        "hip-profiles": [{**first["hip-profiles"], "name": "x" * 32}],
        "schedules": [{**SCHEDULE, "schedule_type": {"recurring": {"weekly": {"monday": ["8:30-17:15"]}}}}],
        "external-dynamic-lists": [
            {**first["external-dynamic-lists"], "type": {"ip": {"url": "x", "recurring": {"one_minute": {}}}}}
        ],
        "address-groups": [{**first["address-groups"], "dynamic": {"filter": "x" * 1025}}],
        "tags": [{**first["tags"], "color": "Beige"}],
    }
    found = faults(wrong)
    assert {kind: [fault is None for fault in told] for kind, told in found.items()} == {
        kind: [False] * len(held) for kind, held in wrong.items()
    }
