"""How security events are sent to others (Shared Signals Framework 1.0), as the settings describe it."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pdp.model.issuer import LOOPBACK

SubjectFormat = Literal["email", "iss_sub", "opaque"]
_Text = Annotated[str, Meta(min_length=1, max_length=256)]
_Hosts = Annotated[tuple[_Text, ...], Meta(max_length=64)]
_PORTS: Final = {"https": 443, "http": 80}


class SsfTransmitter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table `[ssf_transmitter]`; docs/shared-signals-sending.md explains each entry.

    `push_hosts`: where events may be pushed to, `host` (port 443) or `host:port`; without an entry nothing is pushed,
    whatever a receiver asks for. `subject_format`: of streams whose receiver asked for none.
    """

    issuer: Annotated[str, Meta(max_length=256)] = ""  # https://…; empty: `public_url`
    audiences: dict[_Text, _Text] = msgspec.field(default_factory=dict)  # caller: `aud` of its events; else its id
    push_hosts: _Hosts = ()
    private_hosts: _Hosts = ()  # of these, those that may have a private address
    http_on_loopback: bool = False  # push without TLS to this very machine: for tests and demonstrations
    ca_file: str = ""  # authority of the receivers' certificates; empty: those of the system
    subject_format: SubjectFormat = "iss_sub"
    email_domain: Annotated[str, Meta(pattern=r"^([a-z0-9-]+\.)*[a-z0-9-]*\Z", max_length=253)] = ""
    keys_file: str = ""  # our signing keys, the same on every host; empty: made in `state_dir`
    outbox_events: Annotated[int, Meta(ge=100, le=10_000_000)] = 100_000  # that wait in one stream; then the oldest go
    retry_s: Annotated[int, Meta(ge=1, le=3_600)] = 300  # the longest between two tries of a push
    verification_s: Annotated[int, Meta(ge=0, le=86_400)] = 30  # the shortest between two verifications of a stream

    def __post_init__(self) -> None:
        if self.issuer:
            check_issuer(self.issuer)

    def push_fault(self, url: str) -> str | None:
        """Why nothing may be pushed there; None: it may. The words go on after "`endpoint_url` "."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            return "is no URL"
        plain = url.isascii() and url.isprintable() and " " not in url
        if not plain or "@" in parts.netloc or parts.fragment or not host:
            return "must have a host, and no user, fragment, blank or unusual character"
        if parts.scheme != "https" and not (parts.scheme == "http" and self.http_on_loopback and host in LOOPBACK):
            return "must begin with https://"
        named = f"[{host}]" if ":" in host else host
        listed = {one.lower() for one in self.push_hosts}
        if f"{named}:{port}" not in listed and not (named in listed and port == _PORTS[parts.scheme]):
            return "is on a host and port that the operator has not named in `push_hosts`"
        return None


def check_issuer(url: str) -> None:
    """SSF 1.0 section 7.1: https, no query and no fragment; http on loopback, for tests. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("`issuer` of `ssf_transmitter` (or `public_url`) must begin with https://")
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment or url.endswith("/"):
        raise ValueError(
            "`issuer` of `ssf_transmitter` (or `public_url`) has a host, and no user, query, fragment or last slash"
        )
