"""`pdp bundle submit … rollback`: the steps of a revision, and what is of record."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Exit, Option

from pdp.commands.call import PlainStateCall, StateCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import RevisionNumber

if TYPE_CHECKING:
    from typer import Typer

    from pdp.commands.revision_board import Board
    from pdp.revisions.sealing import Signed
    from pdp.trail.event import Action

Reason = Annotated[str, Option("--reason", help="Why; stands in the history.")]
SignedFile = Annotated[
    Path | None, Option("--signed", metavar="FILE", help="What `pdp bundle sign` printed, where no key is set here.")
]
Epoch = Annotated[int | None, Option("--epoch", help="A later epoch than the next, after a database was restored.")]


def register(app: Typer) -> None:
    """Add these commands to `pdp bundle`."""
    app.command("submit")(submit)
    app.command("sign")(sign)
    app.command("schedule")(schedule)
    app.command("renew")(renew)
    app.command("reviews")(reviews)
    app.command("activate")(_of_record("activate", "policy.activate", "Have an approved revision decide."))
    app.command("rollback")(_of_record("rollback", "policy.rollback", "Go back to a revision that was active before."))
    for step, text in _SIMPLE.items():
        app.command(step)(_simple(step, text))


_SIMPLE = {
    "approve": "Approve what somebody else wrote.",
    "reject": "Send a revision back to its author.",
    "endorse": "Be one of the two further persons of an emergency.",
    "withdraw": "Take a revision back, to work on it.",
    "discard": "Give a revision up for good.",
    "unschedule": "Take a revision off the schedule.",
}


@spread
def submit(
    call: StateCall,
    number: RevisionNumber,
    reason: Reason,
    warn_days: Annotated[
        int, Option("--warn-days", min=0, help="Days for which new refusals are announced, and do not count yet.")
    ] = 0,
) -> None:
    """Run every gate on a draft, and ask for its approval. Exit code 1 where a gate does not let it through."""
    from pdp.commands.revision_board import open_board, tell_revision
    from pdp.commands.revision_lines import table_detail

    with open_board(call) as board:
        revisions = board.registers.revisions
        if revisions.detail(number).revision.state in ("draft", "checked"):
            board.change("policy.check", number, reason, lambda: _check(board, number))
        detail = revisions.detail(number)
        if detail.revision.state == "draft":
            if call.as_json:
                tell_revision(board, detail.revision)
            else:
                table_detail(board.terminal, detail)
            raise Exit(NO)
        done = board.change(
            "policy.submit",
            number,
            reason,
            lambda: revisions.submit(board.person, number, reason, board.now, warn_days=warn_days),
        )
        tell_revision(board, done)


@spread
def sign(
    call: PlainStateCall,
    number: RevisionNumber,
    key: Annotated[str, Option("--key", metavar="FILE", help="PEM, private: Ed25519 or P-256.")],
    step: Annotated[str, Option("--step", help="activate, schedule or rollback.")] = "activate",
    epoch: Epoch = None,
) -> None:
    """Sign what a step would make of record, for the next epoch; hand the output to `--signed`."""
    from pdp.commands.revision_board import open_board
    from pdp.errors import BadRequestError
    from pdp.revisions.statement import read_signing_key, write_signatures

    if step not in ("activate", "schedule", "rollback"):
        raise BadRequestError("--step is one of activate, schedule, rollback")
    chosen: Any = step
    with open_board(call) as board:
        said = board.registers.activations.statement_for(number, chosen, board.now, epoch=epoch).text
        board.terminal.json({"statement": said, "signatures": write_signatures([read_signing_key(key).sign(said)])})


@spread
def schedule(
    call: StateCall,
    number: RevisionNumber,
    at: Annotated[str, Option("--at", help="When, with its offset: 2027-04-01T00:00:00+09:00.")],
    reason: Reason,
    signed: SignedFile = None,
) -> None:
    """Have an approved revision activated at a time (適用日時)."""
    from pdp.commands.revision_board import open_board, tell_revision
    from pdp.errors import BadRequestError

    try:
        when = datetime.fromisoformat(at)
    except ValueError:
        raise BadRequestError(f"`{at[:64]}` is no time") from None
    if when.tzinfo is None:
        raise BadRequestError("the time needs its offset, for example +09:00")
    with open_board(call) as board:
        plan, word = board.registers.activations.schedule, _signed(signed)
        done = board.change(
            "policy.schedule", number, reason, lambda: plan(board.person, number, when, reason, board.now, signed=word)
        )
        tell_revision(board, done)


@spread
def renew(
    call: StateCall,
    reason: Reason,
    epoch: Epoch = None,
    signed: SignedFile = None,
    enforce: Annotated[bool, Option("--enforce", help="End its time of warning now: every refusal counts.")] = False,
) -> None:
    """The same revision under a new epoch: after a change of keys, or of a restored database; or to enforce it."""
    from pdp.commands.revision_board import open_board, tell_active

    with open_board(call) as board:
        again, word = board.registers.activations.renew, _signed(signed)
        done = board.change(
            "policy.renew",
            None,
            reason,
            lambda: again(board.person, reason, board.now, signed=word, epoch=epoch, enforce=enforce),
        )
        tell_active(board, done)


@spread
def reviews(
    call: StateCall,
    close: Annotated[int | None, Option("--close", metavar="ID", help="Close this review.")] = None,
    note: Annotated[str, Option("--note", help="What the review found, with --close.")] = "",
) -> None:
    """Reviews that emergencies left behind. Exit code 1 while one is open."""
    from pdp.commands.revision_board import open_board
    from pdp.commands.revision_lines import table_reviews
    from pdp.governance.told import review_told

    with open_board(call) as board:
        held = board.registers.reviews
        if close is not None:
            board.change("policy.review", None, note, lambda: held.close(board.person, close, note, board.now))
        found = held.all()
        if call.as_json:
            board.terminal.json([review_told(one) for one in found])
        else:
            table_reviews(board.terminal, found)
    if found:
        raise Exit(NO)


def _of_record(step: str, action: Action, text: str) -> Any:
    @spread
    def command(
        call: StateCall, number: RevisionNumber, reason: Reason, signed: SignedFile = None, epoch: Epoch = None
    ) -> None:
        from pdp.commands.revision_board import open_board, tell_active

        with open_board(call) as board:
            do, word = getattr(board.registers.activations, step), _signed(signed)
            done = board.change(
                action, number, reason, lambda: do(board.person, number, reason, board.now, signed=word, epoch=epoch)
            )
            tell_active(board, done)

    command.__doc__ = text
    return command


def _simple(step: str, text: str) -> Any:
    @spread
    def command(call: StateCall, number: RevisionNumber, reason: Reason) -> None:
        from pdp.commands.revision_board import open_board, tell_revision

        action: Any = f"policy.{step}"
        with open_board(call) as board:
            register: Any = board.registers.activations if step == "unschedule" else board.registers.revisions
            do = getattr(register, step)
            done = board.change(action, number, reason, lambda: do(board.person, number, reason, board.now))
            tell_revision(board, done)

    command.__doc__ = text
    return command


def _check(board: Board, number: int) -> Any:
    import msgspec

    from pdp.commands.composed import run
    from pdp.gates.opening import open_gates
    from pdp.parts import configured_bundle, open_engine, utc_now
    from pdp.revisions.files import bundle_of
    from pdp.revisions.gate import Candidate, run_gates

    patient = msgspec.structs.replace(board.settings, engine_deadline_ms=10_000)
    revision, files = board.registers.revisions.files(number)
    candidate = Candidate(number, files, bundle_of(files))
    gates = open_gates(
        board.settings,
        board.store,
        open_engine=lambda: open_engine(patient),
        configured=lambda: configured_bundle(board.settings),
        clock=utc_now,
    )
    results = run(run_gates(gates, candidate))
    return board.registers.revisions.keep_gates(board.person, number, revision.source_digest, results, board.now)


def _signed(file: Path | None) -> Signed | None:
    if file is None:
        return None
    import msgspec

    from pdp.errors import BadRequestError
    from pdp.revisions.sealing import Signed

    try:
        return msgspec.json.decode(file.read_bytes(), type=Signed)
    except (OSError, msgspec.MsgspecError) as fault:
        raise BadRequestError(f"`{file.name}` holds nothing that was signed: {type(fault).__name__}") from None
