"""The columns of a stored record: the one place that says what a row of the store is.

A row holds the parts of a record as typed columns, and enough to write its line again byte for byte:
whole numbers, texts, times in whole microseconds (UTC), no floats. The document that the policy saw
stands in columns too where it is `pdp.input/v1` in its canonical form; another document is kept as its
text (`input_text`), and a record that is not one of ours in its canonical form as its bytes (`raw`).

Values with an `unknown` among numbers are NULL for it; values with an `unknown` among truths are texts.
Both are told apart from an absent document by `input_form`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

STORE_SCHEMA: Final = "sekisho.store/v1"

Kind = Literal["text", "free_text", "time", "uuid", "digest", "number", "flag", "count", "list", "bytes"]
"""`text` repeats often and is kept as a dictionary in memory, `free_text` does not. `flag` is `true`, `false` or a
word; `count` is a number, NULL for `unknown`; `digest` is 32 bytes."""

INT64: Final = range(-(1 << 63), 1 << 63)
"""What a column of numbers or counts holds."""


class Column(NamedTuple):
    name: str
    kind: Kind


def _columns(kind: Kind, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name in names)


STEPS: Final = ("cache", "caller", "engine", "facts", "identity", "obligations")
"""The steps of a decision whose times have a column; in the order in which a record names them."""

PLACE: Final = (Column("segment", "text"), Column("seq", "number"), Column("raw", "bytes"))

WHO: Final = _columns("text", "person", "device", "resource")
"""Whom and what the decision was about: as the directory knew them, else as the request named them. Derived."""

RECORD: Final = (
    Column("id", "uuid"),
    Column("kind", "text"),
    *_columns("time", "time", "now"),
    *_columns("free_text", "trace_id", "request_id"),
    *_columns("text", "wire", "caller_id", "profile"),
    Column("token_sha256", "digest"),
    *_columns("text", "subject_id", "device_id", "resource_id", "action", "session_id", "path", "source_ip", "outcome"),
    Column("reasons", "list"),
    Column("obligations", "text"),
    Column("required_auth_level", "number"),
    Column("expires_at", "time"),
    *_columns("text", "policy_revision", "bundle_digest"),
    Column("directory_epoch", "number"),
    Column("cache", "text"),
    *_columns("number", *(f"step_{step}_us" for step in STEPS)),
    *_columns("text", "fault", "error_code", "error_message"),
    Column("body_sha256", "digest"),
    Column("body_bytes", "number"),
    Column("answer_sha256", "digest"),
    Column("redacted", "list"),
    *_columns("list", "erased", "masked"),  # NULL: a record of `sekisho.decision/v1`, which has neither key
    Column("policy_context", "free_text"),
    Column("input_form", "text"),
    Column("input_text", "free_text"),
)

# What follows has the order of the fields of `pdp.model.input`; a test holds the two together.
SUBJECT: Final = (
    *_columns("text", "input_subject_id", "subject_kind", "subject_organisation"),
    *_columns("list", "subject_departments", "subject_roles"),
    *_columns("text", "subject_employment", "subject_identity_source"),
    *_columns("number", "subject_auth_level", "subject_auth_age_min"),
)
DEVICE: Final = (
    *_columns("text", "input_device_id", "device_class", "device_ownership"),
    *_columns("flag", "device_registered", "device_shared"),
    *_columns("text", "device_relation", "device_loan", "device_permit", "device_takeout", "device_state"),
    Column("device_returned_from_outside", "flag"),
)
POSTURE: Final = (
    *_columns("flag", "posture_certificate", "posture_disk_encrypted", "posture_edr_running"),
    Column("posture_edr_risk", "text"),
    *_columns("flag", "posture_av_current", "posture_firewall", "posture_screen_lock", "posture_tampered"),
    *_columns("count", "posture_patch_age_days", "posture_age_hours"),
    Column("posture_source", "text"),
)
RESOURCE: Final = (
    *_columns("text", "input_resource_id", "resource_group", "resource_segment", "resource_status"),
    *_columns("list", "resource_departments", "resource_organisations"),
    Column("resource_sensitivity", "number"),
    Column("resource_tenant", "text"),
)
ACTION: Final = (Column("action_name", "text"),)
CONTEXT: Final = (
    *_columns("text", "context_zone", "context_underlay"),
    Column("context_path_encrypted", "flag"),
    Column("context_country", "text"),
    *_columns("flag", "context_business_day", "context_business_hours"),
    Column("context_risk", "list"),
    *_columns("text", "context_work_permit", "context_work_permit_until"),
    Column("context_disaster_mode", "flag"),
)
SOURCES: Final = _columns("text", "sources_posture", "sources_identity")
PEP: Final = (Column("context_pep", "list"),)

INPUT: Final = (*SUBJECT, *DEVICE, *POSTURE, *RESOURCE, *ACTION, *CONTEXT, *SOURCES, *PEP)
COLUMNS: Final = (*PLACE, *WHO, *RECORD, *INPUT)
INDEX: Final = {column.name: at for at, column in enumerate(COLUMNS)}
