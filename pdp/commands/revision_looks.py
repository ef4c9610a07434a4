"""`pdp bundle import, export, history, diff, status`: revisions in and out, and what can be seen of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from pdp.commands.call import PlainStateCall, StateCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import RevisionNumber

if TYPE_CHECKING:
    from typer import Typer


def register(app: Typer) -> None:
    """Add these commands to `pdp bundle`."""
    app.command("import")(import_)
    app.command("export")(export)
    app.command("history")(history)
    app.command("diff")(diff)
    app.command("status")(status)


@spread
def import_(
    call: StateCall,
    directory: Annotated[Path | None, Argument(metavar="DIR", help="Bundle directory.", show_default=False)] = None,
    reason: Annotated[str, Option("--reason", help="Why; stands in the history.")] = "",
    git: Annotated[str | None, Option("--git", metavar="URL", help="Take it from this Git repository.")] = None,
    ref: Annotated[str, Option("--ref", help="Branch, tag or commit, with --git.")] = "HEAD",
    path: Annotated[str, Option("--path", help="Folder of the bundle in the repository.")] = "",
    parent: Annotated[int | None, Option("--parent", help="The revision that it was made from.")] = None,
) -> None:
    """A new draft from a directory, or from a commit of a Git repository (signed, where the settings name signers)."""
    from pdp.commands.revision_board import open_board, tell_revision
    from pdp.commands.revision_git import fetched
    from pdp.errors import BadRequestError
    from pdp.revisions.files import from_directory

    if (directory is None) == (git is None):
        raise BadRequestError("name a directory, or a repository with --git")
    with open_board(call) as board:
        if git is not None:
            found = fetched(git, ref, path, board.settings.git_allowed_signers_file)
            files, said = found.files, f"{reason} [git {found.commit}]".strip()
        else:
            assert directory is not None
            files, said = from_directory(directory), reason
        create = board.registers.revisions.create
        made = board.change(
            "policy.draft", None, said, lambda: create(board.person, files, said, board.now, parent=parent)
        )
        tell_revision(board, made)


@spread
def export(
    call: PlainStateCall,
    number: RevisionNumber,
    directory: Annotated[Path | None, Argument(metavar="DIR", help="A new directory.", show_default=False)] = None,
    git: Annotated[Path | None, Option("--git", metavar="REPO", help="Commit it to this local repository.")] = None,
    branch: Annotated[str, Option("--branch", help="Branch of the commit, with --git.")] = "main",
    path: Annotated[str, Option("--path", help="Folder of the bundle in the repository.")] = "",
) -> None:
    """Write the files of a revision into a directory, or as one commit into a Git repository."""
    from pdp.commands.revision_board import open_board
    from pdp.commands.revision_git import committed
    from pdp.errors import BadRequestError
    from pdp.revisions.files import to_directory

    if (directory is None) == (git is None):
        raise BadRequestError("name a directory, or a repository with --git")
    with open_board(call) as board:
        revision, files = board.registers.revisions.files(number)
        if git is None:
            assert directory is not None
            to_directory(files, directory)
            board.terminal.say(str(directory))
            return
        message = (
            f"{revision.name}: {revision.reason}\n\nSekisho-Revision: {number}\nSekisho-Author: {revision.author}\n"
        )
        board.terminal.say(committed(git, branch, path, files, message))


@spread
def history(
    call: StateCall,
    number: Annotated[int | None, Argument(metavar="N", help="One revision; default: all.", show_default=False)] = None,
    size: Annotated[int, Option("--size", min=1, max=200, help="How many revisions at most.")] = 50,
) -> None:
    """Every revision, newest first; or one with its whole history, gates and approvals."""
    from pdp.commands.revision_board import open_board
    from pdp.commands.revision_lines import table_detail, table_revisions
    from pdp.governance.told import detail_told, revision_told

    with open_board(call) as board:
        if number is not None:
            detail = board.registers.revisions.detail(number)
            if call.as_json:
                board.terminal.json(detail_told(detail))
            table_detail(board.terminal, detail)
            return
        found = board.registers.revisions.all(size=size)
        if call.as_json:
            board.terminal.json([revision_told(one) for one in found])
        table_revisions(board.terminal, found)


@spread
def diff(
    call: StateCall,
    number: RevisionNumber,
    against: Annotated[
        int | None,
        Argument(metavar="M", help="Default: the revision of record, or the configured bundle.", show_default=False),
    ] = None,
) -> None:
    """What is different in a revision, as unified diffs. Exit code 1 where anything is."""
    from pdp.commands.revision_board import open_board
    from pdp.revisions.files import differences, from_directory

    with open_board(call) as board:
        revisions = board.registers.revisions
        if against is None:
            active = board.registers.activations.current()
            against = None if active is None else active.number
        before = from_directory(board.settings.bundle_path) if against is None else revisions.files(against)[1]
        found = differences(before, revisions.files(number)[1])
        if call.as_json:
            board.terminal.json({"number": number, "against": against, "files": found})
        for one in found:
            left_out = board.terminal.pick("大きいため差分を省略", "too large to be shown")
            board.terminal.say(one["diff"].rstrip("\n") or f"{one['path']}: {left_out}")
    if found:
        raise Exit(NO)


@spread
def status(call: StateCall) -> None:
    """What is of record, what is planned, and which worker serves what. Exit code 1 where one does not follow."""
    from pdp.commands.revision_board import open_board
    from pdp.commands.revision_lines import table_gates, table_revisions, table_standing
    from pdp.governance.told import active_told, gate_told, instance_told, revision_told

    with open_board(call) as board:
        active = board.registers.activations.current()
        instances = board.registers.instances.all()
        planned = board.registers.revisions.all(["scheduled"])
        gates = () if active is None else board.registers.revisions.detail(active.number).gates
        if call.as_json:
            board.terminal.json(
                {
                    "active": None if active is None else active_told(active),
                    "gates": [gate_told(one) for one in gates],
                    "scheduled": [revision_told(one) for one in planned],
                    "instances": [instance_told(one) for one in instances],
                }
            )
        else:
            table_standing(board.terminal, active, instances)
            if gates:
                table_gates(board.terminal, gates)
            if planned:
                table_revisions(board.terminal, planned)
    if any(one.fault is not None or one.lapsed for one in instances):
        raise Exit(NO)
