"""A Cloudflare account whose Access asks us, as the settings describe it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

_Text = Annotated[str, Meta(min_length=1, max_length=256)]


class CloudflareAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `[cloudflare]`.

    `user_claim` names the member of Access's `identity` that is the directory's id. Mail addresses of `email_domains`
    stand for the part before the `@`; any other address is taken whole. `levels`: how strongly a log-in of an
    identity provider (its id or type at Cloudflare) authenticates; one that is not listed proves nothing.
    `device_claim`: the `device_id` of Access is the directory's id of the device.
    """

    team_domain: Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?\Z")]
    audiences: Annotated[tuple[_Text, ...], Meta(max_length=64)] = ()  # application tags; empty: any of the account
    user_claim: Literal["email", "user_uuid"] = "email"
    email_domains: frozenset[_Text] = frozenset()
    levels: dict[str, Literal[1, 2, 3]] = msgspec.field(default_factory=dict)
    device_claim: bool = False
    posture_audience: Annotated[str, Meta(max_length=256)] = ""  # application tag of our posture API, behind Access
    posture_client_id: Annotated[str, Meta(max_length=256)] = ""  # of the one service token that may ask it
    sets_files: Annotated[tuple[str, ...], Meta(max_length=8)] = ()  # `sets.json` of exports: what their sets mean
    keys_file: str = ""  # our signing keys, the same on every host; empty: made in `state_dir`
    private_hosts: Annotated[tuple[_Text, ...], Meta(max_length=8)] = ()  # may have a private address: for tests

    def __post_init__(self) -> None:
        if bool(self.posture_audience) != bool(self.posture_client_id):
            raise ValueError("`posture_audience` and `posture_client_id` belong together")

    @property
    def certificates_url(self) -> str:
        """Where the account publishes its keys."""
        return f"{self.team_domain}/cdn-cgi/access/certs"
