"""Masks a record before it is written: what the log holds is the masked form, what the policy saw was the original.

1. The rules that are about this record, by its profile, outcome, wire and caller; compiled once for each combination.
2. Its single texts, then its documents. A value that is masked once is not masked again.
3. Our own words, where they quote a text that was masked.
4. What was done is listed in the record: `erased`, `masked`.

INVARIANT (by place): a masked record differs from the original at the places that it lists, and nowhere else. An equal
text in another place may be another thing; whoever wants it masked names that place too.

INVARIANT (never unmasked, never lost): where any of it fails, the record is written with everything taken out that
could name a person, `erased` is `["/"]`, and it is counted. A record that no rule is about is the very same object.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from pdp.declog.record import RECORD_SCHEMA
from pdp.errors import SettingsError
from pdp.privacy.document import Document, DocumentStep, Traces
from pdp.privacy.operations import ERASED, operation
from pdp.privacy.places import DOCUMENTS, FREE, TEXTS, TWIN, check_rule, kind_of, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pdp.declog.record import Record
    from pdp.model.log_masking import MaskingRule
    from pdp.privacy.pseudonym import Pseudonyms

FAILED: Final = "/"
_NULL: Final = msgspec.Raw(b"null")
_SINGLE: Final = (*TEXTS, *FREE)
_OWN_WORDS: Final = ("fault", "error_message")
_REMEMBERED: Final = 4_096  # documents and plans; some 10 MB
_NOTHING: Final[frozenset[str]] = frozenset()
_Key = tuple[bytes, str, frozenset[str]]


class _Known(NamedTuple):
    """A document as it is to be written, None where nothing was changed in it, and what was done."""

    text: msgspec.Raw | None
    done: Traces


@dataclass(frozen=True, slots=True)
class _Plan:
    """The rules for one combination of profile, outcome, wire and caller."""

    single: tuple[tuple[str, Callable[[Any], Any]], ...]
    documents: dict[str, tuple[DocumentStep, ...]]
    known: dict[_Key, _Known]


class _Work(NamedTuple):
    record: Record
    plan: _Plan
    changes: dict[str, Any]
    traces: Traces


class Masking:
    """`rules` in the order in which they count: of two for one place the first does.

    Raises SettingsError for a rule that names no place that may be masked, or a pseudonym without a key.
    """

    def __init__(
        self,
        rules: Sequence[MaskingRule],
        pseudonyms: Pseudonyms | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._rules: Final = [(rule, step) for rule in rules for step in _steps(rule, pseudonyms)]
        self._failed: Final = failed
        self._plans: Final[dict[tuple[str | None, str, str, str], _Plan]] = {}

    def __call__(self, record: Record) -> Record:
        """The record as it is to be written. Never raises."""
        try:
            plan = self._plan(record)
            return _masked(record, plan) if plan.single or plan.documents else record
        except Exception:  # noqa: BLE001  # whatever it is: what is not surely masked is not written
            self._failed()
            return blank(record)

    def _plan(self, record: Record) -> _Plan:
        key = (record.profile, record.outcome, record.wire, record.caller_id)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            plan = self._plans[key] = _plan_of([step for rule, step in self._rules if _is_about(rule, record)])
        return plan


def _steps(rule: MaskingRule, pseudonyms: Pseudonyms | None) -> list[tuple[tuple[str, ...], Callable[[Any], Any]]]:
    parts = check_rule(rule)
    if rule.op == "pseudonymise" and pseudonyms is None:
        raise SettingsError(f"`log_masking`: `{rule.pointer}` needs a key for pseudonyms")
    change = operation(rule, kind_of(rule.pointer), pseudonyms)
    twin = TWIN.get(rule.pointer)
    return [(parts, change)] if twin is None else [(parts, change), (tokens_of(twin), change)]


def _is_about(rule: MaskingRule, record: Record) -> bool:
    where = rule.where
    return (
        (not where.profile or record.profile in where.profile)
        and (not where.outcome or record.outcome in where.outcome)
        and (not where.wire or record.wire in where.wire)
        and (not where.caller or record.caller_id in where.caller)
    )


def _plan_of(steps: Sequence[tuple[tuple[str, ...], Callable[[Any], Any]]]) -> _Plan:
    single: dict[str, Callable[[Any], Any]] = {}
    documents: dict[str, tuple[DocumentStep, ...]] = {}
    for (first, *below), change in steps:
        if first in DOCUMENTS:
            documents[first] = (*documents.get(first, ()), DocumentStep(tuple(below), change))
        else:
            single.setdefault(first, lru_cache(maxsize=_REMEMBERED)(change))
    return _Plan(tuple(single.items()), documents, {})


def _masked(record: Record, plan: _Plan) -> Record:
    changes: dict[str, Any] = {}
    before, hidden = record.hidden, list[str]()
    traces = Traces(erased=list(record.erased or ()), masked=list(record.masked or ()), settled=set(before))
    for name, change in plan.single:
        value = getattr(record, name)
        pointer = f"/{name}"
        if value is None or pointer in traces.settled:
            continue
        changed = change(value)
        traces.settled.add(pointer)
        if changed is ERASED or changed != value:
            (traces.erased if changed is ERASED else traces.masked).append(pointer)
            hidden.append(value)
            changes[name] = None if changed is ERASED else changed
    work = _Work(record, plan, changes, traces)
    for name in DOCUMENTS:
        _mask_document(name, work)
    if "/input" in traces.erased and "/input" not in before and record.redacted:  # the names of what is gone
        changes["redacted"] = []
        traces.erased.append("/redacted")
    for name in _OWN_WORDS:
        if f"/{name}" not in traces.settled and _quotes(getattr(record, name), hidden):
            changes[name] = None
            traces.erased.append(f"/{name}")
    if len(traces.erased) + len(traces.masked) == len(before):
        return record
    if "policy_context" in changes:  # it is part of what the digest is over, and could be guessed from it
        changes["answer_sha256"] = None
        traces.erased.append("/answer_sha256")
    changes |= {"erased": traces.erased, "masked": traces.masked, "schema": RECORD_SCHEMA}
    return msgspec.structs.replace(record, **changes)


def _mask_document(name: str, work: _Work) -> None:
    record, plan, changes, traces = work
    settled = _below(name, record.hidden) if record.erased or record.masked else _NOTHING
    text, steps = bytes(getattr(record, name)), plan.documents.get(name)
    if not steps or text == b"null":
        return
    key = (text, name, settled)
    known = plan.known.get(key)
    if known is None:
        document, done = Document(text, name, closed=_is_closed(record, name)), Traces(settled=set(settled))
        document.apply(steps, done)
        known = _remember(plan, key, document, done)
    if known.text is not None:
        changes[name] = known.text
        traces.erased += known.done.erased
        traces.masked += known.done.masked


def _is_closed(record: Record, name: str) -> bool:
    return name == "input" and record.profile == "zta"


def _below(name: str, pointers: Iterable[str]) -> frozenset[str]:
    return frozenset(pointer for pointer in pointers if pointer.startswith(f"/{name}/"))


def _remember(plan: _Plan, key: _Key, document: Document, done: Traces) -> _Known:
    if len(plan.known) >= _REMEMBERED:
        plan.known.clear()
    text = msgspec.Raw(document.text()) if done.erased or done.masked else None
    known = plan.known[key] = _Known(text, done)
    return known


def _quotes(text: str | None, values: Iterable[str]) -> bool:
    """Whether our own words quote one of these: in backticks, as every message of ours quotes what came in."""
    return text is not None and any(f"`{value}`" in text for value in values)


def blank(record: Record) -> Record:
    """The record without anything that could name a person: what is written where masking failed."""
    return msgspec.structs.replace(
        record,
        schema=RECORD_SCHEMA,
        **dict.fromkeys(_SINGLE),
        input=_NULL,
        policy_context=_NULL,
        answer_sha256=None,
        redacted=[],
        erased=[FAILED],
        masked=[],
    )
