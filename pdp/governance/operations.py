"""The paths of `/admin/v1`: what each does, takes and refuses, for its OpenAPI text."""

from __future__ import annotations

from typing import Final

from pdp.schema_words import TEXT, Operation, in_query, number_in_path, words

REFUSALS: Final = {
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


_SIZE: Final = in_query("size", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50})
_BEFORE: Final = in_query("before", {"type": "integer", "minimum": 1}, "`next` of the page before")
_NUMBER_IN_PATH: Final = number_in_path("number")
_EXCEPTION_IN_PATH: Final = number_in_path("exception")
_REVIEW_IN_PATH: Final = number_in_path("review")


def _step(step: str, summary: str, body: str, gives: str = "Revision", *, note: str = "") -> Operation:
    return Operation(f"revision_{step}", summary, note, gives, (_NUMBER_IN_PATH,), body)


OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("GET", "/revisions"): Operation(
        "revisions",
        "版の一覧（新しい順） / revisions, newest first",
        "",
        "Revisions",
        (in_query("state", TEXT, "states, with commas between them"), _BEFORE, _SIZE),
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
        (_NUMBER_IN_PATH, in_query("against", {"type": "integer", "minimum": 1})),
    ),
    ("GET", "/revisions/{number}/statement"): Operation(
        "revision_statement",
        "署名の対象 / what is to be signed elsewhere",
        "",
        "RevisionStatement",
        (
            _NUMBER_IN_PATH,
            in_query("step", words("activate", "schedule", "rollback")),
            in_query("epoch", {"type": "integer", "minimum": 1}),
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
        (in_query("closed", words("true", "false")),),
    ),
    ("POST", "/reviews/{review}/close"): Operation(
        "policy_review_close", "事後確認を終える / close a review", "", "PolicyReview", (_REVIEW_IN_PATH,), "PolicyNote"
    ),
    ("GET", "/exceptions"): Operation(
        "exceptions",
        "例外措置・災害時運用の一覧 / exceptions and declarations of a disaster, newest first",
        "",
        "Exemptions",
        (in_query("state", TEXT, "states, with commas between them"),),
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
