"""`pdp audit`: is the decision log whole?"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option, Typer

from pdp.commands import audit_anchors, audit_privacy, audit_proof, audit_publish, audit_ship, audit_trail
from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NO

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.commands.wholeness import Wholeness

app = Typer(no_args_is_help=True, help="Prove the decision log.")


@app.callback()
def audit() -> None:
    """Prove the decision log. What is kept, and what this can see: docs/decision-log.md."""


app.command("prove")(audit_proof.prove)
app.command("consistency")(audit_proof.consistency)
app.command("checkpoint")(audit_proof.checkpoint)
app.command("keys")(audit_proof.keys)
app.command("rotate-key")(audit_proof.rotate_key)
app.command("heads")(audit_anchors.heads)
app.command("publish")(audit_publish.publish)
app.command("ship")(audit_ship.ship)
app.command("status")(audit_ship.status)
app.command("trail")(audit_trail.trail)
app.command("masking")(audit_privacy.masking)
app.command("pseudonym")(audit_privacy.pseudonym)
app.command("subject-export")(audit_privacy.subject_export)
app.command("pseudonymise")(audit_privacy.pseudonymise)


@app.command("verify")
@spread
def verify(
    call: StateCall,
    anchors: Annotated[
        list[Path] | None,
        Option(
            "--anchor",
            help="File of signed heads kept elsewhere, or a syslog with them; besides the files of `log_anchors`.",
            exists=True,
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        Option("--keys", help="Your own copy of the public keys; default: those beside the log.", exists=True),
    ] = None,
    tsa_file: Annotated[
        Path | None,
        Option("--tsa", help="Roots of time-stamp authorities; default: those of the settings.", exists=True),
    ] = None,
) -> None:
    """Check each line against the one before, and all against the signed heads. Exit code 1: the log is broken."""
    from pdp.commands.absent_proof import clues_of
    from pdp.commands.audit_anchors import check_stamps, stamp_files
    from pdp.commands.unproven import tell_unanchored, tell_unproven
    from pdp.commands.wholeness import examine
    from pdp.errors import NotReadyError, SettingsError
    from pdp.transparency.anchored import read_keys

    terminal, settings = call.terminal, call.settings()
    state = settings.state_path
    if not (state / "decisions").is_dir():
        raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
    trusted = None if key_file is None else read_keys(key_file)
    if trusted == []:
        raise SettingsError(
            "the file of public keys holds something else", next_step="give the lines of `pdp audit keys`"
        )
    stamps = stamp_files(state / "decisions")
    stamped = check_stamps(stamps, str(tsa_file or settings.log_anchor_tsa_file))
    clues = clues_of(settings)
    heads = list(dict.fromkeys([*(anchors or ()), *(path for path in clues.heads if path.exists()), *stamps]))
    seen = examine(
        state / "decisions",
        trail=state / "trail",
        trusted=trusted,
        anchors=heads,
        refuge=Path(settings.log_spill_dir) if settings.log_spill_dir else None,
        policies=state / "bundles",
        pseudonym_keys=Path(settings.log_pseudonym_key_file or state / "pseudonyms.key"),
        clues=clues,
    )
    seen = replace(seen, findings=(*seen.findings, *stamped))
    _tell(terminal, seen, anchors=len(heads))
    tell_unproven(terminal, seen.unproven, signing=settings.log_proof == "on")
    if seen.logs and not heads:
        tell_unanchored(terminal)
    _tell_removals(terminal, seen)
    _tell_rewritten(terminal, state / "decisions")
    if seen.breaks:
        raise Exit(NO)


def _tell_removals(terminal: Terminal, seen: Wholeness) -> None:
    for one in seen.findings:
        what = {
            "unfounded_removal": (
                "削除済みとされているが、証跡に該当する `audit.retention` がない。正規の削除ではない可能性がある",
                "called removed, and no event of the trail says that retention removed it: somebody else may have",
            ),
            "unsigned_removal": (
                "削除の証跡に署名がまだない。署名プロセスの稼働を確認し、再度検証すること",
                "the event of its removal is not signed for: see that the notary runs, and verify again",
            ),
            "unproven_removal": (
                "削除の証跡がなく、ログの署名も無効のため、削除の正当性は証明できない",
                "no event tells of its removal, and nobody signs for this log: nothing proves it",
            ),
        }.get(one.kind)
        if what is not None:
            ja, en = what
            terminal.say(
                terminal.pick(f"{one.segment}: 記録 {one.at} 件 {ja}", f"{one.segment}: {one.at} records {en}"),
                style="yellow",
            )


def _tell_rewritten(terminal: Terminal, log: Path) -> None:
    """Which records are provable by their hash alone. A manifest that cannot be read is a finding already."""
    from contextlib import suppress

    from pdp.archive.manifest import Manifest
    from pdp.archive.place import Place
    from pdp.archive.rewrites import Rewrites
    from pdp.errors import NotReadyError

    with suppress(NotReadyError):
        for one in Rewrites(Manifest(Place(log).manifest)).known():
            terminal.say(
                terminal.pick(
                    f"{one.file}: 記録 {one.records} 件は {one.at:%Y-%m-%d} に仮名化済み"
                    f"（規則 {one.rules_sha256[:12]}、実行者 {one.by}）。ハッシュによる証明のみ",
                    f"{one.file}: {one.records} records were pseudonymised on {one.at:%Y-%m-%d} (rules "
                    f"{one.rules_sha256[:12]}, by {one.by}); they are proven by their hash alone",
                )
            )


def _tell(terminal: Terminal, seen: Wholeness, *, anchors: int) -> None:
    broken = len(seen.breaks)
    for finding in seen.findings:
        style = "bold red" if finding in seen.breaks else "yellow"
        span = f"  {finding.at}" + (f"-{finding.until}" if finding.until else "") if finding.at else ""
        record = seen.named.get(finding)
        which = "" if record is None else f"  {record.what} seq {record.seq} {record.id}".rstrip()
        terminal.say(f"{finding.kind}  {finding.segment}{span}{which}", style=style)
    if terminal.as_json:
        findings = [asdict(finding) for finding in seen.findings]
        for finding, told in zip(seen.findings, findings, strict=True):
            record = seen.named.get(finding)
            told["what"] = "" if record is None else record.what
        terminal.json(
            {
                "ok": broken == 0,
                "records": seen.records,
                "stored": seen.stored,
                "findings": findings,
                "logs": [asdict(log) for log in seen.logs],
                "unproven": [asdict(one) for one in seen.unproven],
                "anchors": anchors,
            }
        )
    for log in seen.logs:
        terminal.say(
            terminal.pick(
                f"{log.origin}: 署名済み記録 {log.covered} 件（木の大きさ {log.size}）",
                f"{log.origin}: {log.covered} records under signed heads (tree of {log.size})",
            )
        )
    if seen.stored:
        terminal.say(
            terminal.pick(f"格納済みの記録 {seen.stored} 件を確認", f"{seen.stored} records proven in the store")
        )
    terminal.say(
        terminal.pick(
            f"記録 {seen.records} 件を確認、破損 {broken} 件", f"{seen.records} records proven, {broken} breaks"
        ),
        style="bold red" if broken else "bold green",
    )
