"""The OpenAPI description of what the lane answers, written by hand, because no framework sees those paths.

Tests send every example here to the lane and hold the answers against the schemas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.wire.authzen_batch import MAX_ITEMS
from pdp.wire.authzen_entities import MAX_TEXT
from pdp.wire.authzen_metadata import ENDPOINTS, WELL_KNOWN
from pdp.wire.authzen_search import MAX_CANDIDATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]

TAG: Final = "AuthZEN"
CALLER: Final[Json] = {
    "subject": {
        "type": "user",
        "id": "u-0001",
        "properties": {"claims": {"acr": "urn:sekisho:auth-level:2", "auth_time": 1690848000}},
    },
    "resource": {"type": "application", "id": "groupware"},
    "action": {"name": "access"},
    "context": {
        "device": {"id": "d-00001"},
        "network": {"source_ip": "10.1.2.3", "path_encrypted": True},
        "pep": ["clipboard", "print", "save", "download"],
    },
}
EVALUATIONS: Final[Json] = {
    **CALLER,
    "evaluations": [{"resource": {"type": "application", "id": name}} for name in ("mail", "finance")],
    "options": {"evaluations_semantic": "execute_all"},
}
SUBJECT_SEARCH: Final[Json] = {**CALLER, "subject": {"type": "user"}, "page": {"limit": 50}}
RESOURCE_SEARCH: Final[Json] = {**CALLER, "resource": {"type": "application"}}
ACTION_SEARCH: Final[Json] = {name: CALLER[name] for name in ("subject", "resource", "context")}


def complete_document(document: Json, fragments: Sequence[Mapping[str, Any]]) -> Json:
    """FastAPI's own document with the lane's paths, schemas and security added; 422 is nowhere in it."""
    paths, components = document.setdefault("paths", {}), document.setdefault("components", {})
    for fragment in (authzen_fragment(), *fragments):
        paths.update(fragment.get("paths", {}))
        for kind, entries in fragment.get("components", {}).items():
            components.setdefault(kind, {}).update(entries)
    for operations in paths.values():
        for operation in operations.values():
            if isinstance(operation, dict) and operation.get("responses", {}).pop("422", None) is not None:
                operation["responses"].setdefault("400", _problem("The request breaks its form"))
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    return document


def authzen_fragment() -> Json:
    """`paths` and `components` of the AuthZEN endpoints."""
    schemas = {
        "Subject": _entity("type", "id"),
        "Resource": _entity("type", "id"),
        "Action": _entity("name"),
        "Decision": _object({"decision": {"type": "boolean"}, "context": {"type": "object"}}, "decision"),
        "Fault": _object(_ERROR_MEMBERS, "code", "message", "next_step"),
        "Error": _object({"error": _ref("Fault")}, "error"),
        "Problem": _object(_PROBLEM_MEMBERS, "status", "error"),
        "Evaluation": _object(_QUESTION, "subject", "action", "resource"),
        "Evaluations": _object({**_QUESTION, "evaluations": _ITEMS, "options": _OPTIONS}),
        "Decisions": _object({"evaluations": {"type": "array", "items": _ref("Decision")}}, "evaluations"),
        "Page": _object(_PAGE),
        "Results": _object({"page": _NEXT, "results": {"type": "array", "items": {"type": "object"}}}, "results"),
        "SubjectSearch": _object({**_QUESTION, "subject": _searched("type"), "page": _ref("Page")}, *_ALL),
        "ResourceSearch": _object({**_QUESTION, "resource": _searched("type"), "page": _ref("Page")}, *_ALL),
        "ActionSearch": _object(
            {name: _QUESTION[name] for name in ("subject", "resource", "context")} | {"page": _ref("Page")},
            "subject",
            "resource",
        ),
        "Metadata": _object(dict.fromkeys(("policy_decision_point", *ENDPOINTS), _URL), *_PUBLISHED),
    }
    security = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The API key or access token of a caller."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "basic": {"type": "http", "scheme": "basic", "description": "The id of an API key, and its secret."},
    }
    return {"paths": _paths(), "components": {"schemas": schemas, "securitySchemes": security}}


def _paths() -> Json:
    one_or_many = {"oneOf": [_ref("Decisions"), _ref("Decision")]}
    posts = (
        ("access_evaluation", "May this subject do this?", "Evaluation", _ref("Decision"), CALLER),
        ("access_evaluations", "Several questions in one call", "Evaluations", one_or_many, EVALUATIONS),
        ("search_subject", "Which subjects may do this?", "SubjectSearch", _ref("Results"), SUBJECT_SEARCH),
        ("search_resource", "What may this subject reach?", "ResourceSearch", _ref("Results"), RESOURCE_SEARCH),
        ("search_action", "What may be done?", "ActionSearch", _ref("Results"), ACTION_SEARCH),
    )
    paths: Json = {
        ENDPOINTS[f"{name}_endpoint"]: {"post": _post(name, summary, schema, answer, example)}
        for name, summary, schema, answer, example in posts
    }
    paths[WELL_KNOWN] = {
        "get": {
            "tags": [TAG],
            "summary": "Where the endpoints are",
            "operationId": "authzen_metadata",
            "responses": {"200": _response("The endpoints", _ref("Metadata"))},
        }
    }
    return paths


def _post(name: str, summary: str, schema: str, answer: Json, example: Json) -> Json:
    return {
        "tags": [TAG],
        "summary": summary,
        "operationId": f"authzen_{name}",
        "security": [{"bearer": []}, {"apiKey": []}, {"basic": []}],
        "parameters": [_REQUEST_ID, _TRACEPARENT, _CACHE_CONTROL],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(schema), "example": example}},
        },
        "responses": {
            "200": _response("The answer; a deny is an answer too", answer),
            "400": _error("The request breaks its form; nothing was decided"),
            "401": _error("No credential, or none that is known"),
            "403": _error("The caller lacks a permission"),
            "405": _error("Only POST is taken"),
            "408": _error("The body did not arrive in time"),
            "413": _error("The body or the batch is too large"),
            "429": _error("The caller asks more often than its limit; `Retry-After` says when to come back"),
            "500": _error("An unexpected error; nothing was permitted"),
            "503": _error("Not ready, or the decision could not be recorded"),
        },
    }


def _object(properties: Mapping[str, Any], *required: str) -> Json:
    """An open object: unknown members are ignored on both sides (AuthZEN 1.0 section 10.1.1)."""
    schema: Json = {"type": "object", "properties": dict(properties)}
    return {**schema, "required": list(required)} if required else schema


def _entity(*required: str) -> Json:
    members: Json = {name: {"type": "string", "maxLength": MAX_TEXT} for name in required}
    return _object({**members, "properties": {"type": "object"}}, *required)


def _searched(*required: str) -> Json:
    return {**_entity(*required), "description": "The searched entity; an `id` in it is ignored."}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(description: str, schema: Json) -> Json:
    headers = {
        "X-Request-ID": {"description": "As in the request", "schema": {"type": "string"}},
        "X-Decision-Id": {"description": "Under which the decision log has it", "schema": {"type": "string"}},
    }
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}


def _error(description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _ref("Error")}}}


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": _ref("Problem")}}}


_ALL: Final = ("subject", "action", "resource")
_PUBLISHED: Final = ("policy_decision_point", "access_evaluation_endpoint")
_URL: Final[Json] = {"type": "string", "format": "uri"}
_TEXT: Final[Json] = {"type": "string"}
_ERROR_MEMBERS: Final[Json] = {"code": _TEXT, "message": _TEXT, "next_step": _TEXT, "id": _TEXT}
_PROBLEM_MEMBERS: Final[Json] = {  # RFC 9457, and our own form as a member
    "type": _TEXT,
    "title": _TEXT,
    "status": {"type": "integer"},
    "detail": _TEXT,
    "error": _ref("Fault"),
}
_QUESTION: Final[Json] = {
    "subject": _ref("Subject"),
    "action": _ref("Action"),
    "resource": _ref("Resource"),
    "context": {"type": "object"},
}
_ITEMS: Final[Json] = {
    "type": "array",
    "maxItems": MAX_ITEMS,
    "items": {"type": "object"},
    "description": "Each item overrides the members at the top whole.",
}
_OPTIONS: Final[Json] = _object(
    {
        "evaluations_semantic": {
            "type": "string",
            "enum": ["execute_all", "deny_on_first_deny", "permit_on_first_permit"],
            "default": "execute_all",
        }
    }
)
_LIMIT: Final[Json] = {
    "type": "integer",
    "minimum": 0,
    "description": f"Results in one page; above {MAX_CANDIDATES} it counts as {MAX_CANDIDATES}.",
}
_PAGE: Final[Json] = {"token": _TEXT, "limit": _LIMIT}
_NEXT: Final[Json] = _object({"next_token": _TEXT, "count": {"type": "integer"}}, "next_token")
_REQUEST_ID: Final[Json] = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Echoed on every answer: 1 to 256 visible ASCII characters.",
    "schema": {"type": "string", "maxLength": 256},
}
_TRACEPARENT: Final[Json] = {
    "name": "traceparent",
    "in": "header",
    "description": "W3C Trace Context; a broken one is ignored.",
    "schema": {"type": "string"},
}
_CACHE_CONTROL: Final[Json] = {
    "name": "Cache-Control",
    "in": "header",
    "description": "`no-cache` asks for a fresh evaluation; heard from callers with the permission `bypass_cache`.",
    "schema": {"type": "string"},
}
