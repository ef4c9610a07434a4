"""What everybody asks for: every system under every stated context, as columns, and the work permits between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from pdp.facts.context import context_facts
from pdp.facts.horizon import Horizon
from pdp.facts.resource import resource_facts
from pdp.model.input import SCHEMA, Action, InputV1, encode_input
from pdp.model.request import AccessRequest
from pdp.simulate.codes import Numbering
from pdp.simulate.leaves import bringer_of, value_at
from pdp.simulate.people import NOBODY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pdp.bundle.syntax import Path
    from pdp.facts.reference import Reference
    from pdp.model.directory import Snapshot
    from pdp.model.input import Context, Resource
    from pdp.simulate.codes import Codes
    from pdp.simulate.contexts import Stated
    from pdp.simulate.people import PairFacts

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Question:
    """One system under one context, at one time."""

    resource: Resource
    stated: Stated
    context: Context


@dataclass(frozen=True)
class Asked:
    """`columns`: by fact, a number for each question. `between`: facts that take a pair too, as tables by
    (what permits can name, question); a cell is a number of `Numbering` over the values.
    """

    questions: list[Question]
    columns: dict[Path, Codes]
    between: dict[Path, Codes]
    permits: list[list[tuple[str, str]]]

    def document(self, facts: PairFacts, row: int, question: int) -> bytes:
        """The whole document of a row of pairs and a question."""
        asked = self.questions[question]
        named = int(facts.named_of[row])
        permit, until = self.permits[named][question]
        return encode_input(
            InputV1(
                schema=SCHEMA,
                subject=msgspec.structs.replace(
                    facts.subjects[facts.subject_of[row]],
                    auth_level=asked.stated.auth_level,
                    auth_age_min=asked.stated.auth_age_min,
                ),
                device=facts.devices[facts.device_of[row]],
                resource=asked.resource,
                action=Action(asked.stated.action),
                context=msgspec.structs.replace(asked.context, work_permit=permit, work_permit_until=until),
            )
        )


def resources_of(snapshot: Snapshot, *references: Reference) -> tuple[str, ...]:
    """Every system that a catalogue or the directory knows."""
    return tuple(sorted({*snapshot.resources, *(id_ for reference in references for id_ in reference.catalogue)}))


def asked_of(  # noqa: PLR0913, PLR0917  # what a question is made of
    resources: Sequence[str],
    contexts: Sequence[Stated],
    facts: PairFacts,
    snapshot: Snapshot,
    reference: Reference,
    now: datetime,
    leaves: Sequence[Path],
) -> Asked:
    """Every system under every context, in this order: the contexts of a system stand together."""
    questions = [
        Question(
            resource_facts(_request(resource, stated), snapshot, reference, Horizon(now)),
            stated,
            circumstances(stated, resource, snapshot, reference, now),
        )
        for resource in resources
        for stated in contexts
    ]
    columns = {
        leaf: Numbering[bytes]().all(_encode(_value(question, leaf)) for question in questions)
        for leaf in leaves
        if bringer_of(leaf) == "asked"
    }
    of_resource = [
        [_permit(user, device, resource, snapshot, reference, now) for resource in resources]
        for user, device in facts.named
    ]
    permits = [[permit for permit in row for _ in contexts] for row in of_resource]
    between: dict[Path, Codes] = {}
    for at, leaf in enumerate((("context", "work_permit"), ("context", "work_permit_until"))):
        if leaf in leaves:
            numbers = Numbering[str]()
            between[leaf] = np.array([[numbers.of(cell[at]) for cell in row] for row in permits], np.int64)
    return Asked(questions, columns, between, permits)


def circumstances(stated: Stated, resource: str, snapshot: Snapshot, reference: Reference, now: datetime) -> Context:
    """The context of a stated question; the work permit is nobody's."""
    read = context_facts(_request(resource, stated), None, snapshot, reference, Horizon(now))
    source = read.sources.posture if stated.posture_source is None else stated.posture_source
    own: dict[str, Any] = {
        name: value
        for name in ("business_day", "business_hours", "disaster_mode")
        if (value := getattr(stated, name)) is not None
    }
    return msgspec.structs.replace(
        read,
        zone=stated.zone,
        underlay=stated.underlay,
        path_encrypted=stated.path_encrypted,
        country=stated.country,
        risk=sorted(set(stated.risk)),
        pep=sorted(set(stated.pep)),
        sources=msgspec.structs.replace(read.sources, posture=source),
        **own,
    )


def _request(resource: str, stated: Stated | None, user: str = NOBODY) -> AccessRequest:
    return AccessRequest(user, resource, "access" if stated is None else stated.action)


def _permit(  # noqa: PLR0913, PLR0917  # who, from what, to what, by which registers, when
    user: str, device: str | None, resource: str, snapshot: Snapshot, reference: Reference, now: datetime
) -> tuple[str, str]:
    context = context_facts(_request(resource, None, user), device, snapshot, reference, Horizon(now))
    return context.work_permit, context.work_permit_until


def _value(question: Question, leaf: Path) -> Any:
    if leaf == ("schema",):
        return SCHEMA
    if leaf[0] == "subject":
        return getattr(question.stated, leaf[1])
    if leaf[0] == "action":
        return question.stated.action
    part = question.resource if leaf[0] == "resource" else question.context
    return value_at(msgspec.to_builtins(part), leaf[1:])
