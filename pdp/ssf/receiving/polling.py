"""One poll (RFC 8936): ask, take what comes, and remember what to say of it with the next one.

INVARIANT (acknowledged is kept): a `jti` is acknowledged only after its SET stands in the store. What could not be
judged or kept is neither acknowledged nor refused, and comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from pdp.errors import BadRequestError, NotReadyError
from pdp.identity.fetching import FetchError
from pdp.logs import get_log
from pdp.ssf.token import MAX_ID, SetRefusedError
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from pdp.ssf.receiving.incoming import Incoming
    from pdp.ssf.receiving.taking import Desk
    from pdp.ssf.token import SecurityEventToken

GRACE_S: Final = 15.0  # beyond the wait that was asked for
MAX_ANSWER: Final = 4 * 1024 * 1024  # bytes; five hundred SETs of a common size have one
MAX_SETS: Final = 1_000
MAX_NODES: Final = 4 * MAX_SETS
_OK: Final = 200
_log = get_log("pdp.ssf")


class PollFaultError(Exception):
    """The poll was not answered as it should be. `retry_after_s`: as the transmitter asks, where it does."""

    def __init__(self, fault: str, retry_after_s: float | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.retry_after_s = retry_after_s


class Polled(NamedTuple):
    """How many SETs came; `fresh`: how many of them for the first time; `kept_back`: some could not be taken now."""

    sets: int
    fresh: int
    kept_back: bool


class Poller:
    """One stream's, in the worker that has its lease."""

    def __init__(self, incoming: Incoming, desk: Desk) -> None:
        self._incoming = incoming
        self._desk = desk
        self._ack: list[str] = []
        self._errs: dict[str, dict[str, str]] = {}

    async def poll(self) -> Polled:
        """Raises PollFaultError; what was to be said is then said with the next poll."""
        stream = self._incoming.stream
        wait_s = 0 if self._ack or self._errs else stream.poll_wait_s  # what is known is said without delay
        said_ack, said_errs = list(self._ack), dict(self._errs)
        body: dict[str, Any] = {"maxEvents": stream.poll_max_events, "returnImmediately": wait_s == 0}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
        if said_ack:
            body["ack"] = said_ack
        if said_errs:
            body["setErrs"] = said_errs
            headers["Content-Language"] = "en"
        try:
            answer = await self._incoming.fetch.ask(
                "POST",
                stream.endpoint_url,
                headers=headers,
                body=msgspec.json.encode(body),
                max_bytes=MAX_ANSWER,
                deadline_s=wait_s + GRACE_S,
            )
        except FetchError as fault:
            raise PollFaultError(str(fault)) from None
        if answer.status != _OK:  # a redirect too: nobody is followed anywhere
            raise PollFaultError(f"it answered {answer.status}", _seconds(answer.retry_after))
        sets = read_answer(answer.body)
        self._ack = [jti for jti in self._ack if jti not in said_ack]
        self._errs = {jti: err for jti, err in self._errs.items() if jti not in said_errs}
        became = [await self._take(jti, text) for jti, text in sets.items()]
        return Polled(len(sets), became.count("fresh"), "kept_back" in became)

    def _token(self) -> str:
        try:
            return self._incoming.token.current()
        except NotReadyError as fault:
            raise PollFaultError(fault.message) from None

    async def _take(self, jti: str, text: str) -> Literal["fresh", "known", "refused", "kept_back"]:
        """What became of it. Of one that is kept back nothing is said, so that it comes again."""
        try:
            fresh = await self._desk.take(self._incoming, text, check=lambda token: _same(token, jti))
        except SetRefusedError as fault:
            self._errs[jti] = {"err": fault.err, "description": fault.message}
            return "refused"
        except NotReadyError:
            return "kept_back"
        except Exception:  # noqa: BLE001  # whatever is wrong with it, the others count
            _log.exception("a SET could not be taken", stream=self._incoming.stream.name)
            return "kept_back"
        self._ack.append(jti)
        return "fresh" if fresh else "known"


def _same(token: SecurityEventToken, jti: str) -> None:
    """The attack: one name on the envelope and another in the letter, so that we acknowledge what we never saw."""
    if token.jti != jti:
        raise SetRefusedError(
            "invalid_request", "`jti` of the SET is not the name that it stands under", "jti_mismatch"
        )


def read_answer(raw: bytes) -> dict[str, str]:
    """SETs by `jti`. Raises PollFaultError for anything else.

    `moreAvailable` is not read: after something new the next poll comes at once, and after nothing new it must not.
    """
    try:
        value = parse_json(raw, max_bytes=MAX_ANSWER, max_nodes=MAX_NODES)
    except BadRequestError as fault:
        raise PollFaultError(f"its answer is not strict JSON: {fault.message}") from None
    sets = value.get("sets", {}) if isinstance(value, dict) else None
    if not isinstance(sets, dict) or len(sets) > MAX_SETS or not all(isinstance(text, str) for text in sets.values()):
        raise PollFaultError("its answer has no `sets` that can be read")
    if not all(1 <= len(jti) <= MAX_ID and jti.isprintable() for jti in sets):
        raise PollFaultError("its answer has a `jti` that is none")
    return sets


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else None  # noqa: PLR2004  # a million seconds
