"""The console as the settings describe it: who logs in through which provider, and who then may do what."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from pdp.model.issuer import Algorithm, Name, Names, check_url

Role = Literal["author", "approver", "operator", "auditor", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `[console]`; docs/console.md explains each key. Without it there is no console.

    `roles`: for each role the values of `roles_claim` that give it, and `people`: for each subject the roles that the
    settings give it. A person whom neither gives a role is not let in. `accounts_file`: local accounts for the day on
    which the identity provider is down.
    """

    issuer: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    scopes: Annotated[tuple[Name, ...], Meta(max_length=16)] = ("openid", "profile")
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256")
    hosts: Names = ()  # further hosts that the provider's documents may be on
    private_hosts: Names = ()  # hosts that may have a private or loopback address
    ca_file: str = ""
    acr_values: Names = ()  # what is asked of the provider, and must be in the answer
    max_login_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 0  # the login at the provider is no older; 0: any

    subject_claim: Name = "sub"
    name_claim: Name = "name"
    roles_claim: Name = "groups"  # with dots for what lies deeper, as `realm_access.roles`
    roles: dict[Role, Names] = msgspec.field(default_factory=dict)
    people: dict[Name, tuple[Role, ...]] = msgspec.field(default_factory=dict)

    accounts_file: str = ""
    key_file: str = ""  # 32 bytes that seal logins under way, the same on every host. Empty: made in state_dir
    idle_minutes: Annotated[int, Meta(ge=1, le=480)] = 30  # NIST SP 800-63B section 7.2: 30 minutes at AAL2
    session_hours: Annotated[int, Meta(ge=1, le=24)] = 10  # one working day, then a new login

    def __post_init__(self) -> None:
        if bool(self.issuer) != bool(self.client_id):
            raise ValueError("`issuer` and `client_id` belong together")
        if self.issuer:
            check_url(self.issuer, "issuer")
        if not self.issuer and not self.accounts_file:
            raise ValueError("nobody could log in: name `issuer` and `client_id`, or `accounts_file`")
        if self.issuer and "openid" not in self.scopes:
            raise ValueError("`scopes` lacks `openid`, so there would be no ID token")
