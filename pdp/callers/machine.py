"""Machines that call with an access token of their own (OAuth 2 client credentials, RFC 6749 section 4.4).

The token says who (issuer, client, subject) and, by its scopes, no more than the caller may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pdp.callers.caller import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from pdp.callers.caller import Permission

SCOPE_PREFIX: Final = "sekisho:"
# `sekisho:decide` gives `decide`, and so on; settings may add a deployment's own scopes.
DEFAULT_SCOPES: Final[Mapping[str, frozenset[Permission]]] = {
    **{f"{SCOPE_PREFIX}{permission}": frozenset({permission}) for permission in PERMISSIONS},
    # CAEP Interoperability Profile 1.0, section 2.7.2: the names that receivers ask their token for.
    "ssf.read": frozenset({"ssf_read"}),
    "ssf.manage": frozenset({"ssf_manage", "ssf_read"}),
}


class MachineToken(NamedTuple):
    """What a verified token says of its bearer."""

    issuer: str
    client_id: str
    subject: str
    scopes: frozenset[str]


class MachineTokens(Protocol):
    async def read(self, token: str, certificate_sha256: str | None, now: datetime) -> MachineToken:
        """The token, verified: signature, issuer, audience, times, revocations, the certificate that it is bound to.

        Raises a SekishoError for any other; may wait for an issuer's keys, within a deadline of seconds.
        """
        ...


def permissions_of(scopes: Collection[str], table: Mapping[str, frozenset[Permission]]) -> frozenset[Permission]:
    """What these scopes give. A scope that nobody mapped gives nothing, and so does a token without any."""
    given: set[Permission] = set()
    for scope in scopes:
        given |= table.get(scope, frozenset())
    return frozenset(given)
