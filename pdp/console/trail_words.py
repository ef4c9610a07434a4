"""What the audit trail says that somebody asked by: the names of parameters and their values, for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.foresight_words import ForesightWords
from pdp.console.said import Said
from pdp.console.words import N_, Lang, clock_text, number_text, say
from pdp.model.words import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Those that are columns of a decision too have the words of its page (`Said.column`).
_NAMES: Final[Mapping[str, str]] = {
    # questions
    "since": N_("From"),
    "until": N_("Until"),
    "size": N_("Rows at most"),
    "limit": N_("Rows at most"),
    "page": N_("Rows at most"),
    "rank": N_("How many of each"),
    "before": N_("Page before"),
    "before_time": N_("Page before"),
    "before_id": N_("Page before"),
    "before_segment": N_("Page before"),
    "before_seq": N_("Page before"),
    "by": N_("Grouped by"),
    "utc_offset_min": N_("Time zone (minutes)"),
    "utc_offset": N_("Time zone (minutes)"),
    "people": N_("People counted"),
    "format": N_("Format"),
    "lang": N_("Language"),
    "sql": N_("SQL"),
    "id": N_("Decision number"),
    "pseudonym": N_("Pseudonym"),
    "everywhere": N_("Also where a clock was set"),
    "actor": N_("Who"),
    "action": N_("What"),
    "outcome": N_("How it ended"),
    "exception": N_("Under an exception"),
    "disaster_mode": N_("In disaster mode"),
    "query": N_("As it was asked"),
    "found": N_("What was found"),
    "name": N_("Name"),
    "title": N_("Title"),
    "owner": N_("Owner"),
    "shared": N_("For everybody"),
    "parameters": N_("Conditions"),
    "question": N_("Question"),
    "from": N_("Read from"),
    "q": N_("Searched for"),
    "after": N_("Page before"),
    "stale": N_("Late only"),
    # policies
    "kind": N_("Kind"),
    "at": N_("At"),
    "days": N_("Days"),
    "warn_days": N_("Days of warning"),
    "user": N_("User"),
    "what": N_("What"),
    "target": N_("Target"),
    "method": N_("Login by"),
    # deliveries
    "vendor": N_("Product"),
    "tenant": N_("Tenant"),
    "plan": N_("Plan"),
    "export": N_("Export"),
    "every_s": N_("Every so many seconds"),
    "changes": N_("Changes"),
    "step": N_("Step"),
    "op": N_("What is done"),
    "phase": N_("Part"),
    "live": N_("Takes effect at once"),
    # what is kept, and what goes
    "ordered_by": N_("Ordered by"),
    "lifted": N_("Also those that were lifted"),
    "older_than": N_("Older than"),
    "apply": N_("Carried out"),
    "segments": N_("Segments"),
    "files": N_("Files"),
    "hot_months": N_("Months at hand"),
    "archive_months": N_("Months in the archive"),
    "out": N_("Written to"),
}
_TIMES: Final = frozenset({"since", "until", "at", "before_time", "older_than"})


class TrailWords:
    """One language's words. What has no word is shown as it is: it may have been written by a later version."""

    def __init__(self, lang: Lang) -> None:
        self._lang: Final[Lang] = lang
        self._said: Final = Said(lang)
        self._foreseen: Final = ForesightWords(lang)

    def name(self, key: str) -> str:
        """What a parameter is called; the key itself where nobody has said it."""
        text = _NAMES.get(key)
        return self._said.column(key) if text is None else say(self._lang, text)

    def value(self, key: str, value: Any) -> str:
        """A value for people: times as clocks show them, our own words in the reader's language."""
        if isinstance(value, list):
            return ("、" if self._lang == "ja" else ", ").join(self.value(key, one) for one in value)
        if value is None or isinstance(value, bool):
            return "—" if value is None else self._said.yes(value)
        text = str(value)
        return self._said.yes(text == "true") if text in ("true", "false") else self._word(key, text, value)

    def _word(self, key: str, text: str, value: Any) -> str:
        if key in _TIMES:
            return clock_text(text)
        words: Mapping[str, Callable[[str], str]] = {
            "outcome": self._said.outcome if text in _OUTCOMES else self._said.word,
            "action": self._said.action,
            "by": lambda names: ", ".join(map(self._said.column, names.split(","))),
            "kind": self._kind,
            "what": self._kind,
            "method": self._said.word,
        }
        return words[key](text) if key in words else number_text(value)

    def _kind(self, text: str) -> str:
        """Of a job, or of a decision."""
        found = self._foreseen.kind(text)
        return self._said.word(text) if found == text else found


_OUTCOMES: Final = frozenset(outcome.value for outcome in OUTCOMES)
