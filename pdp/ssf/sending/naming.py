"""Whom an event is about, in the words that a stream's receiver understands. Pure.

The CAEP interoperability profile asks for three formats: `email`, `iss_sub`, `opaque`. Our directory has one id for a
person, and that is what an identity provider's token calls the person (`subject_claim` of its settings). So the id is
the `sub` of every issuer whose `subject_claim` is `sub`, and it is a mail address where it is written as one, or where
the settings name a domain.

INVARIANT (nobody is left out): a person who cannot be named in the wished format is named by the opaque id. An event
that its receiver cannot read stands in the receiver's log; one that is never sent stands nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.errors import BadRequestError
from pdp.ssf.subjects import Simple, complex_of, email, iss_sub, opaque, read_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.model.ssf_transmitter import SubjectFormat
    from pdp.ssf.subjects import Subject


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody by the directory's id; `issuer`: what is said counts for what this issuer issued, "" for all."""

    id: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody by an issuer's `sub`, whom the directory does not have under this id."""

    sub: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A device by the directory's id. With a `user`: what this person does on this device."""

    id: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A session by its `sid`."""

    id: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token by its `jti`, of one issuer or, with "", of any."""

    id: str
    issuer: str = ""


About = Person | Account | Terminal | Session | Token


@dataclass(frozen=True, slots=True)
class Names:
    """What the settings say: every issuer, those of them whose `sub` is the directory's id, and the mail domain."""

    issuers: tuple[str, ...] = ()
    by_sub: tuple[str, ...] = ()
    email_domain: str = ""

    def subjects(self, about: About, form: SubjectFormat) -> Sequence[Subject]:
        """One subject for each event that has to be sent, at least one."""
        match about:
            case Person():
                return self._person(about, form)
            case Account():
                return self._account(about.sub, about.issuer, form)
            case Terminal() if about.user:
                users = self._person(Person(about.user), form)
                return [complex_of(device=opaque(about.id), user=user) for user in users]
            case Terminal():
                return [complex_of(device=opaque(about.id))]
            case Session():
                return [complex_of(session=opaque(about.id))]
            case Token():
                issuers = (about.issuer,) if about.issuer else self.issuers
                named = [{"format": "jwt_id", "iss": issuer, "jti": about.id} for issuer in issuers]
                return [read_subject(one) for one in named] or [opaque(about.id)]

    def _person(self, person: Person, form: SubjectFormat) -> list[Simple]:
        if form == "email":
            return [self._email(person.id) or opaque(person.id)]
        if form == "iss_sub" and person.issuer and person.issuer not in self.by_sub:
            # A logout says `sub`, a command may say the directory's id: one text, and maybe two people. Both are told.
            return [iss_sub(person.issuer, person.id), opaque(person.id)]
        if form == "iss_sub":
            issuers = [one for one in self.by_sub if person.issuer in ("", one)]
            return [iss_sub(issuer, person.id) for issuer in issuers] or [opaque(person.id)]
        return [opaque(person.id)]

    def _account(self, sub: str, issuer: str, form: SubjectFormat) -> list[Simple]:
        if form == "opaque":
            return [opaque(sub)]
        if form == "email" and "@" in sub and (mail := self._email(sub)):
            return [mail]
        issuers = (issuer,) if issuer else self.issuers
        return [iss_sub(one, sub) for one in issuers] or [opaque(sub)]

    def _email(self, user_id: str) -> Simple | None:
        if "@" not in user_id and not self.email_domain:
            return None
        try:
            return email(user_id if "@" in user_id else f"{user_id}@{self.email_domain}")
        except BadRequestError:  # an id with a blank in it, for example
            return None
