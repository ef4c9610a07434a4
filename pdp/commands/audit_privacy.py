"""`pdp audit masking`, `pseudonym`, `subject-export` and `pseudonymise`: what the log holds of people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from pdp.commands.call import StateCall, spread

if TYPE_CHECKING:
    from pdp.archive.pseudonymising import RuleSet, Step
    from pdp.commands.terminal import Terminal
    from pdp.model.log_masking import MaskingRule
    from pdp.settings import Settings

_LEAST_REASON = 5  # characters, as `POST /audit/v1/reveal` wants them
_MOST_REASON = 500
_WORDS = {
    "pseudonymise": ("仮名化の対象", "due"),
    "held": ("保全中", "held"),
    "damaged": ("損傷のため対象外", "damaged, left as it is"),
    "newest": ("対象外（ワーカーの最新セグメントを含む）", "waits: it has the newest segment of a worker"),
    "done": ("仮名化済み", "done before"),
}


@spread
def masking(call: StateCall) -> None:
    """What the settings take out of records, and of old ones. Refuses rules that cannot work."""
    from pdp.parts import open_masking
    from pdp.privacy.old_records import OLD_RECORDS
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    open_masking(settings, lambda: None)  # raises where a rule cannot work, or a key cannot be had
    record_query(settings, "audit.mask", {})
    rules = {"log_masking": settings.log_masking, "audit_pseudonymise": settings.audit_pseudonymise or OLD_RECORDS}
    if terminal.as_json:
        import msgspec

        terminal.json({name: msgspec.to_builtins(list(known)) for name, known in rules.items()})
    for name, known in rules.items():
        terminal.table(
            [
                terminal.pick("箇所", "place"),
                terminal.pick("処理", "what becomes of it"),
                terminal.pick("条件", "where"),
            ],
            [[rule.pointer, _operation(rule), _where(rule)] for rule in known],
            title=name,
        )


@spread
def pseudonym(
    call: StateCall,
    person: Annotated[str, Argument(help="A person's id.")],
    reason: Annotated[str, Option("--reason", help="Why, for the trail.")],
) -> None:
    """What a person is called in masked records, under each key: to be asked for with `--person`."""
    from pdp.parts import open_pseudonyms
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    reason = _said(reason)
    names = open_pseudonyms(settings).all_of("user", person)
    record_query(settings, "audit.reveal", {"person": person}, reason=reason, rows=len(names))
    if terminal.as_json:
        terminal.json({"pseudonyms": names})
    for name in names:
        terminal.say(name)


@spread
def subject_export(
    call: StateCall,
    person: Annotated[str, Option("--person", help="The person's id.")],
    since: Annotated[str, Option("--since", help="From this time on, with its offset.")],
    until: Annotated[str, Option("--until", help="Before this time.")],
    out: Annotated[Path, Option("--out", help="A directory that does not exist yet.")],
    reason: Annotated[str, Option("--reason", help="Why, as the number of the request; for the trail.")],
) -> None:
    """All records of one person, for the person: JSON lines, a CSV to read, and their digests."""
    from dataclasses import replace

    from pdp.archive.asking import filters_of
    from pdp.archive.search import DuckSearch
    from pdp.commands.composed import limits_of
    from pdp.commands.subject_files import write_subject_files
    from pdp.parts import open_pseudonyms
    from pdp.trail.keeping import noted

    terminal, settings = call.terminal, call.settings()
    reason = _said(reason)
    names = [person]
    # Old records may have been rewritten whatever is masked today: wherever there are keys, they count.
    if settings.log_pseudonym_key_file or (settings.state_path / "pseudonyms.key").exists():
        names += open_pseudonyms(settings).all_of("user", person)
    search = DuckSearch(settings.decision_logs, limits_of(settings))
    filters = filters_of({"since": [since], "until": [until], "person": [person]})
    asked = {"person": person, "since": since, "until": until}
    with noted(settings, "audit.subject_export", asked, reason=reason) as found:
        out.mkdir(mode=0o700)
        rows = write_subject_files(out, (b for known in names for b in search.stream(replace(filters, person=known))))
        found.rows = rows
    terminal.answer(
        {"rows": rows, "directory": str(out)},
        terminal.pick(f"{rows} 件を {out} に書き出し", f"{rows} records written to {out}"),
    )


@spread
def pseudonymise(
    call: StateCall,
    older_than: Annotated[int, Option("--older-than", min=1, help="Months; a file goes by its newest record.")],
    apply: Annotated[bool, Option("--apply", help="Do it; without this, only say what would be done.")] = False,
) -> None:
    """Take the names out of old records and keep their proof: hashes of what they held stay in their place."""
    from pdp.archive.keeper import LOCK_WAIT_S, utc_now
    from pdp.archive.pseudonymising import carry_out, plan
    from pdp.commands.composed import log_store_of
    from pdp.trail.keeping import noted, os_user, record_query

    terminal, settings = call.terminal, call.settings()
    store, now = log_store_of(settings), utc_now()
    steps, asked = plan(store, older_than, now), {"months": older_than, "apply": apply}
    if apply:
        rules = _rules(settings)
        with noted(settings, "audit.pseudonymise", asked) as found, store.held(LOCK_WAIT_S):
            done = carry_out(store, plan(store, older_than, now), rules, now, os_user().id)
            found.rows = sum(rewrite.records for rewrite in done)
        steps = plan(store, older_than, now)
    else:
        record_query(settings, "audit.pseudonymise", asked, rows=len(steps))
    _tell(terminal, steps)


def _rules(settings: Settings) -> RuleSet:
    from pdp.archive.pseudonymising import RuleSet
    from pdp.parts import open_pseudonyms
    from pdp.privacy.masking import Masking
    from pdp.privacy.old_records import OLD_RECORDS, text_of

    rules = tuple(settings.audit_pseudonymise) or OLD_RECORDS
    needed = any(rule.op == "pseudonymise" for rule in rules)
    pseudonyms = open_pseudonyms(settings) if needed else None
    epoch = None if pseudonyms is None else pseudonyms.epoch
    return RuleSet(Masking(rules, pseudonyms, lambda: None), text_of(rules), epoch)


def _tell(terminal: Terminal, steps: list[Step]) -> None:
    if terminal.as_json:
        told = [{"file": s.file.name, "what": s.what, "records": s.file.records, "holds": list(s.holds)} for s in steps]
        terminal.json({"files": told})
    terminal.table(
        [terminal.pick("ファイル", "file"), terminal.pick("件数", "records"), terminal.pick("状態", "what")],
        [[step.file.name, str(step.file.records), terminal.pick(*_WORDS[step.what])] for step in steps],
    )
    if not steps:
        terminal.remark(terminal.pick("対象となる古い記録はない", "no file is that old"))


def _operation(rule: MaskingRule) -> str:
    return rule.op if rule.to is None else f"{rule.op} → {rule.to}{'' if rule.by is None else f' {rule.by}'}"


def _where(rule: MaskingRule) -> str:
    about = rule.where
    parts: dict[str, list[str]] = {
        "profile": [*about.profile], "outcome": [*about.outcome], "wire": about.wire, "caller": about.caller
    }  # fmt: skip
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in parts.items() if values)


def _said(reason: str) -> str:
    """Raises BadRequestError for a reason that says nothing."""
    from pdp.errors import BadRequestError

    told = reason.strip()
    if not _LEAST_REASON <= len(told) <= _MOST_REASON:
        raise BadRequestError(
            f"`--reason` is not {_LEAST_REASON} to {_MOST_REASON} characters", next_step="name the request or the case"
        )
    return told
