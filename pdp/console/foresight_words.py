"""What foresight and exports are called: changes, dimensions, jobs, what has moved since. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.words import N_, Lang, clock_text, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANGES: Final[Mapping[str, str]] = {
    "loses": N_("Loses access"),
    "gains": N_("Gains access"),
    "stricter": N_("Is held to more"),
    "easier": N_("Is held to less"),
    "other": N_("Is told something else"),
}
DIMENSIONS: Final[Mapping[str, str]] = {
    "department": N_("Department"),
    "kind": N_("Kind of user"),
    "device_class": N_("Kind of device"),
    "resource": N_("Application"),
    "context": N_("Circumstances"),
}
_KINDS: Final[Mapping[str, str]] = {
    "population": N_("Everybody"),
    "replay": N_("Recorded decisions"),
    "export": N_("Export"),
    "mutation": N_("Mutants"),
    "check": N_("Check"),
    "tests": N_("Tests"),
    "scenarios": N_("Scenarios"),
    "coverage": N_("Coverage"),
}
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("warn", N_("is running")),
    "done": ("good", N_("is done")),
    "failed": ("bad", N_("has failed")),
    "cancelled": ("unknown", N_("was cancelled")),
    "interrupted": ("bad", N_("was broken off: its worker ended")),
}
_PHASES: Final[Mapping[str, str]] = {
    "": N_("It is being started"),
    "waiting": N_("It waits for its turn"),
    "reading": N_("Registers and policies are being read"),
    "judging": N_("Rules are being judged"),
    "comparing": N_("Answers are being compared"),
    "space": N_("The decision space is being made"),
    "rules": N_("Rules are being written"),
}
_STALE: Final[Mapping[str, str]] = {
    "contents": N_("The files of the revision were changed since."),
    "baseline": N_("Another policy is of record since."),
    "directory": N_("The registers were changed since."),
}
_APART: Final[Mapping[str, str]] = {
    "refusal": N_("refused before a decision"),
    "no_input": N_("no input could be made"),
    "other_opa": N_("decided by another OPA"),
    "other_profile": N_("of another profile than the draft"),
    "unreadable": N_("not a record that can be read"),
    "hidden": N_("a value that the policy saw was replaced"),
    "impossible": N_("permits although no policy was asked: altered?"),
    "wrong_policy": N_("names another revision than its digest: altered?"),
}
_SHADOW: Final[Mapping[str, str]] = {
    "same": N_("the same answer"),
    "words": N_("the same decision with other reasons or limits"),
    "differs": N_("another decision"),
    "failed": N_("the draft gave no answer"),
    "not_shown": N_("not shown to the draft"),
}
# What a target is called outside; a product's name is the same in both languages.
TARGETS: Final[Mapping[str, str]] = {
    "matrix": N_("The auditor's matrix (CSV, spreadsheet)"),
    "entra": "Microsoft Entra",
    "cloudflare": "Cloudflare",
    "envoy": "Envoy",
    "prisma": "Prisma Access",
    "zpa": "Zscaler Private Access",
    "netskope": "Netskope",
}


class ForesightWords:
    """One language's words. What has no word is shown as it is."""

    def __init__(self, lang: Lang, contexts: Sequence[Mapping[str, Any]] = ()) -> None:
        self._lang: Final = lang
        self._contexts: Final = {one["id"]: str(one[lang]) for one in contexts}

    def change(self, word: str) -> str:
        return self._say(CHANGES, word)

    def dimension(self, word: str) -> str:
        return self._say(DIMENSIONS, word)

    def kind(self, word: str) -> str:
        return self._say(_KINDS, word)

    def context(self, word: str) -> str:
        return self._contexts.get(word, word)

    def state(self, word: str) -> str:
        return say(self._lang, _STATES[word][1]) if word in _STATES else word

    def look(self, word: str) -> str:
        return _STATES[word][0] if word in _STATES else "unknown"

    def phase(self, word: str) -> str:
        return self._say(_PHASES, word)

    def stale(self, word: str) -> str:
        return self._say(_STALE, word)

    def apart(self, word: str) -> str:
        return self._say(_APART, word)

    def shadow(self, word: str) -> str:
        return self._say(_SHADOW, word)

    def named(self, job: Mapping[str, Any]) -> str:
        """What kind of job or result it is, and what was asked."""
        asked = self._asked(job["params"])
        return f"{self.kind(job['kind'])}: {asked}" if asked else self.kind(job["kind"])

    def _asked(self, params: Mapping[str, Any]) -> str:
        if "days" in params:
            return say(self._lang, N_("the last %(n)s days"), n=params["days"])
        if params.get("warn_days"):
            return say(self._lang, N_("with a time of warning of %(days)s days"), days=params["warn_days"])
        if params.get("at"):
            return say(self._lang, N_("as of %(at)s"), at=clock_text(params["at"])[:16])
        target = str(params.get("target", ""))
        return say(self._lang, TARGETS[target]) if target in TARGETS else target

    def _say(self, words: Mapping[str, str], word: str) -> str:
        text = words.get(word)
        return word if text is None else say(self._lang, text)
