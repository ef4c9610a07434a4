"""From reason codes to the two texts of an answer: one for the user, one for the administrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.bundle.annotations import Reason
    from pdp.model.decision import Fixer

# Where a bundle brings no texts (profile `plain`) or could not be asked.
_UNSAID: Final = Text(ja="判定できないため拒否しました", en="access was refused because it could not be decided")
_NOTHING: Final = Text(ja="", en="")
_MAX_REMEMBERED: Final = 4_096  # combinations of codes; the demonstration prefecture has some two hundred


@dataclass(frozen=True, slots=True)
class Worded:
    """What is said about a list of codes, and who can put the first one right."""

    user: Text
    admin: Text
    fix: Fixer


class Wording:
    """The texts of one bundle; each combination of codes is put together once."""

    def __init__(self, reasons: Mapping[str, Reason]) -> None:
        self._reasons = reasons
        self._known: dict[tuple[str, ...], Worded] = {}

    def of(self, codes: tuple[str, ...]) -> Worded:
        known = self._known.get(codes)
        if known is None:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = Worded(*reason_texts(codes, self._reasons), fixer(codes, self._reasons))
            self._known[codes] = known
        return known


def reason_texts(codes: Sequence[str], reasons: Mapping[str, Reason]) -> tuple[Text, Text]:
    """(user, admin): the texts of all codes, first code first, each sentence once.

    The administrator's text names the codes. The user's never does: it says what to do, not how the
    checkpoint thinks.
    """
    if not codes:
        return _NOTHING, _NOTHING
    user = joined(reasons[code].user if code in reasons else _UNSAID for code in codes)
    admin = joined(_with_code(code, reasons[code].admin if code in reasons else _UNSAID) for code in codes)
    return user, admin


def fixer(codes: Sequence[str], reasons: Mapping[str, Reason]) -> Fixer:
    """Who can put the first reason right."""
    return reasons[codes[0]].fix if codes and codes[0] in reasons else "none"


def _with_code(code: str, text: Text) -> Text:
    return Text(ja=f"{code}: {text.ja}", en=f"{code}: {text.en}")


def joined(texts: Iterable[Text]) -> Text:
    """One text of several, each sentence once."""
    distinct = list(dict.fromkeys(texts))
    return Text(
        ja="。".join(text.ja.rstrip("。") for text in distinct),
        en=". ".join(text.en.rstrip(".") for text in distinct),
    )
