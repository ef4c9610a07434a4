"""`pdp replay`: a recorded decision, recomputed from its own record and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from typer import Exit, Option

from pdp.commands.exit_codes import NO
from pdp.commands.options import AsJson, BundleDir, ConfigFile, EngineChoice, LangOption, OpaUrl, StateDir

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.declog.record import Record
    from pdp.model.decision import Verdict
    from pdp.settings import Settings


def replay(
    decision_id: Annotated[str, Option("--id", help="Decision id, as the answer and the decision log have it.")],
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
    lang: LangOption = None,
    config: ConfigFile = None,
) -> None:
    """Find a decision in the log, recompute it from its input, and compare. Exit code 1 where they differ."""
    from pdp.commands.composed import run, settings_of
    from pdp.commands.terminal import Terminal

    terminal = Terminal(lang, as_json=as_json)
    settings = settings_of(config, bundle=bundle, engine=engine, opa_url=opa_url, state_dir=state_dir)
    record = _find(settings, decision_id)
    why_not = _why_not(record)
    if why_not is not None:
        _tell_refusal(terminal, record, why_not)
        return
    outcome = run(_replay(settings, record))
    if as_json:
        terminal.json(outcome.as_json())
    else:
        _show(terminal, outcome)
    if outcome.differences:
        raise Exit(NO)


@dataclass(frozen=True, slots=True)
class Replay:
    """`differences` names the parts that are not as they were; empty where the decision stands."""

    record: Record
    engine: str
    recomputed: dict[str, Any]
    fault: str | None

    @property
    def recorded(self) -> dict[str, Any]:
        return {
            "outcome": self.record.outcome,
            "reasons": list(self.record.reasons),
            "obligations": dict(self.record.obligations),
            "required_auth_level": self.record.required_auth_level,
        }

    @property
    def differences(self) -> list[str]:
        return [part for part, value in self.recorded.items() if self.recomputed[part] != value]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.record.id,
            "kind": self.record.kind,
            "replayed": True,
            "equal": not self.differences,
            "differences": self.differences,
            "recorded": self.recorded,
            "recomputed": self.recomputed,
            "fault": self.fault,
            "engine": self.engine,
            "policy_revision": self.record.policy_revision,
            "bundle_digest": self.record.bundle_digest,
            "redacted": list(self.record.redacted),
        }


def _find(settings: Settings, decision_id: str) -> Record:
    """Raises BadRequestError for an id that is none, NotReadyError for a record that is not there."""
    from uuid import UUID

    from pdp.declog.layout import Layout
    from pdp.declog.reader import find_record
    from pdp.declog.record import read_record
    from pdp.errors import BadRequestError, NotReadyError

    try:
        UUID(decision_id)
    except ValueError:
        raise BadRequestError(
            f"`{decision_id}` is not a decision id", next_step="take the id from the answer"
        ) from None
    layout = Layout(settings.state_path / "decisions")
    if not layout.segments.is_dir():
        raise NotReadyError(
            "there is no decision log in the state directory", next_step="name the service's own with `--state-dir`"
        )
    try:
        line = find_record(layout, decision_id) or find_record(layout, decision_id, everywhere=True)
    except OSError as fault:
        raise NotReadyError(f"the decision log cannot be read: {fault.strerror}") from None
    if line is None:
        raise NotReadyError(
            f"the decision log has no record of `{decision_id}`",
            next_step="check the id and `--state-dir`; older segments may have been moved away",
        )
    return read_record(line)


def _why_not(record: Record) -> tuple[str, str] | None:
    """(ja, en): why this record has nothing that could be recomputed; None where it has."""
    if record.kind == "refusal":
        fault = f"{record.error_code}: {record.error_message}"
        return (
            f"要求は判定の前に拒否された（{fault}）。ポリシーは評価していない",
            f"the request was refused before a decision ({fault}); no policy was asked",
        )
    if bytes(record.input) == b"null":
        return (
            f"入力が作れなかったため、ポリシーは評価していない（{record.fault}）",
            f"no input document could be made, so no policy was asked ({record.fault})",
        )
    return None


def _tell_refusal(terminal: Terminal, record: Record, why_not: tuple[str, str]) -> None:
    if terminal.as_json:
        terminal.json({"id": record.id, "kind": record.kind, "replayed": False, "reason": why_not[1]})
    terminal.say(terminal.pick(*why_not))


async def _replay(settings: Settings, record: Record) -> Replay:
    from pdp.commands.composed import bundle_of, engine_for
    from pdp.decide import judge_raw
    from pdp.errors import EngineError
    from pdp.model.decision import EVALUATION_ERROR, denied

    bundle = bundle_of(settings)
    _same_bundle(bundle, record)
    fault: str | None = None
    async with engine_for(settings, bundle) as activation:
        (raw,) = await activation.engine.evaluate([bytes(record.input)])
        try:
            verdict = judge_raw(raw, bundle)
        except EngineError as said:
            verdict, fault = denied(EVALUATION_ERROR), f"{said.code}: {said}"
        return Replay(record, activation.engine.name, _parts(verdict), fault)


def _same_bundle(bundle: Bundle, record: Record) -> None:
    from pdp.errors import NotReadyError

    if bundle.digest != record.bundle_digest:
        raise NotReadyError(
            f"the decision was made by revision `{record.policy_revision}` (digest {record.bundle_digest}); "
            f"the configured bundle is `{bundle.revision}` (digest {bundle.digest})",
            next_step=f"name a copy of revision `{record.policy_revision}` with `--bundle`",
        )


def _parts(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "reasons": list(verdict.reasons),
        "obligations": dict(verdict.obligations),
        "required_auth_level": verdict.required_auth_level,
    }


def _show(terminal: Terminal, replayed: Replay) -> None:
    rows = [
        ["≠" if part in replayed.differences else "=", part, str(value), str(replayed.recomputed[part])]
        for part, value in replayed.recorded.items()
    ]
    terminal.table(["", "", terminal.pick("記録", "recorded"), terminal.pick("再計算", "recomputed")], rows)
    if replayed.fault is not None:
        terminal.say(terminal.pick("評価の失敗: ", "the evaluation failed: ") + replayed.fault)
    if replayed.record.redacted:
        terminal.say(
            terminal.pick("記録の入力は一部が伏せられている: ", "parts of the recorded input were replaced: ")
            + ", ".join(replayed.record.redacted)
        )
    if replayed.differences:
        terminal.say(terminal.pick("判定が異なる", "the decision differs"), style="bold red")
    else:
        terminal.say(terminal.pick("同じ判定", "the same decision"), style="bold green")
