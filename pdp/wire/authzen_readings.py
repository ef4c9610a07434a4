"""What a body asks, remembered by its bytes: gateways ask the same thing again and again.

Measured: reading a body that was never seen costs 5 microseconds, finding it here half of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from pdp.model.request import Reading, UnverifiedToken
from pdp.recent import MAX_QUESTIONS, Recent
from pdp.wire.authzen_answer import encode_json
from pdp.wire.authzen_mapping import access_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Permission
    from pdp.model.request import AccessRequest
    from pdp.wire.authzen_call import Call

MAX_BYTES: Final = 2_048  # of one body: a full question has about 1,200, and 20 MB are then the most for all bodies

_Key = tuple[bytes, "Profile", frozenset["Permission"], str]


class Readings:
    """INVARIANT (same bytes, same question): the key has all that a reading depends on. What belongs to one call
    alone, its ids and its wish for a fresh answer, is put in for each.
    INVARIANT (no secret stays): a question that carries a token is read anew each time.
    """

    def __init__(self, most: int = MAX_QUESTIONS) -> None:
        self._held: Recent[_Key, AccessRequest] = Recent(most)

    def __len__(self) -> int:
        return len(self._held)

    def asked(self, call: Call, profile: Profile) -> AccessRequest:
        """The access that the body of this call asks about. Raises as `access_request`, and for a body that is none."""
        return self._asked(call.raw, None, call, profile, "")

    def asked_by_item(self, question: Mapping[str, Any], call: Call, profile: Profile, at: str) -> AccessRequest:
        """The access that one question of several asks about. Raises as `access_request`."""
        return self._asked(encode_json(question), question, call, profile, at)

    def _asked(
        self, raw: bytes, members: Mapping[str, Any] | None, call: Call, profile: Profile, at: str
    ) -> AccessRequest:
        key = (raw, profile, call.caller.permissions, call.caller.id)
        known = self._held.get(key)
        if known is None:
            known = access_request(call.body if members is None else members, profile, call, at)
            if len(raw) > MAX_BYTES or _has_token(known):
                return known
            known = replace(known, request_id=None, trace_id=None, fresh=False, reading=Reading())
            self._held.keep(key, known)
        if call.request_id is None and call.trace_id is None and not call.fresh:
            return known
        return replace(known, request_id=call.request_id, trace_id=call.trace_id, fresh=call.fresh)


def _has_token(asked: AccessRequest) -> bool:
    """Also in the document of profile `plain`, at the place where the decision log looks for one."""
    subject: Any = asked.document.get("subject", {})
    return isinstance(asked.identity, UnverifiedToken) or "token" in subject.get("properties", {})
