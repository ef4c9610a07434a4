"""The check of the documents: what it takes for a link, a heading and a command."""

from __future__ import annotations

from tools import docs

TEXT = """# The house

See [the rules](rules.md#the-order), `make test` and [`decide.py`](pdp/decide.py).

```sh
make run
$ pdp bundle check policies   # a comment
echo make believe
[not a link](nowhere.md)
```
~~~
.venv/bin/pdp serve --demo
~~~
`make` alone, `[neither](x)` and `makeshift work` are no commands and no links.
## The house
"""


def test_links_outside_code_are_found_with_their_line():
    assert docs.links(TEXT) == [(3, "rules.md#the-order"), (3, "pdp/decide.py")]


def test_commands_are_found_in_spans_and_at_the_start_of_fenced_lines():
    assert docs.commands(TEXT) == [
        (3, ("make", "test")),
        (6, ("make", "run")),
        (7, ("pdp", "bundle", "check")),
        (12, ("pdp", "serve")),
    ]


def test_headings_get_the_anchors_that_a_forge_gives_them():
    text = "# `pdp serve`, [then](x.md) more!\n## 判定理由\n## Twice\n## Twice\n"
    assert docs.anchors(text) == {"pdp-serve-then-more", "判定理由", "twice", "twice-1"}


def test_a_link_to_a_missing_file_heading_or_outside_is_a_fault(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One\n")
    assert docs.link_fault(page, "page.md#one", tmp_path) is None
    assert docs.link_fault(page, "#one", tmp_path) is None
    assert docs.link_fault(page, "https://example.org/", tmp_path) is None
    assert docs.link_fault(page, "#two", tmp_path) == "has no such heading"
    assert docs.link_fault(page, "none.md", tmp_path) == "does not exist"
    assert docs.link_fault(page, "../elsewhere.md", tmp_path) == "leads out of the project"


def test_a_command_exists_where_the_makefile_or_pdp_has_it_and_arguments_are_no_commands():
    known = docs.Commands(docs.ROOT)
    there = [("make", "test"), ("pdp", "bundle"), ("pdp", "bundle", "check"), ("pdp", "eval", "anything")]
    assert [words for words in there if not known.exists(words)] == []
    gone = [("make", "believe"), ("pdp", "conjure"), ("pdp", "bundle", "conjure")]
    assert [words for words in gone if known.exists(words)] == []
