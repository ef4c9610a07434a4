"""What the paths of `/admin/v1` take and give: the schemas of its OpenAPI text."""

from __future__ import annotations

from typing import Final, get_args

from pdp.revisions.exceptions import Decision, Kind
from pdp.revisions.exceptions import State as ExceptionState
from pdp.revisions.revision import MAX_REASON, MIN_REASON, ActivationKind
from pdp.revisions.states import STATES, STEPS
from pdp.schema_words import (
    BOOLEAN,
    COUNT,
    MAYBE_COUNT,
    MAYBE_TEXT,
    MAYBE_TIME,
    OBJECT,
    TEXT,
    TIME,
    Json,
    object_of,
    ref,
    several,
    whole,
    words,
)

_DIGEST: Final[Json] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_REASON: Final[Json] = {"type": "string", "minLength": MIN_REASON, "maxLength": MAX_REASON}


def governance_document() -> Json:
    """The schemas that the paths name, as an OpenAPI fragment."""
    revision = {
        "number": COUNT, "name": TEXT, "profile": words("zta", "plain"), "digest": _DIGEST,
        "source_digest": _DIGEST, "state": words(*STATES), "author": TEXT, "reason": TEXT, "parent": MAYBE_COUNT,
        "round": COUNT, "emergency": BOOLEAN, "created_at": TIME, "changed_at": TIME,
        "scheduled_at": MAYBE_TIME, "warn_days": {"type": "integer", "minimum": 0}, "steps": several(words(*STEPS)),
    }  # fmt: skip
    entry = {
        "number": COUNT, "at": TIME, "by": TEXT, "step": words(*STEPS), "before": MAYBE_TEXT, "after": TEXT,
        "reason": TEXT, "details": OBJECT,
    }  # fmt: skip
    approval = {
        "number": COUNT, "round": COUNT, "by": TEXT, "at": TIME, "kind": words("approve", "endorse"),
        "reason": TEXT, "digest": _DIGEST, "source_digest": _DIGEST, "sealed": BOOLEAN,
    }  # fmt: skip
    gate = {"name": TEXT, "result": words("passed", "failed", "not_run"), "summary": TEXT, "details": OBJECT}
    active = {
        "epoch": COUNT, "number": COUNT, "name": TEXT, "digest": _DIGEST,
        "kind": words(*get_args(ActivationKind)),
        "at": TIME, "by": TEXT, "reason": TEXT, "statement": TEXT, "signatures": several(OBJECT),
        "warn": {"oneOf": [object_of({"former": _DIGEST, "until": TIME}, "former", "until"), {"type": "null"}]},
    }  # fmt: skip
    instance = {
        "id": TEXT, "epoch": COUNT, "number": MAYBE_COUNT, "name": TEXT, "digest": TEXT, "seen_at": TIME,
        "fault": MAYBE_TEXT, "lapsed": BOOLEAN,
    }  # fmt: skip
    review = {
        "id": COUNT, "number": COUNT, "epoch": COUNT, "opened_at": TIME, "due_at": TIME,
        "closed_at": MAYBE_TIME, "closed_by": MAYBE_TEXT, "note": TEXT,
    }  # fmt: skip
    exemption = {
        "id": COUNT, "kind": words(*get_args(Kind)), "state": words(*get_args(ExceptionState)), "starts": TIME,
        "ends": TIME, "reason": TEXT, "asked_by": TEXT, "asked_at": TIME, "decided_by": MAYBE_TEXT,
        "decided_at": MAYBE_TIME, "note": TEXT, "row_key": MAYBE_TEXT, "ended_by": MAYBE_TEXT,
        "ended_at": MAYBE_TIME, "users": several(TEXT), "devices": several(TEXT), "resources": several(TEXT),
        "in_force": BOOLEAN, "may": several(words(*get_args(Decision))),
    }  # fmt: skip
    change = {
        "path": TEXT, "change": words("added", "removed", "changed"), "diff": TEXT,
        "detail": words("full", "coarse", "left_out"),
    }  # fmt: skip
    files: Json = {"type": "object", "additionalProperties": TEXT, "description": "path below the bundle: text"}
    signed = {"statement": TEXT, "signatures": {**TEXT, "description": "JSON, as `pdp bundle sign` prints it"}}
    epoch = {"epoch": {**COUNT, "description": "a later one than the next, for a database that was restored"}}
    found = {
        "Revision": whole(revision),
        "Revisions": object_of({"revisions": several(ref("Revision")), "next": MAYBE_COUNT}, "revisions", "next"),
        "RevisionDetail": object_of(
            {
                **revision,
                "authors": several(TEXT),
                "history": several(whole(entry)),
                "approvals": several(whole(approval)),
                "gates": several(whole(gate)),
                "may": several(words(*STEPS)),
            },
            *revision, "authors", "history", "approvals", "gates", "may",
        ),
        "RevisionFiles": object_of(
            {"number": COUNT, "source_digest": _DIGEST, "files": files}, "source_digest", "files"
        ),
        "RevisionDiff": object_of(
            {"number": COUNT, "against": MAYBE_COUNT, "files": several(whole(change))}, "files"
        ),
        "RevisionDraft": object_of({"reason": _REASON, "files": files, "parent": COUNT}, "reason"),
        "RevisionEdit": object_of({"reason": _REASON, "source_digest": _DIGEST, "files": files}, "reason", "files"),
        "RevisionNothing": object_of({}),
        "RevisionReason": object_of({"reason": _REASON}, "reason"),
        "RevisionSubmission": object_of(
            {
                "reason": _REASON,
                "warn_days": {
                    "type": "integer", "minimum": 0,
                    "description": "days for which new refusals are announced and do not count yet (警告期間)",
                },
            },
            "reason",
        ),
        "RevisionWord": object_of(
            {"reason": _REASON, "source_digest": {**_DIGEST, "description": "of the contents that were looked at"}},
            "reason",
        ),
        "RevisionPlan": object_of({"reason": _REASON, "at": TIME, **signed}, "reason", "at"),
        "RevisionOrder": object_of({"reason": _REASON, **epoch, **signed}, "reason"),
        "PolicyRenewal": object_of(
            {"reason": _REASON, "enforce": {**BOOLEAN, "description": "end its warning now"}, **epoch, **signed},
            "reason",
        ),
        "RevisionStatement": object_of({"statement": TEXT}, "statement"),
        "PolicyActive": whole(active),
        "PolicyActivations": object_of({"activations": several(ref("PolicyActive")), "next": MAYBE_COUNT}),
        "PolicyStanding": object_of(
            {
                "active": {"oneOf": [ref("PolicyActive"), {"type": "null"}]},
                "scheduled": several(ref("Revision")),
                "instances": several(whole(instance)),
            },
            "active", "scheduled", "instances",
        ),
        "PolicyReview": whole(review),
        "PolicyReviews": object_of({"reviews": several(ref("PolicyReview"))}, "reviews"),
        "PolicyNote": object_of({"note": _REASON}, "note"),
        "Exemption": object_of(exemption, *(name for name in exemption if name not in ("in_force", "may"))),
        "Exemptions": object_of({"exceptions": several(ref("Exemption"))}, "exceptions"),
        "ExemptionDraft": object_of(
            {
                "kind": words(*get_args(Kind)), "reason": _REASON, "starts": TIME, "ends": TIME,
                "users": several(TEXT), "devices": several(TEXT), "resources": several(TEXT),
            },
            "kind", "reason", "starts", "ends",
        ),
    }  # fmt: skip
    return {"components": {"schemas": found}}
