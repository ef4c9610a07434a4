"""`pdp simulate population`: everybody before and after a change, and what people are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from typer import Exit

from pdp.commands.exit_codes import INTERRUPTED
from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pdp.commands.terminal import Terminal
    from pdp.engine.port import Engine
    from pdp.replaying.answer import Answer
    from pdp.settings import Settings
    from pdp.simulate.comparing import Change
    from pdp.simulate.contexts import Stated
    from pdp.simulate.population import World
    from pdp.simulate.report import Report

_SHOWN: Final = 15  # rows of a table; `--json` and `--out` have all of them
_NAMES: Final[Mapping[Change, Text]] = {
    "loses": Text("利用できなくなる", "loses access"),
    "gains": Text("利用できるようになる", "gains access"),
    "stricter": Text("条件が厳しくなる", "is held to more"),
    "easier": Text("条件が緩くなる", "is held to less"),
    "other": Text("理由や制限の表示が変わる", "is told something else"),
}
_DIMENSIONS: Final[Mapping[str, Text]] = {
    "department": Text("所属", "department"),
    "kind": Text("利用者の区分", "kind of user"),
    "device_class": Text("端末の種類", "device class"),
    "resource": Text("業務システム", "resource"),
    "context": Text("利用の状況", "context"),
}


@dataclass(frozen=True)
class Wanted:
    """The options of `pdp simulate population`."""

    against: Path | None
    at: str | None
    now: str | None
    contexts: Path | None
    samples: int
    out: Path | None
    demo: bool


async def everybody(terminal: Terminal, settings: Settings, wanted: Wanted) -> None:
    from contextlib import ExitStack

    from pdp.commands.interrupting import ctrl_c
    from pdp.simulate.population import Course, Simulation

    before, after = _worlds(settings, wanted)
    simulation = Simulation(before, after, _contexts(wanted), _maker(settings), samples=wanted.samples)
    with ExitStack() as stack:
        stop = stack.enter_context(ctrl_c())
        advance = stack.enter_context(terminal.progress(terminal.pick("全利用者の予測", "judging everybody")))
        report = await simulation.run(Course(done=advance, stop=stop))
    if report is None:
        terminal.remark(terminal.pick("中断した", "ended early"), style="yellow")
        raise Exit(INTERRUPTED)
    if wanted.out is not None:
        _write(wanted.out, report.as_json())
    if terminal.as_json:
        terminal.json(report.as_json())
    else:
        _show(terminal, report)


def _worlds(settings: Settings, wanted: Wanted) -> tuple[World, World]:
    from pdp.bundle.bundle import read_bundle
    from pdp.commands.composed import bundle_of, directory_of
    from pdp.errors import BadRequestError
    from pdp.parts import utc_now
    from pdp.scenario.format import moment
    from pdp.simulate.population import World, later

    if wanted.against is None and wanted.at is None:
        raise BadRequestError(
            "nothing would change", next_step="give a draft (`--against`), another time (`--at`), or both"
        )
    now = utc_now() if wanted.now is None else moment(wanted.now)
    at = now if wanted.at is None else moment(wanted.at)
    active = bundle_of(settings)
    draft = active if wanted.against is None else read_bundle(wanted.against)
    snapshot = directory_of(settings, now, demo=wanted.demo)
    return World(active, snapshot, now), World(draft, snapshot if at == now else later(snapshot, now, at), at)


def _contexts(wanted: Wanted) -> Sequence[Stated]:
    from pdp.errors import BadRequestError
    from pdp.simulate.contexts import USUAL, read_contexts

    if wanted.contexts is None:
        return USUAL
    try:
        return read_contexts(wanted.contexts.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        raise BadRequestError(f"`{wanted.contexts}` cannot be read: {fault}") from None


def _maker(settings: Settings) -> Callable[[], Engine]:
    from pdp.commands.replay import engines_of

    (make,) = engines_of(settings, None).values()
    return make


def _write(path: Path, document: Any) -> None:
    """Names of people stand in it: for us alone. Raises SettingsError."""
    import json
    import os

    from pdp.errors import SettingsError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise SettingsError(f"`{path}` cannot be written: {fault.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.write("\n")


# -- for people ----------------------------------------------------------------------------------------


def _show(terminal: Terminal, report: Report) -> None:
    old, new = (f"{half.bundle.revision} ({half.at:%Y-%m-%d %H:%M%z})" for half in report.halves)
    terminal.say(terminal.pick(f"{old} から {new} へ", f"from {old} to {new}"), style="bold")
    found = report.differences
    terminal.table(
        [
            terminal.pick("変化", "change"),
            terminal.pick("組合せ", "combinations"),
            terminal.pick("利用者", "people"),
        ],
        [
            [terminal.text(name), f"{found.cells[change]:,}", f"{len(found.touched[change]):,}"]
            for change, name in _NAMES.items()
        ],
    )
    for change in ("loses", "gains"):
        _show_where(terminal, report, change)
    _show_kinds(terminal, report)
    _show_people(terminal, report)
    _show_end(terminal, report)


def _show_where(terminal: Terminal, report: Report, change: Change) -> None:
    if not report.differences.cells[change]:
        return
    for name, text in _DIMENSIONS.items():
        counts = report.differences.spread[change][name]
        terminal.table(
            [terminal.text(text), terminal.pick("組合せ", "combinations")],
            [[value or "-", f"{count:,}"] for value, count in counts.most_common(_SHOWN)],
            title=terminal.text(_NAMES[change]),
        )


def _show_kinds(terminal: Terminal, report: Report) -> None:
    kinds = report.differences.kinds
    if not kinds:
        return
    rows = []
    for kind, cells, samples in kinds[:_SHOWN]:
        first = report.sample(samples[0]) if samples else {}
        rows.append([f"{cells:,}", _brief(kind.before), _brief(kind.after), " ".join(first.values())])
    terminal.table(
        [
            terminal.pick("組合せ", "combinations"),
            terminal.pick("現行", "before"),
            terminal.pick("変更後", "after"),
            terminal.pick("例（利用者 端末 システム 状況）", "for example (user, device, resource, context)"),
        ],
        rows,
    )
    if len(kinds) > _SHOWN:
        terminal.say(terminal.pick("ほかの変化は --json と --out にある", "`--json` and `--out` have the others"))


def _brief(answer: Answer) -> str:
    level = "" if answer.required_auth_level is None else f" {answer.required_auth_level}"
    return f"{answer.outcome}{level} {' '.join(answer.reasons)}"


def _show_people(terminal: Terminal, report: Report) -> None:
    """Whom nothing of theirs helps: that is what a section calls about."""
    everyone = len(report.pairs.users)
    for people, ja, en in (
        (
            report.losing,
            "どの端末からも利用できなくなるシステムがある利用者",
            "people who lose a system on every terminal",
        ),
        (report.gaining, "新たに利用できるシステムがある利用者", "people who gain a system"),
    ):
        share = 100 * len(people) / everyone if everyone else 0.0
        terminal.say(f"{terminal.pick(ja, en)}: {len(people):,} / {everyone:,} ({share:.2f} %)")


def _show_end(terminal: Terminal, report: Report) -> None:
    old, new = report.halves
    per_s = len(report.pairs) * len(report.resources) / report.seconds
    evaluations = old.evaluations + new.evaluations
    terminal.remark(
        terminal.pick(
            f"利用者と端末 {len(report.pairs):,} 組 × システム {len(report.resources):,} × 状況 {len(report.contexts)}"
            f" = {report.cells:,} 通り。ポリシーから見て異なる入力 {old.distinct:,} → {new.distinct:,}、"
            f"規則の評価 {evaluations:,} 回、全体評価との照合 {report.checked:,} 件一致、"
            f"{report.seconds:.1f} 秒（毎秒 {per_s:,.0f} 組）",
            f"{len(report.pairs):,} people with terminals × {len(report.resources):,} systems × {len(report.contexts)}"
            f" contexts = {report.cells:,} cells; distinct vectors {old.distinct:,} → {new.distinct:,};"
            f" {evaluations:,} rules evaluated; {report.checked:,} cells checked against the whole policy;"
            f" {report.seconds:.1f} s ({per_s:,.0f} pairs/s)",
        )
    )
