"""Who asks: the directory's word on the person, and how well they proved to be that person."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.model.input import AUTH_AGE_CAP_MIN, Subject

if TYPE_CHECKING:
    from pdp.facts.horizon import Horizon
    from pdp.model.authentication import Authentication
    from pdp.model.directory import User
    from pdp.model.input import Employment

_MINUTE: Final = timedelta(minutes=1)


def subject_facts(subject_id: str, user: User | None, proof: Authentication, horizon: Horizon) -> Subject:
    """`input.subject` at `horizon.now`. A person whom no register knows is kind `unknown`, never absent."""
    age_min = _auth_age_min(proof, horizon)
    if user is None:
        return Subject(
            id=subject_id,
            kind="unknown",
            organisation="unknown",
            departments=[],
            roles=[],
            employment="active",
            identity_source="none",
            auth_level=proof.level,
            auth_age_min=age_min,
        )
    current = [post.department for post in user.posts if horizon.of("subject.departments", post.period)]
    return Subject(
        id=subject_id,
        kind=user.kind,
        organisation=user.organisation,
        departments=list(dict.fromkeys(current)),
        roles=sorted(set(user.roles)),
        employment=_employment(user, horizon),
        identity_source=user.identity_source,
        auth_level=proof.level,
        auth_age_min=age_min,
    )


def _employment(user: User, horizon: Horizon) -> Employment:
    """Dates and the register's own word; of two that differ, the one that gives less."""
    horizon.at("subject.employment", user.employment.next_change(horizon.now))
    if user.status == "ended" or user.employment.is_over(horizon.now):
        return "ended"
    if user.status == "not_started" or user.employment.is_before(horizon.now):
        return "not_started"
    return user.status


def _auth_age_min(proof: Authentication, horizon: Horizon) -> int:
    horizon.at("subject.auth_level", proof.expires_at)
    if proof.at is None:
        return AUTH_AGE_CAP_MIN
    minutes = max(0, (horizon.now - proof.at) // _MINUTE)
    if minutes >= AUTH_AGE_CAP_MIN:
        return AUTH_AGE_CAP_MIN
    horizon.at("subject.auth_age_min", proof.at + _MINUTE * (minutes + 1))
    return minutes
