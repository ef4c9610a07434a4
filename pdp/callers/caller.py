"""A caller is an enforcement point (PEP) or a machine. Its permissions bound what it may say and ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

Permission = Literal[
    "decide",  # ask for a decision at all
    "batch",  # evaluations, several in one call
    "search",  # which subjects, resources or actions would be permitted
    "assert_identity",  # say what the identity provider said, without its signed token
    "assert_network",  # say where the request came from: address, tunnel, underlay, country, encryption
    "admin_reasons",  # be told the reasons that are meant for administrators
    "bypass_cache",  # ask for a fresh evaluation
]

PERMISSIONS: Final[frozenset[Permission]] = frozenset(get_args(Permission))


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `id` stands in the decision log."""

    id: str
    permissions: frozenset[Permission]

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions


class Callers(Protocol):
    """Who is who. Adapters: `pdp.callers.keys` (hashed API keys) and `UnsafeAnyone`."""

    def authenticate(self, presented_key: str | None) -> Caller:
        """The caller that this API key belongs to, now.

        Raises NotAuthenticatedError for no key, an unknown, expired or revoked one; which of these it
        was is not told to the caller.
        """
        ...


class UnsafeAnyone:
    """Everybody is a caller with every permission. Only behind `--unsafe-no-caller-auth`."""

    def authenticate(self, presented_key: str | None) -> Caller:  # noqa: ARG002  # that is what is unsafe
        return Caller("anyone", PERMISSIONS)
