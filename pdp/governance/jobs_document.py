"""The OpenAPI text of foresight, results and exports."""

from __future__ import annotations

from typing import Any, Final, get_args

from pdp.jobs.job import JobKind, State
from pdp.revisions.results import Form, ResultKind, Stale
from pdp.schema_words import (
    COUNT,
    MAYBE_COUNT,
    MAYBE_TEXT,
    MAYBE_TIME,
    OBJECT,
    TEXT,
    TIME,
    Json,
    Operation,
    in_path,
    in_query,
    number_in_path,
    ref,
    several,
    whole,
    words,
)

_OBJECTS: Final = several(OBJECT)


def jobs_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    job = {
        "id": TEXT, "kind": _words(JobKind), "number": MAYBE_COUNT, "params": OBJECT, "by": TEXT, "at": TIME,
        "state": _words(State), "phase": TEXT, "done": COUNT, "total": COUNT, "beat_at": TIME,
        "cancelled_by": MAYBE_TEXT, "ended_at": MAYBE_TIME, "fault": MAYBE_TEXT, "result": MAYBE_COUNT,
    }  # fmt: skip
    result = {
        "id": COUNT, "kind": _words(ResultKind), "label": TEXT, "number": MAYBE_COUNT, "digest": TEXT,
        "source_digest": MAYBE_TEXT, "baseline": MAYBE_TEXT, "directory_epoch": MAYBE_COUNT, "by": TEXT,
        "at": TIME, "params": OBJECT, "summary": OBJECT, "form": _words(Form), "size": COUNT,
        "stale": {"type": "array", "items": _words(Stale), "description": "what has moved since"},
    }  # fmt: skip
    asked = {
        "document": {**OBJECT, "description": "a whole `pdp.input/v1`"},
        "example": {**COUNT, "description": "one of `/foresight/choices`"},
        "user": TEXT, "device": TEXT, "resource": TEXT, "context": TEXT,
        "facts": {**OBJECT, "description": "values by the names of facts, `device.posture.patch_age_days`"},
    }  # fmt: skip
    told = {
        "revision": TEXT, "digest": TEXT, "verdict": OBJECT, "permits": {"type": "boolean"}, "reasons": _OBJECTS,
        "unmet": _OBJECTS, "ways": _OBJECTS, "explanation": OBJECT, "facts": _OBJECTS, "document": OBJECT,
    }  # fmt: skip
    target = {"target": TEXT, "exports": several(ref("PolicyResult")), "jobs": several(ref("PolicyJob"))}
    delivery = {
        "tenant": TEXT, "vendor": MAYBE_TEXT, "applied_at": MAYBE_TIME, "unfinished": {"type": "boolean"},
        "looked_at": MAYBE_TIME, "differences": MAYBE_COUNT, "fault": TEXT,
    }  # fmt: skip
    found = {
        "PolicyJob": whole(job),
        "PolicyJobs": whole({"jobs": several(ref("PolicyJob"))}),
        "PolicyJobDraft": {
            "type": "object",
            "required": ["kind"],
            "properties": {
                "kind": {"type": "string", "enum": ["population", "replay", "mutation", "check"]},
                "at": {**TIME, "description": "of `population`: a later time"},
                "warn_days": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 92,
                    "description": "of `population`: also count what a time of warning would hold over",
                },
                "contexts": {"type": "array", "items": TEXT, "description": "of `population`; none: all of them"},
                "days": {"type": "integer", "minimum": 1, "maximum": 92, "description": "of `replay`: back from now"},
            },
        },
        "PolicyResult": whole(result),
        "PolicyResults": whole({"results": several(ref("PolicyResult"))}),
        "PolicyResultWhole": whole({**result, "body": OBJECT}),
        "PolicyChoices": whole({"contexts": _OBJECTS, "examples": _OBJECTS, "most_days": COUNT}),
        "PolicyRequest": {"type": "object", "properties": asked},
        "PolicyRequestJudged": {"type": "object", "properties": {**told, "of_record": OBJECT}, "required": [*told]},
        "PolicyExports": {
            "type": "object",
            "required": ["active", "targets", "deliveries"],
            "properties": {
                "deliveries": {
                    "type": "array",
                    "items": whole(delivery),
                    "description": "tenants that this host delivers to, and how the last look at each came out",
                },
                "active": {"type": ["object", "null"]},
                "targets": {"type": "array", "items": whole(target)},
            },
        },
        "PolicyExportDraft": whole({"target": TEXT}),
        "PolicyNothing": {"type": "object", "properties": {}},
    }
    return {"components": {"schemas": found}}


def _words(kind: Any) -> Json:
    return words(*get_args(kind))


_NUMBER: Final = number_in_path("number")
_RESULT: Final = number_in_path("result")
_JOB: Final = in_path("job", {"type": "string", "maxLength": 36})


def _kind(schema: Json) -> Json:
    return in_query("kind", schema)


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/foresight/choices"): Operation(
        "foresight_choices", "利用の状況と例 / stated contexts and examples", "", "PolicyChoices"
    ),
    ("POST", "/revisions/{number}/jobs"): Operation(
        "revision_job_begin",
        "予測、判定ログの再現、変異、検査を始める / begin foresight, a replay, mutants, or a check",
        "別プロセスで行い、結果は版とともに残る。同時に二件までで、あとは順番を待つ（`phase` が `waiting`）。"
        "空きは、実行中の処理がない人に先に渡る。検査（`check`）はこの数に入らず、ワーカーごとに一件ずつ行い、"
        "`phase` は検査項目の名前。\n\n"
        "Done in a process of its own, and kept with the revision; two at a time, the others wait (`phase` is "
        "`waiting`), and a place goes to whoever has none first. A `check` needs none of these places: each worker "
        "does one at a time, and `phase` is the gate that judges, `done` of `total` gates. Roles: author, approver; "
        "of foresight and replays also operator.",
        "PolicyJob",
        (_NUMBER,),
        "PolicyJobDraft",
        201,
    ),
    ("GET", "/revisions/{number}/jobs"): Operation(
        "revision_jobs", "この版の予測と再現 / jobs of a revision, newest first", "", "PolicyJobs", (_NUMBER,)
    ),
    ("GET", "/jobs"): Operation(
        "policy_jobs", "すべての処理（新しい順） / all jobs, newest first", "", "PolicyJobs", (_kind(_words(JobKind)),)
    ),
    ("GET", "/jobs/{job}"): Operation("policy_job", "処理の進み具合 / one job, as it stands", "", "PolicyJob", (_JOB,)),
    ("POST", "/jobs/{job}/cancel"): Operation(
        "policy_job_cancel",
        "処理を中止する / cancel a job",
        "始めた人、または承認者・オペレーター・管理者。\n\nWho began it, or an approver, operator or administrator.",
        "PolicyJob",
        (_JOB,),
        "PolicyNothing",
    ),
    ("GET", "/revisions/{number}/results"): Operation(
        "revision_results",
        "版とともに残した結果 / results that are kept with a revision",
        "",
        "PolicyResults",
        (_NUMBER, _kind(_words(ResultKind))),
    ),
    ("GET", "/results/{result}"): Operation(
        "policy_result", "結果一件の内容 / one result, whole", "", "PolicyResultWhole", (_RESULT,)
    ),
    ("GET", "/results/{result}/files"): Operation(
        "policy_result_files",
        "書き出したファイル（ZIP） / the files of an export",
        "",
        "",
        (_RESULT,),
        media=("application/zip",),
    ),
    ("POST", "/revisions/{number}/request"): Operation(
        "revision_request",
        "仮の要求一件を判定する / judge one request that nobody made",
        "満たしていない条件をすべて、許可に変える最小の変更と、それを行える者とともに示す。\n\n"
        "Told are every unmet condition, and the smallest changes that would permit it with who can make them. With "
        "`user` or `device` the permission `read_directory` is needed.",
        "PolicyRequestJudged",
        (_NUMBER,),
        "PolicyRequest",
    ),
    ("GET", "/exports"): Operation(
        "policy_exports", "書出し先と書出しの結果 / targets, and what was exported", "", "PolicyExports"
    ),
    ("POST", "/exports"): Operation(
        "policy_export",
        "適用中の版を書き出す / export the policy of record",
        "ポリシーより広ければ何も残らない。\n\n"
        "Where the files would be wider than the policy nothing is kept. Roles: operator, administrator.",
        "PolicyJob",
        (),
        "PolicyExportDraft",
        201,
    ),
}
