"""What revisions of policies are called: states, steps, gates and what gates say, in the reader's language. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.console.words import N_, Lang, say

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATES: Final[Mapping[str, str]] = {
    "draft": N_("Draft"),
    "checked": N_("Checked"),
    "in_review": N_("Waiting for approval"),
    "approved": N_("Approved"),
    "scheduled": N_("Scheduled"),
    "active": N_("Active"),
    "retired": N_("Former"),
    "discarded": N_("Discarded"),
}
_LOOKS: Final[Mapping[str, str]] = {"active": "good", "in_review": "warn", "scheduled": "warn"}

# Steps as the history tells them.
_STEPS: Final[Mapping[str, str]] = {
    "create": N_("Drafted"),
    "edit": N_("Edited"),
    "pass": N_("Checked: passed"),
    "fail": N_("Checked: failed"),
    "submit": N_("Approval asked for"),
    "withdraw": N_("Taken back"),
    "approve": N_("Approved by a second person"),
    "reject": N_("Sent back"),
    "endorse": N_("Endorsed as an emergency"),
    "schedule": N_("Put on the schedule"),
    "unschedule": N_("Taken off the schedule"),
    "activate": N_("Activated"),
    "rollback": N_("Rolled back to"),
    "renew": N_("Signed anew"),
    "retire": N_("Replaced"),
    "discard": N_("Given up"),
}
_GATES: Final[Mapping[str, str]] = {
    "bundle": N_("Loading"),
    "tests": N_("Tests"),
    "scenarios": N_("Scenarios"),
    "invariants": N_("Invariants"),
    "foresight": N_("Foresight"),
}
_DOING: Final[Mapping[str, str]] = {
    "bundle": N_("The rules are being read and loaded."),
    "tests": N_("The tests are being run."),
    "scenarios": N_("The scenarios are being run."),
    "invariants": N_("Every combination of facts is being proven. This takes longest."),
    "foresight": N_("Everybody is being judged before and after."),
}
_RESULTS: Final[Mapping[str, str]] = {
    "passed": N_("passed"),
    "failed": N_("not passed"),
    "not_run": N_("not run"),
}
_KINDS: Final[Mapping[str, str]] = {
    "activate": N_("activation"),
    "rollback": N_("roll-back"),
    "scheduled": N_("scheduled activation"),
    "emergency": N_("emergency activation"),
}
_CHANGES: Final[Mapping[str, str]] = {"added": N_("new file"), "removed": N_("removed file"), "changed": N_("changed")}
_SUMMARIES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"it loads"), N_("it loads")),
    (re.compile(r"(?P<n>\d+) faults"), N_("faults: %(n)s")),
    (re.compile(r"(?P<n>\d+) proven"), N_("%(n)s proven")),
    (
        re.compile(r"(?P<n>\d+) proven, (?P<m>\d+) violated: (?P<names>.+)"),
        N_("%(n)s proven, %(m)s violated: %(names)s"),
    ),
    (
        re.compile(
            r"(?P<n>\d+) of (?P<all>\d+) people lose a system, (?P<gain>\d+) gain one; "
            r"of the protected (?P<hurt>\d+) lose anything"
        ),
        N_("%(n)s of %(all)s people lose a system, %(gain)s gain one; of the protected %(hurt)s lose anything"),
    ),
    (
        re.compile(
            r"(?P<n>\d+) of (?P<all>\d+) people lose a system, (?P<gain>\d+) gain one; "
            r"(?P<shut>\d+) of (?P<devices>\d+) devices lose one; of the protected (?P<hurt>\d+) lose anything"
        ),
        N_(
            "%(n)s of %(all)s people lose a system, %(gain)s gain one; %(shut)s of %(devices)s devices lose one; "
            "of the protected %(hurt)s lose anything"
        ),
    ),
    (re.compile(r"there is no test"), N_("there is no test")),
    (re.compile(r"there are no scenarios"), N_("there are no scenarios")),
    (re.compile(r"the bundle itself has faults"), N_("not run, because the files do not load")),
    (re.compile(r"(?P<n>\d+) passed, (?P<m>\d+) failed"), N_("%(n)s passed, %(m)s not passed")),
)
_PLACE: Final = re.compile(r"(?P<path>.+?):(?P<line>\d+)(?::\d+)?")


class Finding(NamedTuple):
    """One thing that a gate found. `path` and `line` say where, if it lies in a file."""

    where: str
    text: str
    path: str = ""
    line: int = 0


class PolicyWords:
    """One language's words. What has no word is shown as it is."""

    def __init__(self, lang: Lang) -> None:
        self._lang: Final = lang

    def state(self, state: str) -> str:
        return self._say(_STATES, state)

    def look(self, state: str) -> str:
        """The class of its badge."""
        return _LOOKS.get(state, "plain")

    def step(self, step: str) -> str:
        return self._say(_STEPS, step)

    def gate(self, name: str) -> str:
        return self._say(_GATES, name)

    def doing(self, name: str) -> str:
        """What a gate does while it judges."""
        return self._say(_DOING, name) if name in _DOING else ""

    def result(self, result: str) -> str:
        return self._say(_RESULTS, result)

    def kind(self, kind: str) -> str:
        return self._say(_KINDS, kind)

    def change(self, change: str) -> str:
        return self._say(_CHANGES, change)

    def summary(self, text: str) -> str:
        """A gate's one line."""
        for pattern, template in _SUMMARIES:
            found = pattern.fullmatch(text)
            if found is not None:
                return say(self._lang, template) % found.groupdict()
        return text

    def findings(self, gate: Mapping[str, Any]) -> list[Finding]:
        """What is in the way, each with its place."""
        told = gate["details"]
        return [self._finding(each) for name in ("faults", "failed") for each in _several(told.get(name))]

    def _finding(self, told: Mapping[str, Any]) -> Finding:
        where = str(told.get("where") or told.get("scenario") or "")
        text = str(told.get(self._lang) or told.get("fault") or told.get("test") or told.get("code") or "")
        if told.get("test") and told.get("fault"):
            text = f"{told['test']}: {text}"
        place = _PLACE.fullmatch(where)
        return Finding(where, text) if place is None else Finding(where, text, place["path"], int(place["line"]))

    def _say(self, words: Mapping[str, str], word: str) -> str:
        text = words.get(word)
        return word if text is None else say(self._lang, text)


def _several(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
