"""What `pdp caller bind` is told: exactly one of a certificate, a name in certificates, or an OAuth client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.callers.bindings import Bound, bound_certificate, bound_client, bound_name
from pdp.callers.certificate import fingerprint, read_authorities
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from pathlib import Path


def bound_by(
    *,
    certificate: Path | None,
    sha256: str | None,
    name: str | None,
    authority: Path | None,
    client_id: str | None,
    issuer: str | None,
    subject: str | None,
) -> Bound:
    """Raises BadRequestError for none, several, or half of one."""
    ways = [certificate is not None, sha256 is not None, name is not None, client_id is not None]
    if sum(ways) != 1:
        raise BadRequestError(
            "exactly one credential can be bound at a time",
            next_step="give --certificate, --certificate-sha256, --certificate-name or --client-id",
        )
    if (authority is not None and name is None) or (client_id is None and (issuer or subject) is not None):
        raise BadRequestError("--authority belongs to --certificate-name, --issuer and --subject to --client-id")
    if certificate is not None:
        return bound_certificate(_one_fingerprint(certificate))
    if sha256 is not None:
        return bound_certificate(sha256)
    if name is not None:
        if authority is None:
            raise BadRequestError("a name counts only with the --authority that gives it")
        return bound_name(name, _one_fingerprint(authority))
    assert client_id is not None
    if issuer is None:
        raise BadRequestError("a client counts only with its --issuer")
    return bound_client(issuer, client_id, subject)


def _one_fingerprint(file: Path) -> str:
    try:
        certificates = read_authorities(file.read_bytes())
    except OSError as fault:
        raise BadRequestError(f"`{file}` cannot be read: {fault.strerror}") from None
    if len(certificates) != 1:
        raise BadRequestError(f"`{file}` holds {len(certificates)} certificates; exactly one is bound")
    return fingerprint(certificates[0])
