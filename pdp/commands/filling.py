"""`pdp export fill`: the groups and device attributes that delivered rules name, written into a vendor's directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from typer import Argument, Exit, Option

from pdp.commands.call import StoreCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import BundleDir, Children

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sase.entra_filling import EntraFiller, Found
    from pdp.commands.delivering import Export, TenantFile
    from pdp.commands.terminal import Terminal
    from pdp.export.filling import Membership
    from pdp.settings import Settings

_VENDORS: Final = ("entra",)
_FEW: Final = 20  # so many memberships may always go at once
_SHARE: Final = 0.3  # of all that there are; more is a register that was emptied, or a mistake
_SHOWN: Final = 20  # names on a terminal; `--json` has all
_DEVICE_ID: Final = "entra_device_id "  # begins the aliases that are Entra's ids of devices

_Vendor = Annotated[str, Argument(metavar="VENDOR", help="Whose directory: entra.")]
_From = Annotated[Path, Option("--from", metavar="DIR", help="The exported folder that is delivered.")]
_Tenant = Annotated[Path, Option("--tenant", metavar="FILE", help="YAML: as for `pdp export apply`.")]
_Yes = Annotated[bool, Option("--yes", help="Do it. Without it what would be done is shown, and nothing is done.")]
_Mass = Annotated[
    bool, Option("--allow-mass", help="Also where more than 30 % of all memberships and attributes would go.")
]


@spread
def fill(
    call: StoreCall,
    vendor: _Vendor,
    folder: _From,
    tenant_file: _Tenant,
    yes: _Yes = False,
    allow_mass: _Mass = False,
    bundle: BundleDir = None,
    children: Children = None,
) -> None:
    """Put people and devices into the groups and sets that delivered rules name, by the registers as they stand.

    Who does not belong there goes first. Exit code 1: nothing was done, for want of `--yes`.
    """
    from pdp.commands.composed import run
    from pdp.commands.delivering import held_export, read_tenant_file
    from pdp.errors import SettingsError

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    if vendor not in _VENDORS:
        raise SettingsError(f"there is nothing to fill at `{vendor}`; there is at {', '.join(_VENDORS)}")
    tenant = read_tenant_file(vendor, tenant_file)
    export = held_export(settings, terminal, tenant, folder, children)
    members, devices = _belonging(settings, export)
    found = run(_looked(tenant, members, devices))
    _show(terminal, tenant.name, found, members.unfilled)
    _refuse_mass(found, allow_mass=allow_mass)
    if not yes:
        terminal.remark(terminal.pick("何もしていない。実行には --yes を付ける", "nothing was done: say --yes"))
        raise Exit(NO)
    _carry_out(settings, tenant, found, terminal)


def _belonging(settings: Settings, export: Export) -> tuple[Membership, dict[str, tuple[str, ...]]]:
    """Who belongs where, and the words of each device by Entra's own id of it."""
    import msgspec

    from connectors.sase.entra_filling import meanings
    from pdp.commands.composed import store_of
    from pdp.commands.export_targets import model_in
    from pdp.directory.reading import read_aliases
    from pdp.directory.snapshot import load_snapshot
    from pdp.export.filling import Meaning, membership
    from pdp.parts import utc_now

    groups, words = (msgspec.convert(held, dict[str, Meaning], strict=True) for held in meanings(export.files))
    with store_of(settings) as store:
        snapshot = load_snapshot(store, utc_now())
        with store.read() as connection:
            aliases = read_aliases(connection)
    found = membership(groups, words, model_in(export.files), snapshot, utc_now())
    theirs = {key.removeprefix(_DEVICE_ID): one.device for key, one in aliases.items() if key.startswith(_DEVICE_ID)}
    return found, {entra: found.devices.get(device, ()) for entra, device in theirs.items()}


def _hands(tenant: TenantFile) -> EntraFiller:
    from connectors.registry import real_setup
    from connectors.sase.entra_filling import filler
    from pdp.commands.export_targets import read_mapping_file

    return filler(real_setup(tenant.name, tenant.access), read_mapping_file(tenant.mapping))


async def _looked(tenant: TenantFile, members: Membership, devices: Mapping[str, tuple[str, ...]]) -> Found:
    async with _hands(tenant) as hands:
        return await hands.look(members.people, devices)


def _refuse_mass(found: Found, *, allow_mass: bool) -> None:
    """Raises ConflictError. A register that is empty by mistake takes the access of everybody."""
    from pdp.errors import ConflictError

    if not allow_mass and found.taken_away > max(_FEW, _SHARE * found.held):
        raise ConflictError(
            f"{found.taken_away} of {found.held} memberships and attributes would go",
            next_step="look at the registers; `--allow-mass` does it all the same",
        )


def _carry_out(settings: Settings, tenant: TenantFile, found: Found, terminal: Terminal) -> None:
    from pdp.commands.composed import run
    from pdp.trail.keeping import noted

    parameters = {"vendor": tenant.vendor, "tenant": tenant.name, "changes": len(found.changes)}
    with noted(settings, "export.fill", parameters, object=tenant.name) as told:
        run(_written(tenant, found))
        told.rows = len(found.changes)
    count = len(found.changes)
    terminal.say(
        terminal.pick(f"{tenant.name}: {count} 件を反映した", f"{tenant.name}: {count} written"), style="bold green"
    )


async def _written(tenant: TenantFile, found: Found) -> None:
    async with _hands(tenant) as hands:
        for change in found.changes:
            await hands.do(change)


def _show(terminal: Terminal, name: str, found: Found, unfilled: tuple[str, ...]) -> None:
    leave, write, join = (
        sum(len(one.names) for one in found.changes if one.what == what) for what in ("leave", "attribute", "join")
    )
    if terminal.as_json:
        said: dict[str, Any] = {"ok": True, "tenant": name, "leave": leave, "attribute": write, "join": join}
        changes = [
            {"what": one.what, "place": one.place, "names": list(one.names), "value": one.value}
            for one in found.changes
        ]
        terminal.json(
            {**said, "held": found.held, "absent": list(found.absent), "unfilled": list(unfilled), "changes": changes}
        )
        return
    terminal.say(
        terminal.pick(
            f"{name}: グループから外す {leave}、端末属性を書く {write}、グループに加える {join}",
            f"{name}: {leave} leave a group, {write} attributes of devices, {join} join a group",
        )
    )
    if found.absent:
        shown = ", ".join(found.absent[:_SHOWN])
        terminal.say(terminal.pick(f"テナントにない: {shown}", f"not in the tenant: {shown}"), style="yellow")
    if unfilled:
        shown = ", ".join(unfilled)
        terminal.say(
            terminal.pick(f"台帳では分からないグループ: {shown}", f"groups that no register fills: {shown}"),
            style="yellow",
        )
