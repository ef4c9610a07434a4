"""`pdp bundle mutate`: how many small wrong turns of the policy the tests notice, and which they do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import Call, spread
from pdp.commands.exit_codes import INTERRUPTED, NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.equivalents import Equivalent
    from pdp.commands.terminal import Terminal
    from pdp.engine.mutation import Case, Fate
    from pdp.settings import Settings


def register(app: Typer) -> None:
    """Add the command to the group."""
    app.command("mutate")(mutate)


@spread
def mutate(
    call: Call,
    directory: Annotated[
        Path | None, Argument(metavar="DIR", help="Bundle directory; default: the configured one.", show_default=False)
    ] = None,
    scenarios: Annotated[
        list[Path] | None, Option("--scenarios", metavar="PATH", help="Scenario files too; several times.")
    ] = None,
    only: Annotated[str | None, Option("--only", metavar="FILE", help="Only mutants of this file, or `data`.")] = None,
    every: Annotated[int, Option("--every", min=1, help="Only each Nth mutant: a quick look.")] = 1,
    at_least: Annotated[float, Option("--at-least", min=0, max=100, help="Exit code 1 below this score (%).")] = 90.0,
) -> None:
    """Change the policy a little, hundreds of times, and see whether its tests notice. Docs: bundles.md.

    Exit code 1 where the score is too low, or a test fails on the policy as it is; 130 where it was ended early.
    """
    from pdp.commands.composed import run

    terminal, settings = call.terminal, call.settings(bundle=None if directory is None else str(directory))
    code = run(_mutate(terminal, settings, scenarios or [], only, every, at_least))
    if code:
        raise Exit(code)


async def _mutate(  # the options of the command
    terminal: Terminal, settings: Settings, scenarios: list[Path], only: str | None, every: int, at_least: float
) -> int:
    import os

    from pdp.bundle.mutants import mutants_of
    from pdp.bundle.rego_tests import find_tests
    from pdp.commands.composed import bundle_of
    from pdp.commands.interrupting import ctrl_c
    from pdp.engine.mutation import Mutation, Suite
    from pdp.engine.syntax import parse_modules
    from pdp.errors import BundleError

    bundle = bundle_of(settings)
    modules, broken = parse_modules(bundle.modules)
    if broken:
        raise BundleError(broken[0].message, where=f"{broken[0].name}:{broken[0].line}:{broken[0].column}")
    tests = [test.name for test in find_tests(bundle.tests)]
    suite = Suite(bundle, tests, await _cases(settings, bundle, scenarios))
    mutation = Mutation(suite, os.cpu_count() or 1)
    look = await mutation.look()
    failing = [name for name, passed in zip(suite.names, look.passed, strict=True) if not passed]
    if failing or not suite.names:
        terminal.remark(
            terminal.pick("テストが通らない、またはない: ", "a test fails, or there is none: ") + " ".join(failing)
        )
        return NO
    mutants = [mutant for mutant in mutants_of(bundle, modules) if only in (None, mutant.file)][::every]
    with ctrl_c() as stop, terminal.progress(terminal.pick("変異", "mutants"), len(mutants)) as advance:
        fates = await mutation.run(mutants, look, advance, stop)
    score = _told(terminal, fates, _equivalents(settings), whole=len(fates) == len(mutants))
    if len(fates) < len(mutants):
        return INTERRUPTED
    return NO if score < at_least else 0


async def _cases(settings: Settings, bundle: Bundle, paths: list[Path]) -> list[Case]:
    from pdp.commands.composed import engine_for
    from pdp.scenario.cases import cases_of
    from pdp.scenario.files import read_all
    from pdp.scenario.format import Scenario
    from pdp.scenario.in_process import InProcess

    if not paths:
        return []
    stories = [one for one in read_all(paths) if isinstance(one, Scenario)]
    async with engine_for(settings, bundle) as activation:
        return await cases_of(stories, InProcess(activation.engine, bundle))


def _equivalents(settings: Settings) -> list[Equivalent]:
    from pdp.bundle.equivalents import FILE, read_equivalents

    try:
        return read_equivalents((settings.bundle_path / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []


def _told(terminal: Terminal, fates: Sequence[Fate], known: Sequence[Equivalent], *, whole: bool) -> float:
    """Print it; the score in per cent, of the mutants that are another policy."""
    from pdp.gates.mutation_score import score_of

    found = score_of(fates, known)
    if terminal.as_json:
        terminal.json({"whole": whole, **found.as_json()})
        return found.score
    terminal.table(
        [
            terminal.pick("箇所", "place"),
            terminal.pick("行またはデータ", "line or datum"),
            terminal.pick("変異", "change"),
        ],
        [[fate.mutant.place, fate.mutant.where, fate.mutant.change] for fate in found.survivors],
        title=terminal.pick("どのテストも気付かない変異", "mutants that no test notices"),
    )
    for one in found.wrong:
        said = terminal.pick("同値とされているがテストが気付く", "said to be equivalent, and a test notices it")
        terminal.say(f"{said}: {one.file}: {one.where}: {one.change}", style="yellow")
    survived = len(found.survivors)
    terminal.say(
        terminal.pick(
            f"変異 {found.mutants:,}、検出 {found.killed:,}、未検出 {survived:,}、同値 {found.equivalent:,}、"
            f"無効 {found.stillborn:,}",
            f"{found.mutants:,} mutants, {found.killed:,} noticed, {survived:,} not, {found.equivalent:,} equivalent,"
            f" {found.stillborn:,} no policy",
        )
    )
    terminal.say(f"{terminal.pick('変異スコア', 'mutation score')} {found.score:.2f} %", style="bold")
    return found.score
