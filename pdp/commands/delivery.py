"""`pdp export plan`, `apply` and `drift`: exported rules into a vendor's tenant, and whether they are still there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NO, NOT_READY
from pdp.commands.filling import fill
from pdp.commands.options import BundleDir, Children

if TYPE_CHECKING:
    from typer import Typer

    from pdp.commands.delivering import Export, TenantFile
    from pdp.commands.terminal import Terminal
    from pdp.delivery.journal import InHand, Journal
    from pdp.settings import Settings

_Vendor = Annotated[str, Argument(metavar="VENDOR", help="Whose tenant: prisma, …")]
_From = Annotated[Path, Option("--from", metavar="DIR", help="An exported folder; its certificate has to hold.")]
_Tenant = Annotated[
    Path,
    Option("--tenant", metavar="FILE", help="YAML: its name, mapping and access; docs/export-delivery.md."),
]
_Adopt = Annotated[bool, Option("--adopt", help="Take over what has names of ours and was not delivered from here.")]
_Quiet = Annotated[
    bool, Option("--report-only", help="Stop once everything new is there without effect (where the vendor can).")
]


def register(app: Typer) -> None:
    """Beside the targets of `pdp export`."""
    app.command("plan")(plan)
    app.command("apply")(apply)
    app.command("drift")(drift)
    app.command("fill")(fill)


@spread
def plan(
    call: StateCall,
    vendor: _Vendor,
    folder: _From,
    tenant_file: _Tenant,
    adopt: _Adopt = False,
    report_only: _Quiet = False,
    bundle: BundleDir = None,
    children: Children = None,
) -> None:
    """What would be done to the tenant, in the safe order. Changes nothing."""
    from pdp.commands.composed import run
    from pdp.commands.delivering import held_export, journal_of, planned, read_tenant_file
    from pdp.commands.delivery_telling import show_plan

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    tenant = read_tenant_file(vendor, tenant_file)
    journal = journal_of(settings, tenant)
    export = held_export(settings, terminal, tenant, folder, children)
    show_plan(terminal, run(planned(tenant, export, journal, adopt=adopt, quiet_only=report_only)).plan)


@spread
def apply(
    call: StateCall,
    vendor: _Vendor,
    folder: _From,
    tenant_file: _Tenant,
    yes: Annotated[bool, Option("--yes", help="Do it. Without it the plan is shown, and nothing is done.")] = False,
    digest: Annotated[
        str | None, Option("--plan", metavar="DIGEST", help="Only if the plan is the one with this digest.")
    ] = None,
    anew: Annotated[bool, Option("--anew", help="Give up an apply that was cut off; plan from what stands.")] = False,
    reason: Annotated[str | None, Option("--reason", help="Why, for the trail.")] = None,
    adopt: _Adopt = False,
    report_only: _Quiet = False,
    bundle: BundleDir = None,
    children: Children = None,
) -> None:
    """Deliver an export, step by step, in the safe order; after a cut the same command goes on where it ended.

    Exit code 1: nothing was done, for want of `--yes`. 3: stopped on the way; what stands is said.
    """
    from pdp.commands.composed import run
    from pdp.commands.delivering import held_export, journal_of, planned, read_tenant_file
    from pdp.commands.delivery_telling import show_plan, show_resumed

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    tenant = read_tenant_file(vendor, tenant_file)
    journal = journal_of(settings, tenant)
    export = held_export(settings, terminal, tenant, folder, children)
    with journal.locked():
        in_hand = None if anew else _begun(journal, export, report_only=report_only)
        resumed = in_hand is not None
        if in_hand is None:
            in_hand = run(planned(tenant, export, journal, adopt=adopt, quiet_only=report_only))
        else:
            show_resumed(terminal, in_hand.plan, len({one.step for one in journal.lines() if one.is_ == "done"}))
        _refuse_other_plan(in_hand, digest)
        if not yes:
            show_plan(terminal, in_hand.plan)
            terminal.remark(terminal.pick("何もしていない。実行には --yes を付ける", "nothing was done: say --yes"))
            raise Exit(NO)
        if not resumed:
            journal.take(in_hand)
        _carry_out(settings, tenant, in_hand, journal, terminal, reason)


def _begun(journal: Journal, export: Export, *, report_only: bool) -> InHand | None:
    """The plan that was cut off. Raises ConflictError for another export's, or one that does more than report."""
    from pdp.errors import ConflictError

    found = journal.in_hand()
    if found is not None and found.plan.export != export.digest:
        raise ConflictError(
            "an apply of another export was cut off in this tenant",
            next_step="run it again with the folder that it was begun with, or plan from what stands with `--anew`",
        )
    if found is not None and report_only and any(step.phase != "prepare" for step in found.plan.steps):
        raise ConflictError(
            "the apply that was cut off puts rules in force",
            next_step="run it again without `--report-only`, or plan from what stands with `--anew`",
        )
    return found


def _refuse_other_plan(in_hand: InHand, digest: str | None) -> None:
    from pdp.errors import ConflictError

    if digest is not None and digest != in_hand.plan.digest:
        raise ConflictError(f"the plan is another one by now: `{in_hand.plan.digest}`", next_step="look at it again")


def _carry_out(
    settings: Settings,
    tenant: TenantFile,
    in_hand: InHand,
    journal: Journal,
    terminal: Terminal,
    reason: str | None,
) -> None:
    """Between an event that says it begins and one that says how it ended."""
    from pdp.commands.composed import run
    from pdp.commands.delivering import carried_out
    from pdp.commands.delivery_telling import show_applied, show_step
    from pdp.trail.keeping import noted

    made = in_hand.plan
    parameters = {"vendor": tenant.vendor, "tenant": tenant.name, "plan": made.digest, "export": made.export}
    with noted(settings, "export.apply", parameters, object=tenant.name, reason=reason) as found:
        applied = run(carried_out(settings, tenant, in_hand, journal, lambda step: show_step(terminal, made, step)))
        found.rows = len(made.steps)
    show_applied(terminal, made, applied)


@spread
def drift(
    call: StateCall,
    vendor: _Vendor,
    tenant_file: _Tenant,
    seconds: Annotated[
        float | None, Option("--every", min=60, help="Look again and again, with so many seconds between.")
    ] = None,
) -> None:
    """What of the tenant is no longer as it was delivered. Exit code 1 where something is; 3 where nobody answers."""
    from pdp.commands.composed import run
    from pdp.commands.delivering import every, journal_of, looked_at, read_tenant_file
    from pdp.commands.delivery_telling import show_drift
    from pdp.errors import ConnectorError
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    tenant = read_tenant_file(vendor, tenant_file)
    journal = journal_of(settings, tenant)

    async def look() -> bool:
        found = await looked_at(tenant, journal)
        show_drift(terminal, tenant.name, found)
        return any(one.counts for one in found)

    async def look_on() -> None:
        """A tenant that does not answer is looked at again later; it stands in drift.json and in the log."""
        try:
            await look()
        except ConnectorError as fault:
            terminal.remark(f"{tenant.name}: {fault.message}", style="yellow")

    parameters = {"vendor": vendor, "tenant": tenant.name, "every_s": None if seconds is None else int(seconds)}
    if seconds is not None:
        record_query(settings, "export.drift", parameters, object=tenant.name, outcome="begun")
        run(every(seconds, look_on))
        return
    try:
        drifted = run(look())
    except ConnectorError as fault:
        record_query(settings, "export.drift", parameters, object=tenant.name, outcome="failed", error=fault.code)
        terminal.remark(f"{tenant.name}: {fault.message}", style="bold red")
        raise Exit(NOT_READY) from None
    record_query(settings, "export.drift", parameters, object=tenant.name)
    if drifted:
        raise Exit(NO)
