"""The words that our OpenAPI texts are written in: JSON Schema as Python values, and what every path answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
MAYBE_COUNT: Final[Json] = {"type": ["integer", "null"]}
TIME: Final[Json] = {"type": "string", "format": "date-time"}
MAYBE_TIME: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
BOOLEAN: Final[Json] = {"type": "boolean"}
OBJECT: Final[Json] = {"type": "object"}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def whole(properties: Json) -> Json:
    """An object that has them all."""
    return object_of(properties, *properties)


def several(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def words(*known: str) -> Json:
    return {"type": "string", "enum": list(known)}


def number_in_path(name: str) -> Json:
    schema = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def answers(content: Json, refusals: Mapping[int, str], status: int = 200) -> dict[int | str, Json]:
    """What a path answers: this content, or a problem (RFC 9457) with one of these statuses."""
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    good: dict[int | str, Json] = {status: {"description": "The answer", "content": content}}
    return good | {status: {"description": text, "content": problem} for status, text in refusals.items()}


def asked(takes: Sequence[Json], body: str | None) -> Json:
    """What a path takes: a credential, these parameters, and where `body` names a schema, such an object."""
    found: Json = {"security": [{"bearer": []}, {"apiKey": []}, {"basic": []}], "parameters": list(takes)}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return found
