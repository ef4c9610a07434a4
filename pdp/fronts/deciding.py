"""The fronts that ask for decisions: AuthZEN, gateways and proxies, OPA's data API, Cloudflare Access, gRPC."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pdp.errors import SettingsError
from pdp.fronts.account import account_keys
from pdp.fronts.front import Front
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.logs import get_log
from pdp.model.directory import snapshot_of
from pdp.parts import shared_key, signing_keys_file, utc_now
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.caller_credentials import introducing
from pdp.wire.candidates import Candidates, DirectoryCandidates, bundle_candidates
from pdp.wire.ext_authz_http import PREFIX as ENVOY_PREFIX
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.forward_auth import PREFIX as FORWARD_PREFIX
from pdp.wire.forward_auth import ForwardAuth
from pdp.wire.gateway_check import CheckSettings
from pdp.wire.opa_data import opa_routes
from pdp.wire.page_token import PageTokens
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.activation import Activation
    from pdp.directory.source import DirectorySource
    from pdp.fronts.front import Parts
    from pdp.settings import Settings


_log = get_log("pdp.fronts")


def authzen(parts: Parts) -> Front:
    settings = parts.settings
    candidates = _Found(parts.activation, parts.directory)
    candidates()  # a bundle whose candidates cannot be read is found at the start, not at somebody's search
    searching = Searching(candidates, PageTokens(shared_key(settings.state_path / "page-token.key")), utc_now)
    return Front(
        authzen_routes(
            parts.checkpoint,
            parts.callers,
            profile=parts.profile,
            public_url=settings.base_url,
            searching=searching,
            nonces=parts.tokens.nonces,
        )
    )


class _Found:
    """What a search looks through; listed once for each bundle and epoch."""

    def __init__(self, activation: Activation, directory: DirectorySource) -> None:
        self._activation = activation
        self._directory = directory
        self._for: tuple[str, int] | None = None
        self._candidates: Candidates = DirectoryCandidates(snapshot_of(epoch=0), ())

    def __call__(self) -> Candidates:
        policy, snapshot = self._activation.active(), self._directory.current()
        if self._for != (policy.bundle.digest, snapshot.epoch):
            if policy.reference is None:
                self._candidates = bundle_candidates(policy.bundle)
            else:
                self._candidates = DirectoryCandidates(snapshot, policy.reference.catalogue)
            self._for = (policy.bundle.digest, snapshot.epoch)
        return self._candidates


def gateways(parts: Parts) -> Front:
    """Envoy over HTTP, and the proxies that ask with a sub-request."""
    gates = _check_settings(parts)
    return Front(
        prefixes={
            f"{ENVOY_PREFIX}/": ExtAuthzHttp(parts.checkpoint, parts.callers, gates, parts.profile),
            FORWARD_PREFIX: ForwardAuth(parts.checkpoint, parts.callers, gates, parts.profile),
        }
    )


def opa(parts: Parts) -> Front:
    exact, prefixes = opa_routes(
        parts.checkpoint,
        introducing(parts.callers),
        lambda: parts.activation.active().bundle,
        parts.health.probes,
    )
    return Front(exact, prefixes)


@asynccontextmanager
async def cloudflare(parts: Parts) -> AsyncIterator[Front]:
    """The questions of an account's Access, where the settings name one. Its keys are fetched in the background."""
    account = parts.settings.cloudflare
    if account is None:
        yield Front()
        return
    from pdp.identity.assertions import SignedAssertions
    from pdp.identity.signing import SigningKeys
    from pdp.wire.cloudflare_access import CloudflareAccess, CloudflareKeys, cloudflare_routes

    keys = account_keys(account, account.audiences or ("any application of this account",))
    ours = await asyncio.to_thread(SigningKeys, signing_keys_file(parts.settings), utc_now, time.monotonic)
    reader = SignedAssertions(keys, any_audience=not account.audiences)
    access = CloudflareAccess(parts.checkpoint, reader, ours, utc_now, account)
    keys.refresh()
    try:
        yield Front(*cloudflare_routes(access, CloudflareKeys(ours, utc_now)))
    finally:
        await keys.close()


@asynccontextmanager
async def grpc(parts: Parts) -> AsyncIterator[None]:
    settings = parts.settings
    try:
        from pdp.api.grpc_listener import Authorization, ListenerSettings, authorities_of, listening_grpc
    except ImportError:
        raise SettingsError("`grpc_port` is set, and gRPC is not installed: install `sekisho-pdp[grpc]`") from None
    listener = ListenerSettings(
        host=settings.grpc_host,
        port=settings.grpc_port,
        certificate=settings.grpc_cert_file,
        key=settings.grpc_key_file,
        client_ca=settings.grpc_client_ca_file,
        shared=settings.workers > 1,
    )
    check = Authorization(
        parts.checkpoint,
        parts.callers,
        _check_settings(parts),
        parts.profile,
        authorities=authorities_of(settings.grpc_client_ca_file),
    )
    async with listening_grpc(listener, check, parts.health.probes) as port:
        _log.info("gRPC is answered", host=settings.grpc_host, port=port, tls=bool(settings.grpc_cert_file))
        yield


def _check_settings(parts: Parts) -> CheckSettings:
    settings = parts.settings
    return CheckSettings(
        nonces=parts.tokens.nonces,
        strict_path=settings.envoy_strict_path,
        trusted_hops=settings.envoy_trusted_hops,
        step_up=StepUp(
            acr_values=_acr_values(settings),
            url=settings.envoy_step_up_url,
            return_origins=frozenset(settings.envoy_return_origins),
        ),
    )


def _acr_values(settings: Settings) -> dict[int, tuple[str, ...]]:
    """What to ask the identity provider for, per level: the deployment's own names where it has some, else ours."""
    own = {level: tuple(acr for acr, at in settings.acr_levels.items() if at == level) for level in ACR_OF_LEVEL}
    return {level: own[level] or (acr,) for level, acr in ACR_OF_LEVEL.items()}
