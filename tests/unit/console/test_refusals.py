"""Every error that a page can show has Japanese words: found by walking over the code that raises, not by a list."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pdp import errors
from pdp.console.refusals.telling import SENTENCES, japanese, told
from pdp.console.said import _FAULTS, Said
from pdp.console.words import say
from pdp.errors import NotReadyError, SekishoError
from pdp.revisions.states import STATES, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.unit.console.world import Console

ROOT: Final = Path(__file__).parents[3] / "pdp"
# What the API of the pages is made of. A process's own words (bundles, spaces, exports) may be quoted in English.
REACHABLE: Final = (
    "governance", "revisions", "jobs", "job_child", "insight", "audit", "simulate",
    "gates/draft_tests.py", "gates/trying.py", "replaying/reading.py",
    "archive/asking.py", "archive/duck.py", "archive/queries.py", "archive/search.py", "archive/search_groups.py",
    "archive/session.py", "archive/snapshot.py", "archive/manifest_file.py", "archive/streaming.py",
    "console", "trail/reading.py", "directory/source.py", "strict_json.py", "wire/plain_exchange.py",
)  # fmt: skip
_JAPANESE: Final = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
# Settings are read before there is a page; commands alone make accounts, and read files of contexts.
_ELSEWHERE: Final = ("console/accounts.py", "console/opening.py", "simulate/contexts.py", "simulate/hypothetical.py")
_CLASSES: Final[Mapping[str, type[SekishoError]]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SekishoError)
}


def _is_told(kind: type[SekishoError]) -> bool:
    """Whether its message leaves the service (`pdp.audit.problem`); of a BundleError, in a draft's report."""
    return kind.status < 500 or issubclass(kind, NotReadyError) or kind is errors.BundleError


@cache
def raised() -> tuple[tuple[str, str], ...]:
    """(where, English) of each message and next step that is written out where an error is made."""
    files = chain.from_iterable(
        sorted(path.rglob("*.py")) if path.is_dir() else [path] for path in map(ROOT.__truediv__, REACHABLE)
    )
    return tuple(chain.from_iterable(_of_file(path) for path in files if not str(path).endswith(_ELSEWHERE)))


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: text
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(target := node.target, ast.Name)
        if (text := _sentence(node.value, {})) is not None
    }
    for node in ast.walk(tree):
        kind = _CLASSES.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if not isinstance(node, ast.Call) or kind is None or not _is_told(kind):
            continue
        steps = [word.value for word in node.keywords if word.arg == "next_step"]
        for told_of in (*node.args[:1], *steps):
            text = _sentence(told_of, constants)
            if text is not None:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def _sentence(node: ast.expr | None, constants: Mapping[str, str]) -> str | None:
    """With `{}` for each value in it; None for what is another error's own text, or a value and nothing else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return constants.get(name)
        case ast.JoinedStr(values=parts):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            return text if re.search("[a-z]{3}", text) else None
        case _:
            return None


def test_the_walk_finds_the_errors_that_it_is_about() -> None:
    found = {text for _, text in raised()}
    assert len(found) > 200
    assert {
        "there is no revision {}",
        "ask another approver",
        "nobody approves what they wrote themselves, under whatever name",
    } <= found


@pytest.mark.parametrize(("where", "english"), raised())
def test_what_an_error_says_and_what_to_do_next_have_japanese_words(where: str, english: str) -> None:
    shown = japanese(english.replace("{}", "X"))
    assert shown is not None, f"{where}: pdp/console/refusals has no words for {english!r}"
    assert _JAPANESE.search(shown)
    assert shown.count("{") == 0


def test_every_kind_of_error_has_a_sentence_of_its_own_and_a_next_step_in_japanese() -> None:
    for kind in _CLASSES.values():
        assert kind.code in _FAULTS, kind.code
        assert _JAPANESE.search(Said("ja").fault(kind.code)), kind.code
        assert _JAPANESE.search(japanese(kind.next_step) or ""), kind.next_step


def test_no_words_are_kept_for_what_nobody_says_any_more() -> None:
    """Every sentence of the table stands somewhere in the code, as it is."""
    written = {text for path in ROOT.rglob("*.py") if "refusals" not in path.parts for text in _texts(path)}
    written |= {step for kind in _CLASSES.values() for step in [kind.next_step]}
    assert sorted(sentence for sentence in SENTENCES if sentence not in written) == []


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def test_a_value_in_a_sentence_is_kept_and_our_own_words_are_translated() -> None:
    assert japanese("`size` is not a whole number of 1 to 200") == "`size` は 1～200 の整数で指定してください"
    assert japanese("there is no context `x`, at `/contexts`") == "`x` という利用の状況はありません（箇所: /contexts）"
    for state in STATES:
        for step in STEPS:
            shown = japanese(f"a revision that is {state} does not take the step `{step}`")
            assert shown is not None
            assert not re.search("[a-z]", shown)


def test_the_fault_of_a_job_is_two_sentences() -> None:
    assert japanese("the result is too large to be kept; ask for less at once") == (
        "結果が大きすぎるため、保存できません。一度に調べる範囲を狭めてください。"
    )


def test_what_has_no_words_is_marked_as_english_and_never_guessed() -> None:
    assert told("ja", "something that nobody has translated") == ("something that nobody has translated", True)
    assert told("en", "there is no such job") == ("there is no such job", False)
    assert japanese("x" * 5_000) is None
    assert japanese("; " * 500) is None


def test_a_place_of_hostile_length_does_not_take_long() -> None:
    """Every pattern is tried on what a caller can choose: none of them goes back and forth."""
    assert japanese("`" * 1_000 + "{}" * 400) is None


@pytest.mark.anyio
async def test_a_page_with_an_unknown_error_is_japanese_around_it(console: Console) -> None:
    answer = await console.get(console.enter("author"), "policies/999", accept_language="ja")
    assert answer.status_code == 404
    assert "版999はありません" in answer.text
    assert "版の一覧から選んでください" in answer.text
    assert say("ja", "There is no such thing here.") in answer.text
    english = await console.get(console.enter("author"), "policies/999", accept_language="en")
    assert "there is no revision 999" in english.text
