"""What `pdp bundle test` shows beside its tests: lines that none touches, the same tests in OPA, and scenarios."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.rego_tests import RegoTest
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings


@dataclass
class Proof:
    """Each part is None where it was not asked for."""

    missing: dict[str, list[int]] | None = None
    lines: int = 0
    in_opa: tuple[int, list[str]] | None = None
    scenarios: tuple[int, list[str]] | None = None
    misread: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        failed = [name for part in (self.in_opa, self.scenarios) if part is not None for name in part[1]]
        return not (failed or self.misread or self.missing)

    @property
    def covered(self) -> float:
        """Per cent of the lines."""
        untouched = sum(map(len, (self.missing or {}).values()))
        return 100 * (self.lines - untouched) / self.lines if self.lines else 100.0

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.missing is not None:
            found["coverage"] = {"lines": self.lines, "percent": round(self.covered, 2), "missing": self.missing}
        for name, part in (("opa", self.in_opa), ("scenarios", self.scenarios)):
            if part is not None:
                found[name] = {"passed": part[0], "failed": part[1]}
        return found | ({"misread": self.misread} if self.misread else {})

    def show(self, terminal: Terminal) -> None:
        for name, part in (("OPA", self.in_opa), (terminal.pick("シナリオ", "scenarios"), self.scenarios)):
            if part is not None:
                for failed in part[1]:
                    terminal.say(f"FAILED {name}: {failed}", style="bold red")
                terminal.say(f"{name}: {part[0]} passed, {len(part[1])} failed")
        for one in self.misread:
            terminal.say(f"FAILED {one}", style="bold red")
        if self.missing is not None:
            for file, lines in self.missing.items():
                no_test = terminal.pick("テストが通らない行", "no test touches")
                terminal.say(f"{file}: {no_test} {_ranges(lines)}", style="yellow")
            terminal.say(f"{terminal.pick('行の網羅率', 'line coverage')} {self.covered:.2f} % ({self.lines})")


async def proof_of(  # the options of the command
    settings: Settings,
    bundle: Bundle,
    tests: Sequence[RegoTest],
    *,
    coverage: bool,
    with_opa: bool,
    scenarios: list[Path],
) -> Proof:
    """Raises NotReadyError where OPA is asked for and is not there, EngineError where something does not run."""
    import asyncio

    from pdp.bundle.syntax import statements_of
    from pdp.commands.bundle_outside import opa_test
    from pdp.engine.mutation import Mutation, Suite
    from pdp.engine.syntax import parse_modules

    found = Proof()
    if coverage:
        look = await Mutation(Suite(bundle, [test.name for test in tests]), 1).look()
        statements = {module.name: statements_of(module) for module in parse_modules(bundle.modules)[0]}
        found.missing = look.untouched(statements)
        found.lines = sum(len({lines.start for lines in own}) for own in statements.values())
    if with_opa:
        found.in_opa = await asyncio.to_thread(opa_test, bundle)
        if found.in_opa is None:
            raise NotReadyError("there is no `opa` on the PATH", next_step="install OPA, or leave `--with-opa` out")
    if scenarios:
        await _run_scenarios(settings, bundle, scenarios, found)
    return found


async def _run_scenarios(settings: Settings, bundle: Bundle, paths: list[Path], found: Proof) -> None:
    from pdp.commands.composed import engine_for
    from pdp.scenario.files import read_all
    from pdp.scenario.format import Scenario
    from pdp.scenario.in_process import InProcess
    from pdp.scenario.runner import run_scenario

    read = read_all(paths)
    found.misread = [f"{one.where}: {one.fault}" for one in read if not isinstance(one, Scenario)]
    failed: list[str] = []
    stories = [one for one in read if isinstance(one, Scenario)]
    async with engine_for(settings, bundle) as activation:
        way = InProcess(activation.engine, bundle)
        for story in stories:
            results = await run_scenario(story, way, way.reference)
            faults = [f"step {result.step}: {fault}" for result in results for fault in result.faults]
            if faults:
                failed.append(f"{story.where} {story.id}: {'; '.join(faults)}")
    found.scenarios = len(stories) - len(failed), failed


def _ranges(lines: Sequence[int]) -> str:
    """`3-5, 9` of 3, 4, 5, 9."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
