"""`pdp scenario`: stories with their expected answers, run through a whole checkpoint in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import Call, StateCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import AsJson, BundleDir, EngineChoice, LangOption, OpaUrl

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.scenario.files import Misread
    from pdp.scenario.format import Scenario
    from pdp.scenario.runner import StepResult
    from pdp.settings import Settings

app = Typer(no_args_is_help=True, help="Run stories with their expected answers.")


@app.callback()
def scenario() -> None:
    """Run stories with their expected answers. The format: docs/scenarios.md."""


@app.command("run")
@spread
def run_scenarios(
    call: Call,
    paths: Annotated[list[Path], Argument(help="Scenario files (YAML; tables: .csv, .xlsx), or directories of YAML.")],
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """Run scenarios; the last line is `N passed, M failed`. Exit code 1 where one failed."""
    from pdp.commands.composed import run

    terminal, settings = call.terminal, call.settings(bundle=bundle, engine=engine, opa_url=opa_url)
    told, misread = run(_run(settings, paths, terminal))
    failed = [results for results in told if any(result.faults for result in results)]
    if terminal.as_json:
        terminal.json(_as_json(told, misread, len(failed)))
    else:
        for results in failed:
            _show(terminal, results)
        for one in misread:
            terminal.say(f"FAILED {one.id}", style="bold red")
            terminal.say(f"  {one.where}", style="dim")
            terminal.say(f"  {one.fault}")
        terminal.say(f"{len(told) - len(failed)} passed, {len(failed) + len(misread)} failed")
    if failed or misread:
        raise Exit(NO)


@app.command("from-log")
@spread
def from_log(
    call: StateCall,
    decision_id: Annotated[str, Argument(metavar="ID", help="The decision's id.")],
    name: Annotated[str | None, Option("--name", help="The scenario's id; default: made from the decision's.")] = None,
    bundle: BundleDir = None,
) -> None:
    """Tell a recorded decision as a scenario on stdout: the same facts about invented people, and the answer."""
    from pdp.commands.composed import run
    from pdp.commands.scenario_log import tell_record

    terminal = call.terminal
    run(tell_record(terminal, call.settings(bundle=bundle), decision_id, name))


@app.command("to-csv")
def to_csv(
    paths: Annotated[list[Path], Argument(help="Scenario files (YAML), or directories of them.")],
    out: Annotated[Path, Option("--out", "-o", help="The table: a file .csv, or .xlsx for a workbook.")],
    lang: LangOption = None,
) -> None:
    """Write scenarios as a table, which people edit in a spreadsheet; `from-csv` and `run` read it."""
    from pdp.commands.scenario_table import write
    from pdp.commands.terminal import Terminal

    write(Terminal(lang, as_json=False), paths, out)


@app.command("from-csv")
def from_csv(
    table: Annotated[Path, Argument(help="A table: .csv or .xlsx.")],
    out: Annotated[Path | None, Option("--out", "-o", help="A file for the scenarios (YAML); default: stdout.")] = None,
    as_json: AsJson = False,
    lang: LangOption = None,
) -> None:
    """Read a table of scenarios, and write them as YAML. Exit code 1, and each cell at fault, where it holds others."""
    from pdp.commands.scenario_table import read
    from pdp.commands.terminal import Terminal

    if not read(Terminal(lang, as_json=as_json), table, out):
        raise Exit(NO)


async def _run(
    settings: Settings, paths: list[Path], terminal: Terminal
) -> tuple[list[list[StepResult]], list[Misread]]:
    from pdp.commands.composed import bundle_of, engine_for
    from pdp.parts import open_cache
    from pdp.scenario.files import Misread, read_all
    from pdp.scenario.format import Scenario
    from pdp.scenario.in_process import InProcess
    from pdp.scenario.runner import run_scenario

    read = read_all(paths)
    scenarios = [one for one in read if isinstance(one, Scenario)]
    bundle = bundle_of(settings)
    told: list[list[StepResult]] = []
    async with engine_for(settings, bundle) as activation, open_cache(settings) as cache:
        footprint = activation.active().footprint
        way = InProcess(activation.engine, bundle, footprint=footprint, cache=cache)
        with terminal.progress(terminal.pick("シナリオ", "scenarios"), len(scenarios)) as advance:
            for story in scenarios:
                told.append(await run_scenario(story, way, way.reference))
                advance(1)
    return told, [one for one in read if isinstance(one, Misread)]


def _title(terminal: Terminal, story: Scenario) -> str:
    return story.title.get(terminal.lang) or story.title.get("en") or ""


def _show(terminal: Terminal, results: list[StepResult]) -> None:
    story = results[0].scenario
    terminal.say(f"FAILED {story.id}  {_title(terminal, story)}".rstrip(), style="bold red")
    terminal.say(f"  {story.where}", style="dim")
    for result in results:
        for fault in result.faults:
            terminal.say(f"  step {result.step}: {fault}")


def _as_json(told: list[list[StepResult]], misread: list[Misread], failed: int) -> dict[str, Any]:
    return {
        "passed": len(told) - failed,
        "failed": failed + len(misread),
        "misread": [{"id": one.id, "where": one.where, "fault": one.fault} for one in misread],
        "scenarios": [
            {
                "id": results[0].scenario.id,
                "where": results[0].scenario.where,
                "passed": not any(result.faults for result in results),
                "steps": [
                    {
                        "step": result.step,
                        "outcome": result.answer.outcome,
                        "reasons": list(result.answer.reasons or ()),
                        "faults": list(result.faults),
                    }
                    for result in results
                ],
            }
            for results in told
        ],
    }
