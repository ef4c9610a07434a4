"""`pdp scenario to-csv` and `from-csv`: stories as a table, for people who write no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.commands.terminal import Terminal
    from pdp.scenario.table import TableFault


def write(terminal: Terminal, paths: list[Path], out: Path) -> None:
    """Raises ScenarioError for stories that are none, or that no table can hold; BadRequestError for another file."""
    from pdp.errors import BadRequestError
    from pdp.scenario.files import documents_in
    from pdp.scenario.sheet import is_table, write_table
    from pdp.scenario.to_table import to_rows

    if not is_table(out.name):
        raise BadRequestError("a table is a file .csv or .xlsx", next_step="name the file so")
    rows = to_rows(documents_in(paths))
    _save(out, write_table(out.name, rows))
    told = len({row[0] for row in rows[1:]})
    terminal.say(
        terminal.pick(f"{told} 件のシナリオを {len(rows)} 行に書いた", f"{told} scenarios in {len(rows)} rows")
    )


def read(terminal: Terminal, table: Path, out: Path | None) -> bool:
    """Whether every row is part of a scenario; if not, each cell that is at fault is told."""
    from pdp.errors import BadRequestError, ScenarioError
    from pdp.scenario.format import checked
    from pdp.scenario.from_table import from_rows
    from pdp.scenario.retold import as_text
    from pdp.scenario.sheet import MAX_BYTES, read_table
    from pdp.scenario.table import TableError

    try:
        with table.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as fault:
        raise BadRequestError(f"`{table}` cannot be read: {fault.strerror}") from None
    faults: list[TableFault] = []
    documents = []
    try:
        for told in from_rows(read_table(table.name, content)):
            documents.append(told.document)
            try:
                checked(told.document)
            except ScenarioError as fault:
                faults.append(told.fault(fault.message))
    except TableError as fault:
        faults = list(fault.faults)
    if faults:
        _tell(terminal, faults)
        return False
    if terminal.as_json:
        terminal.json({"scenarios": documents, "faults": []})
    elif out is None:
        terminal.say("---\n".join(as_text(document) for document in documents).rstrip("\n"))
    else:
        _save(out, "---\n".join(as_text(document) for document in documents).encode())
        terminal.say(terminal.pick(f"{len(documents)} 件のシナリオ", f"{len(documents)} scenarios"))
    return True


def _tell(terminal: Terminal, faults: list[TableFault]) -> None:
    if terminal.as_json:
        told = [{"row": one.row, "column": one.column, "ja": one.ja, "en": one.en} for one in faults]
        terminal.json({"scenarios": [], "faults": told})
    for one in faults:
        terminal.say(terminal.pick(one.in_japanese, str(one)), style="red")


def _save(out: Path, content: bytes) -> None:
    from pdp.errors import BadRequestError

    try:
        out.write_bytes(content)
    except OSError as fault:
        raise BadRequestError(f"`{out}` cannot be written: {fault.strerror}") from None
