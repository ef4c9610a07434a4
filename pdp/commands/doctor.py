"""`pdp doctor`: what is configured, reachable, stale. It looks, and changes nothing."""

from __future__ import annotations

from dataclasses import asdict

from typer import Exit

from pdp.commands.call import StoreCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import BundleDir, EngineChoice, OpaUrl


@spread
def doctor(call: StoreCall, bundle: BundleDir = None, engine: EngineChoice = None, opa_url: OpaUrl = None) -> None:
    """Look at everything the service needs. Exit code 1 where something fails."""
    from pdp.commands.checkup import Checkup
    from pdp.commands.composed import run
    from pdp.commands.finding import MARK, STYLE
    from pdp.parts import utc_now
    from pdp.settings import origins

    terminal = call.terminal
    judged = {"bundle": bundle, "engine": engine, "opa_url": opa_url}
    settings = call.settings(**judged)
    given = judged | {"state_dir": call.state_dir, "database_url": call.database_url}
    said = origins(call.config) | {name: "command line" for name, value in given.items() if value is not None}
    findings = []
    for finding in run(Checkup(settings, said, utc_now(), terminal.pick).all()):
        findings.append(finding)
        terminal.say(f"{MARK[finding.status]}  {finding.topic}: {finding.detail}", style=STYLE[finding.status])
        if finding.next_step:
            terminal.say(f"      → {finding.next_step}")
    failed = sum(finding.status == "fail" for finding in findings)
    warned = sum(finding.status == "warn" for finding in findings)
    terminal.answer(
        {"ok": failed == 0, "findings": [asdict(finding) for finding in findings]},
        terminal.pick(f"異常 {failed} 件、注意 {warned} 件", f"{failed} failed, {warned} warnings"),
        style="bold red" if failed else "bold green",
    )
    if failed:
        raise Exit(NO)
