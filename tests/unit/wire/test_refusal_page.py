from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import get_args

import pytest

from pdp.model.decision import Fixer, Text
from pdp.wire.refusal_page import FIXERS, Notice, body_of, prefers_page

NOTICE = Notice(
    "deny",
    Text(ja="アクセスできません", en="Access denied"),
    Text(ja="理由 <b> & \"'", en="because <script>alert(1)</script> & \"'"),
    "section",
    "0190-<id>",
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Outline(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


@pytest.mark.parametrize(
    ("language", "order"),
    [
        (None, ["ja", "en"]),
        ("*", ["ja", "en"]),
        ("fr", ["ja", "en"]),
        ("ja,en", ["ja", "en"]),
        ("en-US,en;q=0.9,ja;q=0.5", ["en", "ja"]),
        ("en", ["en", "ja"]),
    ],
)
def test_both_languages_stand_on_the_page_and_the_clients_goes_first(language: str | None, order: list[str]) -> None:
    body, headers = body_of(NOTICE, BROWSER, language)
    page = Outline(body)
    assert [attributes["lang"] for tag, attributes in page.tags if tag == "section"] == order
    assert [attributes["lang"] for tag, attributes in page.tags if tag == "html"] == order[:1]
    assert dict(headers)["content-language"] == ", ".join(order)
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2")] == ["h1", "h2"]


def test_the_page_says_why_who_helps_and_which_decision_and_escapes_all_of_it() -> None:
    body, headers = body_of(NOTICE, BROWSER, "ja")
    page = Outline(body)
    for said in (NOTICE.title, NOTICE.reason, FIXERS["section"]):
        assert said.ja in page.text
        assert said.en in page.text
    assert page.text.count("0190-<id>") == 2
    assert not {"script", "b"} & {tag for tag, _ in page.tags}
    assert dict(headers)["content-type"] == "text/html; charset=utf-8"


def test_the_page_can_do_nothing_and_its_style_is_the_one_that_is_allowed() -> None:
    body, headers = body_of(NOTICE, BROWSER, None)
    style = re.search(r"<style>(.*)</style>", body.decode())
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = dict(headers)["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert dict(headers)["cache-control"] == "no-store"
    assert dict(headers)["x-content-type-options"] == "nosniff"


def test_machines_get_the_same_as_json() -> None:
    body, headers = body_of(NOTICE, "application/json", None)
    assert json.loads(body) == {
        "decision": False,
        "id": "0190-<id>",
        "outcome": "deny",
        "reason_user": {"ja": NOTICE.reason.ja, "en": NOTICE.reason.en},
        "fix": {"by": "section", "ja": FIXERS["section"].ja, "en": FIXERS["section"].en},
    }
    assert dict(headers)["content-type"] == "application/json"
    assert dict(headers)["cache-control"] == "no-store"


def test_without_a_decision_no_number_is_shown() -> None:
    body, _ = body_of(Notice("refused", NOTICE.title, NOTICE.reason, "none", None), BROWSER, None)
    assert "<code>" not in body.decode()


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (None, False),
        ("*/*", False),
        (BROWSER, True),
        ("text/html", True),
        ("application/json", False),
        ("text/html;q=0.5,application/json", False),
        ("nonsense", False),
    ],
)
def test_only_who_asks_for_html_first_gets_a_page(accept: str | None, page: bool) -> None:
    assert prefers_page(accept) is page


def test_there_are_words_for_everybody_who_can_help() -> None:
    assert set(FIXERS) == set(get_args(Fixer))
