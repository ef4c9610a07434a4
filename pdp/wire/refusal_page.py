"""What a person sees who is not let in: one small page in Japanese and English, or the same as JSON.

The page works without scripts, images, fonts or styles from anywhere; it names the decision, so that the
help desk can look it up, and nothing of how the decision came about.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final, Literal

from pdp.model.decision import Text
from pdp.wire.preference import weight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.decision import Fixer

Language = Literal["ja", "en"]
NoticeKind = Literal["deny", "step_up", "refused", "not_ready"]

_STYLE: Final = (
    "body{font-family:sans-serif;line-height:1.7;margin:0;color:#1a1a1a;background:#fff}"
    "main{max-width:40rem;margin:0 auto;padding:2rem 1rem}"
    "h1{font-size:1.5rem}h2{font-size:1.25rem}section+section{border-top:1px solid #767676;margin-top:2rem}"
    "code{overflow-wrap:anywhere}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_HEADERS: Final = (
    ("content-type", "text/html; charset=utf-8"),
    # The page stands under the address of somebody's application: it must be able to do nothing there.
    (
        "content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
_JSON_HEADERS: Final = (("content-type", "application/json"), ("x-content-type-options", "nosniff"))
_ALWAYS: Final = (
    ("cache-control", "no-store"),  # the next answer may be another one
    ("vary", "accept, accept-language"),
)

FIXERS: Final[Mapping[Fixer, Text]] = {
    "none": Text(
        ja="ご不明な点は、判定番号を添えてヘルプデスクへお問い合わせください。",
        en="If you have questions, give the decision number to the help desk.",
    ),
    "user": Text(
        ja="ご自身で解消できます。解消しない場合は、判定番号を添えてヘルプデスクへお問い合わせください。",
        en="You can put this right yourself. If it stays, give the decision number to the help desk.",
    ),
    "section": Text(
        ja="所属の情報担当へ、判定番号を添えてご相談ください。",
        en="Please give the decision number to the IT staff of your section.",
    ),
    "help_desk": Text(
        ja="ヘルプデスクへ、判定番号を添えてお問い合わせください。",
        en="Please give the decision number to the help desk.",
    ),
    "security_office": Text(
        ja="セキュリティ担当へ、判定番号を添えてご連絡ください。",
        en="Please give the decision number to the security office.",
    ),
}

_LABEL: Final = Text(ja="判定番号", en="Decision number")


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said. `outcome` is a machine's word; `decision_id` None where no decision was recorded."""

    outcome: NoticeKind
    title: Text
    reason: Text
    fix: Fixer
    decision_id: str | None


def prefers_page(accept: str | None) -> bool:
    """Whether this client is a person's browser: it asks for HTML before JSON."""
    return weight(accept, "text/html") > weight(accept, "application/json")


def body_of(
    notice: Notice, accept: str | None, accept_language: str | None
) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """The body and its headers, negotiated. Japanese goes first unless the client prefers English."""
    order: tuple[Language, Language] = (
        ("en", "ja") if weight(accept_language, "en") > weight(accept_language, "ja") else ("ja", "en")
    )
    if not prefers_page(accept):
        return _json(notice), (*_JSON_HEADERS, *_ALWAYS)
    return _page(notice, order), (*_PAGE_HEADERS, ("content-language", ", ".join(order)), *_ALWAYS)


def _json(notice: Notice) -> bytes:
    fix = FIXERS[notice.fix]
    return json.dumps(
        {
            "decision": False,
            "id": notice.decision_id,
            "outcome": notice.outcome,
            "reason_user": {"ja": notice.reason.ja, "en": notice.reason.en},
            "fix": {"by": notice.fix, "ja": fix.ja, "en": fix.en},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _page(notice: Notice, order: tuple[Language, Language]) -> bytes:
    first, second = order
    return (
        f'<!doctype html>\n<html lang="{first}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_in(notice.title, first)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"{_section(notice, first, 'h1')}{_section(notice, second, 'h2')}</main>\n</body>\n</html>\n"
    ).encode()


def _section(notice: Notice, language: Language, heading: Literal["h1", "h2"]) -> str:
    number = ""
    if notice.decision_id is not None:
        number = f"<p>{_in(_LABEL, language)}: <code>{escape(notice.decision_id)}</code></p>\n"
    return (
        f'<section lang="{language}">\n<{heading}>{_in(notice.title, language)}</{heading}>\n'
        f"<p>{_in(notice.reason, language)}</p>\n<p>{_in(FIXERS[notice.fix], language)}</p>\n{number}</section>\n"
    )


def _in(text: Text, language: Language) -> str:
    return escape(text.ja if language == "ja" else text.en)
