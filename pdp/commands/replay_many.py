"""`pdp replay --since --until`: all decisions of a time, and what is not as it was recorded."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from typer import Exit

from pdp.commands.exit_codes import INTERRUPTED, NO, NOT_READY
from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.engine.port import Engine
    from pdp.replaying.answer import Answer
    from pdp.replaying.tally import Report
    from pdp.settings import Settings

_SHOWN: Final = 20  # differences, or places of a what-if; `--json` and `--out` have all of them
_WHY: Final[Mapping[str, Text]] = {
    "refusal": Text("判定前に拒否された要求", "refused before a decision"),
    "no_input": Text("入力が作れなかった判定", "no input could be made"),
    "other_opa": Text("他のOPAの判定", "decided by another OPA"),
    "other_profile": Text("種別の異なるポリシーの判定", "of another profile than the draft"),
    "unreadable": Text("読めない記録", "not a record that can be read"),
    "hidden": Text(
        "ポリシーが見た値が伏せられている（正確に再計算できない）", "a value that the policy saw was replaced"
    ),
    "impossible": Text("評価なしの許可（記録の改変の疑い）", "permits although no policy was asked: altered?"),
    "wrong_policy": Text(
        "版とダイジェストが合わない（記録の改変の疑い）", "names another revision than its digest: altered?"
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options say. `params` as `pdp.archive.asking.filters_of` takes them."""

    params: Mapping[str, Sequence[str]]
    against: Path | None
    sample: int | None
    out: Path | None
    every_input: bool

    def told(self) -> dict[str, object]:
        """For the trail."""
        told: dict[str, object] = {name: list(values) for name, values in self.params.items()}
        told |= {name: str(path) for name, path in (("against", self.against), ("out", self.out)) if path is not None}
        told |= {name: value for name, value in (("sample", self.sample), ("every_input", self.every_input)) if value}
        return told


async def replay_many(
    terminal: Terminal,
    settings: Settings,
    asked: Asked,
    engines: Mapping[str, Callable[[], Engine]],
    load: Callable[[str], Bundle],
) -> None:
    import asyncio
    from functools import partial

    from pdp.archive.asking import filters_of
    from pdp.bundle.bundle import read_bundle
    from pdp.commands.composed import limits_of
    from pdp.commands.interrupting import ctrl_c
    from pdp.replaying.bulk import Progress, Replay
    from pdp.replaying.court import Court
    from pdp.replaying.reading import LogReader
    from pdp.trail.keeping import record_query

    reader = LogReader(settings.decision_logs, filters_of(asked.params), limits_of(settings), asked.sample)
    draft = None if asked.against is None else read_bundle(asked.against)
    note = partial(record_query, settings, "audit.replay", asked.told())
    # INVARIANT (no answer without an event): single decisions that differ stand in the report, and in the file.
    begun = await asyncio.to_thread(note, outcome="begun")
    try:
        with ExitStack() as stack:
            out = None if asked.out is None else stack.enter_context(_written(asked.out))
            stopped = stack.enter_context(ctrl_c())
            advance = stack.enter_context(terminal.progress(terminal.pick("再計算", "recomputing")))
            async with Court(engines, load, every_input=asked.every_input) as court:
                report = await Replay(reader, court, draft=draft, out=out).run(Progress(done=advance, stop=stopped))
    except BaseException as fault:
        await asyncio.to_thread(note, outcome="failed", of=begun, error=getattr(fault, "code", "ended"))
        raise
    await asyncio.to_thread(note, of=begun, **_ended(report))
    if terminal.as_json:
        terminal.json(report.as_json())
    else:
        _show(terminal, report)
    code = _code(report)
    if code:
        raise Exit(code)


def _ended(report: Report) -> dict[str, Any]:
    """For the trail. What was read is a report also where it was interrupted, but not one of all that was asked for."""
    rows = report.tally.records
    return {"rows": rows, "outcome": "done"} if report.whole else {"rows": rows, "outcome": "failed", "error": "ended"}


def _code(report: Report) -> int:
    if not report.whole:
        return INTERRUPTED
    if not report.equal and report.against is None:
        return NO
    return NOT_READY if report.tally.missing else 0


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A new file for the decision records that differ, readable by us alone. Raises SettingsError.

    It gets its name at the end: one of the name before may be open, or readable, for others.
    """
    import os

    from pdp.errors import SettingsError

    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise SettingsError(f"`{path}` cannot be written: {fault.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        try:
            aside.replace(path)
        except OSError as fault:
            raise SettingsError(f"`{path}` cannot be written: {fault.strerror}") from None
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


# -- for people ----------------------------------------------------------------------------------------


def _show(terminal: Terminal, report: Report) -> None:
    tally = report.tally
    if report.against is not None:
        terminal.say(
            terminal.pick(
                f"ポリシー {report.against} であったならば", f"if policy {report.against} had decided instead"
            ),
            style="bold",
        )
    rows = [
        [terminal.pick("一致", "equal"), f"{tally.equal:,}"],
        [terminal.pick("相違", "different"), f"{tally.differing:,}"],
    ]
    if len(report.engines) > 1:
        rows.append([terminal.pick("エンジン間の不一致", "engines disagree"), f"{tally.disagreeing:,}"])
    if tally.lost:
        rows.append([terminal.pick("今回、結果が得られなかった", "no verdict could be had now"), f"{tally.lost:,}"])
    if failed := tally.failed.total():
        rows.append([terminal.pick("当時、評価に失敗して拒否", "denied then, as the evaluation failed"), f"{failed:,}"])
    rows += [[terminal.text(_WHY[why]), f"{count:,}"] for why, count in sorted(tally.apart.items())]
    for (digest, revision, why), count in sorted(tally.missing.items(), key=lambda entry: entry[0][0]):
        rows.append([f"{terminal.pick('ポリシーがない', 'no policy')} {revision} ({digest}): {why}", f"{count:,}"])
    terminal.table([terminal.pick("判定", "decisions"), terminal.pick("件数", "count")], rows)
    _show_differences(terminal, report)
    _show_spread(terminal, report)
    _show_end(terminal, report)


def _show_differences(terminal: Terminal, report: Report) -> None:
    found = report.by_count()
    if not found:
        return
    terminal.table(
        [
            terminal.pick("件数", "count"),
            terminal.pick("相違", "differs in"),
            terminal.pick("版", "revision"),
            terminal.pick("記録", "recorded"),
            *(f"{terminal.pick('再計算', 'recomputed')} ({name})" for name in report.engines),
            terminal.pick("判定番号（最初）", "first id"),
        ],
        [
            [
                f"{one.decisions:,}",
                " ".join(kind.parts),
                kind.revision or "-",
                _brief(kind.recorded),
                *(said.fault or _brief(said.answer) for said in kind.judgement),
                one.ids[0] if one.ids else "-",
            ]
            for kind, one in found[:_SHOWN]
        ],
        title=terminal.pick("相違", "differences"),
    )
    rest = len(found) - _SHOWN
    if rest > 0 or report.tally.more:
        terminal.say(terminal.pick("ほかの相違は --json と --out にある", "`--json` and `--out` have the others"))


def _brief(answer: Answer) -> str:
    level = "" if answer.required_auth_level is None else f" {answer.required_auth_level}"
    return f"{answer.outcome}{level} {' '.join(answer.reasons)}"


def _show_spread(terminal: Terminal, report: Report) -> None:
    """Whom and what a draft would change something for."""
    if report.against is None or not report.tally.spread:
        return
    names = {
        "department": terminal.pick("所属", "department"),
        "resource": terminal.pick("業務システム", "resource"),
        "device_class": terminal.pick("端末の種類", "device class"),
    }
    for dimension, name in names.items():
        own = [(key, count) for key, count in report.tally.spread.most_common() if key[1] == dimension]
        terminal.table(
            [name, terminal.pick("変化", "change"), terminal.pick("件数", "count")],
            [[value, transition, f"{count:,}"] for (transition, _, value), count in own[:_SHOWN]],
        )


def _show_end(terminal: Terminal, report: Report) -> None:
    tally = report.tally
    rate = tally.records / report.seconds if report.seconds else 0.0
    terminal.remark(
        terminal.pick(
            f"{tally.records:,} 件（期間内 {report.total:,} 件）、評価 {report.evaluated:,} 回、"
            f"{report.seconds:.1f} 秒（毎秒 {rate:,.0f} 件）",
            f"{tally.records:,} records (of {report.total:,} in the time), {report.evaluated:,} evaluated,"
            f" {report.seconds:.1f} s ({rate:,.0f}/s)",
        )
    )
    if not report.whole:
        terminal.say(terminal.pick("中断した。途中までの結果", "ended early: this is what was found"), style="yellow")
    elif report.against is not None:
        terminal.say(", ".join(f"{change}: {count:,}" for change, count in tally.transitions.most_common()) or "=")
    elif not report.equal:
        terminal.say(terminal.pick("記録と異なる判定がある", "there are decisions that differ"), style="bold red")
    elif tally.missing:
        terminal.say(terminal.pick("ポリシーのない判定がある", "some policies are not here"), style="yellow")
    else:
        terminal.say(terminal.pick("すべて同じ判定", "all decisions came out the same"), style="bold green")
