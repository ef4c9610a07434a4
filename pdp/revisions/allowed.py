"""What one person may do next with one revision: the state, the role, and whose work it is, together. Pure.

For whoever offers steps to people, so that nobody is offered what would be refused. The registers decide, again, when
the step is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.revisions.person import MAY
from pdp.revisions.states import steps_from

if TYPE_CHECKING:
    from pdp.revisions.person import People, Person
    from pdp.revisions.revision import Detail
    from pdp.revisions.states import Step

_SECOND: Final[frozenset[Step]] = frozenset({"approve", "endorse"})


def steps_for(person: Person, detail: Detail, people: People) -> tuple[Step, ...]:
    """The steps, in the order of `STEPS`. What a gate or a signature may still refuse is among them."""
    return tuple(step for step in steps_from(detail.revision.state) if _may(person, step, detail, people))


def _may(person: Person, step: Step, detail: Detail, people: People) -> bool:
    revision = detail.revision
    if step == "activate" and revision.emergency and "approver" in person.roles:
        return True
    if not person.roles & MAY[step]:
        return False
    if step not in _SECOND:
        return True
    now = (revision.round, revision.digest, revision.source_digest)
    given = [each.by for each in detail.approvals if (each.round, each.digest, each.source_digest) == now]
    return not people.among(person.id, (*detail.authors, *given))
