"""The service's own words in the reader's language: outcomes, facts, fixers, columns, permissions, checks. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.meanings import head_of
from pdp.archive.query import NO_REASON
from pdp.console.refusals.telling import Told, told
from pdp.console.words import N_, Lang, clock_text, number_text, say
from pdp.explain.fact_table import BY_PATH
from pdp.model.decision import Outcome
from pdp.model.words import FIXERS, OUTCOMES, WITHOUT_REASON, words_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.model.decision import Text

_TIMES: Final = frozenset(
    {"since", "until", "time", "now", "first", "last", "hour", "expires_at", "created", "permit_until"}
)
_OUTCOMES: Final[Mapping[str, Text]] = {outcome.value: text for outcome, text in OUTCOMES.items()}

_WORDS: Final[Mapping[str, str]] = {
    # roles
    "author": N_("Author"),
    "approver": N_("Approver"),
    "operator": N_("Operator"),
    "auditor": N_("Auditor"),
    "administrator": N_("Administrator"),
    # what is checked
    "policy": N_("Policy"),
    "directory": N_("Directory"),
    "decision_log": N_("Decision log"),
    "callers": N_("Callers"),
    "shared_cache": N_("Shared cache"),
    "news": N_("News between workers"),
    "sources": N_("Sources"),
    "log_proof": N_("Proof of the log"),
    # states of a source
    "ok": N_("working"),
    "stale": N_("late"),
    "down": N_("down"),
    "identity": N_("people"),
    "posture": N_("state of devices"),
    # of the trail
    "done": N_("done"),
    "begun": N_("begun"),
    "refused": N_("refused"),
    "failed": N_("failed"),
    "caller": N_("caller"),
    "person": N_("person"),
    "os_user": N_("system account"),
    "system": N_("service"),
    # of a login
    "oidc": N_("identity provider"),
    "account": N_("local account"),
    "decision": N_("decision"),
    "hit": N_("used"),
    "miss": N_("not there"),
    "bypass": N_("not asked"),
    "refusal": N_("refusal"),
}

# Columns that the log has no word for, because reports make them.
_COLUMNS: Final[Mapping[str, str]] = {
    "denials": N_("Denials"),
    "decisions": N_("Decisions"),
    "devices": N_("Devices"),
    "first": N_("First"),
    "last": N_("Last"),
    "emergency_mode": N_("Emergency mode"),
    "employment": N_("Employment"),
    "work_permit": N_("Work permit"),
    "permit_until": N_("Permit until"),
    "outside_permit": N_("Outside the permit"),
    "permit": N_("Permit"),
    "expired": N_("Expired"),
    "beyond_communication": N_("Beyond communication"),
    "zone": N_("Zone"),
    "underlay": N_("Line"),
    "out_of_hours": N_("Out of hours"),
    "segments": N_("Segments"),
    "stored": N_("Stored"),
    "fresh": N_("Fresh"),
    "removed": N_("Removed"),
    "missing_segments": N_("Missing segments"),
    "damaged_segments": N_("Damaged segments"),
    "department": N_("Department"),
}


_ACTIONS: Final[Mapping[str, str]] = {
    "audit.query": N_("Decisions looked at"),
    "audit.count": N_("Decisions counted"),
    "audit.group": N_("Decisions counted in groups"),
    "audit.report": N_("Report"),
    "audit.sql": N_("SQL"),
    "audit.export": N_("Decisions taken away as a file"),
    "audit.proof": N_("Proof of a decision"),
    "audit.columns": N_("Columns looked at"),
    "audit.reports": N_("Reports listed"),
    "audit.queries": N_("Kept searches looked at"),
    "audit.queries.save": N_("Search kept"),
    "audit.queries.delete": N_("Search deleted"),
    "audit.reveal": N_("Names revealed"),
    "audit.trail": N_("Audit trail looked at"),
    "audit.replay": N_("Decision judged again"),
    "audit.explain": N_("Decision explained"),
    "audit.verify": N_("Log verified"),
    "audit.restore": N_("Segment written again from the store"),
    "audit.hold.list": N_("Holds looked at"),
    "audit.hold.place": N_("Hold placed"),
    "audit.hold.lift": N_("Hold lifted"),
    "audit.retention": N_("Old records removed"),
    "audit.mask": N_("Masking"),
    "audit.pseudonymise": N_("Old records pseudonymised"),
    "audit.subject_export": N_("Records of one person taken away"),
    "directory.read": N_("Directory looked at"),
    "policy.draft": N_("Policy revision drafted"),
    "policy.edit": N_("Policy revision edited"),
    "policy.check": N_("Policy revision checked"),
    "policy.submit": N_("Approval of a policy asked for"),
    "policy.withdraw": N_("Policy revision taken back"),
    "policy.discard": N_("Policy revision discarded"),
    "policy.approve": N_("Policy revision approved"),
    "policy.reject": N_("Policy revision sent back"),
    "policy.endorse": N_("Policy revision endorsed as an emergency"),
    "policy.schedule": N_("Policy revision scheduled"),
    "policy.unschedule": N_("Policy revision taken off the schedule"),
    "policy.activate": N_("Policy revision activated"),
    "policy.rollback": N_("Policy rolled back"),
    "policy.renew": N_("Active policy signed anew"),
    "policy.job": N_("Foresight begun"),
    "policy.job.cancel": N_("Foresight or export cancelled"),
    "policy.request": N_("A request that nobody made was judged"),
    "policy.export": N_("Export begun"),
    "policy.review": N_("Review after an emergency closed"),
    "export.apply": N_("Rules delivered to a tenant"),
    "export.step": N_("Step of a delivery"),
    "export.drift": N_("Tenant compared with what was delivered"),
    "export.fill": N_("Groups and device attributes filled in a tenant"),
    "cut_off.add": N_("Address cut off"),
    "cut_off.lift": N_("Address no longer cut off"),
    "ssf.stream.status": N_("Stream of security events paused, disabled or resumed"),
    "ssf.stream.verify": N_("Stream of security events verified"),
    "ssf.stream.delete": N_("Stream of security events deleted"),
    "ssf.keys.rotate": N_("Signing key of security events rotated"),
    "ssf.receive": N_("Security event of another house taken"),
    "ssf.events": N_("Security events of other houses looked at"),
    "ssf.verify": N_("Transmitter of security events asked to verify"),
    "ssf.lift": N_("Hold of a security event lifted"),
    "exception.ask": N_("Exception asked for"),
    "exception.grant": N_("Exception granted"),
    "exception.refuse": N_("Exception refused"),
    "exception.withdraw": N_("Exception withdrawn"),
    "exception.end": N_("Exception ended"),
    "callers.read": N_("Callers looked at"),
    "console.login": N_("Login"),
    "console.logout": N_("Logout"),
    "console.page": N_("Page opened"),
    "console.sessions": N_("Sessions looked at"),
    "console.sessions.end": N_("Session ended"),
}

# By the code of an error; what the API says further of it, `pdp.console.refusals` puts into words.
_FAULTS: Final[Mapping[str, str]] = {
    "bad_request": N_("What was asked cannot be taken as it is."),
    "payload_too_large": N_("What was sent is too large."),
    "not_found": N_("There is no such thing here."),
    "conflict": N_("It cannot be done as things stand."),
    "not_permitted": N_("Your role does not permit it."),
    "too_many_requests": N_("Too much was asked at once. Try again in a moment."),
    "request_timeout": N_("It took too long."),
    "not_ready": N_("The service is not ready yet. Try again in a moment."),
    "record_failed": N_("It could not be written down, and was therefore not done."),
    "bundle_refused": N_("The policy has a fault."),
    "space_refused": N_("What this policy decides cannot be counted out."),
    "export_refused": N_("Rules must not be made of this: nothing was written."),
    "import_refused": N_("The file has faults: nothing was imported."),
    "scenario_refused": N_("The scenario cannot be read."),
    "unsupported_media_type": N_("What was sent is of a kind that is not taken here."),
    "caller_refused": N_("Your role does not permit it."),
    "not_authenticated": N_("Nobody is logged in. Log in again."),
    "copy_unavailable": N_("The copy of the decision log cannot be used now."),
    "record_damaged": N_("A record is not what was written. Tell the operator at once."),
    "engine_error": N_("The policy engine gave no answer."),
    "engine_superseded": N_("The policy was changed meanwhile. Try again."),
    "engine_timeout": N_("The policy engine gave no answer."),
    "engine_died": N_("The policy engine gave no answer."),
    "directory_error": N_("The database does not answer. Try again in a moment."),
    "connector_failed": N_("A service outside did not answer as it should."),
    "bad_settings": N_("The settings of this service cannot be used. Tell the operator."),
    "worker_name_in_use": N_("The settings of this service cannot be used. Tell the operator."),
    "internal_error": N_("It failed. The cause is in the service's log."),
}

# What a worker says of itself, as patterns: their words are English everywhere else (`pdp.health`).
_DETAILS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"last seen to be current (?P<n>\d+) s ago", N_("seen to be current %(n)s s ago")),
        (r"last seen to be current (?P<n>\d+) s ago: revoked keys still count",
         N_("seen to be current %(n)s s ago: revoked keys still count")),
        (r"up", N_("answers")),
        (r"none (?:is|are) configured", N_("none configured")),
        (r"none are configured: changes are seen within (?P<n>[\d.]+) s",
         N_("none configured: changes are seen within %(n)s s")),
        (r"lost: changes are seen within (?P<n>[\d.]+) s", N_("lost: changes are seen within %(n)s s")),
        (r"(?P<n>\d+) ok", N_("%(n)s working")),
        (r"head (?P<n>\d+)", N_("signed up to entry %(n)s")),
        (r"another worker signs", N_("another worker signs")),
        (r"no policy is active", N_("no policy is active")),
        (r"no directory has been read yet", N_("no directory has been read yet")),
        (r"the decision log takes no records", N_("the decision log takes no records")),
        (r"nothing can be signed now: see the service's log", N_("nothing can be signed now: see the service's log")),
    )
)  # fmt: skip


class Words:
    """What codes of reasons and ids of applications mean, as the API says it."""

    def __init__(self, lang: Lang, told: Mapping[str, Any]) -> None:
        self._lang: Final = lang
        self._reasons: Final[Mapping[str, Any]] = told.get("reasons", {})
        self._resources: Final[Mapping[str, Any]] = told.get("resources", {})

    def reason(self, code: str | None) -> str:
        """Empty where it is not known."""
        if code == NO_REASON:
            return WITHOUT_REASON.ja if self._lang == "ja" else WITHOUT_REASON.en
        found = self._reasons.get(code or "")
        return "" if found is None else str(found["user"][self._lang])

    def resource(self, wanted: str | None) -> str:
        found = self._resources.get(wanted or "")
        return "" if found is None else str(found[self._lang])

    def resources(self) -> list[tuple[str, str]]:
        """(id, name) of every application, by name."""
        return sorted(((id_, str(one[self._lang])) for id_, one in self._resources.items()), key=lambda row: row[1])

    def of(self, column: str, value: str | None) -> str:
        return self.reason(value) if column == "reason" else self.resource(value) if column == "resource" else ""


class Said:
    """One language's words. What has no word is shown as it is."""

    def __init__(self, lang: Lang) -> None:
        self._lang: Final = lang

    def text(self, text: Mapping[str, str] | None) -> str:
        """A text that the API gives in both languages."""
        return "" if not text else text.get(self._lang) or text.get("en", "")

    def outcome(self, value: str) -> str:
        found = _OUTCOMES.get(value)
        return value if found is None else getattr(found, self._lang)

    def fixer(self, value: str) -> str:
        found = FIXERS.get(value)  # type: ignore[call-overload]
        return value if found is None else getattr(found, self._lang)

    def word(self, value: Any) -> str:
        """One of our own words: a role, a check, a state."""
        text = _WORDS.get(str(value))
        return str(value) if text is None else say(self._lang, text)

    def action(self, action: str) -> str:
        text = _ACTIONS.get(action)
        return action if text is None else say(self._lang, text)

    def fault(self, code: Any) -> str:
        """What went wrong, by the code that the API gives."""
        return say(self._lang, _FAULTS.get(str(code), N_("There is no answer")))

    def told(self, english: str | None) -> Told:
        """What the API says of an error, or what to do next."""
        return told(self._lang, english or "")

    def detail(self, text: str) -> str:
        """What a worker says of one of its parts."""
        for pattern, template in _DETAILS:
            found = pattern.fullmatch(text)
            if found is not None:
                return say(self._lang, template) % found.groupdict()
        return text

    def fact(self, path: str) -> str:
        found = BY_PATH.get(path)
        return path if found is None else getattr(found.label, self._lang)

    def value(self, path: str, value: Any) -> str:
        """A fact's value."""
        if value is None:
            return "—"
        return str(getattr(words_for(path, value), self._lang))

    def column(self, name: str) -> str:
        text = _COLUMNS.get(name)
        if text is not None:
            return say(self._lang, text)
        found = head_of(name)
        if found is None:
            return name
        return found.ja if self._lang == "ja" else name.replace("_", " ").capitalize()

    def cell(self, column: str, value: Any) -> str:
        """A value of a table, for people."""
        if value is None:
            return "—"
        if isinstance(value, bool):
            return self.yes(value)
        if column in _TIMES:
            return clock_text(value)
        if column == "outcome":
            return self.outcome(str(value))
        if isinstance(value, list):
            return "、".join(map(str, value)) if self._lang == "ja" else ", ".join(map(str, value))
        path = _FACTS.get(column)
        return number_text(value) if path is None else self.value(path, value)

    def yes(self, value: bool) -> str:
        return say(self._lang, N_("yes") if value else N_("no"))

    def is_permit(self, outcome: str) -> bool:
        return outcome in (Outcome.ALLOW.value, Outcome.LIMIT.value)


_FACTS: Final[Mapping[str, str]] = {
    "subject_kind": "subject.kind",
    "employment": "subject.employment",
    "device_class": "device.class",
    "resource_group": "resource.group",
    "zone": "context.zone",
    "underlay": "context.underlay",
    "permit": "device.permit",
    "work_permit": "context.work_permit",
    "action": "action.name",
}
