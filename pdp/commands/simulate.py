"""`pdp simulate`: what a change would do before it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import Call, StoreCall, spread
from pdp.commands.options import BundleDir, EngineChoice, OpaUrl

app = Typer(no_args_is_help=True, help="What a change would do before it is made.")


@app.callback()
def simulate() -> None:
    """What a change would do before it is made."""


@app.command("population")
@spread
def population(
    call: StoreCall,
    against: Annotated[
        Path | None, Option("--against", metavar="DIR", help="The draft; without it the same policy, at another time.")
    ] = None,
    at: Annotated[
        str | None, Option("--at", metavar="TIME", help="When the draft decides (with its offset); default: now.")
    ] = None,
    now: Annotated[
        str | None, Option("--now", metavar="TIME", help="When the active policy decides; default: now.")
    ] = None,
    contexts: Annotated[
        Path | None, Option("--contexts", metavar="FILE", help="Circumstances to ask under (YAML); default: the usual.")
    ] = None,
    samples: Annotated[int, Option("--samples", min=0, max=100, help="Cells that are named of each change.")] = 3,
    out: Annotated[Path | None, Option("--out", metavar="FILE", help="Write the whole result here, as JSON.")] = None,
    demo: Annotated[bool, Option("--demo", help="Ask of the demonstration prefecture.")] = False,
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """Everybody with every terminal of theirs and every system, before and after: who gains, who loses. Ctrl-C ends it.

    Exit code 130 where it was ended early: then there is no result. Docs: foresight.md.
    """
    from pdp.commands.composed import run
    from pdp.commands.simulate_population import Wanted, everybody

    terminal, settings = call.terminal, call.settings(bundle=bundle, engine=engine, opa_url=opa_url)
    run(everybody(terminal, settings, Wanted(against, at, now, contexts, samples, out, demo)))


@app.command("request")
@spread
def request(
    call: Call,
    source: Annotated[Path, Argument(metavar="FILE", help="A `pdp.input/v1` document; `-` for stdin.")],
    fact: Annotated[
        list[str] | None, Option("--fact", metavar="FACT=VALUE", help="Another value of a fact; several times.")
    ] = None,
    former: Annotated[
        Path | None, Option("--former", metavar="DIR", help="The policy before it, as in a time of warning.")
    ] = None,
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """One request with any fact changed: what decided, every condition not met, the smallest ways to an allow.

    Exit code 0 for allow and limit, 1 for deny and step-up; with `--former` for what would count in a time of
    warning. Docs: foresight.md.
    """
    from pdp.commands.composed import run
    from pdp.commands.exit_codes import NO
    from pdp.commands.simulate_request import hypothetical

    terminal, settings = call.terminal, call.settings(bundle=bundle, engine=engine, opa_url=opa_url)
    if not run(hypothetical(terminal, settings, source, fact or [], former)):
        raise Exit(NO)
