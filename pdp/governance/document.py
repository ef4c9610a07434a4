"""The OpenAPI text of `/admin/v1`: what each path takes, gives and refuses."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, get_args

from pdp.revisions.exceptions import Decision, Kind
from pdp.revisions.exceptions import State as ExceptionState
from pdp.revisions.revision import MAX_REASON, MIN_REASON, ActivationKind
from pdp.revisions.states import STATES, STEPS

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
_NUMBER: Final[Json] = {"type": "integer", "minimum": 0}
_MAYBE_NUMBER: Final[Json] = {"type": ["integer", "null"]}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_BOOLEAN: Final[Json] = {"type": "boolean"}
_OBJECT: Final[Json] = {"type": "object"}
_DIGEST: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_REASON: Final[Json] = {"type": "string", "minLength": MIN_REASON, "maxLength": MAX_REASON}
_REFUSALS: Final = {
    400: "It cannot be asked so",
    401: "No credential, or none that is known",
    403: "The person lacks the role, or may not do it to this revision",
    404: "There is nothing of this number",
    408: "The body did not arrive in time",
    409: "As things stand now it cannot be done; `next_step` says what can",
    413: "The body is too large",
    415: "Another content type is needed",
    429: "The caller asks more often than its limit",
    500: "It could not be done; the cause is in the service's log",
    503: "The database or the trail does not answer; nothing was changed",
}


class Operation(NamedTuple):
    """One path with one method. `takes` are its parameters, `body` and `gives` names of schemas."""

    id: str
    summary: str
    description: str
    gives: str
    takes: tuple[Json, ...] = ()
    body: str | None = None
    status: int = 200

    def responses(self) -> dict[int | str, Json]:
        """`gives` is a media type where it is no name of a schema."""
        good: Json = {"application/json": {"schema": _ref(self.gives)}}
        if "/" in self.gives:
            good = {self.gives: {"schema": {"type": "string", "format": "binary"}}}
        answers: dict[int | str, Json] = {self.status: {"description": "The answer", "content": good}}
        return answers | {
            status: {"description": text, "content": {"application/problem+json": {"schema": _ref("Problem")}}}
            for status, text in _REFUSALS.items()
        }

    def extra(self) -> Json:
        found: Json = {"security": [{"bearer": []}, {"apiKey": []}, {"basic": []}], "parameters": list(self.takes)}
        if self.body is not None:
            found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(self.body)}}}
        return found


def governance_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    revision = {
        "number": _NUMBER, "name": _TEXT, "profile": _words("zta", "plain"), "digest": _DIGEST,
        "source_digest": _DIGEST, "state": _words(*STATES), "author": _TEXT, "reason": _TEXT, "parent": _MAYBE_NUMBER,
        "round": _NUMBER, "emergency": _BOOLEAN, "created_at": _TIME, "changed_at": _TIME,
        "scheduled_at": _MAYBE_TIME, "warn_days": {"type": "integer", "minimum": 0}, "steps": _several(_words(*STEPS)),
    }  # fmt: skip
    entry = {
        "number": _NUMBER, "at": _TIME, "by": _TEXT, "step": _words(*STEPS), "before": _MAYBE_TEXT, "after": _TEXT,
        "reason": _TEXT, "details": _OBJECT,
    }  # fmt: skip
    approval = {
        "number": _NUMBER, "round": _NUMBER, "by": _TEXT, "at": _TIME, "kind": _words("approve", "endorse"),
        "reason": _TEXT, "digest": _DIGEST, "source_digest": _DIGEST, "sealed": _BOOLEAN,
    }  # fmt: skip
    gate = {"name": _TEXT, "result": _words("passed", "failed", "not_run"), "summary": _TEXT, "details": _OBJECT}
    active = {
        "epoch": _NUMBER, "number": _NUMBER, "name": _TEXT, "digest": _DIGEST,
        "kind": _words(*get_args(ActivationKind)),
        "at": _TIME, "by": _TEXT, "reason": _TEXT, "statement": _TEXT, "signatures": _several(_OBJECT),
        "warn": {"oneOf": [_object({"former": _DIGEST, "until": _TIME}, "former", "until"), {"type": "null"}]},
    }  # fmt: skip
    instance = {
        "id": _TEXT, "epoch": _NUMBER, "number": _MAYBE_NUMBER, "name": _TEXT, "digest": _TEXT, "seen_at": _TIME,
        "fault": _MAYBE_TEXT, "lapsed": _BOOLEAN,
    }  # fmt: skip
    review = {
        "id": _NUMBER, "number": _NUMBER, "epoch": _NUMBER, "opened_at": _TIME, "due_at": _TIME,
        "closed_at": _MAYBE_TIME, "closed_by": _MAYBE_TEXT, "note": _TEXT,
    }  # fmt: skip
    exemption = {
        "id": _NUMBER, "kind": _words(*get_args(Kind)), "state": _words(*get_args(ExceptionState)), "starts": _TIME,
        "ends": _TIME, "reason": _TEXT, "asked_by": _TEXT, "asked_at": _TIME, "decided_by": _MAYBE_TEXT,
        "decided_at": _MAYBE_TIME, "note": _TEXT, "row_key": _MAYBE_TEXT, "ended_by": _MAYBE_TEXT,
        "ended_at": _MAYBE_TIME, "users": _several(_TEXT), "devices": _several(_TEXT), "resources": _several(_TEXT),
        "in_force": _BOOLEAN, "may": _several(_words(*get_args(Decision))),
    }  # fmt: skip
    change = {
        "path": _TEXT, "change": _words("added", "removed", "changed"), "diff": _TEXT,
        "detail": _words("full", "coarse", "left_out"),
    }  # fmt: skip
    files: Json = {"type": "object", "additionalProperties": _TEXT, "description": "path below the bundle: text"}
    signed = {"statement": _TEXT, "signatures": {**_TEXT, "description": "JSON, as `pdp bundle sign` prints it"}}
    epoch = {"epoch": {**_NUMBER, "description": "a later one than the next, for a database that was restored"}}
    found = {
        "Revision": _object(revision, *revision),
        "Revisions": _object({"revisions": _several(_ref("Revision")), "next": _MAYBE_NUMBER}, "revisions", "next"),
        "RevisionDetail": _object(
            {
                **revision,
                "authors": _several(_TEXT),
                "history": _several(_object(entry, *entry)),
                "approvals": _several(_object(approval, *approval)),
                "gates": _several(_object(gate, *gate)),
                "may": _several(_words(*STEPS)),
            },
            *revision, "authors", "history", "approvals", "gates", "may",
        ),
        "RevisionFiles": _object(
            {"number": _NUMBER, "source_digest": _DIGEST, "files": files}, "source_digest", "files"
        ),
        "RevisionDiff": _object(
            {"number": _NUMBER, "against": _MAYBE_NUMBER, "files": _several(_object(change, *change))}, "files"
        ),
        "RevisionDraft": _object({"reason": _REASON, "files": files, "parent": _NUMBER}, "reason"),
        "RevisionEdit": _object({"reason": _REASON, "source_digest": _DIGEST, "files": files}, "reason", "files"),
        "RevisionNothing": _object({}),
        "RevisionReason": _object({"reason": _REASON}, "reason"),
        "RevisionSubmission": _object(
            {
                "reason": _REASON,
                "warn_days": {
                    "type": "integer", "minimum": 0,
                    "description": "days for which new refusals are announced and do not count yet (警告期間)",
                },
            },
            "reason",
        ),
        "RevisionWord": _object(
            {"reason": _REASON, "source_digest": {**_DIGEST, "description": "of the contents that were looked at"}},
            "reason",
        ),
        "RevisionPlan": _object({"reason": _REASON, "at": _TIME, **signed}, "reason", "at"),
        "RevisionOrder": _object({"reason": _REASON, **epoch, **signed}, "reason"),
        "PolicyRenewal": _object(
            {"reason": _REASON, "enforce": {**_BOOLEAN, "description": "end its warning now"}, **epoch, **signed},
            "reason",
        ),
        "RevisionStatement": _object({"statement": _TEXT}, "statement"),
        "PolicyActive": _object(active, *active),
        "PolicyActivations": _object({"activations": _several(_ref("PolicyActive")), "next": _MAYBE_NUMBER}),
        "PolicyStanding": _object(
            {
                "active": {"oneOf": [_ref("PolicyActive"), {"type": "null"}]},
                "scheduled": _several(_ref("Revision")),
                "instances": _several(_object(instance, *instance)),
            },
            "active", "scheduled", "instances",
        ),
        "PolicyReview": _object(review, *review),
        "PolicyReviews": _object({"reviews": _several(_ref("PolicyReview"))}, "reviews"),
        "PolicyNote": _object({"note": _REASON}, "note"),
        "Exemption": _object(exemption, *(name for name in exemption if name not in ("in_force", "may"))),
        "Exemptions": _object({"exceptions": _several(_ref("Exemption"))}, "exceptions"),
        "ExemptionDraft": _object(
            {
                "kind": _words(*get_args(Kind)), "reason": _REASON, "starts": _TIME, "ends": _TIME,
                "users": _several(_TEXT), "devices": _several(_TEXT), "resources": _several(_TEXT),
            },
            "kind", "reason", "starts", "ends",
        ),
    }  # fmt: skip
    return {"components": {"schemas": found}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, *required: str) -> Json:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _several(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _words(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


def _query(name: str, schema: Json, text: str = "") -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": text}


_SIZE: Final = _query("size", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50})
_BEFORE: Final = _query("before", {"type": "integer", "minimum": 1}, "`next` of the page before")
_NUMBER_IN_PATH: Final[Json] = {
    "name": "number", "in": "path", "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
}  # fmt: skip
_EXCEPTION_IN_PATH: Final[Json] = {**_NUMBER_IN_PATH, "name": "exception"}
_REVIEW_IN_PATH: Final[Json] = {**_NUMBER_IN_PATH, "name": "review"}


def _step(step: str, summary: str, body: str, gives: str = "Revision", *, note: str = "") -> Operation:
    return Operation(f"revision_{step}", summary, note, gives, (_NUMBER_IN_PATH,), body)


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/revisions"): Operation(
        "revisions",
        "版の一覧（新しい順） / revisions, newest first",
        "",
        "Revisions",
        (_query("state", _TEXT, "states, with commas between them"), _BEFORE, _SIZE),
    ),
    ("POST", "/revisions"): Operation(
        "revision_create",
        "下書きを作る / a new draft",
        "`files` を省くと `parent` の内容を写す。\n\n"
        "Without `files` the contents of `parent` are copied. Role: author.",
        "Revision",
        (),
        "RevisionDraft",
        201,
    ),
    ("GET", "/revisions/{number}"): Operation(
        "revision",
        "版の詳細・履歴・承認・検査結果 / one revision with its history, approvals and gates",
        "",
        "RevisionDetail",
        (_NUMBER_IN_PATH,),
    ),
    ("GET", "/revisions/{number}/files"): Operation(
        "revision_files", "版の内容 / the files of a revision", "", "RevisionFiles", (_NUMBER_IN_PATH,)
    ),
    ("PUT", "/revisions/{number}/files"): Operation(
        "revision_edit",
        "下書きを書き換える / other contents for a draft",
        "`source_digest` は元にした内容のもの。他の人が先に変えていれば 409。\n\n"
        "`source_digest` is of the contents that these were made from; 409 where somebody was quicker. Role: author.",
        "Revision",
        (_NUMBER_IN_PATH,),
        "RevisionEdit",
    ),
    ("GET", "/revisions/{number}/diff"): Operation(
        "revision_diff",
        "差分 / what is different",
        "`against` を省くと適用中の版（なければ設定上のポリシー。そのとき `against` は null）との差分。\n\n"
        "Without `against`: from the revision of record, or else from the configured bundle (`against` is null).",
        "RevisionDiff",
        (_NUMBER_IN_PATH, _query("against", {"type": "integer", "minimum": 1})),
    ),
    ("GET", "/revisions/{number}/statement"): Operation(
        "revision_statement",
        "署名の対象 / what is to be signed elsewhere",
        "",
        "RevisionStatement",
        (
            _NUMBER_IN_PATH,
            _query("step", _words("activate", "schedule", "rollback")),
            _query("epoch", {"type": "integer", "minimum": 1}),
        ),
    ),
    ("POST", "/revisions/{number}/check"): Operation(
        "revision_check",
        "検査を実行する / run every gate",
        "結果は版とともに残る。\n\nWhat the gates find is kept with the revision. Roles: author, approver.",
        "RevisionDetail",
        (_NUMBER_IN_PATH,),
        "RevisionNothing",
    ),
    ("POST", "/revisions/{number}/submit"): _step(
        "submit",
        "承認を求める / submit for review",
        "RevisionSubmission",
        note="`warn_days` を付けると、適用からその日数、新たな拒否は予告のみとなり、直前の版の許可が続く。\n\n"
        "With `warn_days`, for so many days from its activation on, new refusals are announced and the permissions of "
        "the revision before it go on.",
    ),
    ("POST", "/revisions/{number}/withdraw"): _step("withdraw", "取り下げる / take it back", "RevisionReason"),
    ("POST", "/revisions/{number}/discard"): _step("discard", "破棄する / give it up for good", "RevisionReason"),
    ("POST", "/revisions/{number}/approve"): _step(
        "approve",
        "承認する / approve",
        "RevisionWord",
        note="作成者・編集者本人は承認できない（別名でも）。\n\nNobody approves what they wrote, under whatever name.",
    ),
    ("POST", "/revisions/{number}/reject"): _step("reject", "差し戻す / send it back", "RevisionReason"),
    ("POST", "/revisions/{number}/endorse"): _step(
        "endorse",
        "緊急の承認（二名必要） / one of two further persons of an emergency",
        "RevisionWord",
        note="二人目で承認済みとなり、適用すると事後確認が自動で作られる。\n\n"
        "The second person's word approves; the activation opens a review.",
    ),
    ("POST", "/revisions/{number}/schedule"): _step(
        "schedule", "適用日時を決める / activate it at a time", "RevisionPlan"
    ),
    ("POST", "/revisions/{number}/unschedule"): _step(
        "unschedule", "適用予定を取り消す / take it off the schedule", "RevisionReason"
    ),
    ("POST", "/revisions/{number}/activate"): _step(
        "activate", "適用する / from now on it is of record", "RevisionOrder", "PolicyActive"
    ),
    ("POST", "/revisions/{number}/rollback"): _step(
        "rollback", "この版に切り戻す / roll back to it", "RevisionOrder", "PolicyActive"
    ),
    ("GET", "/policy"): Operation(
        "policy_standing",
        "適用中の版・予定・各ワーカー / what is of record, planned, and served by which worker",
        "",
        "PolicyStanding",
    ),
    ("GET", "/policy/activations"): Operation(
        "policy_activations", "適用の履歴 / what was of record, latest first", "", "PolicyActivations", (_BEFORE, _SIZE)
    ),
    ("POST", "/policy/renew"): Operation(
        "policy_renew",
        "適用中の版に署名し直す / the same revision under a new epoch",
        "鍵の交換後やデータベースの復元後に使う。\n\n"
        "After a change of keys, or of a restored database. Role: operator.\n\n"
        "`enforce`: 警告期間を今すぐ終える / its time of warning ends now.",
        "PolicyActive",
        (),
        "PolicyRenewal",
    ),
    ("GET", "/reviews"): Operation(
        "policy_reviews",
        "緊急適用の事後確認 / reviews that emergencies left behind",
        "",
        "PolicyReviews",
        (_query("closed", _words("true", "false")),),
    ),
    ("POST", "/reviews/{review}/close"): Operation(
        "policy_review_close", "事後確認を終える / close a review", "", "PolicyReview", (_REVIEW_IN_PATH,), "PolicyNote"
    ),
    ("GET", "/exceptions"): Operation(
        "exceptions",
        "例外措置・災害時運用の一覧 / exceptions and declarations of a disaster, newest first",
        "",
        "Exemptions",
        (_query("state", _TEXT, "states, with commas between them"),),
    ),
    ("POST", "/exceptions"): Operation(
        "exception_ask",
        "例外措置・災害時運用を申請する / ask for one",
        "`disaster` は全員、`work` は利用者・端末・システム、`device` は一人の一台。期限は必須。\n\n"
        "`disaster` names nobody, `work` people, terminals and systems, `device` one person's one device. It ends by "
        "itself. Roles: author, operator.",
        "Exemption",
        (),
        "ExemptionDraft",
        201,
    ),
    **{
        ("POST", f"/exceptions/{{exception}}/{step}"): Operation(
            f"exception_{step}", summary, "", "Exemption", (_EXCEPTION_IN_PATH,), "PolicyNote"
        )
        for step, summary in {
            "grant": "承認する（申請者以外） / grant it, by a second person",
            "refuse": "却下する / refuse it",
            "withdraw": "取り下げる / take it back",
            "end": "期限前に終える / end it before its time",
        }.items()
    },
}
