"""What callers' and clients' proofs are held against, as the settings name it: nonces, and revocation lists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.callers.crl import RevocationLists
    from pdp.identity.nonces import Nonces
    from pdp.settings import Settings


def dpop_nonces(settings: Settings, shared_key: Callable[[Path], bytes]) -> Nonces | None:
    """What DPoP proofs must name; None where the settings ask for nothing. Raises SettingsError."""
    from pdp.identity.nonces import Nonces

    if not settings.dpop_nonce_s:
        return None
    lasts, secret = timedelta(seconds=settings.dpop_nonce_s), settings.dpop_nonce_secret_file
    if not secret:
        return Nonces(shared_key(settings.state_path / "dpop-nonce.key"), lasts)
    try:
        return Nonces(Path(secret).read_bytes().strip(), lasts)
    except OSError as fault:
        raise SettingsError(f"`dpop_nonce_secret_file` cannot be read: {fault.strerror}") from None
    except ValueError as fault:
        raise SettingsError(f"`dpop_nonce_secret_file`: {fault}") from None


def revocation_lists(
    settings: Settings, told: Callable[[str, datetime | None], None] = lambda _authority, _ends: None
) -> RevocationLists | None:
    """What client certificates are held against; None where the settings name nothing. Raises SettingsError."""
    from pdp.callers.certificate import authorities_in
    from pdp.callers.crl import RevocationLists, blocks_in

    if not settings.tls_client_crl:
        return None
    for _ in blocks_in(settings.tls_client_crl):
        break
    authorities = {*authorities_in(settings.tls_client_ca_file), *authorities_in(settings.grpc_client_ca_file)}
    if not authorities:
        raise SettingsError("`tls_client_crl` needs `tls_client_ca_file`: whose lists would count?")
    return RevocationLists(settings.tls_client_crl, tuple(authorities), told)
