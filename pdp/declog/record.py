"""One decision, or one refusal, as the log keeps it. Pure: no clock, no disk.

`sekisho.decision/v2` is one JSON object: every key always present, in the order of `Record`, `null` for
what does not apply, compact, UTF-8, whole numbers only. So a record can be rebuilt byte for byte from
columns (log-store, section 2c), and its digest means something. The two exceptions are texts that are
kept as they were: `input`, the document that the policy saw, and `policy_context`, what a `plain`
policy added to its answer, or what was held over in a time of warning (`pdp.grace`). `sekisho.decision/v1` is the
same without the keys `erased` and `masked`; it is
read for as long as such records are kept, and written by nobody.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pdp.declog.answer import answer_digest
from pdp.declog.marks import rfc3339
from pdp.errors import RecordDamagedError, RecordFailedError
from pdp.model.decision import BAD_INPUT
from pdp.model.request import UnverifiedToken
from pdp.recent import MAX_QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest, Refusal

RECORD_SCHEMA: Final = "sekisho.decision/v2"
RECORD_SCHEMA_V1: Final = "sekisho.decision/v1"

MAX_TEXT: Final = 500  # of an error message or a fault: they may quote what a caller sent
_TOKEN_AT: Final = "/subject/properties/token"  # noqa: S105  # a JSON pointer, not a secret

Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0)]
_NULL: Final = msgspec.Raw(b"null")


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record. The order of the fields is the order of the keys, and belongs to the schema version.

    `now` is the instant that the facts were derived at, `time` that at which the record was made. `path`
    has no query. `steps_us` are whole microseconds by step. `redacted` lists JSON pointers into `input`
    whose value was replaced by its digest: such a record may not replay to the same answer.

    `erased` and `masked` list JSON pointers (RFC 6901) into the record: values that a masking rule took out, or
    put a pseudonym or a coarser value for (`pdp.privacy`). In `erased`, `/` alone says that masking failed, and
    that whatever could name a person was taken out. A record of version 1 has neither key (UNSET).
    """

    schema: Literal["sekisho.decision/v1", "sekisho.decision/v2"]
    id: str
    kind: Literal["decision", "refusal"]
    time: Time
    now: Time | None = None
    trace_id: str | None = None
    request_id: str | None = None
    wire: str
    caller_id: str
    profile: Literal["zta", "plain"] | None = None
    token_sha256: Sha256 | None = None
    subject_id: str | None = None
    device_id: str | None = None
    resource_id: str | None = None
    action: str | None = None
    session_id: str | None = None
    path: str | None = None
    source_ip: str | None = None
    outcome: Literal["allow", "limit", "step_up", "deny"]
    reasons: list[str]
    obligations: dict[str, str | int] = {}
    required_auth_level: Annotated[int, msgspec.Meta(ge=0, le=3)] | None = None
    expires_at: Time | None = None
    policy_revision: str | None = None
    bundle_digest: str | None = None
    directory_epoch: int | None = None
    cache: Literal["hit", "miss", "bypass"] | None = None
    steps_us: dict[str, Count] = {}
    fault: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    body_sha256: Sha256 | None = None
    body_bytes: Count | None = None
    answer_sha256: Sha256 | None = None
    redacted: list[str] = []
    erased: list[str] | UnsetType = UNSET
    masked: list[str] | UnsetType = UNSET
    policy_context: msgspec.Raw = _NULL
    input: msgspec.Raw = _NULL

    @property
    def hidden(self) -> list[str]:
        """Pointers to every value that is not the one that the policy saw or the caller sent, token digests aside."""
        return [*(self.erased or ()), *(self.masked or ())]


_CANONICAL_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")  # keys of obligations and steps in one order
_DECODER: Final = msgspec.json.Decoder(Record)
_ANY: Final = msgspec.json.Decoder()
_WELL_FORMED: Final = msgspec.json.Decoder(msgspec.Raw)


def record_of(  # noqa: PLR0913  # what a record says is much, and each has its name
    decision: Decision,
    request: AccessRequest,
    *,
    time: datetime,
    caller_id: str,
    profile: Literal["zta", "plain"],
    steps_us: Mapping[str, int],
    mask: Callable[[Record], Record] | None = None,
) -> bytes:
    """The record of one decision, as `mask` leaves it. Raises RecordFailedError where it cannot be written down."""
    record = decided_record(decision, request, time=time, caller_id=caller_id, profile=profile, steps_us=steps_us)
    return _encode(record, mask)


def decided_record(  # noqa: PLR0913  # as above
    decision: Decision,
    request: AccessRequest,
    *,
    time: datetime,
    caller_id: str,
    profile: Literal["zta", "plain"],
    steps_us: Mapping[str, int],
) -> Record:
    """The record of one decision as a value. Raises RecordFailedError."""
    document, redacted = _input_of(decision.input, profile)
    verdict = decision.verdict
    now = _time(decision.at)
    return Record(
        schema=RECORD_SCHEMA,
        id=decision.id,
        kind="decision",
        time=now if time is decision.at else _time(time),
        now=now,
        trace_id=request.trace_id,
        request_id=request.request_id,
        wire=request.wire,
        caller_id=caller_id,
        profile=profile,
        token_sha256=_token_digest(request),
        subject_id=request.subject_id,
        device_id=request.device_id,
        resource_id=request.resource_id,
        action=request.action,
        session_id=request.session_id,
        path=_without_query(request.path),
        source_ip=request.network.source_ip,
        outcome=verdict.outcome.value,
        reasons=list(verdict.reasons),
        obligations=dict(verdict.obligations),
        required_auth_level=verdict.required_auth_level,
        expires_at=_time(decision.expires_at),
        policy_revision=decision.policy_revision,
        bundle_digest=decision.bundle_digest,
        directory_epoch=decision.directory_epoch,
        cache=decision.cache,
        steps_us=dict(steps_us),
        fault=_cut(decision.fault),
        answer_sha256=_answer_digest(decision),
        redacted=redacted,
        erased=[],
        masked=[],
        policy_context=_NULL if verdict.context is None else msgspec.Raw(_ENCODER.encode(verdict.context)),
        input=msgspec.Raw(document),
    )


def refusal_of(  # noqa: PLR0913  # the identifiers come from elsewhere than the refusal
    refusal: Refusal,
    *,
    decision_id: str,
    time: datetime,
    caller_id: str,
    trace_id: str | None = None,
    mask: Callable[[Record], Record] | None = None,
) -> bytes:
    """The record of a request that was answered with an error: a deny, `BAD_INPUT`, and no input.

    It has no `answer_sha256`: such an answer is the error's code in words, and has nothing else to say.
    Raises RecordFailedError where it cannot be written down.
    """
    return _encode(
        Record(
            schema=RECORD_SCHEMA,
            id=decision_id,
            kind="refusal",
            time=_time(time),
            trace_id=trace_id,
            request_id=refusal.request_id,
            wire=refusal.wire,
            caller_id=caller_id,
            outcome="deny",
            reasons=[BAD_INPUT],
            error_code=refusal.fault.code,
            error_message=_cut(refusal.fault.message),
            body_sha256=refusal.body_sha256,
            body_bytes=refusal.body_bytes,
            erased=[],
            masked=[],
        ),
        mask,
    )


def read_record(line: bytes) -> Record:
    """A record as it was appended, held against its schema.

    Raises RecordDamagedError for anything that `record_of` and `refusal_of` would not have written: another
    version, a missing or further key, a key twice, another order, a float, white space, no UTF-8.
    """
    try:
        line.decode("utf-8")
        record = _DECODER.decode(line)
        canonical = (
            _ENCODER.encode(record) == line
            and _CANONICAL_ID.fullmatch(record.id) is not None
            and _of_its_version(record)
        )
    except (ValueError, RecursionError) as fault:
        raise RecordDamagedError(f"the line is not a record of `{RECORD_SCHEMA}` or v1: {fault}") from None
    if not canonical:
        raise RecordDamagedError(f"the line is not a record of `{RECORD_SCHEMA}` or v1 in its canonical form")
    return record


def _of_its_version(record: Record) -> bool:
    known = record.erased is not UNSET, record.masked is not UNSET
    return known == ((False, False) if record.schema == RECORD_SCHEMA_V1 else (True, True))


def encode_record(record: Record) -> bytes:
    """The canonical form of a record: what `read_record` takes. Raises RecordFailedError."""
    return _encode(record)


def _encode(record: Record, mask: Callable[[Record], Record] | None = None) -> bytes:
    try:
        return _ENCODER.encode(record if mask is None else mask(record))
    except (ValueError, TypeError, RecursionError):  # for example a lone surrogate in a header
        raise RecordFailedError("the record cannot be written as JSON") from None


def _answer_digest(decision: Decision) -> str:
    try:
        return answer_digest(decision)
    except (ValueError, TypeError, RecursionError):
        raise RecordFailedError("the answer cannot be written as JSON") from None


def _time(instant: datetime) -> str:
    try:
        return rfc3339(instant)
    except ValueError:
        raise RecordFailedError("a time of the record has no offset") from None


def _input_of(document: bytes, profile: Literal["zta", "plain"]) -> tuple[bytes, list[str]]:
    """The document on one line, without a token. Raises RecordFailedError where it is not JSON."""
    try:
        if profile == "zta":
            return _facts_of(document), []
        return _without_token(_well_formed(document))
    except (ValueError, RecursionError):
        raise RecordFailedError("the input document is not JSON") from None


@lru_cache(maxsize=MAX_QUESTIONS)  # for the same facts the checkpoint hands the very same bytes on
def _facts_of(document: bytes) -> bytes:
    """A document that has no place for a token."""
    return _on_one_line(_well_formed(document))


def _well_formed(document: bytes) -> bytes:
    """Embedded unchecked, `{}, "outcome": "allow"` would add keys of the caller's making to the record."""
    document.decode("utf-8")
    _WELL_FORMED.decode(document)
    return document.strip()


def _without_token(document: bytes) -> tuple[bytes, list[str]]:
    """Profile `plain` hands the whole request on, and a request may carry its token there (access-rules, section 6)."""
    parsed: Any = _ANY.decode(document)
    subject = parsed.get("subject") if isinstance(parsed, dict) else None
    properties = subject.get("properties") if isinstance(subject, dict) else None
    if not isinstance(properties, dict) or "token" not in properties:
        return _on_one_line(document), []
    token = properties["token"]
    properties["token"] = f"sha256:{_sha256(token)}" if isinstance(token, str) else "redacted"
    return _ENCODER.encode(parsed), [_TOKEN_AT]


def _on_one_line(document: bytes) -> bytes:
    # In well-formed JSON a raw newline is white space between tokens: a blank means the same.
    return document.replace(b"\n", b" ").replace(b"\r", b" ")


def _token_digest(request: AccessRequest) -> str | None:
    identity = request.identity
    return _sha256(identity.text) if isinstance(identity, UnverifiedToken) else None


def _sha256(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _without_query(path: str | None) -> str | None:
    """A query may carry a token or a name; the path alone says what was asked for."""
    return None if path is None else path.partition("?")[0].partition("#")[0]


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
