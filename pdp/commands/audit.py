"""`pdp audit`: is the decision log whole?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Exit, Option, Typer

from pdp.commands import audit_proof, audit_ship
from pdp.commands.exit_codes import NO
from pdp.commands.options import AsJson, ConfigFile, LangOption, StateDir

app = Typer(no_args_is_help=True, help="Prove the decision log.")


@app.callback()
def audit() -> None:
    """Prove the decision log. What is kept, and what this can see: docs/decision-log.md."""


app.command("prove")(audit_proof.prove)
app.command("consistency")(audit_proof.consistency)
app.command("checkpoint")(audit_proof.checkpoint)
app.command("keys")(audit_proof.keys)
app.command("rotate-key")(audit_proof.rotate_key)
app.command("ship")(audit_ship.ship)
app.command("status")(audit_ship.status)


@app.command("verify")
def verify(
    anchors: Annotated[
        list[Path] | None,
        Option("--anchor", help="File of signed heads kept elsewhere, or a syslog with them.", exists=True),
    ] = None,
    key_file: Annotated[
        Path | None,
        Option("--keys", help="Your own copy of the public keys; default: those beside the log.", exists=True),
    ] = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Check each line against the one before, and all against the signed heads. Exit code 1: the log is broken."""
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal
    from pdp.declog.layout import Layout
    from pdp.declog.verify import BREAKS
    from pdp.errors import NotReadyError, SettingsError
    from pdp.transparency.inspection import inspect, read_keys

    terminal = Terminal(lang, as_json=as_json)
    place = settings_of(config, state_dir=state_dir).state_path / "decisions"
    if not place.is_dir():
        raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
    trusted = None if key_file is None else read_keys(key_file)
    if trusted == []:
        raise SettingsError(
            "the file of public keys holds something else", next_step="give the lines of `pdp audit keys`"
        )
    archived, restore = audit_proof.store_of(place)
    report = inspect(Layout(place), trusted=trusted, anchors=anchors or (), archived=archived, restore=restore)
    rows = audit_proof.damaged_rows(place)
    records, broken = report.records, report.breaks + len(rows)
    for name in rows:
        terminal.say(f"damaged_store  {name}", style="bold red")
    for finding in report.findings:
        style = "bold red" if finding.kind in BREAKS else "yellow"
        span = f"  {finding.at}" + (f"-{finding.until}" if finding.until else "") if finding.at else ""
        terminal.say(f"{finding.kind}  {finding.segment}{span}", style=style)
    if as_json:
        findings = [asdict(finding) for finding in report.findings]
        logs = [asdict(log) for log in report.logs]
        findings += [{"segment": name, "kind": "damaged_store", "at": 0, "until": 0} for name in rows]
        terminal.json({"ok": broken == 0, "records": records, "findings": findings, "logs": logs})
    for log in report.logs:
        terminal.say(
            terminal.pick(
                f"{log.origin}: 署名済み記録 {log.covered} 件（木の大きさ {log.size}）",
                f"{log.origin}: {log.covered} records under signed heads (tree of {log.size})",
            )
        )
    terminal.say(
        terminal.pick(f"記録 {records} 件を確認、破損 {broken} 件", f"{records} records proven, {broken} breaks"),
        style="bold red" if broken else "bold green",
    )
    if broken:
        raise Exit(NO)
