"""The OpenAPI text of what an editor asks while somebody writes."""

from __future__ import annotations

from typing import Final

from pdp.schema_words import (
    BOOLEAN,
    COUNT,
    MAYBE_COUNT,
    MAYBE_TEXT,
    OBJECT,
    TEXT,
    Json,
    Operation,
    in_query,
    number_in_path,
    object_of,
    several,
    whole,
)

_NUMBER_IN_PATH: Final = number_in_path("number")


def drafts_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    files: Json = {"type": "object", "additionalProperties": TEXT, "description": "path below the bundle: text"}
    fault = {"file": TEXT, "line": COUNT, "column": COUNT, "code": TEXT, "en": TEXT, "ja": TEXT}
    test = {"name": TEXT, "where": TEXT, "passed": BOOLEAN, "took_us": COUNT, "fault": TEXT}
    file = {"file": TEXT, "lines": COUNT, "missing": several(COUNT)}
    story = {"id": TEXT, "where": TEXT, "passed": BOOLEAN, "faults": several(TEXT), "title": OBJECT}
    coverage = {"lines": COUNT, "percent": {"type": "number"}, "files": several(whole(file))}
    tests = {
        "passed": COUNT, "failed": COUNT, "tests": several(whole(test)),
        "coverage": {"oneOf": [whole(coverage), {"type": "null"}]},
        "scenarios": several(whole(story)),
    }  # fmt: skip
    value = {"value": {}, "ja": TEXT, "en": TEXT}
    fact = {"path": TEXT, "type": TEXT, "values": several(whole(value)), "ja": TEXT, "en": TEXT}
    builtin = {"name": TEXT, "args": several(TEXT), "text": TEXT}
    changes: Json = {
        "type": "object", "additionalProperties": MAYBE_TEXT,
        "description": "laid over the files of `base`; null takes one away",
    }  # fmt: skip
    found = {
        "DraftStart": object_of({"number": MAYBE_COUNT, "files": files}, "number", "files"),
        "DraftTrial": object_of({"base": {**COUNT, "minimum": 1}, "files": changes}),
        "DraftFaults": object_of(
            {"ok": BOOLEAN, "count": COUNT, "faults": several(whole(fault))}, "ok", "count", "faults"
        ),
        "DraftTests": whole(tests),
        "RevisionTests": object_of({"result": COUNT, **tests}, "result", *tests),
        "PolicyVocabulary": object_of(
            {"facts": several(whole(fact)), "builtins": several(whole(builtin))},
            "facts", "builtins",
        ),
    }  # fmt: skip
    return {"components": {"schemas": found}}


def _revision(text: str = "") -> Json:
    """The query `revision`."""
    return in_query("revision", {"type": "integer", "minimum": 1}, text)


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
