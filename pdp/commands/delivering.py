"""What `pdp export plan`, `apply` and `drift` are made of: a tenant's file, an export that holds, a vendor's hands.

Beside `connecting`, the only place in `pdp` that makes what speaks with vendors. It runs beside the service, never in
it: the tenant's secret does not lie in the process that gateways talk to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from pdp.commands.terminal import Terminal
    from pdp.delivery.drift import Difference
    from pdp.delivery.journal import Applied, InHand, Journal
    from pdp.delivery.plan import Step
    from pdp.delivery.port import Courier, Key, Tenant
    from pdp.settings import Settings


@dataclass(frozen=True, slots=True)
class TenantFile:
    """`name`: of the tenant, in the state directory and the trail. `mapping`: as the export was made with.

    `require_signature`: only a signed export is delivered (`bundle_keys`). `access`: the rest, for the vendor's half.
    """

    vendor: str
    name: str
    mapping: Path
    require_signature: bool
    access: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """Files whose certificate holds. `digest`: of the certificate."""

    files: Mapping[str, bytes]
    digest: str


def read_tenant_file(vendor: str, path: Path) -> TenantFile:
    """Raises SettingsError."""
    from pdp.commands.export_targets import TENANT_FILE, read_mapping_file
    from pdp.errors import SettingsError

    held = read_mapping_file(path, TENANT_FILE)
    name, mapping, signed = held.pop("name", None), held.pop("mapping", None), held.pop("require_signature", False)
    if not isinstance(name, str) or not isinstance(mapping, str) or not isinstance(signed, bool):
        raise SettingsError(
            "テナントファイルには `name` と `mapping` が要る。`require_signature` は true か false / "
            "the tenant's file needs `name` and `mapping`; `require_signature` is true or false",
            next_step=TENANT_FILE.next_step,
        )
    return TenantFile(vendor, name, path.parent / mapping, signed, held)


def journal_of(settings: Settings, tenant: TenantFile) -> Journal:
    """Raises SettingsError for a name under which another vendor's tenant is known."""
    from pdp.delivery.journal import Journal
    from pdp.errors import SettingsError

    journal = Journal(settings.state_path, tenant.name)
    applied, in_hand = journal.applied(), journal.in_hand()
    vendors = {one.vendor for one in (applied, None if in_hand is None else in_hand.plan) if one is not None}
    if vendors - {tenant.vendor}:
        raise SettingsError(f"`{tenant.name}` is a tenant of `{vendors.pop()}`: give this one a name of its own")
    return journal


def hands_of(tenant: TenantFile) -> tuple[Courier, Tenant]:
    """Raises SettingsError."""
    from connectors.registry import real_setup
    from connectors.sase.couriers import courier_of, tenant_of
    from pdp.commands.export_targets import read_mapping_file

    courier = courier_of(tenant.vendor, read_mapping_file(tenant.mapping))
    return courier, tenant_of(tenant.vendor, real_setup(tenant.name, tenant.access), courier)


def held_export(
    settings: Settings, terminal: Terminal, tenant: TenantFile, folder: Path, children: int | None
) -> Export:
    """An export that may be delivered: of the policy of record, for this vendor and mapping, unaltered, signed where
    that is asked for, and sound by the policy of now. Raises ExportError, SettingsError, DirectoryError.
    """
    from hashlib import sha256

    from pdp.commands.bundle_space import open_space
    from pdp.commands.composed import bundle_of, run
    from pdp.commands.export_files import read_files
    from pdp.commands.export_targets import make_target, read_mapping_file
    from pdp.errors import SettingsError
    from pdp.export.checking import CERTIFICATE, mapping_digest
    from pdp.export.exporting import signer, verify
    from pdp.revisions.statement import read_keys

    files = read_files(folder)
    _refuse_other_policy(settings, files)
    keys = read_keys(settings.bundle_keys)
    if tenant.require_signature and not keys:
        raise SettingsError("the tenant's file asks for a signed export, and `bundle_keys` names no key")
    signer(files, keys)
    mapping = read_mapping_file(tenant.mapping)
    target = make_target(tenant.vendor, mapping)
    space, _ = run(open_space(settings, bundle_of(settings), terminal, children))
    verify(space, target, files, mapping_sha256=mapping_digest(mapping))
    return Export(files, sha256(files[CERTIFICATE]).hexdigest())


def _refuse_other_policy(settings: Settings, files: Mapping[str, bytes]) -> None:
    """Attack: a policy that nobody approved, or that was taken back, goes to the vendor by way of `--bundle`.

    Where nothing was ever activated the configured bundle decides, and is compared with.
    """
    from pdp.commands.composed import store_of
    from pdp.errors import ExportError
    from pdp.export.exporting import read_certificate
    from pdp.revisions.opening import open_registers

    with store_of(settings) as store:
        active = open_registers(settings, store).activations.current()
    if active is not None and active.digest != read_certificate(files).policy_digest:
        raise ExportError(
            f"the policy of record is another one, revision `{active.name}`",
            next_step="export that one: at the console, or from its files with `--bundle`",
        )


async def planned(tenant: TenantFile, export: Export, journal: Journal, *, adopt: bool, quiet_only: bool) -> InHand:
    """What would be done now. Raises ExportError, ConnectorError."""
    from pdp.delivery.journal import InHand
    from pdp.delivery.planning import make_plan

    courier, hands = hands_of(tenant)
    async with hands:
        standing = await hands.read()
    known: frozenset[Key] | None = None if adopt else journal.known()
    applied = journal.applied()
    finished = applied is not None and applied.export == export.digest and journal.in_hand() is None
    plan = make_plan(
        courier.things(export.files),
        standing,
        courier.capabilities,
        courier.stand_in,
        vendor=tenant.vendor,
        tenant=tenant.name,
        export=export.digest,
        known=known,
        quiet_only=quiet_only,
        unpushed=not finished,
    )
    return InHand(plan, standing.held)


async def carried_out(
    settings: Settings,
    tenant: TenantFile,
    in_hand: InHand,
    journal: Journal,
    told: Callable[[Step], None],
) -> Applied:
    """Apply the plan in hand, each step to the trail. Raises as `apply` does."""
    import asyncio

    from pdp.delivery.applying import Bounds, Hands, apply
    from pdp.parts import utc_now
    from pdp.trail.keeping import Trail, trail_path

    trail = Trail(trail_path(settings.state_path), node=settings.node, clock=utc_now, prefix="c")

    async def tell(step: Step) -> None:
        await trail.append(_event(tenant, in_hand, step))
        told(step)

    _, hands = hands_of(tenant)
    try:
        async with hands:
            return await apply(in_hand, hands, journal, Hands(_now, asyncio.sleep, tell), Bounds())
    finally:
        await trail.close()


async def looked_at(tenant: TenantFile, journal: Journal) -> tuple[Difference, ...]:
    """How the tenant differs from what was delivered; written down for `pdp doctor`. Raises ExportError where nothing
    was delivered, ConnectorError.
    """
    from pdp.delivery.drift import drift
    from pdp.delivery.journal import Looked
    from pdp.errors import ConnectorError, ExportError

    applied = journal.applied()
    if applied is None:
        raise ExportError("nothing was delivered to this tenant from here", next_step="see `pdp export apply`")
    _, hands = hands_of(tenant)
    try:
        async with hands:
            found = drift(applied.held, await hands.read())
    except ConnectorError as fault:
        journal.looked(Looked(_now(), None, fault.fault))
        raise
    journal.looked(Looked(_now(), sum(one.counts for one in found)))
    return found


async def every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    """Again and again, until SIGTERM or SIGINT."""
    import asyncio
    import signal

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    while not ended.is_set():
        await look()
        try:
            await asyncio.wait_for(ended.wait(), seconds)
        except TimeoutError:
            continue


def _event(tenant: TenantFile, in_hand: InHand, step: Step) -> Any:
    from pdp.parts import new_id, utc_now
    from pdp.trail.event import event_of
    from pdp.trail.keeping import os_user

    parameters = {
        "vendor": tenant.vendor,
        "tenant": tenant.name,
        "plan": in_hand.plan.digest,
        "step": step.number,
        "op": step.op,
        "phase": step.phase,
        "live": step.live,
    }
    key = "" if step.key is None else str(step.key)
    return event_of(new_id(), utc_now(), os_user(), "export.step", "done", object=key, parameters=parameters)


def _now() -> str:
    from pdp.parts import utc_now

    return utc_now().isoformat(timespec="seconds")
