"""Who calls, by the register: API keys, certificates of the connection, certificates behind a proxy, access tokens.

The order of one authentication:

1. What the request itself carries, a key or a token, is looked up; both at once are refused.
2. The certificate of the connection, or what a trusted proxy passed on in its place, is looked up.
3. INVARIANT (one caller): where both name a caller it is the same one, or the request is refused. The rights are those
   of the key or token, which are never more than the caller's own.
4. The address that it came from lies in the networks of this credential.
5. The caller has not asked more often than it may.

A certificate that is bound to nobody is no credential: in a service mesh every connection has one.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, Literal, Protocol

from pdp.callers.bounds import within
from pdp.callers.budget import Budget
from pdp.callers.caller import Caller
from pdp.callers.credentials import Credentials
from pdp.callers.keys import shown_key
from pdp.callers.machine import DEFAULT_SCOPES, permissions_of
from pdp.callers.proxy import ProxyRefusedError
from pdp.callers.shared_budget import SharedBuckets
from pdp.callers.table import EMPTY, CallerTable, Grant, KeyGrant, read_table
from pdp.errors import DirectoryError, NotAuthenticatedError, SekishoError, TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from pdp.callers.budget import CallerLimits
    from pdp.callers.caller import Permission
    from pdp.callers.certificate import PeerCertificate
    from pdp.callers.credentials import ShownKey
    from pdp.callers.crl import RevocationLists
    from pdp.callers.machine import MachineTokens
    from pdp.callers.proxy import TrustedProxy
    from pdp.store.store import Store

LOAD_S: Final = 30.0  # a store that takes this long does not answer

Why = Literal["credential", "conflict", "certificate", "forwarded", "token", "network", "rate"]

_NOBODY: Final = KeyGrant(bytes(32), None, Grant(Caller("nobody", frozenset())))
_NEEDED: Final = "a valid API key, certificate or access token is needed"


class CallerObserver(Protocol):
    """Who counts the refusals. It must not raise."""

    def caller_refused(self, caller_id: str | None, why: Why) -> None:
        """`caller_id` is that of a registered caller; None where nobody is known to have called."""
        ...


class _Unobserved:
    def caller_refused(self, caller_id: str | None, why: Why) -> None: ...


class StoredCallers:
    """Adapter of `pdp.callers.caller.Callers`. Nobody is known before the first `refresh`.

    A change of the register counts from the next refresh on, an expiry at its instant by `clock`. `stopwatch` gives the
    monotonic nanoseconds by which rates are held; without it, those of `clock`.
    """

    def __init__(  # noqa: PLR0913  # each has its name at the call
        self,
        store: Store,
        clock: Callable[[], datetime],
        *,
        stopwatch: Callable[[], int] | None = None,
        observer: CallerObserver | None = None,
        proxy: TrustedProxy | None = None,
        tokens: MachineTokens | None = None,
        scopes: Mapping[str, frozenset[Permission]] = DEFAULT_SCOPES,
        lists: RevocationLists | None = None,
        buckets: Path | None = None,
    ) -> None:
        """`buckets`: a folder of this host in which several workers share each caller's rate."""
        self._store = store
        self._clock = clock
        self._stopwatch = stopwatch or (lambda: round(clock().timestamp() * 1_000_000_000))
        self._observer: CallerObserver = observer or _Unobserved()
        self._proxy = proxy
        self._tokens = tokens
        self._scopes = scopes
        self._lists = lists
        stopwatch = self._stopwatch
        self._budget: Callable[[str, CallerLimits], Budget] = (
            (lambda _, limits: Budget(limits, stopwatch))
            if buckets is None
            else SharedBuckets(buckets, stopwatch).budget
        )
        self._one_at_a_time = asyncio.Lock()
        self._table: CallerTable = EMPTY
        self._keys: Mapping[str, KeyGrant] = EMPTY.keys
        self._confirmed_at: datetime | None = None

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        """As the port says. An unknown key id costs the same comparison as a wrong secret."""
        if presented.__class__ is not Credentials:
            presented = Credentials(key=presented)  # type: ignore[arg-type]  # a text or None
        assert isinstance(presented, Credentials)
        if presented.token is not None:
            raise self._refused("token")
        grant = None if presented.key is None else self._of_key(presented.shown or shown_key(presented.key))
        if self._proxy is not None or presented.certificate is not None:
            grant = self._with_certificate(grant, self._certificate(presented))
        return self._admitted(grant, presented.peer)

    async def introduce(self, presented: Credentials) -> Caller:
        """As the port says."""
        if presented.token is None:
            return self.authenticate(presented)
        if presented.key is not None:
            raise self._refused("conflict")
        certificate = self._certificate(presented)
        grant = await self._of_token(presented.token, None if certificate is None else certificate.sha256)
        return self._admitted(self._with_certificate(grant, certificate), presented.peer)

    def age(self) -> timedelta | None:
        """How long ago the store last confirmed this table; None: never."""
        return None if self._confirmed_at is None else self._clock() - self._confirmed_at

    async def refresh(self) -> bool:
        """Look at the version, and read the register where it moved, in a thread. True where the table is new.

        Raises DirectoryError where the store does not answer, or not in time; the table then stays as it is.
        """
        async with self._one_at_a_time:
            asked_at = self._clock()
            try:
                async with asyncio.timeout(LOAD_S):
                    read = await asyncio.to_thread(self._read, self._table)
            except TimeoutError:
                raise DirectoryError(f"the callers were not read within {LOAD_S:.0f} s") from None
            if read is not None:
                self._table, self._keys = read, read.keys
            self._confirmed_at = asked_at
            return read is not None

    def _read(self, held: CallerTable) -> CallerTable | None:
        if self._lists is not None:
            self._lists.look()
        with self._store.read() as connection:
            return read_table(connection, held, self._budget)

    def _of_key(self, shown: ShownKey | None) -> Grant:
        if shown is None:
            raise self._refused("credential")
        known = self._keys.get(shown.key_id, _NOBODY)
        same = compare_digest(shown.secret_sha256, known.secret_sha256)
        expired = known.expires_at is not None and self._clock() >= known.expires_at
        if not same or expired or known is _NOBODY:
            raise self._refused("credential")
        return known.grant

    async def _of_token(self, token: str, certificate_sha256: str | None) -> Grant:
        if self._tokens is None:
            raise self._refused("token")
        try:
            said = await self._tokens.read(token, certificate_sha256, self._clock())
        except SekishoError:
            raise self._refused("token") from None
        grant = self._table.clients.get((said.issuer, said.client_id, said.subject))
        if grant is None:
            raise self._refused("token")
        # INVARIANT (never wider): scopes take away from what the caller may, and add nothing.
        permissions = grant.caller.permissions & permissions_of(said.scopes, self._scopes)
        return grant._replace(caller=replace(grant.caller, permissions=permissions))

    def _certificate(self, presented: Credentials) -> PeerCertificate | None:
        """The certificate of whoever asks: of the connection, or of the connection to the proxy in front of us.

        Its revocation is judged for each request: a connection may be older than the list that ends it.
        """
        certificate = own = presented.certificate
        if self._proxy is not None:
            try:
                certificate = self._proxy.certificate(presented)
            except ProxyRefusedError:
                raise self._refused("forwarded") from None
        if self._lists is not None:
            now = self._clock()
            for shown in (own, certificate):  # that of the proxy, too
                if shown is not None and self._lists.refuses(shown, now):
                    raise self._refused("certificate")
        return certificate

    def _with_certificate(self, grant: Grant | None, certificate: PeerCertificate | None) -> Grant | None:
        """What the key or token gives, if the certificate is not somebody else's; what the certificate gives alone."""
        bound = None if certificate is None else self._of_certificate(certificate)
        if bound is None:
            return grant
        if grant is None:
            return bound
        if grant.caller.id != bound.caller.id:
            raise self._refused("conflict")
        return grant

    def _of_certificate(self, certificate: PeerCertificate) -> Grant | None:
        table = self._table
        found = [table.certificates.get(certificate.sha256)] if certificate.sha256 in table.certificates else []
        if table.names:
            found += [table.names.get((issuer, name)) for issuer in certificate.issuers for name in certificate.names]
        grants = {grant.caller.id: grant for grant in found if grant is not None}
        if not grants:
            return None
        if len(grants) > 1:  # one certificate with the names of two gateways
            raise self._refused("conflict")
        (grant,) = grants.values()
        if not certificate.holds_at(self._clock()):
            raise self._refused("certificate", grant.caller.id)
        return grant

    def _admitted(self, grant: Grant | None, peer: str | None) -> Caller:
        if grant is None:
            raise self._refused("credential")
        caller = grant.caller
        if grant.networks and not within(peer, grant.networks):
            raise self._refused("network", caller.id)
        if caller.budget is not None:
            try:
                caller.budget.take()
            except TooManyRequestsError:
                self._observer.caller_refused(caller.id, "rate")
                raise
        return caller

    def _refused(self, why: Why, caller_id: str | None = None) -> NotAuthenticatedError:
        """One error for all: which it was is counted, and not told."""
        self._observer.caller_refused(caller_id, why)
        return NotAuthenticatedError(_NEEDED)
