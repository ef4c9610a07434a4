from __future__ import annotations

import io
import json

import pytest

from pdp.commands.terminal import Terminal, lang_of, printable


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB", "LC_MESSAGES": "ja_JP"}, "ja"),
        ({"LANG": "ja", "LC_ALL": ""}, "ja"),
    ],
)
def test_the_language_is_the_locales(environ, lang):
    assert lang_of(environ) == lang


def test_what_a_terminal_would_obey_is_not_written_to_it():
    assert printable("a\x1b]0;title\x07b\rc\nd　関所") == "a\ufffd]0;title\ufffdb\ufffdc\nd　関所"


def test_a_table_shows_brackets_and_no_control_characters(monkeypatch, capsys):
    Terminal("en", as_json=False).table(["id", "[x]"], [["[red]u-1[/red]", "\x1b[2J"]])
    out = capsys.readouterr().out
    assert "[red]u-1[/red]" in out
    assert "\x1b" not in out


def test_where_the_output_is_json_nothing_else_stands_on_stdout(capsys):
    terminal = Terminal("ja", as_json=True)
    terminal.say("for people")
    terminal.table(["a"], [["b"]])
    terminal.remark("beside it")
    with terminal.progress("work", 3) as advance:
        advance(3)
    terminal.json({"ok": True, "text": "関所"})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"ok": True, "text": "関所"}
    assert captured.out.count("\n") == 1
    assert captured.err == "beside it\n"


def test_a_pipe_gets_no_colour_and_no_folded_lines(capsys):
    terminal = Terminal("en", as_json=False)
    terminal.say("x" * 300, style="bold red")
    assert capsys.readouterr().out == "x" * 300 + "\n"


def test_a_bar_is_shown_only_where_somebody_looks(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    with Terminal("en", as_json=False).progress("work", 2) as advance:
        advance(1)
    assert screen.getvalue() == ""  # it took no second
