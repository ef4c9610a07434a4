"""The OpenAPI text of the audit API: what each path takes, gives and refuses."""

from __future__ import annotations

from typing import Final

from pdp.archive.asking import GROUPS, KINDS, MAX_GROUPS, MAX_PAGE, OUTCOMES, PARAMETERS
from pdp.audit.asked import FORMATS, MAX_SQL
from pdp.audit.saved import KINDS as SAVED_KINDS
from pdp.schema_words import (
    COUNT,
    OBJECT,
    TEXT,
    TIME,
    Json,
    Operation,
    in_path,
    in_query,
    object_of,
    ref,
    several,
    words,
)

REFUSALS: Final = {
    400: "It cannot be asked so",
    401: "No credential, or none that is known",
    403: "The caller lacks the permission, or may not ask by this",
    404: "There is nothing of this name or id, among what the caller may see",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "Another content type is needed",
    429: "The caller asks more often than its limit",
    500: "The question could not be answered",
    503: "Too many questions at once, it took too long, or it could not be written down",
}


def audit_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    rows = {"type": "array", "items": OBJECT}
    saved = {
        "title": TEXT,
        "kind": {"type": "string", "enum": list(SAVED_KINDS)},
        "parameters": {"type": "object", "description": "as in the query string; `since` and `until` may be left open"},
        "shared": {"type": "boolean", "default": False},
    }
    kept = {"owner": TEXT, "name": TEXT, **saved, "created_at": TIME, "changed_at": TIME}
    next_page = {"type": ["string", "null"], "description": "`before` of the next page; null where there is none"}
    found = {
        "AuditDecisions": object_of({"decisions": rows, "next": next_page}, "decisions", "next"),
        "AuditCount": object_of({"count": COUNT}, "count"),
        "AuditGroups": object_of({"by": several(TEXT), "utc_offset_min": {"type": "integer"}, "groups": rows}),
        "AuditDecision": object_of(
            {
                "record": {**OBJECT, "description": "as it was appended; for auditors"},
                "decision": {**OBJECT, "description": "what is not hidden of it; for operators"},
                "segment": TEXT,
                "seq": COUNT,
                "proof": TEXT,
                "copies": COUNT,
            },
            "copies",
        ),
        "AuditProof": {**OBJECT, "description": "`sekisho.proof/v1`, docs/audit-proof.md"},
        "AuditReports": object_of({"reports": rows}, "reports"),
        "AuditReport": object_of(
            {
                "report": TEXT,
                "title": TEXT,
                "period": {"type": ["string", "null"], "description": "the time, as it stands in a title"},
                "note": {"type": ["string", "null"]},
                "columns": {**rows, "description": "`name` and `head` of each, in the order of reading"},
                "rows": rows,
            }
        ),
        "AuditSql": object_of(
            {"sql": {"type": "string", "maxLength": MAX_SQL}, "since": TIME, "until": TIME}, "sql", "since", "until"
        ),
        "AuditTable": object_of({"columns": several(TEXT), "rows": several({"type": "array"})}),
        "AuditReveal": object_of(
            {
                "id": {**TEXT, "description": "a decision"},
                "pseudonym": {**TEXT, "description": "or a pseudonym, with the time that it stands in"},
                "since": TIME,
                "until": TIME,
                "reason": {"type": "string", "minLength": 5, "maxLength": 500},
            },
            "reason",
        ),
        "AuditRevealed": object_of({"id": TEXT, "pseudonym": TEXT, "kind": TEXT, "value": TEXT, "person": TEXT}),
        "AuditSaved": object_of(kept, "owner", "name", "kind", "parameters"),
        "AuditSavedList": object_of({"queries": {"type": "array", "items": ref("AuditSaved")}}, "queries"),
        "AuditDraft": object_of(saved, "kind", "parameters"),
        "AuditKept": object_of({"name": TEXT, "created": {"type": "boolean"}, "deleted": {"type": "boolean"}}, "name"),
        "AuditTrail": object_of({"events": rows, "next": next_page}, "events", "next"),
        "AuditColumns": object_of({"relations": OBJECT}, "relations"),
    }  # fmt: skip
    return {"components": {"schemas": found}}


def _number(least: int, most: int, default: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


_FILTER_SCHEMAS: Final[dict[str, Json]] = {
    "since": TIME,
    "until": TIME,
    "outcome": several(words(*OUTCOMES)),
    "reason": several(TEXT),
    "kind": words(*KINDS),
    "exception": words("true", "false"),
    "disaster_mode": words("true", "false"),
}
_FILTERS: Final = tuple(
    in_query(name, _FILTER_SCHEMAS.get(name, TEXT), required=name in ("since", "until")) for name in PARAMETERS
)
_ID: Final = in_path("id", TEXT, "the decision's id")
_NAME: Final = in_path("name", TEXT, "its name")
_LANG: Final = in_query("lang", words("ja", "en"), "else by `Accept-Language`")
_OFFSET: Final = in_query("utc_offset_min", _number(-840, 840, 540), "minutes east of Greenwich")
_EVERYWHERE: Final = in_query("everywhere", words("true", "false"), "also where a clock was set")
_OWNER: Final = in_query("owner", TEXT, "whose; else one's own")

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/decisions"): Operation(
        "audit_decisions",
        "判定の一覧（新しい順） / decisions, newest first",
        "次の頁は `next` を `before` に。オペレーターの `person`・`device`・`source_ip` は仮名のみ。\n\n"
        "For the next page give `next` as `before`. With `audit_operate` people, devices and addresses are pseudonyms.",
        "AuditDecisions",
        (*_FILTERS, in_query("size", _number(1, MAX_PAGE, 100)), in_query("before", TEXT)),
    ),
    ("GET", "/decisions/count"): Operation(
        "audit_count", "判定の件数 / how many decisions", "", "AuditCount", _FILTERS
    ),
    ("GET", "/decisions/groups"): Operation(
        "audit_groups",
        "判定の集計 / decisions counted in groups",
        f"`by` は {', '.join(GROUPS)} から一つか二つ。\n\n`by` is one or two of these, as `hour,reason`.",
        "AuditGroups",
        (
            *_FILTERS,
            in_query("by", TEXT, "as `hour,reason`", required=True),
            in_query("limit", _number(1, MAX_GROUPS, 1_000)),
            _OFFSET,
            in_query("people", words("false", "true"), "`true`: distinct persons too; takes ten times as long"),
        ),
    ),
    ("GET", "/decisions/export"): Operation(
        "audit_export",
        "判定の書出し / decisions as a file",
        "途中で失敗した場合は接続を切る（最後のチャンクを送らない）。Excel 向け CSV は BOM 付き UTF-8。\n\n"
        "Where it fails on the way the connection is broken off: half a file never looks whole. Needs `audit_export`.",
        "AuditDecisions",
        (*_FILTERS, in_query("format", words(*FORMATS)), _LANG, _OFFSET),
        media=("text/csv", "application/jsonl", "application/vnd.apache.parquet"),
    ),
    ("GET", "/decisions/{id}"): Operation(
        "audit_decision",
        "判定一件 / one decision",
        "監査者には記録の全文、オペレーターには隠さない列だけを返す。\n\n"
        "The whole record to an auditor, the columns that are not hidden to an operator.",
        "AuditDecision",
        (_ID, _EVERYWHERE),
    ),
    ("GET", "/decisions/{id}/proof"): Operation(
        "audit_proof",
        "判定一件の証明 / the proof of one decision",
        "`pdp audit prove` と同じ JSON。`tools/verify_decision.py` で検証する。\n\n"
        "The JSON of `pdp audit prove`, which `tools/verify_decision.py` checks offline. Needs `audit_read`.",
        "AuditProof",
        (_ID, _EVERYWHERE),
    ),
    ("GET", "/reports"): Operation(
        "audit_reports", "定型の照会の一覧 / which named questions there are", "", "AuditReports", (_LANG,)
    ),
    ("GET", "/reports/{name}"): Operation(
        "audit_report",
        "定型の照会 / the answer to a named question",
        "パラメーターは `/reports` の `parameters` のとおり。`format=csv` は Excel 向け。\n\n"
        "Its parameters are those that `/reports` names. `format=csv` is for people: words for codes, local times.",
        "AuditReport",
        (
            _NAME,
            _LANG,
            in_query("since", TIME),
            in_query("until", TIME),
            in_query("format", words("json", "csv")),
            _OFFSET,
        ),
        media=("application/json", "text/csv"),
    ),
    ("POST", "/sql"): Operation(
        "audit_sql",
        "SQL による照会（読取りのみ） / one SELECT",
        "`$since`・`$until` を文中で使える。列は `/columns`。\n\n"
        "`$since` and `$until` may stand in the text; `/columns` has the columns. Needs `audit_read` and `audit_sql`.",
        "AuditTable",
        body="AuditSql",
    ),
    ("POST", "/reveal"): Operation(
        "audit_reveal",
        "仮名を実名に戻す（理由必須） / a name for a pseudonym, with a reason",
        "誰が・なぜ・どれを、は監査証跡に残る。答えは証跡に残らない。\n\n"
        "Who, why and which stand in the trail; the answer does not. Needs `audit_reveal` beside a reading permission.",
        "AuditRevealed",
        body="AuditReveal",
    ),
    ("GET", "/queries"): Operation(
        "audit_queries", "保存した照会の一覧 / saved questions: one's own, and shared ones", "", "AuditSavedList"
    ),
    ("GET", "/queries/{name}"): Operation(
        "audit_query_get", "保存した照会 / a saved question", "", "AuditSaved", (_NAME, _OWNER)
    ),
    ("PUT", "/queries/{name}"): Operation(
        "audit_query_put",
        "照会を保存する / keep a question",
        "保存の前に検査する。`since`・`until` は省ける。\n\nIt is checked first; `since` and `until` may be left open.",
        "AuditKept",
        (_NAME,),
        "AuditDraft",
    ),
    ("DELETE", "/queries/{name}"): Operation(
        "audit_query_delete", "保存した照会を消す / delete a question of one's own", "", "AuditKept", (_NAME,)
    ),
    ("GET", "/queries/{name}/answer"): Operation(
        "audit_query_answer",
        "保存した照会を実行する / ask a saved question now",
        "権限は実行者のもの。パラメーターは保存分に優先する。\n\n"
        "By the asker's own rights; parameters of the request replace the saved ones.",
        "AuditDecisions",
        (_NAME, _OWNER, in_query("since", TIME), in_query("until", TIME)),
    ),
    ("GET", "/trail"): Operation(
        "audit_trail",
        "監査証跡（誰が何を照会したか） / who asked what, newest first",
        "`audit_trail` が必要。全件を見られない者には人を仮名で示す。\n\n"
        "Needs `audit_trail`; whoever may not see everything is shown people as pseudonyms.",
        "AuditTrail",
        (
            in_query("since", TIME),
            in_query("until", TIME),
            in_query("size", _number(1, 1_000, 100)),
            in_query("before", TEXT),
            in_query("actor", TEXT),
            in_query("action", TEXT),
            in_query("outcome", words("begun", "done", "refused", "failed")),
        ),
    ),
    ("GET", "/columns"): Operation(
        "audit_columns", "列の説明 / the columns, and what they say", "", "AuditColumns", (_LANG,)
    ),
}
