"""`pdp audit retention` and `hold`: how long records are kept, and what is kept longer.

Each leaves an event in the trail: what was looked at, and what was changed, before it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import PlainStateCall, StateCall, spread
from pdp.commands.exit_codes import NO

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.archive.entries import Hold
    from pdp.archive.retention import Step, Terms
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings

holds = Typer(no_args_is_help=True, help="Legal holds: records that retention may not remove.")


@spread
def retention(
    call: StateCall,
    apply: Annotated[bool, Option("--apply", help="Do it; without this, only say what would be done.")] = False,
) -> None:
    """Which stored files are kept, archived or removed by their age, and which are held."""
    from pdp.archive.keeper import LOCK_WAIT_S, utc_now
    from pdp.archive.retention import batches, carry_out, finish, names_of, plan
    from pdp.commands.composed import log_store_of
    from pdp.trail.event import MAX_LIST
    from pdp.trail.keeping import noted, record_query

    terminal, settings = call.terminal, call.settings()
    store, terms, now = log_store_of(settings), _terms(settings), utc_now()
    steps = plan(store, terms, now)
    asked = {"apply": apply, "hot_months": terms.hot_months, "archive_months": terms.archive_months}
    if apply:
        done: list[Step] = []
        # INVARIANT (no removal without its event): each file is named in the trail before it goes. `pdp audit verify`
        # takes nobody's word for a removal but the signed trail's.
        for batch in batches(steps, MAX_LIST):
            named = asked | {"files": names_of(store, batch)}
            with noted(settings, "audit.retention", named) as found, store.held(LOCK_WAIT_S):
                finish(store, now)
                now_done = carry_out(store, batch, terms, now)
                found.rows = sum(step.file.records for step in now_done)
            done += now_done
        steps = [step for step in steps if step in done or step.what in ("keep", "held")]
    else:
        record_query(settings, "audit.retention", asked, rows=len(steps))
    _tell_retention(terminal, steps, terms, applied=apply)


def _tell_retention(terminal: Terminal, steps: list[Step], terms: Terms, *, applied: bool) -> None:
    if terminal.as_json:
        terminal.json(
            {
                "applied": applied,
                "hot_months": terms.hot_months,
                "archive_months": terms.archive_months,
                "files": [
                    {"what": s.what, "file": s.file.name, "records": s.file.records, "holds": list(s.holds)}
                    for s in steps
                ],
            }
        )
    words = {
        "keep": terminal.pick("保存", "kept"),
        "archive": terminal.pick("保管へ移す", "to the archive"),
        "remove": terminal.pick("削除", "to be removed"),
        "held": terminal.pick("保全命令により保存", "held"),
    }
    terminal.table(
        [
            terminal.pick("扱い", "what"),
            terminal.pick("ファイル", "file"),
            terminal.pick("件数", "records"),
            terminal.pick("最古", "from"),
            terminal.pick("最新", "to"),
            terminal.pick("保全番号", "holds"),
        ],
        [
            [
                words[s.what],
                s.file.name,
                str(s.file.records),
                str(s.file.min_time or ""),
                str(s.file.max_time or ""),
                " ".join(map(str, s.holds)),
            ]
            for s in steps
        ],
        title=terminal.pick(
            f"保存期間: {terms.hot_months} か月、その後の保管 {terms.archive_months} か月",
            f"kept {terms.hot_months} months, then archived for {terms.archive_months}",
        ),
    )
    if not applied:
        terminal.say(terminal.pick("何も変更していない（実行は `--apply`）", "nothing was changed; `--apply` does it"))


# -- holds ---------------------------------------------------------------------------------------------


@holds.callback()
def hold() -> None:
    """Legal holds: what they name is not removed until they are lifted."""


@holds.command("place")
@spread
def place(
    call: StateCall,
    case: Annotated[str, Option("--case", help="Case number.")],
    reason: Annotated[str, Option("--reason", help="Why.")],
    by: Annotated[str, Option("--by", help="Who orders it.")],
    person: Annotated[str | None, Option("--person", help="One person's id; default: everybody.")] = None,
    since: Annotated[str | None, Option("--since", help="Records from this time on, with its offset.")] = None,
    until: Annotated[str | None, Option("--until", help="Records before this time.")] = None,
) -> None:
    """Keep records whatever their age."""
    from pdp.archive.entries import Hold
    from pdp.archive.keeper import LOCK_WAIT_S, utc_now
    from pdp.commands.composed import log_store_of
    from pdp.trail.keeping import noted

    terminal, settings = call.terminal, call.settings()
    store = log_store_of(settings)
    wanted = Hold(case, person, _when(since), _when(until), reason, by, utc_now())
    named = {"case": case, "person": person, "since": since, "until": until, "ordered_by": by}
    asked = {name: value for name, value in named.items() if value is not None}
    with noted(settings, "audit.hold.place", asked, reason=reason) as found, store.held(LOCK_WAIT_S):
        number = store.manifest.place_hold(wanted)
        found.object = str(number)
    terminal.answer({"hold": number}, terminal.pick(f"保全 {number} を登録", f"hold {number} stands"))


@holds.command("lift")
@spread
def lift(
    call: PlainStateCall,
    number: Annotated[int, Argument(help="Number of the hold.")],
    reason: Annotated[str, Option("--reason", help="Why.")],
    by: Annotated[str, Option("--by", help="Who orders it.")],
) -> None:
    """End a hold. It stays on record. Exit code 1 where no such hold stands."""
    from pdp.archive.keeper import utc_now
    from pdp.commands.composed import log_store_of
    from pdp.trail.keeping import noted

    terminal, settings = call.terminal, call.settings()
    store = log_store_of(settings)
    with noted(settings, "audit.hold.lift", {"ordered_by": by}, object=str(number), reason=reason) as found:
        lifted = store.manifest.exists() and store.manifest.lift_hold(number, by=by, now=utc_now(), reason=reason)
        found.rows = int(lifted)
    if not lifted:
        terminal.remark(terminal.pick("その保全はない", "no such hold stands"))
        raise Exit(NO)
    terminal.say(terminal.pick(f"保全 {number} を解除", f"hold {number} is lifted"))


@holds.command("list")
@spread
def list_holds(
    call: StateCall, lifted: Annotated[bool, Option("--lifted", help="Also those that were lifted.")] = False
) -> None:
    """The holds that stand."""
    from pdp.commands.composed import log_store_of
    from pdp.trail.keeping import record_query

    terminal, settings = call.terminal, call.settings()
    found = log_store_of(settings).manifest.holds(lifted=lifted)
    record_query(settings, "audit.hold.list", {"lifted": lifted}, rows=len(found))
    rows = [_row_of(hold) for hold in found]
    if terminal.as_json:
        terminal.json(rows)
    heads = {
        "hold": terminal.pick("番号", "hold"),
        "case": terminal.pick("事案番号", "case"),
        "person": terminal.pick("利用者", "person"),
        "since": terminal.pick("始期", "since"),
        "until": terminal.pick("終期", "until"),
        "reason": terminal.pick("理由", "reason"),
        "by": terminal.pick("命令者", "by"),
        "lifted": terminal.pick("解除", "lifted"),
    }
    terminal.table(list(heads.values()), [["" if row[key] is None else str(row[key]) for key in heads] for row in rows])


def _row_of(hold: Hold) -> dict[str, Any]:
    times = {
        name: None if at is None else f"{at.isoformat()}Z"
        for name, at in (("since", hold.since), ("until", hold.until), ("lifted", hold.lifted_at))
    }
    return {
        "hold": hold.id,
        "case": hold.case_number,
        "person": hold.subject_id,
        "reason": hold.reason,
        "by": hold.placed_by,
        **times,
    }


# -- shared --------------------------------------------------------------------------------------------


def _terms(settings: Settings) -> Terms:
    from pdp.archive.retention import Terms

    folder = Path(settings.audit_archive_dir) if settings.audit_archive_dir else None
    return Terms(settings.audit_hot_months, settings.audit_archive_months, folder)


def _when(text: str | None) -> datetime | None:
    from pdp.archive.queries import moment

    return None if text is None else moment("time", text)
