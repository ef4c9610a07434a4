"""`pdp directory import`: registers from files, all rows or none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Exit, Option

from pdp.commands.call import StoreCall, spread
from pdp.commands.exit_codes import USAGE
from pdp.commands.options import BundleDir

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.directory.difference import RegisterDifference
    from pdp.directory.importer import ImportReport
    from pdp.settings import Settings

_MANY_ROWS = 20  # of one register that are named; the rest is counted


@spread
def import_files(
    call: StoreCall,
    paths: Annotated[list[Path], Argument(metavar="FILE_OR_DIR...", help="CSV and YAML files, or folders of them.")],
    mode: Annotated[
        Literal["merge", "replace"], Option(help="replace: what the files do not name is removed.")
    ] = "merge",
    dry_run: Annotated[bool, Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    allow_removals: Annotated[
        float | None, Option(min=0, max=100, help="Percent of a register that may be removed; default: 10.")
    ] = None,
    bundle: BundleDir = None,
) -> None:
    """Import registers: all rows, or none where one of them is wrong. Every wrong row is named."""
    import getpass

    from pdp.commands.composed import store_of
    from pdp.commands.telling import telling
    from pdp.directory.importer import ALLOWED_REMOVALS_PERCENT, import_directory
    from pdp.parts import utc_now

    terminal, settings = call.terminal, call.settings(bundle=bundle)
    known = _catalogue(settings)
    busy = terminal.busy(terminal.pick("取込み", "importing"))
    with store_of(settings) as store, telling(settings, terminal) as tell, busy:
        report = import_directory(
            store,
            paths,
            mode=mode,
            dry_run=dry_run,
            now=utc_now(),
            actor=getpass.getuser(),
            allow_removals=ALLOWED_REMOVALS_PERCENT if allow_removals is None else allow_removals,
            known_resources=known,
        )
        if report.outcome == "imported":
            tell("directory", str(report.epoch))
    if terminal.as_json:
        terminal.json(_report_json(report))
        if report.outcome == "refused":
            raise Exit(USAGE)
    else:
        _show_report(terminal, report.require())


def _catalogue(settings: Settings) -> frozenset[str] | None:
    """The systems that the bundle knows; None for a `plain` one, which has no catalogue."""
    from pdp.facts.reference import read_reference
    from pdp.parts import configured_bundle

    found = configured_bundle(settings)
    return frozenset(read_reference(found.data).catalogue) if found.profile == "zta" else None


def _report_json(report: ImportReport) -> dict[str, Any]:
    return {
        "outcome": report.outcome,
        "mode": report.mode,
        "epoch": report.epoch,
        "files": [{"name": file.name, "sha256": file.sha256, "bytes": file.bytes} for file in report.files],
        "differences": {
            register: {
                "added": list(part.added),
                "changed": {changed.key: list(changed.fields) for changed in part.changed},
                "removed": list(part.removed),
            }
            for register, part in report.differences.items()
        },
        "faults": [
            {"file": f.file, "line": f.line, "column": f.column, "message": f.message, "next": f.next_step}
            for f in report.faults
        ],
        "fault_count": report.fault_count,
        "kept_newer": list(report.kept_newer),
    }


def _show_report(terminal: Terminal, report: ImportReport) -> None:
    outcomes = {
        "imported": terminal.pick(f"取り込んだ（版 {report.epoch}）", f"imported (epoch {report.epoch})"),
        "unchanged": terminal.pick("台帳と同じで、変更はない", "the directory holds the same already"),
        "dry_run": terminal.pick("試行: 何も変えていない", "dry run: nothing was changed"),
    }
    for register, part in report.differences.items():
        _show_difference(terminal, register, part)
    if report.kept_newer:
        terminal.say(
            terminal.pick(
                f"{len(report.kept_newer)} 台は台帳の状態の方が新しいため残した",
                f"of {len(report.kept_newer)} devices the directory holds a newer posture, which was kept",
            )
        )
    terminal.say(outcomes.get(report.outcome, report.outcome), style="bold green")


def _show_difference(terminal: Terminal, register: str, part: RegisterDifference) -> None:
    counts = part.counts
    terminal.say(f"{register}: +{counts.added} ~{counts.changed} -{counts.removed}", style="bold")
    rows = [
        *(f"+ {key}" for key in part.added),
        *(f"~ {changed.key} ({', '.join(changed.fields)})" for changed in part.changed),
        *(f"- {key}" for key in part.removed),
    ]
    # Removals go first: they are what somebody must not overlook.
    shown = sorted(rows, key=lambda row: "-~+".index(row[0]))[:_MANY_ROWS]
    for row in shown:
        terminal.say(f"  {row}")
    if len(rows) > len(shown):
        more = len(rows) - len(shown)
        terminal.say(f"  … {terminal.pick(f'ほか {more} 件', f'and {more} more')}", style="dim")
