"""What a time of warning would hold over: new refusals of what the policy of record permits, and may go on.

The rule is `pdp.grace`'s, asked by parts: whatever makes a document hard lies in the person, in the terminal with what
is asked, or in what is asked. So a document is hard where its person is, beside a soft terminal and question, or where
its terminal and question are, beside a soft person. A test holds this against whole documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from pdp.grace import HARD, is_hard
from pdp.model.input import SCHEMA, Action, InputV1
from pdp.simulate.codes import Numbering

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pdp.bundle.syntax import Path
    from pdp.model.input import Device, Subject
    from pdp.simulate.asked import Asked, Question
    from pdp.simulate.codes import Codes
    from pdp.simulate.people import PairFacts

NEEDED: Final[tuple[Path, ...]] = HARD.paths
"""Facts by which people, terminals and questions must be told apart for this, whatever a policy reads."""


@dataclass(frozen=True)
class Soft:
    """Which cells may be held over: `table[of_pair[pair], question]`."""

    of_pair: Codes
    table: NDArray[np.bool_]


def soft_cells(facts: PairFacts, asked: Asked) -> Soft:
    """`facts` and `asked` were made with `NEEDED` among their leaves. Pure."""
    sights = Numbering[bytes]()
    of_question = sights.all(_sight(one) for one in asked.questions)
    firsts = [asked.questions[int(np.flatnonzero(of_question == at)[0])] for at in range(len(sights.values))]
    people, terminals = facts.subjects, facts.devices
    if not (people and terminals and firsts):
        return Soft(np.zeros(len(facts.row), np.int64), np.zeros((1, len(asked.questions)), np.bool_))
    nobody, nothing, harmless = _soft_person(people[0]), _soft_terminal(terminals[0]), _soft_question(firsts[0])
    hard_person = np.array([is_hard(_document(one, nothing, harmless)) for one in people], np.bool_)
    hard = np.array([[is_hard(_document(nobody, one, what)) for what in firsts] for one in terminals], np.bool_)
    kinds = np.concatenate([hard, np.ones((1, len(firsts)), np.bool_)])  # the last: a hard person, whatever the rest
    of_row = np.where(hard_person[facts.subject_of], len(terminals), facts.device_of)
    return Soft(of_row[facts.row].astype(np.int64), ~kinds[:, of_question])


def _sight(question: Question) -> bytes:
    """All that makes a question hard, alone or with a terminal."""
    resource = question.resource
    return msgspec.json.encode([resource.group, resource.segment, resource.status, sorted(question.context.risk)])


def _document(subject: Subject, device: Device, question: Question) -> InputV1:
    action = Action(question.stated.action)
    return InputV1(SCHEMA, subject, device, question.resource, action, question.context)


def _soft_person(like: Subject) -> Subject:
    return msgspec.structs.replace(like, kind="staff", identity_source="integrated", employment="active")


def _soft_terminal(like: Device) -> Device:
    posture = msgspec.structs.replace(like.posture, tampered=False, edr_running=True, edr_risk="none")
    return msgspec.structs.replace(
        like, registered=True, class_="managed_pc", ownership="organisation", state="in_service", posture=posture
    )


def _soft_question(like: Question) -> Question:
    resource = msgspec.structs.replace(like.resource, group="communication", segment="lgwan", status="in_service")
    return replace(like, resource=resource, context=msgspec.structs.replace(like.context, risk=[]))
