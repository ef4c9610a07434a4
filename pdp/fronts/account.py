"""The keys of a Cloudflare account, for the two fronts that know a caller by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.errors import SettingsError
from pdp.parts import utc_now

if TYPE_CHECKING:
    from pdp.identity.provider import IssuerKeys
    from pdp.model.cloudflare import CloudflareAccount


def account_keys(account: CloudflareAccount, audiences: tuple[str, ...]) -> IssuerKeys:
    """The keys of the account's statements for these applications; nobody has asked for them yet."""
    from pdp.identity.fetching import GuardedFetch
    from pdp.identity.provider import IssuerKeys, loader
    from pdp.model.issuer import Issuer

    try:
        issuer = Issuer(
            issuer=account.team_domain,
            audiences=audiences,
            jwks_uri=account.certificates_url,
            algorithms=("RS256",),
            private_hosts=account.private_hosts,
        )
        return IssuerKeys(issuer, loader(issuer, GuardedFetch(issuer)), utc_now)
    except ValueError as fault:
        raise SettingsError(f"`cloudflare`: {fault}") from None
