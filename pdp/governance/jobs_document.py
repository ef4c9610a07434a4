"""The OpenAPI text of foresight, results and exports."""

from __future__ import annotations

from typing import Any, Final, get_args

from pdp.governance.document import Operation
from pdp.jobs.job import JobKind, State
from pdp.revisions.results import Form, ResultKind, Stale

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Final[Json] = {"type": ["integer", "null"]}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_OBJECT: Final[Json] = {"type": "object"}
_OBJECTS: Final[Json] = {"type": "array", "items": _OBJECT}


def jobs_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    job = {
        "id": _TEXT, "kind": _words(JobKind), "number": _MAYBE_COUNT, "params": _OBJECT, "by": _TEXT, "at": _TIME,
        "state": _words(State), "phase": _TEXT, "done": _COUNT, "total": _COUNT, "beat_at": _TIME,
        "cancelled_by": _MAYBE_TEXT, "ended_at": _MAYBE_TIME, "fault": _MAYBE_TEXT, "result": _MAYBE_COUNT,
    }  # fmt: skip
    result = {
        "id": _COUNT, "kind": _words(ResultKind), "label": _TEXT, "number": _MAYBE_COUNT, "digest": _TEXT,
        "source_digest": _MAYBE_TEXT, "baseline": _MAYBE_TEXT, "directory_epoch": _MAYBE_COUNT, "by": _TEXT,
        "at": _TIME, "params": _OBJECT, "summary": _OBJECT, "form": _words(Form), "size": _COUNT,
        "stale": {"type": "array", "items": _words(Stale), "description": "what has moved since"},
    }  # fmt: skip
    asked = {
        "document": {**_OBJECT, "description": "a whole `pdp.input/v1`"},
        "example": {**_COUNT, "description": "one of `/foresight/choices`"},
        "user": _TEXT, "device": _TEXT, "resource": _TEXT, "context": _TEXT,
        "facts": {**_OBJECT, "description": "values by the names of facts, `device.posture.patch_age_days`"},
    }  # fmt: skip
    told = {
        "revision": _TEXT, "digest": _TEXT, "verdict": _OBJECT, "permits": {"type": "boolean"}, "reasons": _OBJECTS,
        "unmet": _OBJECTS, "ways": _OBJECTS, "explanation": _OBJECT, "facts": _OBJECTS, "document": _OBJECT,
    }  # fmt: skip
    target = {"target": _TEXT, "exports": _several("PolicyResult"), "jobs": _several("PolicyJob")}
    delivery = {
        "tenant": _TEXT, "vendor": _MAYBE_TEXT, "applied_at": _MAYBE_TIME, "unfinished": {"type": "boolean"},
        "looked_at": _MAYBE_TIME, "differences": _MAYBE_COUNT, "fault": _TEXT,
    }  # fmt: skip
    found = {
        "PolicyJob": _all_of(job),
        "PolicyJobs": _all_of({"jobs": _several("PolicyJob")}),
        "PolicyJobDraft": {
            "type": "object",
            "required": ["kind"],
            "properties": {
                "kind": {"type": "string", "enum": ["population", "replay", "mutation"]},
                "at": {**_TIME, "description": "of `population`: a later time"},
                "contexts": {"type": "array", "items": _TEXT, "description": "of `population`; none: all of them"},
                "days": {"type": "integer", "minimum": 1, "maximum": 92, "description": "of `replay`: back from now"},
            },
        },
        "PolicyResult": _all_of(result),
        "PolicyResults": _all_of({"results": _several("PolicyResult")}),
        "PolicyResultWhole": _all_of({**result, "body": _OBJECT}),
        "PolicyChoices": _all_of({"contexts": _OBJECTS, "examples": _OBJECTS, "most_days": _COUNT}),
        "PolicyRequest": {"type": "object", "properties": asked},
        "PolicyRequestJudged": {"type": "object", "properties": {**told, "of_record": _OBJECT}, "required": [*told]},
        "PolicyExports": {
            "type": "object",
            "required": ["active", "targets", "deliveries"],
            "properties": {
                "deliveries": {
                    "type": "array",
                    "items": _all_of(delivery),
                    "description": "tenants that this host delivers to, and how the last look at each came out",
                },
                "active": {"type": ["object", "null"]},
                "targets": {"type": "array", "items": _all_of(target)},
            },
        },
        "PolicyExportDraft": _all_of({"target": _TEXT}),
        "PolicyNothing": {"type": "object", "properties": {}},
    }
    return {"components": {"schemas": found}}


def _all_of(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _several(name: str) -> Json:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _words(kind: Any) -> Json:
    return {"type": "string", "enum": list(get_args(kind))}


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


_NUMBER: Final = _path("number", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
_RESULT: Final = _path("result", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
_JOB: Final = _path("job", {"type": "string", "maxLength": 36})


def _kind(schema: Json) -> Json:
    return {"name": "kind", "in": "query", "required": False, "schema": schema}


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/foresight/choices"): Operation(
        "foresight_choices", "利用の状況と例 / stated contexts and examples", "", "PolicyChoices"
    ),
    ("POST", "/revisions/{number}/jobs"): Operation(
        "revision_job_begin",
        "全利用者の予測または判定ログの再現を始める / begin foresight of everybody, or a replay",
        "別プロセスで行い、結果は版とともに残る。同時に二件まで。\n\n"
        "Done in a process of its own, and kept with the revision; two at a time. Roles: author, approver, operator.",
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
        "policy_result_files", "書き出したファイル（ZIP） / the files of an export", "", "application/zip", (_RESULT,)
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
