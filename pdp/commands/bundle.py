"""`pdp bundle`: look at a policy bundle, check it, run its own tests; and those that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import Call, StateCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import EngineChoice, OpaUrl

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.bundle.footprint import Explained
    from pdp.bundle.rego_tests import RegoTest
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings

app = Typer(no_args_is_help=True, help="Look at a policy bundle, check it, run its tests.")

_Directory = Annotated[
    Path | None, Argument(metavar="DIR", help="Bundle directory; default: the configured one.", show_default=False)
]
_TEST_DEADLINE_MS = 10_000  # a test may judge thousands of documents in one rule


@app.callback()
def bundle() -> None:
    """Look at a policy bundle, check it, run its tests."""


@app.command("check")
@spread
def check(
    call: Call,
    directory: _Directory = None,
    outside: Annotated[
        bool, Option("--outside/--no-outside", help="Ask `opa check --strict` and Regal too, where they are installed.")
    ] = True,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """Would this bundle be activated? Exit code 1 where it has a fault; every fault is told with its place."""
    from pdp.commands.bundle_checks import outside_faults
    from pdp.commands.composed import bundle_of, run
    from pdp.errors import BundleError
    from pdp.gates.bundle_faults import check_bundle, unreadable

    terminal, settings = call.terminal, call.settings(bundle=_name(directory), engine=engine, opa_url=opa_url)
    found: Bundle | None = None
    try:
        found = bundle_of(settings)
        faults = check_bundle(found)
        if not faults and outside:
            faults = outside_faults(found)
        if not faults:
            run(_prove(settings, found))
    except BundleError as fault:
        faults = [unreadable(fault)]
    if terminal.as_json:
        terminal.json(
            {
                "ok": not faults,
                "revision": None if found is None else found.revision,
                "digest": None if found is None else found.digest,
                "faults": [
                    {"where": f.where or None, "code": f.code, "message": {"ja": f.message_ja, "en": f.message_en}}
                    for f in faults
                ],
            }
        )
    for f in faults:
        terminal.say(f"{f.where or 'bundle'}: {terminal.pick(f.message_ja, f.message_en)} [{f.code}]")
    if faults:
        terminal.say(terminal.pick(f"誤り {len(faults)} 件", f"{len(faults)} faults"), style="bold red")
        raise Exit(NO)
    assert found is not None
    fine = terminal.pick(f"{found.revision} は適用できる", f"{found.revision} can be activated")
    terminal.say(fine, style="bold green")


async def _prove(settings: Settings, found: Bundle) -> None:
    """Load it into the engine and evaluate once. Raises BundleError."""
    from pdp.commands.composed import engine_for

    async with engine_for(settings, found):
        pass


@app.command("inspect")
@spread
def inspect(call: Call, directory: _Directory = None) -> None:
    """What is in a bundle: revision, digest, entry point, modules, what it sees of its input, and its reasons."""
    from pdp.commands.bundle_sight import show_footprint
    from pdp.commands.composed import bundle_of
    from pdp.engine.footprint_check import explain_bundle

    terminal = call.terminal
    found = bundle_of(call.settings(bundle=_name(directory)))
    sight = explain_bundle(found)
    if terminal.as_json:
        terminal.json(_inspected(found, sight))
        return
    terminal.table(
        ["", ""],
        [
            [terminal.pick("版", "revision"), found.revision],
            [terminal.pick("ダイジェスト", "digest"), found.digest],
            [terminal.pick("種別", "profile"), found.profile],
            [terminal.pick("入口", "entry point"), found.entrypoint],
            [terminal.pick("有効時間（秒）", "ttl (s)"), str(found.ttl_s)],
            [terminal.pick("データ", "data"), ", ".join(sorted(found.data))],
        ],
    )
    terminal.table(
        [terminal.pick("モジュール", "module"), terminal.pick("行", "lines")],
        [[name, str(text.count("\n"))] for name, text in sorted(found.modules.items())],
    )
    terminal.say(terminal.pick(f"テスト {len(found.tests)} ファイル", f"{len(found.tests)} test files"))
    show_footprint(terminal, sight)
    columns = (
        ["理由", "群", "対応できる者", "利用者向け"]
        if terminal.lang == "ja"
        else ["reason", "group", "who can put it right", "for the user"]
    )
    terminal.table(columns, [_reason_row(terminal, found, code) for code in found.reasons])


def _reason_row(terminal: Terminal, found: Bundle, code: str) -> list[str]:
    from pdp.model.words import FIXERS

    reason = found.reasons[code]
    return [code, reason.group, terminal.text(FIXERS[reason.fix]), terminal.text(reason.user)]


def _inspected(found: Bundle, sight: Explained) -> dict[str, Any]:
    from pdp.commands.bundle_sight import footprint_json
    from pdp.explain.report import text_json

    return {
        "revision": found.revision,
        "digest": found.digest,
        "profile": found.profile,
        "entrypoint": found.entrypoint,
        "ttl_seconds": found.ttl_s,
        "data": sorted(found.data),
        "modules": {name: text.count("\n") for name, text in sorted(found.modules.items())},
        "tests": sorted(found.tests),
        "footprint": footprint_json(sight),
        "reasons": [
            {"code": r.code, "group": r.group, "fix": r.fix, "user": text_json(r.user), "admin": text_json(r.admin)}
            for r in found.reasons.values()
        ],
    }


@app.command("test")
@spread
def run_tests(
    call: Call,
    directory: _Directory = None,
    coverage: Annotated[
        bool, Option("--coverage", help="Show the lines that no test touches; exit code 1 where there are some.")
    ] = False,
    with_opa: Annotated[
        bool, Option("--with-opa", help="Run them in OPA too: `opa` on the PATH. Exit code 3 where there is none.")
    ] = False,
    scenarios: Annotated[
        list[Path] | None, Option("--scenarios", metavar="PATH", help="Scenario files too; several times.")
    ] = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """Run the `test_` rules of the bundle's `_test.rego` files. Exit code 1 where one fails, or there is none."""
    from pdp.bundle.rego_tests import find_tests
    from pdp.commands.bundle_proof import proof_of
    from pdp.commands.composed import bundle_of, run

    terminal, settings = (
        call.terminal,
        call.settings(bundle=_name(directory), engine=engine, opa_url=opa_url, engine_deadline_ms=_TEST_DEADLINE_MS),
    )
    found = bundle_of(settings)
    tests = find_tests(found.tests)
    failed = run(_test(settings, found, tests, terminal)) if tests else {}
    proof = run(proof_of(settings, found, tests, coverage=coverage, with_opa=with_opa, scenarios=scenarios or []))
    if terminal.as_json:
        terminal.json(
            {
                "passed": len(tests) - len(failed),
                "failed": [{"test": t.name, "where": t.where, "fault": fault} for t, fault in failed.items()],
                **proof.as_json(),
            }
        )
    proof.show(terminal)
    for rule, fault in failed.items():
        terminal.say(f"FAILED {rule.name}", style="bold red")
        terminal.say(f"  {rule.where}" + ("" if fault is None else f": {fault}"))
    if not tests:
        terminal.say(terminal.pick("テストがない", "there is no test"))
    terminal.say(f"{len(tests) - len(failed)} passed, {len(failed)} failed")
    if failed or not tests or not proof.good:
        raise Exit(NO)


async def _test(
    settings: Settings, found: Bundle, tests: list[RegoTest], terminal: Terminal
) -> dict[RegoTest, str | None]:
    """The tests that failed, with the fault where one was raised."""
    import os

    from pdp.bundle.rego_tests import runner_of
    from pdp.errors import EngineError
    from pdp.parts import open_engine

    engine = open_engine(settings, children=os.cpu_count() or 1)
    failed: dict[RegoTest, str | None] = {}
    try:
        await engine.activate(runner_of(found, tests))
        with terminal.progress(terminal.pick("テスト", "tests"), len(tests)) as advance:
            answers = await engine.evaluate([b'{"test":%d}' % number for number in range(len(tests))])
            advance(len(tests))
    finally:
        await engine.close()
    for rule, answer in zip(tests, answers, strict=True):
        if isinstance(answer, EngineError):
            failed[rule] = answer.message
        elif answer != b"true":
            failed[rule] = None
    return failed


@app.command("archive")
@spread
def archive(
    call: StateCall, add: Annotated[Path | None, Option("--add", metavar="DIR", help="Keep this bundle too.")] = None
) -> None:
    """Every policy that became active here, as kept for `pdp replay`. Exit code 1 where one is not what was kept."""
    from pdp.bundle.bundle import read_bundle
    from pdp.parts import bundle_archive

    terminal = call.terminal
    kept = bundle_archive(call.settings())
    if add is not None:
        kept.keep(read_bundle(add))
    entries = kept.entries()
    if terminal.as_json:
        terminal.json(
            [
                {
                    "digest": one.digest,
                    "revision": one.revision,
                    "profile": one.profile,
                    "since": one.since.isoformat(timespec="seconds"),
                    "bytes": one.bytes,
                    "damaged": one.damaged,
                }
                for one in entries
            ]
        )
    terminal.table(
        [
            terminal.pick("版", "revision"),
            terminal.pick("種別", "profile"),
            terminal.pick("保存日時", "kept since"),
            terminal.pick("バイト", "bytes"),
            terminal.pick("ダイジェスト", "digest"),
        ],
        [
            [
                one.revision or terminal.pick("破損", "damaged"),
                one.profile or "-",
                one.since.isoformat(timespec="seconds"),
                f"{one.bytes:,}",
                one.digest,
            ]
            for one in entries
        ],
    )
    if any(one.damaged for one in entries):
        raise Exit(NO)


def _name(directory: Path | None) -> str | None:
    return None if directory is None else str(directory)
