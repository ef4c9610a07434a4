"""`pdp doctor`: what is configured, reachable, stale. It looks, and changes nothing."""

from __future__ import annotations

from dataclasses import asdict

from typer import Exit

from pdp.commands.exit_codes import NO
from pdp.commands.options import (
    AsJson,
    BundleDir,
    ConfigFile,
    DatabaseUrl,
    EngineChoice,
    LangOption,
    OpaUrl,
    StateDir,
)


def doctor(
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Look at everything the service needs. Exit code 1 where something fails."""
    from pdp.commands.checkup import Checkup
    from pdp.commands.composed import run, settings_of
    from pdp.commands.finding import MARK, STYLE
    from pdp.commands.terminal import Terminal
    from pdp.parts import utc_now
    from pdp.settings import origins

    terminal = Terminal(lang, as_json=as_json)
    given = {
        "bundle": bundle,
        "engine": engine,
        "opa_url": opa_url,
        "state_dir": state_dir,
        "database_url": database_url,
    }
    settings = settings_of(config, **given)
    said = origins(config) | {name: "command line" for name, value in given.items() if value is not None}
    findings = []
    for finding in run(Checkup(settings, said, utc_now(), terminal.pick).all()):
        findings.append(finding)
        terminal.say(f"{MARK[finding.status]}  {finding.topic}: {finding.detail}", style=STYLE[finding.status])
        if finding.next_step:
            terminal.say(f"      → {finding.next_step}")
    failed = sum(finding.status == "fail" for finding in findings)
    warned = sum(finding.status == "warn" for finding in findings)
    if as_json:
        terminal.json({"ok": failed == 0, "findings": [asdict(finding) for finding in findings]})
    terminal.say(
        terminal.pick(f"異常 {failed} 件、注意 {warned} 件", f"{failed} failed, {warned} warnings"),
        style="bold red" if failed else "bold green",
    )
    if failed:
        raise Exit(NO)
