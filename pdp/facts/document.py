"""The way from a request to `pdp.input/v1`: one function, pure, at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.errors import BadRequestError
from pdp.facts.context import context_facts
from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.resource import resource_facts
from pdp.facts.subject import subject_facts
from pdp.model.input import ACTIONS, SCHEMA, Action, InputV1

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.facts.reference import Reference
    from pdp.model.authentication import Authentication
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest


@dataclass(frozen=True, slots=True)
class Facts:
    """What the policy will see, and per fact the first moment at which it could change by itself."""

    document: InputV1
    horizon: Horizon


def build_facts(
    request: AccessRequest, proof: Authentication, snapshot: Snapshot, reference: Reference, now: datetime
) -> Facts:
    """Join the request with the registers. Attributes come from the registers, never from the caller.

    Raises BadRequestError (the decision is then `BAD_INPUT`) where the request names an action, an
    underlay, a risk or an address that does not exist.
    """
    if request.action not in ACTIONS:
        raise BadRequestError(f"`{request.action}` is not an action: {', '.join(ACTIONS)}")
    horizon = Horizon(now)
    device = device_facts(request.device_id, request.certificate_sha256, request.subject_id, snapshot, horizon)
    document = InputV1(
        schema=SCHEMA,
        subject=subject_facts(request.subject_id, snapshot.users.get(request.subject_id), proof, horizon),
        device=device,
        resource=resource_facts(request, snapshot, reference, horizon),
        action=Action(name=request.action),  # type: ignore[arg-type]  # found in the list above
        context=context_facts(request, device.id if device.registered else None, snapshot, reference, horizon),
    )
    return Facts(document, horizon)
