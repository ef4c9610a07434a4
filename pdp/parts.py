"""The parts of a service that a command needs too, each made without the others.

Imports are late: `pdp eval` needs an engine and no database, no client of OPA and no web framework, which
together take most of a second to load.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from pdp.bundle.bundle import Bundle
    from pdp.bundle_archive import BundleArchive
    from pdp.cache.levels import VerdictCache
    from pdp.cache.port import SharedLevel
    from pdp.cache.seal import Seal
    from pdp.callers.caller import Permission
    from pdp.callers.proxy import TrustedProxy
    from pdp.callers.stored import CallerObserver, StoredCallers
    from pdp.engine.port import Engine
    from pdp.identity.levels import LevelTable
    from pdp.identity.nonces import Nonces
    from pdp.identity.proof import Revocations, TokenVerifier
    from pdp.identity.provider import IssuerKeys
    from pdp.identity.shared_marks import RedisMarks
    from pdp.identity.token import TokenReader
    from pdp.privacy.masking import Masking
    from pdp.privacy.pseudonym import Pseudonyms
    from pdp.redis_client import RedisPlace
    from pdp.settings import Settings
    from pdp.signals.port import News
    from pdp.store.store import Store
    from pdp.table.keeper import TableKeeper


_KEY_BYTES: Final = 32


utc_now: Final = partial(datetime.now, UTC)  # asked some times for each decision: without a frame of its own


def new_id() -> str:
    """A uuid7 (RFC 9562): its first 48 bits are the time, by which the decision log finds it again."""
    import uuid_utils

    return str(uuid_utils.uuid7())


def open_engine(settings: Settings, *, children: int = 1) -> Engine:
    """The chosen engine, with nothing loaded. Raises SettingsError where its token cannot be read."""
    from pdp.errors import SettingsError

    deadline = timedelta(milliseconds=settings.engine_deadline_ms)
    if settings.engine == "regorus":
        from pdp.engine.regorus import RegorusEngine

        return RegorusEngine(deadline=deadline, children=children)
    from pdp.engine.opa_server import OpaServerEngine

    token = None
    if settings.opa_token_file:
        try:
            with open(settings.opa_token_file, encoding="utf-8") as file:  # noqa: PTH123  # a name from the settings
                token = file.read().strip()
        except OSError as fault:
            raise SettingsError(f"`opa_token_file` cannot be read: {fault.strerror}") from None
    return OpaServerEngine(settings.opa_url, deadline=deadline, token=token)


def open_table(
    settings: Settings, engine: Engine, active: Callable[[], Bundle], differed: Callable[[], None]
) -> TableKeeper | None:
    """What counts the active policy out; None where it is switched off, or OPA is to be asked. Raises SettingsError.

    `differed`: see `TableKeeper`.
    """
    if settings.decision_table == "off" or settings.engine != "regorus":
        return None
    from pdp.table.keeper import TableKeeper
    from pdp.table.kept import KeptTables

    tables = KeptTables(settings.state_path / "spaces", shared_key(settings.state_path / "spaces.key"))
    return TableKeeper(engine, active, tables, differed=differed)


@asynccontextmanager
async def open_cache(settings: Settings) -> AsyncIterator[VerdictCache | None]:
    """The decision cache with its levels; None where it is switched off. Raises SettingsError."""
    from pdp.cache.levels import VerdictCache
    from pdp.cache.local import LocalLevel

    if settings.cache == "off":
        yield None
        return
    async with AsyncExitStack() as stack:
        shared: tuple[SharedLevel, Seal] | None = None
        if settings.redis_url:
            from pdp.cache.shared import open_shared_level

            deadline_s = settings.redis_deadline_ms / 1_000
            level = open_shared_level(redis_place(settings), prefix=settings.redis_prefix, deadline_s=deadline_s)
            stack.push_async_callback(level.close)
            shared = (level, cache_seal(settings))
        cache = VerdictCache(LocalLevel(settings.cache_entries), shared)
        stack.push_async_callback(cache.close)
        yield cache


def cache_seal(settings: Settings) -> Seal:
    """What seals the values in Redis. Raises SettingsError where the secret cannot be read, or is too short."""
    from pdp.cache.seal import Seal
    from pdp.errors import SettingsError

    if not settings.redis_secret_file:
        return Seal(shared_key(settings.state_path / "cache.key"))
    try:
        return Seal(Path(settings.redis_secret_file).read_bytes().strip())
    except OSError as fault:
        raise SettingsError(f"`redis_secret_file` cannot be read: {fault.strerror}") from None


def shared_key(path: Path) -> bytes:
    """A secret that the workers of this host share; made at the first start, readable by us alone.

    Written aside and then linked: whoever finds the name finds the whole key. Raises SettingsError for a
    file of another size.
    """
    import contextlib
    import os
    import secrets

    from pdp.errors import SettingsError

    if not path.exists():  # a start on a disk that is full needs none
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")  # containers that share a folder share pids too
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"`{path.name}` is damaged", next_step="remove the file; a new one is made")
    return key


def open_masking(settings: Settings, failed: Callable[[], None]) -> Masking | None:
    """What masks records before they are written; None where the settings have no rule. Raises SettingsError."""
    if not settings.log_masking:
        return None
    from pdp.privacy.masking import Masking

    needed = any(rule.op == "pseudonymise" for rule in settings.log_masking)
    return Masking(settings.log_masking, open_pseudonyms(settings) if needed else None, failed)


def open_pseudonyms(settings: Settings) -> Pseudonyms:
    """The keys of the log's pseudonyms; made in the state directory where none are named. Raises SettingsError."""
    from pdp.privacy.pseudonym import make_key_file, read_pseudonyms

    if settings.log_pseudonym_key_file:
        return read_pseudonyms(Path(settings.log_pseudonym_key_file))
    path = settings.state_path / "pseudonyms.key"
    make_key_file(path)
    return read_pseudonyms(path)


def signing_keys_file(settings: Settings) -> Path:
    """Where our own signing keys stand: as the settings say, else in the state directory."""
    account = settings.cloudflare
    if account is not None and account.keys_file:
        return Path(account.keys_file)
    return settings.state_path / "cloudflare-keys.json"


def security_event_keys_file(settings: Settings) -> Path:
    """Where the keys stand that sign security events: as the settings say, else in the state directory."""
    transmitter = settings.ssf_transmitter
    if transmitter is not None and transmitter.keys_file:
        return Path(transmitter.keys_file)
    return settings.state_path / "ssf-keys.json"


def redis_place(settings: Settings) -> RedisPlace:
    """Where Redis is; only with a `redis_url`."""
    from pdp.redis_client import RedisPlace

    return RedisPlace(
        settings.redis_url,
        username=settings.redis_username,
        password_file=settings.redis_password_file,
        ca_file=settings.redis_ca_file,
        cert_file=settings.redis_cert_file,
        key_file=settings.redis_key_file,
    )


def open_news(settings: Settings) -> News:
    """How this worker tells others of changes and hears of theirs: over Redis, or, without one, not at all."""
    if not settings.redis_url:
        from pdp.signals.local import LocalNews

        return LocalNews(utc_now)
    from pdp.signals.stream import StreamNews

    return StreamNews(redis_place(settings), settings.redis_prefix, utc_now)


class Tokens(NamedTuple):
    """What reads tokens. `reader` and `refresh` (begins to read old keys again) are None without an issuer."""

    verifier: TokenVerifier
    reader: TokenReader | None = None
    refresh: Callable[[], Awaitable[None]] | None = None
    keys: tuple[IssuerKeys, ...] = ()
    nonces: Nonces | None = None


@asynccontextmanager
async def open_tokens(settings: Settings, revocations: Revocations) -> AsyncIterator[Tokens]:
    """The configured issuers, whose keys are being fetched; nobody waits for them yet. Raises SettingsError."""
    from time import monotonic

    from pdp.errors import SettingsError
    from pdp.identity.proof import NoIssuer

    if not settings.issuers:
        yield Tokens(NoIssuer())
        return
    from pdp.identity.fetching import GuardedFetch
    from pdp.identity.provider import IssuerKeys, loader
    from pdp.identity.replay import ReplayMemory
    from pdp.identity.verifier import IssuedTokens
    from pdp.proof_parts import dpop_nonces

    if len({issuer.issuer for issuer in settings.issuers}) < len(settings.issuers):
        raise SettingsError("`issuers` has one issuer twice")
    async with AsyncExitStack() as stack:
        marks: RedisMarks | None = None
        if settings.redis_url:
            from pdp.identity.shared_marks import CONNECTIONS, DEADLINE_S, RedisMarks
            from pdp.redis_client import open_redis

            client = open_redis(redis_place(settings), deadline_s=DEADLINE_S, max_connections=CONNECTIONS)
            marks = RedisMarks(client, settings.redis_prefix, monotonic)
            stack.push_async_callback(marks.close)
        keys: list[IssuerKeys] = []
        for issuer in settings.issuers:
            try:
                keys.append(IssuerKeys(issuer, loader(issuer, GuardedFetch(issuer)), utc_now))
            except ValueError as fault:
                raise SettingsError(f"the issuer `{issuer.issuer}`: {fault}") from None
            stack.push_async_callback(keys[-1].close)
            keys[-1].refresh()
        nonces = dpop_nonces(settings, shared_key)
        tokens = IssuedTokens(keys, revocations, ReplayMemory(marks), levels=level_table(settings), nonces=nonces)

        async def refresh() -> None:
            for one in keys:
                one.refresh()

        yield Tokens(tokens, tokens, refresh, tuple(keys), nonces)


async def open_callers(
    settings: Settings,
    store: Store,
    observer: CallerObserver,
    tokens: Tokens,
    list_ends: Callable[[str, datetime | None], None] = lambda _authority, _ends: None,
) -> StoredCallers:
    """The register of callers, read once. Raises DirectoryError, and SettingsError for what the settings say."""
    from time import monotonic_ns

    from pdp.callers.stored import StoredCallers
    from pdp.identity.machines import IssuedMachineTokens
    from pdp.proof_parts import revocation_lists

    callers = StoredCallers(
        store,
        utc_now,
        stopwatch=monotonic_ns,
        observer=observer,
        proxy=_trusted_proxy(settings),
        tokens=None if tokens.reader is None else IssuedMachineTokens(tokens.reader),
        scopes=_caller_scopes(settings),
        lists=revocation_lists(settings, list_ends),
        buckets=settings.state_path / "rates" if settings.workers > 1 else None,
    )
    await callers.refresh()
    return callers


def _trusted_proxy(settings: Settings) -> TrustedProxy | None:
    from pdp.callers.certificate import authorities_in
    from pdp.callers.proxy import TrustedProxy
    from pdp.errors import BadRequestError, SettingsError

    if not settings.caller_certificate_header:
        if settings.caller_proxies:
            raise SettingsError("`caller_proxies` is set without `caller_certificate_header`: what would they pass on?")
        return None
    if not settings.caller_proxies:
        raise SettingsError("`caller_certificate_header` is set without `caller_proxies`: whose word would it be?")
    try:
        authorities = authorities_in(settings.tls_client_ca_file)
        return TrustedProxy(settings.caller_certificate_header, settings.caller_proxies, authorities)
    except BadRequestError as fault:
        raise SettingsError(f"`caller_proxies`: {fault.message}") from None


def _caller_scopes(settings: Settings) -> Mapping[str, frozenset[Permission]]:
    from pdp.callers.caller import PERMISSIONS
    from pdp.callers.machine import DEFAULT_SCOPES
    from pdp.errors import SettingsError

    own: dict[str, frozenset[Permission]] = {}
    for scope, words in settings.caller_scopes.items():
        own[scope] = frozenset(word for word in PERMISSIONS if word in words)
        if len(own[scope]) != len(set(words)):
            raise SettingsError(f"`caller_scopes`: the scope `{scope}` names a permission that does not exist")
    return {**DEFAULT_SCOPES, **own}


def open_directory(settings: Settings) -> Store:
    """The control plane's database, migrated. Raises DirectoryError."""
    from pdp.store.store import open_store

    if not settings.database_url:
        settings.state_path.mkdir(parents=True, exist_ok=True)
    store = open_store(settings.store_url)
    store.migrate()
    return store


def configured_bundle(settings: Settings) -> Bundle:
    """The bundle that the settings name. Raises BundleError, also where it is of another profile."""
    from pdp.bundle.bundle import read_bundle
    from pdp.errors import BundleError

    bundle = read_bundle(settings.bundle_path)
    if settings.profile and bundle.profile != settings.profile:
        raise BundleError(f"the bundle is of profile {bundle.profile}, and {settings.profile} is asked for")
    return bundle


def bundle_archive(settings: Settings) -> BundleArchive:
    """Where every policy is kept that becomes active here."""
    from pdp.bundle_archive import BundleArchive

    return BundleArchive(settings.state_path / "bundles")


def level_table(settings: Settings) -> LevelTable:
    """How this deployment reads its identity provider: our own names, and what the settings add."""
    from pdp.identity.levels import DEFAULT_ACR, LevelTable

    return LevelTable({**DEFAULT_ACR, **settings.acr_levels})
