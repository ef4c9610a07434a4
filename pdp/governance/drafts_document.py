"""The OpenAPI text of what an editor asks while somebody writes."""

from __future__ import annotations

from typing import Any, Final

from pdp.governance.document import Operation

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
_NUMBER: Final[Json] = {"type": "integer", "minimum": 0}
_MAYBE_NUMBER: Final[Json] = {"type": ["integer", "null"]}
_BOOLEAN: Final[Json] = {"type": "boolean"}
_OBJECT: Final[Json] = {"type": "object"}
_NUMBER_IN_PATH: Final[Json] = {
    "name": "number", "in": "path", "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}  # fmt: skip


def drafts_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    files: Json = {"type": "object", "additionalProperties": _TEXT, "description": "path below the bundle: text"}
    fault = {"file": _TEXT, "line": _NUMBER, "column": _NUMBER, "code": _TEXT, "en": _TEXT, "ja": _TEXT}
    test = {"name": _TEXT, "where": _TEXT, "passed": _BOOLEAN, "took_us": _NUMBER, "fault": _TEXT}
    file = {"file": _TEXT, "lines": _NUMBER, "missing": _several(_NUMBER)}
    story = {"id": _TEXT, "where": _TEXT, "passed": _BOOLEAN, "faults": _several(_TEXT), "title": _OBJECT}
    coverage = {"lines": _NUMBER, "percent": {"type": "number"}, "files": _several(_object(file, *file))}
    tests = {
        "passed": _NUMBER, "failed": _NUMBER, "tests": _several(_object(test, *test)),
        "coverage": {"oneOf": [_object(coverage, *coverage), {"type": "null"}]},
        "scenarios": _several(_object(story, *story)),
    }  # fmt: skip
    value = {"value": {}, "ja": _TEXT, "en": _TEXT}
    fact = {"path": _TEXT, "type": _TEXT, "values": _several(_object(value, *value)), "ja": _TEXT, "en": _TEXT}
    builtin = {"name": _TEXT, "args": _several(_TEXT), "text": _TEXT}
    changes: Json = {
        "type": "object", "additionalProperties": _MAYBE_TEXT,
        "description": "laid over the files of `base`; null takes one away",
    }  # fmt: skip
    found = {
        "DraftStart": _object({"number": _MAYBE_NUMBER, "files": files}, "number", "files"),
        "DraftTrial": _object({"base": {**_NUMBER, "minimum": 1}, "files": changes}),
        "DraftFaults": _object(
            {"ok": _BOOLEAN, "count": _NUMBER, "faults": _several(_object(fault, *fault))}, "ok", "count", "faults"
        ),
        "DraftTests": _object(tests, *tests),
        "RevisionTests": _object({"result": _NUMBER, **tests}, "result", *tests),
        "PolicyVocabulary": _object(
            {"facts": _several(_object(fact, *fact)), "builtins": _several(_object(builtin, *builtin))},
            "facts", "builtins",
        ),
    }  # fmt: skip
    return {"components": {"schemas": found}}


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _several(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _revision(text: str = "") -> Json:
    """The query `revision`."""
    schema = {"type": "integer", "minimum": 1}
    return {"name": "revision", "in": "query", "required": False, "schema": schema, "description": text}


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/revisions/{number}/tests"): Operation(
        "revision_tests",
        "テスト・網羅率・シナリオを実行する / run its tests with coverage, and its scenarios",
        "結果は版とともに残る。適用の可否は決めない。\n\n"
        "What was found is kept with the revision, and decides nothing. Roles: author, approver.",
        "RevisionTests",
        (_NUMBER_IN_PATH,),
        "RevisionNothing",
    ),
    ("POST", "/policy/check"): Operation(
        "policy_draft_check",
        "保存前の内容を検査する / the faults of a draft that is not kept",
        "誤りをファイル・行・桁とともに返す。何も保存しない。\n\n"
        "Each with its file, line and column; 20 s at most. Nothing is kept. Roles: author, approver.",
        "DraftFaults",
        (),
        "DraftTrial",
    ),
    ("POST", "/policy/tests"): Operation(
        "policy_draft_tests",
        "保存前の内容でテストを実行する / run the tests of a draft that is not kept",
        "何も保存しない。\n\nTwo minutes at most. Nothing is kept. Roles: author, approver.",
        "DraftTests",
        (),
        "DraftTrial",
    ),
    ("GET", "/policy/files"): Operation(
        "policy_files",
        "新しい下書きの元になる内容 / what a new draft begins with",
        "`revision` を省くと適用中の版、なければ設定 `bundle` の内容。\n\n"
        "Without `revision`: of the revision of record, or else of the configured bundle (`number` is null).",
        "DraftStart",
        (_revision(),),
    ),
    ("GET", "/policy/vocabulary"): Operation(
        "policy_vocabulary",
        "ポリシーに書ける事実と組込み関数 / the facts and builtins that a policy may use",
        "",
        "PolicyVocabulary",
        (_revision("whose capabilities count; without it, the default"),),
    ),
}
