"""What a command says, and to whom: answers on stdout, remarks on stderr, for people or as JSON.

Names from registers and files may hold anything, also the control sequences of a terminal: nothing is
written to a terminal before `printable` has seen it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from pdp.commands.options import Lang
    from pdp.model.decision import Text

_PIPED_WIDTH: Final = 200  # a pipe has no width; tables must not be folded for it
_LONG_S: Final = 1.0  # work that takes longer shows how far it is


class Terminal:
    """One command's mouth. Rich is loaded when it is first needed."""

    def __init__(self, lang: Lang | None, *, as_json: bool) -> None:
        self.lang: Lang = lang or lang_of(os.environ)
        self.as_json = as_json

    @cached_property
    def out(self) -> Console:
        return _console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        return _console(sys.stderr)

    def pick(self, ja: str, en: str) -> str:
        return ja if self.lang == "ja" else en

    def text(self, text: Text) -> str:
        return self.pick(text.ja, text.en)

    def json(self, value: object) -> None:
        """One JSON value on one line of stdout."""
        import json

        sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line for people on stdout; nothing where the output is JSON."""
        if not self.as_json:
            self.out.print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)

    def answer(self, value: object, text: str, style: str | None = None) -> None:
        """What came of the command: the value for programs, the text for people."""
        if self.as_json:
            self.json(value)
        self.say(text, style)

    def remark(self, text: str, style: str | None = None) -> None:
        """A line on stderr."""
        self.err.print(printable(text), style=style, markup=False, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
        """A table for people on stdout; nothing where the output is JSON."""
        if self.as_json:
            return
        table = self.grid(columns, title)
        for row in rows:
            table.add_row(*(cell(entry) for entry in row))
        self.out.print(table)

    def grid(self, columns: Sequence[str], title: str | None) -> Table:
        from rich import box
        from rich.table import Table

        headed = any(columns)
        table = Table(
            box=box.SIMPLE_HEAD if headed else None,
            title=title,
            title_justify="left",
            title_style="bold",
            pad_edge=False,
            show_header=headed,
        )
        for column in columns:
            table.add_column(column, overflow="fold")
        return table

    @contextmanager
    def progress(self, label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar on stderr, where people look and only once the work takes long; call the value to advance it."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _: None
            return
        yield from self._bar(label, total)

    @contextmanager
    def busy(self, label: str) -> Iterator[None]:
        """Something that moves on stderr while the block runs, where somebody looks; for work without a measure."""
        if self.as_json or not sys.stderr.isatty():
            yield
            return
        with self.err.status(label):
            yield

    def _bar(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        from time import monotonic

        from rich.progress import Progress

        bar = Progress(console=self.err, transient=True)
        task = bar.add_task(label, total=total)
        begun, shown = monotonic(), False

        def advance(steps: int) -> None:
            nonlocal shown
            bar.advance(task, steps)
            if not shown and monotonic() - begun > _LONG_S:
                bar.start()
                shown = True

        try:
            yield advance
        finally:
            if shown:
                bar.stop()


def lang_of(environ: Mapping[str, str]) -> Lang:
    """Japanese where the locale of messages is Japanese, else English (POSIX: LC_ALL, LC_MESSAGES, LANG)."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "ja" if locale.startswith("ja") else "en"


def printable(text: str) -> str:
    """The text without what a terminal would obey; newlines and the full-width blank stay."""
    return "".join(c if c.isprintable() or c in "\n\u3000" else "\ufffd" for c in text)


def cell(text: str) -> Any:
    """A table's cell, taken as it is: square brackets are no markup."""
    from rich.text import Text as RichText

    return RichText(printable(text))


def _console(stream: Any) -> Console:
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH, highlight=False)
