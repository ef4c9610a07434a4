"""Tokens of the configured issuers, for `pdp.callers`: what a machine's own token says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.callers.machine import MachineToken
from pdp.identity.token import Presented

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.identity.token import TokenReader


class IssuedMachineTokens:
    """Adapter of `pdp.callers.machine.MachineTokens` over the reader that people's tokens go through too.

    A token that is bound to a certificate (RFC 8705) needs it on this very connection; one that is bound to a key
    (RFC 9449) is refused, because a caller's request brings no proof.
    """

    def __init__(self, reader: TokenReader) -> None:
        self._reader = reader

    async def read(self, token: str, certificate_sha256: str | None, now: datetime) -> MachineToken:
        """As the port says. Raises TokenRefusedError."""
        read = await self._reader.read(token, now, Presented(certificate_sha256=certificate_sha256))
        return MachineToken(read.issuer, read.client_id, read.subject, read.scopes)
