"""What receivers ask of the stream API, read from JSON (SSF 1.0 section 8.1, RFC 8936 section 2). Pure.

Members that nobody defined are ignored. A member that is ours to say may be repeated, with our value and no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.errors import BadRequestError
from pdp.model.ssf_transmitter import SubjectFormat
from pdp.ssf.events import MAX_TYPE
from pdp.ssf.sending.streams import POLL, PUSH, Status, Wish
from pdp.ssf.subjects import read_subject
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.ssf_transmitter import SsfTransmitter
    from pdp.ssf.subjects import Subject

MAX_BODY: Final = 64 * 1024
MAX_TYPES: Final = 64  # event types that one stream asks for; all specifications together have some thirty
MAX_DESCRIPTION: Final = 1_000
MAX_REASON: Final = 500
MAX_STATE: Final = 1_024
MAX_HEADER: Final = 4_096  # of `Authorization`, as long as any token of ours may be
MAX_URL: Final = 2_048
MAX_EVENTS: Final = 100  # in one answer to a poll
MAX_ACKS: Final = 1_000
_METHODS: Final = {PUSH: "push", POLL: "poll"}
_OF_THE_SET: Final = frozenset({"invalid_request", "invalid_state"})  # of RFC 8935 section 2.4, and of SSF 1.0


@dataclass(frozen=True, slots=True)
class Poll:
    """`most`: how many events at most; 0: none, it only acknowledges.

    By `jti`, why it was not taken: `refused` for good, `kept_back` until something between the two houses is mended.
    """

    most: int = MAX_EVENTS
    at_once: bool = False
    acks: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    kept_back: Mapping[str, str] = field(default_factory=dict)


def read_object(body: bytes) -> dict[str, Any]:
    """Raises BadRequestError for what is no JSON object, PayloadTooLargeError."""
    value = parse_json(body, max_bytes=MAX_BODY)
    if not isinstance(value, dict):
        raise BadRequestError("the body must be a JSON object")
    return value


def stream_id_in(asked: Mapping[str, Any]) -> str:
    """Raises BadRequestError."""
    return _text(asked, "stream_id", most=128, needed=True)


def read_wish(asked: Mapping[str, Any], settings: SsfTransmitter) -> Wish:
    """All that a receiver says of a new or replaced stream; the rest is the default. Raises BadRequestError."""
    return changed_wish(asked, Wish(subject_format=settings.subject_format), settings)


def replaced_wish(asked: Mapping[str, Any], held: Wish, settings: SsfTransmitter) -> Wish:
    """As `read_wish`; the secret of an unchanged URL stays, because no answer shows it. Raises BadRequestError."""
    wish = read_wish(asked, settings)
    same = wish.method == "push" and wish.endpoint_url == held.endpoint_url and not wish.authorization_header
    return replace(wish, authorization_header=held.authorization_header) if same else wish


def changed_wish(asked: Mapping[str, Any], wish: Wish, settings: SsfTransmitter) -> Wish:
    """The wish with what the request says; null takes a member back (RFC 7396). Raises BadRequestError."""
    default = Wish(subject_format=settings.subject_format)
    if "events_requested" in asked:
        wish = replace(wish, events=_types(asked["events_requested"]))
    if "description" in asked:
        wish = replace(wish, description=_text(asked, "description", most=MAX_DESCRIPTION))
    if "format" in asked:
        form = asked["format"] if asked["format"] is not None else default.subject_format
        if form not in get_args(SubjectFormat):
            raise BadRequestError(f"`format` must be one of {', '.join(get_args(SubjectFormat))}", pointer="/format")
        wish = replace(wish, subject_format=form)
    if "delivery" in asked:
        wish = _delivered(asked["delivery"], wish, settings)
    return wish


def _delivered(delivery: Any, wish: Wish, settings: SsfTransmitter) -> Wish:
    if delivery is None:
        return replace(wish, method="poll", endpoint_url="", authorization_header="")
    if not isinstance(delivery, dict) or delivery.get("method") not in _METHODS:
        raise BadRequestError(f"`method` must be `{PUSH}` or `{POLL}`", pointer="/delivery/method")
    if delivery["method"] == POLL:  # its URL is ours to say: `check_ours` compares it
        return replace(wish, method="poll", endpoint_url="", authorization_header="")
    url = _text(delivery, "endpoint_url", most=MAX_URL, needed=True, within="/delivery")
    fault = settings.push_fault(url)
    if fault is not None:
        raise BadRequestError(
            f"`endpoint_url` {fault}",
            pointer="/delivery/endpoint_url",
            next_step="ask this service's operator to name the host in `push_hosts` of `[ssf_transmitter]`, or poll",
        )
    header = _text(delivery, "authorization_header", most=MAX_HEADER, within="/delivery")
    if not header.isascii():
        raise BadRequestError("`authorization_header` is no ASCII text", pointer="/delivery/authorization_header")
    # INVARIANT (one secret, one place): the header that was given for one URL never goes to another.
    if not header and wish.endpoint_url == url:
        header = wish.authorization_header
    return replace(wish, method="push", endpoint_url=url, authorization_header=header)


def check_ours(asked: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """What is ours to say must be right where a request repeats it (SSF 1.0 section 8.1.1.3). Raises BadRequestError.

    `ours`: the configuration as the request would leave it.
    """
    for name in ("stream_id", "iss", "aud", "events_supported", "events_delivered", "min_verification_interval"):
        if name in asked and asked[name] != ours.get(name):
            raise BadRequestError(f"`{name}` is this service's to say, and has another value", pointer=f"/{name}")
    delivery = asked.get("delivery")
    if isinstance(delivery, dict) and delivery.get("method") == POLL:
        url = delivery.get("endpoint_url")
        if url is not None and url != ours["delivery"]["endpoint_url"]:
            raise BadRequestError(
                "the `endpoint_url` of a polled stream is this service's to say", pointer="/delivery/endpoint_url"
            )


def read_status(asked: Mapping[str, Any]) -> tuple[Status, str]:
    """Raises BadRequestError."""
    words: tuple[Status, ...] = get_args(Status)
    found = [word for word in words if word == asked.get("status")]
    if not found:
        raise BadRequestError(f"`status` must be one of {', '.join(words)}", pointer="/status")
    return found[0], _text(asked, "reason", most=MAX_REASON)


def read_subject_in(asked: Mapping[str, Any]) -> Subject:
    """Raises BadRequestError."""
    if "verified" in asked and not isinstance(asked["verified"], bool):
        raise BadRequestError("`verified` must be true or false", pointer="/verified")
    if "subject" not in asked:
        raise BadRequestError("`subject` is missing", pointer="/subject")
    return read_subject(asked["subject"], legacy=True)  # the specification's own example names the format `phone`


def read_state(asked: Mapping[str, Any]) -> str | None:
    """Raises BadRequestError."""
    return _text(asked, "state", most=MAX_STATE) if asked.get("state") is not None else None


def read_poll(asked: Mapping[str, Any]) -> Poll:
    """Raises BadRequestError."""
    most = asked.get("maxEvents", MAX_EVENTS)
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise BadRequestError("`maxEvents` must be a number, 0 or more", pointer="/maxEvents")
    at_once = asked.get("returnImmediately", False)
    if not isinstance(at_once, bool):
        raise BadRequestError("`returnImmediately` must be true or false", pointer="/returnImmediately")
    acks = asked.get("ack", [])
    if not isinstance(acks, list) or len(acks) > MAX_ACKS or not all(_is_jti(one) for one in acks):
        raise BadRequestError(f"`ack` must be a list of up to {MAX_ACKS} `jti`", pointer="/ack")
    faults = asked.get("setErrs", {})
    if not isinstance(faults, dict) or len(faults) > MAX_ACKS or not all(_is_jti(one) for one in faults):
        raise BadRequestError(f"`setErrs` must be an object with up to {MAX_ACKS} `jti`", pointer="/setErrs")
    refused = {jti: said(one) for jti, one in faults.items() if is_of_the_set(one)}
    kept_back = {jti: said(one) for jti, one in faults.items() if jti not in refused}
    return Poll(min(most, MAX_EVENTS), at_once, tuple(acks), refused, kept_back)


def is_of_the_set(fault: object) -> bool:
    """Whether a receiver's `{err, description}` finds fault with this very SET, which therefore never arrives.

    What is wrong between the two houses (a key, an audience) can be mended, and then the SET still has to arrive.
    """
    word = fault.get("err") if isinstance(fault, dict) else None
    return isinstance(word, str) and word in _OF_THE_SET


def said(fault: object) -> str:
    """A receiver's `{err, description}` as one line for the operator, cut to what a row holds; whatever it sends."""
    members = fault if isinstance(fault, dict) else {}
    words = [str(members.get(name) or "")[:200] for name in ("err", "description")]
    line = ": ".join(word for word in words if word)
    return "".join(letter for letter in line if letter.isprintable()) or "no reason was given"


def _is_jti(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()  # noqa: PLR2004  # ours have 36


def _types(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    sound = isinstance(value, list) and len(value) <= MAX_TYPES
    if not sound or not all(isinstance(one, str) and 0 < len(one) <= MAX_TYPE and one.isprintable() for one in value):
        raise BadRequestError(
            f"`events_requested` must be a list of up to {MAX_TYPES} URIs", pointer="/events_requested"
        )
    return tuple(dict.fromkeys(value))


def _text(asked: Mapping[str, Any], name: str, *, most: int, needed: bool = False, within: str = "") -> str:
    """A printable text; "" where it is not there, and need not be. Raises BadRequestError."""
    value = asked.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > most or not value.isprintable() or (needed and not value):
        raise BadRequestError(f"`{name}` must be a printable text of up to {most}", pointer=f"{within}/{name}")
    return value
