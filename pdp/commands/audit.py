"""`pdp audit`: is the decision log whole?"""

from __future__ import annotations

from dataclasses import asdict

from typer import Exit, Typer

from pdp.commands.exit_codes import NO
from pdp.commands.options import AsJson, ConfigFile, LangOption, StateDir

app = Typer(no_args_is_help=True, help="Prove the decision log.")


@app.callback()
def audit() -> None:
    """Prove the decision log. What is kept, and what this can see: docs/decision-log.md."""


@app.command("verify")
def verify(
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Check every line of every segment against the one before. Exit code 1 where the log is broken."""
    from pdp.commands.composed import settings_of
    from pdp.commands.terminal import Terminal
    from pdp.declog.layout import Layout
    from pdp.declog.verify import BREAKS, verify_segments
    from pdp.errors import NotReadyError

    terminal = Terminal(lang, as_json=as_json)
    place = settings_of(config, state_dir=state_dir).state_path / "decisions"
    if not place.is_dir():
        raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
    records, findings = verify_segments(Layout(place))
    broken = sum(finding.kind in BREAKS for finding in findings)
    for finding in findings:
        style = "bold red" if finding.kind in BREAKS else "yellow"
        terminal.say(f"{finding.kind}  {finding.segment}" + (f"  {finding.at}" if finding.at else ""), style=style)
    if as_json:
        terminal.json({"ok": broken == 0, "records": records, "findings": [asdict(finding) for finding in findings]})
    terminal.say(
        terminal.pick(f"記録 {records} 件を確認、破損 {broken} 件", f"{records} records proven, {broken} breaks"),
        style="bold red" if broken else "bold green",
    )
    if broken:
        raise Exit(NO)
