"""How one provisioning source (a SCIM tenant) is read: whose person is meant, of what kind, with which posts and roles.

These are settings, written by the operator. A source can only say what a table here gives it a word for: what no
table names gives nothing, so that an identity provider that is misconfigured, or taken over, cannot invent a role.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"  # RFC 7643 section 4.3

# Every kind of subject but `emergency_account`: the accounts for a disaster are made by hand, or not at all.
ProvisionedKind = Literal["staff", "fixed_term_staff", "municipal_staff", "contractor", "shared_account", "unknown"]
UserIdFrom = Literal["userName", "externalId", "employeeNumber"]
_ROLE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class GroupRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What membership in one group gives. The group is named by exactly one of `external_id` and `display_name`.

    `external_id` is the safer name: whoever may create groups at the identity provider may choose any display name.
    """

    external_id: str = ""  # compared exactly
    display_name: str = ""  # compared without regard to case and width
    role: str = ""
    kind: ProvisionedKind | Literal[""] = ""

    def __post_init__(self) -> None:
        if bool(self.external_id) == bool(self.display_name):
            raise ValueError("a group is named by exactly one of `external_id` and `display_name`")
        if not self.role and not self.kind:
            raise ValueError("a group gives a `role`, a `kind` or both")
        if self.role and _ROLE.fullmatch(self.role) is None:
            raise ValueError("a role is lower-case letters, digits and underscores, beginning with a letter")


class ScimTenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tenant: the caller whose id names this table may provision, and owns whom it brought.

    `kinds` by the user's `userType`; a group's kind goes before it, and two groups that disagree give `unknown`.
    `departments` by the text of the enterprise extension's `department` and `division`; without the table the posts
    are left alone.
    """

    user_id: UserIdFrom = "userName"  # the attribute that is the directory's user id
    lower_case_ids: bool = False  # for providers that change the case of a userName
    organisation: str = "mie"
    identity_source: Literal["integrated", "federated"] = "integrated"
    kinds: dict[str, ProvisionedKind] = msgspec.field(default_factory=dict)
    default_kind: ProvisionedKind = "unknown"  # which is denied everywhere
    departments: dict[str, str] = msgspec.field(default_factory=dict)
    groups: tuple[GroupRule, ...] = ()
    adopt: bool = False  # take over people who are in the directory already and belong to no source
    max_removals_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5  # of its people, in 24 hours
    silent_after_h: Annotated[int, msgspec.Meta(ge=0, le=8_784)] = 168  # without a change: `pdp doctor` warns; 0: never
