"""`pdp exception`: 例外措置 and 災害時運用, asked for by one person and granted by another; they end by themselves."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Exit, Option, Typer

from pdp.commands.call import StateCall, spread
from pdp.commands.exit_codes import NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.commands.exception_ways import Json, Way
    from pdp.commands.terminal import Terminal

app = Typer(no_args_is_help=True, help="Exceptions (例外措置) and declarations of a disaster (災害時運用).")

Number = Annotated[int, Argument(metavar="ID", help="Of `pdp exception list`.", min=1)]
Note = Annotated[str, Option("--note", help="Why; stands beside the decision.")]
Url = Annotated[str | None, Option("--url", help="A running service; default: the database of this host.")]
KeyFile = Annotated[Path | None, Option("--key-file", help="File with the key of a caller, with --url.")]


@app.callback()
def exception() -> None:
    """Exceptions (例外措置) and declarations of a disaster (災害時運用)."""


@app.command("list")
@spread
def list_all(
    call: StateCall,
    state: Annotated[str, Option("--state", help="asked, granted, refused, withdrawn, ended; with commas.")] = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """What was asked for, the newest first, and what is in force now."""
    from pdp.commands.exception_lines import table

    with _way(call, url, key_file) as (way, terminal):
        found = way.all(state)
        if terminal.as_json:
            terminal.json({"exceptions": found})
        else:
            table(terminal, found)


@app.command("show")
@spread
def show(call: StateCall, number: Number, url: Url = None, key_file: KeyFile = None) -> None:
    """One of them, whole. Exit code 1 where it is not in force."""
    from pdp.errors import NotFoundError

    with _way(call, url, key_file) as (way, terminal):
        found = next((one for one in way.all("") if one["id"] == number), None)
        if found is None:
            raise NotFoundError(f"there is no exception {number}", next_step="`pdp exception list` names them")
        _tell(terminal, found)
    if not found["in_force"]:
        raise Exit(NO)


@app.command("request")
@spread
def request(
    call: StateCall,
    kind: Annotated[Literal["disaster", "work", "device"], Option("--kind", help="disaster, work or device.")],
    ends: Annotated[str, Option("--until", help="The end, with its offset: 2026-04-30T17:00:00+09:00.")],
    reason: Annotated[str, Option("--reason", help="Why it is needed.")],
    starts: Annotated[str | None, Option("--from", help="The beginning, with its offset; default: now.")] = None,
    users: Annotated[list[str] | None, Option("--user", help="Whom it is for; may be repeated.")] = None,
    devices: Annotated[list[str] | None, Option("--device", help="A terminal; may be repeated.")] = None,
    resources: Annotated[list[str] | None, Option("--resource", help="A system; may be repeated.")] = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Ask for one: `disaster` is for everybody, `work` names people, terminals and systems, `device` one of each."""
    from pdp.parts import utc_now

    said: dict[str, Any] = {
        "kind": kind,
        "starts": starts or utc_now().isoformat(timespec="seconds"),
        "ends": ends,
        "reason": reason,
    }
    said |= {name: given for name, given in (("users", users), ("devices", devices), ("resources", resources)) if given}
    with _way(call, url, key_file) as (way, terminal):
        _tell(terminal, way.ask(said))


def _decision(word: str, decision: Any, text: str) -> None:
    @spread
    def command(call: StateCall, number: Number, note: Note, url: Url = None, key_file: KeyFile = None) -> None:
        with _way(call, url, key_file) as (way, terminal):
            _tell(terminal, way.decide(number, decision, note))

    command.__doc__ = text
    app.command(word)(command)


_decision("approve", "grant", "Grant what somebody else has asked for.")
_decision("refuse", "refuse", "Refuse what was asked for.")
_decision("withdraw", "withdraw", "Take back what you have asked for, before anybody has decided.")
_decision("end", "end", "End what was granted before its time: it takes something away, and one person may.")


@contextmanager
def _way(call: StateCall, url: str | None, key_file: Path | None) -> Iterator[tuple[Way, Terminal]]:
    from pdp.commands.exception_ways import OnThisHost, over_the_api
    from pdp.commands.revision_board import open_board

    if url is not None:
        with over_the_api(url, key_file) as way:
            yield way, call.terminal
        return
    with open_board(call) as board:
        yield OnThisHost(board), board.terminal


def _tell(terminal: Terminal, found: Json) -> None:
    from pdp.commands.exception_lines import say

    if terminal.as_json:
        terminal.json(found)
    else:
        say(terminal, found)
