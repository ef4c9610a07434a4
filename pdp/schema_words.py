"""The words that our OpenAPI texts are written in: JSON Schema as Python values, and what every path answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
_BINARY: Final[Json] = {"type": "string", "format": "binary"}
_BINARY_MEDIA: Final = frozenset({"application/gzip", "application/zip", "application/vnd.apache.parquet"})


class Operation(NamedTuple):
    """One path with one method. `takes` are its parameters, `body` and `gives` names of schemas.

    `media`: what it answers in; `gives` is the schema of `application/json` only.
    """

    id: str
    summary: str
    description: str
    gives: str
    takes: tuple[Json, ...] = ()
    body: str | None = None
    status: int = 200
    media: tuple[str, ...] = ("application/json",)

    def route(self, refusals: Mapping[int, str], refused_as: Json | None = None) -> Json:
        """What `add_api_route` is told of it. `refused_as`: see `answers`."""
        content = {media: {"schema": self._schema(media)} for media in self.media}
        return {
            "name": self.id,
            "operation_id": self.id,
            "summary": self.summary,
            "description": self.description,
            "status_code": self.status,
            "responses": answers(content, refusals, self.status, refused_as),
            "openapi_extra": asked(self.takes, self.body),
        }

    def _schema(self, media: str) -> Json:
        if media == "application/json":
            return ref(self.gives)
        return _BINARY if media in _BINARY_MEDIA else TEXT


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


def in_path(name: str, schema: Json, text: str = "") -> Json:
    return _parameter({"name": name, "in": "path", "required": True, "schema": schema}, text)


def in_query(name: str, schema: Json, text: str = "", *, required: bool = False) -> Json:
    return _parameter({"name": name, "in": "query", "required": required, "schema": schema}, text)


def _parameter(found: Json, text: str) -> Json:
    return found | ({"description": text} if text else {})


def number_in_path(name: str) -> Json:
    return in_path(name, {"type": "integer", "minimum": 1, "maximum": 999_999_999})


def answers(
    content: Json, refusals: Mapping[int, str], status: int = 200, refused_as: Json | None = None
) -> dict[int | str, Json]:
    """What a path answers: this content, or with one of these statuses `refused_as`; None: a problem (RFC 9457)."""
    refused = {"application/problem+json": {"schema": ref("Problem")}} if refused_as is None else refused_as
    good: dict[int | str, Json] = {status: {"description": "The answer", "content": content}}
    return good | {status: {"description": text, "content": refused} for status, text in refusals.items()}


def asked(takes: Sequence[Json], body: str | None) -> Json:
    """What a path takes: a credential, these parameters, and where `body` names a schema, such an object."""
    found: Json = {"security": [{"bearer": []}, {"apiKey": []}, {"basic": []}], "parameters": list(takes)}
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return found
