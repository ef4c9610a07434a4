"""The examinations of `pdp doctor`, one method each. None of them makes a file, migrates or repairs anything."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.callers.listing import list_callers
from pdp.commands.delivery_checkup import delivery_findings
from pdp.commands.finding import Finding, fail, ok, warn
from pdp.commands.issuer_checkup import issuer_findings
from pdp.commands.log_checkup import log_findings
from pdp.commands.redis_checkup import shared_cache_findings
from pdp.commands.scim_checkup import scim_findings
from pdp.commands.signal_checkup import receiving_findings
from pdp.commands.source_checkup import source_findings
from pdp.commands.ssf_checkup import sending_findings
from pdp.commands.tls_checkup import crl_findings, tls_findings
from pdp.declog.limits import Limits
from pdp.declog.survey import free_bytes, survey
from pdp.directory.freshness import DEFAULT_LIMIT, freshness, stale_after
from pdp.directory.runs import latest_runs
from pdp.directory.snapshot import load_snapshot
from pdp.errors import SekishoError
from pdp.gates.bundle_faults import check_bundle
from pdp.settings import Settings
from pdp.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.bundle.bundle import Bundle
    from pdp.callers.listing import ListedKey
    from pdp.model.directory import Snapshot
    from pdp.store.store import Store

EXPIRES_SOON: Final = timedelta(days=30)  # time enough to order, deliver and change a key
STALE_SHARE: Final = 0.1  # of the devices; a tenth that will be denied is an incident, not noise
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
_EARLIEST: Final = datetime.fromisoformat("2025-01-01T00:00:00+00:00")  # before this program was written
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_SLOW_MS: Final = 50  # one evaluation of the shipped policy takes one or two
_LIBRARIES: Final = (
    "fastapi",
    "uvicorn",
    "msgspec",
    "gordon-to-regorus",
    "opa-python-client",
    "redis",
    "sqlalchemy",
    "typer",
)


class Checkup:
    """`pick` chooses the language: `pick(ja, en)`. `origins` says where each setting that is not a default is from."""

    def __init__(
        self, settings: Settings, origins: Mapping[str, str], now: datetime, pick: Callable[[str, str], str]
    ) -> None:
        self._settings = settings
        self._origins = origins
        self._now = now
        self._pick = pick
        self._bundle: Bundle | None = None

    async def all(self) -> list[Finding]:
        """Every examination, in the order in which the service would fail."""
        findings = [*self._versions(), *self._configuration(), *self._policy()]
        findings += await self._engine()
        findings += await shared_cache_findings(self._settings, self._pick)
        findings += await issuer_findings(self._settings, self._pick)
        findings += tls_findings(self._settings, self._now, self._pick)
        findings += crl_findings(self._settings, self._now, self._pick)
        findings += [*self._directory(), *self._decision_log()]
        findings += delivery_findings(self._pick, self._settings.state_path, self._now)
        return findings

    def _versions(self) -> list[Finding]:
        from pdp import __version__

        found = [f"{name} {_version(name)}" for name in _LIBRARIES]
        return [
            ok("sekisho", __version__),
            ok("python", f"{platform.python_implementation()} {platform.python_version()}"),
            ok(self._pick("ライブラリ", "libraries"), ", ".join(found)),
        ]

    def _configuration(self) -> list[Finding]:
        topic = self._pick("設定", "settings")
        findings = [
            ok(topic, f"{name} = {_shown(name, value)} ({self._origins.get(name, 'default')})")
            for name, value in msgspec.structs.asdict(self._settings).items()
            if name in self._origins or name in ("state_dir", "engine")
        ]
        if self._settings.unsafe_no_caller_auth:
            findings.append(
                warn(
                    topic,
                    self._pick("呼出し元を認証しない設定", "callers are not authenticated"),
                    self._pick("`unsafe_no_caller_auth` を外す", "take `unsafe_no_caller_auth` out"),
                )
            )
        if self._now < _EARLIEST:
            findings.append(
                fail(
                    self._pick("時計", "clock"),
                    self._now.isoformat(timespec="seconds"),
                    self._pick("時刻を合わせる（NTP）", "set the clock (NTP)"),
                )
            )
        return findings

    def _policy(self) -> list[Finding]:
        from pdp.parts import configured_bundle

        topic = self._pick("ポリシー", "policy")
        fix = self._pick("`pdp bundle check` で確認する", "see `pdp bundle check`")
        try:
            bundle = configured_bundle(self._settings)
            faults = check_bundle(bundle)
        except SekishoError as fault:
            return [fail(topic, fault.message, fix)]
        if faults:
            first = self._pick(faults[0].message_ja, faults[0].message_en)
            return [fail(topic, f"{faults[0].where}: {first} ({len(faults)})", fix)]
        self._bundle = bundle
        return [ok(topic, f"{bundle.revision} ({bundle.profile}, digest {bundle.digest[:12]})")]

    async def _engine(self) -> list[Finding]:
        from pdp.commands.composed import engine_for

        topic = self._pick("エンジン", "engine")
        if self._bundle is None:
            return [
                warn(
                    topic,
                    self._pick("ポリシーがないため試せない", "not tried: there is no policy"),
                    self._pick("先にポリシーを直す", "correct the policy first"),
                )
            ]
        try:
            async with engine_for(self._settings, self._bundle) as activation:
                begun = perf_counter()
                await activation.engine.evaluate([b"{}"])
                taken_ms = (perf_counter() - begun) * 1_000
        except SekishoError as fault:
            return [fail(topic, f"{self._settings.engine}: {fault.message}", fault.next_step)]
        detail = f"{self._settings.engine}, {taken_ms:.1f} ms"
        if taken_ms > _SLOW_MS:
            return [warn(topic, detail, self._pick("ホストの負荷を確認する", "look at the load of this host"))]
        return [ok(topic, detail)]

    def _directory(self) -> list[Finding]:
        topic = self._pick("台帳", "directory")
        fill = self._pick(
            "`pdp directory import` または `pdp directory demo` で作る",
            "make it with `pdp directory import` or `pdp directory demo`",
        )
        settings = self._settings
        if not settings.database_url and not (settings.state_path / "sekisho.db").exists():
            return [warn(topic, self._pick("まだない", "there is none yet"), fill)]
        try:
            store = open_store(settings.store_url)
        except SekishoError as fault:
            return [fail(topic, fault.message, fault.next_step)]
        try:
            if not store.is_current():
                detail = self._pick("表の版が古い", "the schema is of an older version")
                return [warn(topic, detail, self._pick("`pdp serve` の起動時に更新される", "`pdp serve` migrates it"))]
            return self._registers(store, fill)
        except SekishoError as fault:
            return [fail(topic, fault.message, fault.next_step)]
        finally:
            store.close()

    def _registers(self, store: Store, fill: str) -> list[Finding]:
        topic = self._pick("台帳", "directory")
        snapshot = load_snapshot(store, self._now)
        runs = latest_runs(store, 1)
        detail = self._pick(
            f"{store.dialect}、版 {snapshot.epoch}、利用者 {len(snapshot.users)}、端末 {len(snapshot.devices)}",
            f"{store.dialect}, epoch {snapshot.epoch}, {len(snapshot.users)} users, {len(snapshot.devices)} devices",
        )
        findings = [ok(topic, detail) if snapshot.users else warn(topic, detail, fill)]
        if runs and runs[0].at > self._now + CLOCK_TOLERANCE:
            findings.append(self._set_back(runs[0].at))
        sources = source_findings(self._pick, snapshot, self._settings.connectors, self._now)
        provisioners = scim_findings(self._pick, store, self._settings.scim, self._now)
        sends = self._settings.ssf_transmitter is not None
        events = sending_findings(self._pick, store, self._now) if sends else []
        signals = receiving_findings(self._pick, store, self._settings.signal_streams, self._now)
        return [*findings, *self._posture(snapshot), *sources, *provisioners, *signals, *events, *self._callers(store)]

    def _posture(self, snapshot: Snapshot) -> list[Finding]:
        topic = self._pick("端末の状態", "posture")
        if not snapshot.devices:
            return []
        limit = DEFAULT_LIMIT if self._bundle is None else stale_after(self._bundle.data)
        seen = freshness(snapshot, self._now, limit)
        newest, oldest = _instant(seen.newest), _instant(seen.oldest)
        detail = self._pick(
            f"最新 {newest}、最古 {oldest}、未確認 {seen.unknown}、期限超過 {seen.stale}",
            f"newest {newest}, oldest {oldest}, {seen.unknown} unknown, {seen.stale} stale",
        )
        if seen.devices and (seen.stale + seen.unknown) / seen.devices > STALE_SHARE:
            fix = self._pick("状態の取込みを確認する", "look at the feeds of posture reports")
            return [warn(topic, detail, fix)]
        return [ok(topic, detail)]

    def _callers(self, store: Store) -> list[Finding]:
        topic = self._pick("呼出し元の鍵", "caller keys")
        callers = list_callers(store)
        if not callers:
            return [
                warn(
                    topic,
                    self._pick("呼出し元の登録がない", "there is no caller"),
                    self._pick("`pdp caller add` で登録する", "add one with `pdp caller add`"),
                )
            ]
        rotate = self._pick("`pdp caller rotate` で替える", "change it with `pdp caller rotate`")
        findings: list[Finding] = []
        for caller in callers:
            active = [key for key in caller.keys if _is_active(key, self._now)]
            last = max((key.expires_at or _NEVER for key in active), default=None)
            if last is None and any(binding.revoked_at is None for binding in caller.bindings):
                continue  # known by a certificate or a token
            if last is None:
                findings.append(warn(topic, f"{caller.id}: {self._pick('有効な鍵がない', 'no valid key')}", rotate))
            elif last <= self._now + EXPIRES_SOON:  # of several keys the one that ends last counts
                findings.append(warn(topic, f"{caller.id}: ≤ {_instant(last)}", rotate))
        return findings or [ok(topic, self._pick(f"呼出し元 {len(callers)}", f"{len(callers)} callers"))]

    def _decision_log(self) -> list[Finding]:
        topic = self._pick("判定ログ", "decision log")
        place = self._settings.decisions_path
        free_space = self._pick("空き容量を増やす", "make room on the disk")
        if place.exists() and not place.is_dir():
            detail = self._pick(f"{place} はフォルダーでない", f"{place} is not a directory")
            return [fail(topic, detail, self._pick("別の場所へ移す", "move it away"))]
        try:
            free = free_bytes(place)
            found = survey(place)
        except OSError as fault:
            return [fail(topic, str(fault.strerror), self._pick("権限を確認する", "look at the permissions"))]
        room = f"{free // 2**20} MiB"
        if free < Limits().min_free_bytes:
            return [fail(topic, self._pick(f"空き {room}", f"{room} free"), free_space)]
        if found is None:
            return [ok(topic, self._pick(f"まだない（空き {room}）", f"none yet ({room} free)"))]
        detail = self._pick(
            f"区分 {found.sealed + found.open}（書込み中 {found.open}）、{found.bytes // 2**20} MiB、空き {room}",
            f"{found.sealed + found.open} segments ({found.open} open), {found.bytes // 2**20} MiB, {room} free",
        )
        findings = [ok(topic, detail)]
        if not found.writable:
            findings = [fail(topic, detail, self._pick("書込みの権限を与える", "let this user write there"))]
        if found.abandoned:
            findings.append(
                warn(
                    topic,
                    self._pick("停止したプロセスの残り: ", "left by processes that died: ")
                    + ", ".join(found.abandoned),
                    self._pick("次の起動時に封印される", "the next start of the service seals them"),
                )
            )
        if found.newest is not None and found.newest > self._now + CLOCK_TOLERANCE:
            findings.append(self._set_back(found.newest))
        return [*findings, *log_findings(self._settings, self._now, self._pick)]

    def _set_back(self, later: datetime) -> Finding:
        return fail(
            self._pick("時計", "clock"),
            self._pick(f"{_instant(later)} の記録より前の時刻", f"earlier than a record of {_instant(later)}"),
            self._pick("時刻を合わせる（NTP）", "set the clock (NTP)"),
        )


def _is_active(key: ListedKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def _shown(name: str, value: object) -> str:
    """A URL may hold a password, before its host or among its options."""
    text = str(value)
    if name not in ("database_url", "redis_url") or not text:
        return text
    scheme, _, rest = text.partition("://")
    host = rest.partition("?")[0].rpartition("@")[2]
    return f"{scheme}://{host}"


def _instant(instant: datetime | None) -> str:
    return "-" if instant is None else instant.isoformat(timespec="minutes")
