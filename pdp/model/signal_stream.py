"""A stream of security events that another house sends us, as the settings describe it."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pdp.model.issuer import Algorithm, Issuer, Name, Names, check_url
from pdp.model.source import NameKind

SignalEffect = Literal["end_sessions", "hold_accounts", "hold_devices"]
Delivery = Literal["push", "poll"]
_Seconds = Annotated[int, Meta(ge=0, le=31 * 86_400)]


class SignalStream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[signal_streams]]` table; docs/shared-signals.md explains each key.

    `token_file`: with `push` what the transmitter shows us, with `poll` what we show it. An empty list of `effects`
    means that events are taken and written down, and do nothing.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
    issuer: Name
    audiences: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]
    delivery: Delivery
    token_file: Annotated[str, Meta(min_length=1)]
    effects: tuple[SignalEffect, ...] = ()

    stream_id: Annotated[str, Meta(max_length=256)] = ""  # as the transmitter names it; empty: any
    endpoint_url: str = ""  # poll: where to ask, with its query
    poll_wait_s: Annotated[int, Meta(ge=0, le=120)] = 30  # how long one poll waits for events; 0: not at all
    poll_pause_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 5.0  # between polls that bring nothing at once
    poll_max_events: Annotated[int, Meta(ge=1, le=500)] = 50

    jwks_uri: str = ""  # empty: of the issuer's `/.well-known/ssf-configuration`
    jwks_file: str = ""
    jwks_ttl_s: Annotated[int, Meta(ge=300, le=3600)] = 600
    hosts: Names = ()  # further hosts that its documents may be on
    private_hosts: Names = ()  # hosts that may have a private or loopback address
    ca_file: str = ""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256",)  # CAEP interoperability profile
    leeway_s: Annotated[int, Meta(ge=0, le=60)] = 60

    organisations: Names = ()  # whose people its events may touch; empty: everybody's
    tenants: Names = ()  # whose events count, where a subject names a tenant; empty: every tenant's
    critical_members: Names = ()  # of subjects, beside those that the transmitter calls so
    email_domains: frozenset[Name] = frozenset()  # addresses here stand for the part before the `@`, others for none
    session_ids: Literal["sid", "own"] = "own"  # `sid`: its ids of sessions are the `sid` of our tokens
    device_names: tuple[NameKind, ...] = ("id", "vendor_id")  # what its names of devices are in the directory

    management_token_file: str = ""  # what we show its management API; empty: with `poll` the same token
    verification_endpoint: str = ""  # empty: of its metadata
    verify_every_s: _Seconds = 0  # ask for a verification so often; 0: only by hand
    silent_after_s: _Seconds = 86_400  # nothing was heard for so long: it shows; 0: never
    legacy: bool = False  # take the forms from before the final texts too

    def __post_init__(self) -> None:
        if self.delivery == "poll":
            if not self.endpoint_url:
                raise ValueError("`delivery` is `poll`, so `endpoint_url` must say where to ask")
            check_url(self.endpoint_url, "endpoint_url")
        elif self.endpoint_url:
            raise ValueError("`endpoint_url` is where we poll; with `push` the transmitter comes to us")
        if self.verification_endpoint:
            check_url(self.verification_endpoint, "verification_endpoint")
        if len(set(self.effects)) < len(self.effects):
            raise ValueError("`effects` names one twice")
        if self.verify_every_s and not self.stream_id:
            raise ValueError("a verification is asked for by `stream_id`")
        self.as_issuer()  # its own checks

    def as_issuer(self, jwks_uri: str = "") -> Issuer:
        """Whose keys sign these events, and where its documents may be."""
        urls = (self.endpoint_url, self.verification_endpoint)
        return Issuer(
            issuer=self.issuer,
            audiences=self.audiences,
            jwks_uri=jwks_uri or self.jwks_uri,
            jwks_file=self.jwks_file,
            jwks_ttl_s=self.jwks_ttl_s,
            hosts=(*self.hosts, *(host_of(url) for url in urls if url)),
            private_hosts=self.private_hosts,
            ca_file=self.ca_file,
            algorithms=self.algorithms,
            leeway_s=self.leeway_s,
        )


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""
