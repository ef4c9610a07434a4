"""Of `pdp doctor`: who signs for the decision log, who keeps its store, and what is not shipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pdp.archive.standing import read_standing
from pdp.commands.absent_proof import clues_of, unproven_of
from pdp.commands.finding import Finding, fail, ok, warn
from pdp.commands.unproven import text_of
from pdp.errors import SettingsError
from pdp.proving import log_of, trail_of
from pdp.shipping.ledger import Ledger, Standing
from pdp.transparency.checkpoint import parse_checkpoint
from pdp.transparency.note import parse_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.model.log_target import LogTarget
    from pdp.settings import Settings

ROUND_LATE: Final = timedelta(minutes=10)  # a round is every 30 s; sorting a million rows takes some
HEAD_LATE: Final = timedelta(minutes=5)  # a head is each second, while there are records


def log_findings(settings: Settings, now: datetime, pick: Callable[[str, str], str]) -> list[Finding]:
    """Nothing where there is no log yet. Raises OSError."""
    layout, _ = log_of(settings)
    if not layout.segments.is_dir():
        return []
    return [*_proof(settings, pick), *_store(settings, now, pick), *_shipping(settings, pick)]


def _proof(settings: Settings, pick: Callable[[str, str], str]) -> list[Finding]:
    topic = pick("ログの署名", "log proof")
    layout, place = log_of(settings)
    if settings.log_proof != "on":
        detail = pick("署名しない設定", "nobody signs")
        return [warn(topic, detail, pick("`log_proof` を外す", "take `log_proof` out"))]
    if not place.checkpoint.exists():
        return _no_head(settings, topic, pick) if layout.names() else []
    note = parse_note(place.checkpoint.read_text("utf-8", "replace"))
    head = None if note is None else parse_checkpoint(note.text)
    if head is None:
        return [fail(topic, pick("署名済みヘッドが壊れている", "the head is damaged"), "pdp audit verify")]
    signed = place.checkpoint.stat().st_mtime
    paths = [path for name in layout.names() for path in (layout.open_path(name), layout.sealed_path(name))]
    newest = max((path.stat().st_mtime for path in paths if path.exists()), default=signed)
    detail = f"{head.origin}: {head.size}, {datetime.fromtimestamp(signed, UTC).isoformat(timespec='minutes')}"
    if newest - signed > HEAD_LATE.total_seconds():
        late = pick("それより新しい記録は未署名", "newer records are not signed for")
        return [warn(topic, f"{detail}; {late}", pick("サービスのログを確認する", "look at the service's log"))]
    if not settings.log_anchors:
        detail += pick("、外部への保管なし", ", not anchored")
    return [ok(topic, detail)]


def _no_head(settings: Settings, topic: str, pick: Callable[[str, str], str]) -> list[Finding]:
    """Never signed for, or taken away."""
    unproven = unproven_of(log_of(settings)[0].root, trail_of(settings)[0].root, (), (), clues_of(settings))
    missed = next((text_of(one, signing=True) for one in unproven if one.traces), None)
    if missed is not None:
        return [fail(topic, pick(missed.ja, missed.en), "pdp audit verify")]
    detail = pick("署名済みヘッドがない", "there is no signed head")
    return [warn(topic, detail, pick("サービスを起動する", "start the service"))]


def _store(settings: Settings, now: datetime, pick: Callable[[str, str], str]) -> list[Finding]:
    topic = pick("ログの格納", "log store")
    run = pick("`pdp audit compact` を常駐させる", "run `pdp audit compact` beside the service")
    standing = read_standing(settings.state_path)
    if standing is None:
        return [warn(topic, pick("一度も格納していない", "it was never kept"), run)]
    size = f"{standing.bytes / 2**20:.1f} MiB"
    detail = pick(
        f"ファイル {standing.files}、記録 {standing.records}、{size}、未格納の区分 {standing.waiting}、"
        f"最終 {standing.at[:16]}",
        f"{standing.files} files, {standing.records} records, {size}, {standing.waiting} segments wait,"
        f" last round {standing.at[:16]}",
    )
    if now - datetime.fromisoformat(standing.at) > ROUND_LATE:
        return [warn(topic, detail, run)]
    if standing.unshipped:
        held = pick(f"、未送信で残る区分 {standing.unshipped}", f", {standing.unshipped} kept because not shipped")
        return [warn(topic, detail + held, "pdp audit status")]
    return [ok(topic, detail)]


def _shipping(settings: Settings, pick: Callable[[str, str], str]) -> list[Finding]:
    ledger = Ledger(settings.state_path / "shipping")
    findings = []
    for target in settings.log_targets:
        topic = f"{pick('ログの送信', 'log shipping')} {target.name}"
        try:
            standing = ledger.read(target.name)
        except SettingsError as fault:
            findings.append(fail(topic, fault.message, fault.next_step))
            continue
        if standing is None:
            run = pick("`pdp audit ship` を常駐させる", "run `pdp audit ship` beside the service")
            findings.append(warn(topic, pick("一度も送信していない", "nothing was ever shipped"), run))
        elif standing.fault:
            detail = pick(f"障害 {standing.fault}", f"fault {standing.fault}") + f", {standing.behind_bytes} B"
            findings.append(warn(topic, detail, "pdp audit status"))
        elif standing.refused:
            findings.append(_refused(topic, target, standing, pick))
        else:
            findings.append(ok(topic, pick(f"送信済み {standing.shipped}", f"{standing.shipped} shipped")))
    return findings


def _refused(topic: str, target: LogTarget, standing: Standing, pick: Callable[[str, str], str]) -> Finding:
    """Records that the receiver will never take; and the file that they are kept in, which has an end."""
    file = f"shipping/{target.name}.refused"
    detail = pick(
        f"受信側が拒否した記録 {standing.refused} 件、{file} は {standing.refused_bytes}/{target.refused_bytes} B",
        f"{standing.refused} records were refused, {file} has {standing.refused_bytes} of {target.refused_bytes} B",
    )
    if standing.let_go:
        detail += pick(f"、保管できなかった {standing.let_go} 件", f", {standing.let_go} found no room there")
    step = pick(f"受信側の設定と {file} を確認する", f"look at the receiver's setting and at {file}")
    return warn(topic, detail, step)
