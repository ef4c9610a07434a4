"""A caller is an enforcement point (PEP) or a machine. Its permissions bound what it may say and ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from pdp.callers.budget import DEFAULT_LIMITS, CallerLimits
from pdp.errors import NotPermittedError

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile
    from pdp.callers.budget import Budget
    from pdp.callers.credentials import Credentials

Permission = Literal[
    "decide",  # ask for a decision at all
    "batch",  # evaluations, several in one call
    "search",  # which subjects, resources or actions would be permitted
    "assert_identity",  # say what the identity provider said, without its signed token
    "assert_network",  # say where the request came from: address, tunnel, underlay, country, encryption
    "admin_reasons",  # be told the reasons that are meant for administrators
    "bypass_cache",  # ask for a fresh evaluation
    "opa_api",  # ask through the facade of OPA's data API
    "push_posture",  # report the state of devices
    "read_posture",  # be told what is held of devices, and their score
    "provision",  # write people and groups through SCIM
    "push_logs",  # send the decision log and the status of an OPA of theirs
    "audit_read",  # read the decision log: auditors, everything in their scope
    "audit_operate",  # read it with pseudonyms in the place of people, devices and addresses: operators
    "audit_reveal",  # turn one pseudonym or one record back into names, with a reason
    "audit_sql",  # ask the decision log in SQL; with `audit_read` only
    "audit_export",  # take the decision log away as a file
    "audit_trail",  # read who asked what of the audit
    "policy_read",  # see revisions of policies: auditors
    "policy_author",  # write revisions, and submit them for review
    "policy_approve",  # approve what others wrote, or send it back
    "policy_operate",  # activate what was approved, schedule it, roll back
    "policy_admin",  # see revisions, and discard what nobody needs
    "read_bundles",  # pull the policy of record as an OPA bundle
    "read_cut_off",  # pull what is cut off at once: addresses, lost devices, whose they are
    "read_service",  # see how the workers are, and which callers and gateways there are
    "read_directory",  # look up people, devices and posture in the directory
    "ssf_read",  # look at its own streams of security events, and take events from them
    "ssf_manage",  # make, change and end its own streams of security events
    "manage_sessions",  # see who is logged in to the console, and end sessions
]

PERMISSIONS: Final[frozenset[Permission]] = frozenset(get_args(Permission))
# What a service shows of itself and of people it shows to callers who say who they are.
_OF_SOMEBODY: Final = frozenset(
    {"read_service", "read_directory", "read_cut_off", "manage_sessions", "ssf_read", "ssf_manage"}
)
_NOT_ANYBODYS: Final = ("audit_", "policy_")
_NOT_THE_LOG: Final = frozenset(word for word in PERMISSIONS - _OF_SOMEBODY if not word.startswith(_NOT_ANYBODYS))


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `id` stands in the decision log. `profile` is the only one to ask in; None: any.

    `person`: somebody at the console, whose id is `user:…` or `account:…`.
    """

    id: str
    permissions: frozenset[Permission]
    profile: Profile | None = None
    limits: CallerLimits = DEFAULT_LIMITS
    budget: Budget | None = field(default=None, compare=False, repr=False)
    person: bool = False

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def spend(self, further: int) -> None:
        """Count the evaluations of one request beyond its first: the rest of a batch, the candidates of a search."""
        if self.budget is not None:
            self.budget.spend(further)


def require_profile(caller: Caller, profile: Profile) -> Profile:
    """The profile of the active policy, for a caller that may ask in it. Raises NotPermittedError."""
    if caller.profile not in (None, profile):
        raise NotPermittedError(f"this caller may not ask in profile `{profile}`")
    return profile


class Callers(Protocol):
    """Who is who. Adapters: `pdp.callers.stored` and `UnsafeAnyone`. One call counts as one request of the caller."""

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        """The caller that these credentials belong to, now. A text is an API key of which nothing else is known.

        Raises NotAuthenticatedError for no credential, one that is unknown, expired or revoked, or two of different
        callers; which of these it was is not told. Raises TooManyRequestsError. A token needs `introduce`.
        """
        ...

    async def introduce(self, presented: Credentials) -> Caller:
        """As `authenticate`, and a token may be presented too: the keys of its issuer may have to be waited for."""
        ...


class UnsafeAnyone:
    """Everybody is a caller who may decide anything. Only behind `--unsafe-no-caller-auth`.

    What others were asked and told is nobody's: the decision log is read by callers who say who they are.
    """

    def authenticate(self, presented: Credentials | str | None) -> Caller:  # noqa: ARG002  # that is what is unsafe
        return Caller("anyone", _NOT_THE_LOG)

    async def introduce(self, presented: Credentials) -> Caller:
        return self.authenticate(presented)
