"""Where recorded decisions are shipped to: one table `[[log_targets]]` of the settings each."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from pdp.model.input import ResourceGroup

Masked = Literal["user", "device", "source_ip"]
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_SCHEMES: Final = ("tls", "tcp", "https", "http", "file")
SYSLOG: Final = frozenset({"tls", "tcp"})


class LogTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One receiver. `to`: `tls://host:6514` (syslog, RFC 5425), `https://…` (batches), `file:PATH`; `tcp://` and
    `http://` on loopback only. Raises ValueError for what cannot work, so that a start fails and not a night.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    format: Literal["ocsf", "cef", "json"] = "ocsf"
    outcomes: list[Literal["allow", "limit", "step_up", "deny"]] = []  # empty: all
    resource_groups: list[ResourceGroup] = []  # empty: all
    pseudonymise: list[Masked] = []
    pseudonym_key_file: str = ""  # at least 32 bytes; the same key gives the same pseudonyms
    ca_file: str = ""  # PEM; empty: the system's authorities
    cert_file: str = ""  # PEM; shown to the receiver
    key_file: str = ""
    token_file: str = ""  # http: `Authorization: SCHEME TOKEN`
    token_scheme: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{1,32}\Z")] = "Bearer"  # noqa: S105
    body: Literal["lines", "array"] = "lines"
    gzip: bool = True
    batch_records: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    batch_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=16_777_216)] = 1_048_576
    event_bytes: Annotated[int, msgspec.Meta(ge=2_048, le=1_048_576)] = 8_192  # syslog: what receivers take (RFC 5425)
    refused_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=1 << 40)] = 67_108_864  # kept of what it refuses for good
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 15.0  # of one batch
    start: Literal["oldest", "newest"] = "oldest"  # where a target begins that has never been shipped to

    def __post_init__(self) -> None:
        scheme = self.scheme
        if scheme not in _SCHEMES:
            raise ValueError(f"`to` of `{self.name}` must begin with tls://, https:// or file:")
        if scheme != "file":
            self._check_address(scheme)
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError(f"`cert_file` and `key_file` of `{self.name}` belong together")
        if self.pseudonymise and not self.pseudonym_key_file:
            raise ValueError(f"`pseudonymise` of `{self.name}` needs a `pseudonym_key_file`")
        if self.token_file and scheme not in ("https", "http"):
            raise ValueError(f"`token_file` of `{self.name}` is for https only")
        if self.format == "cef" and self.body == "array":
            raise ValueError(f"`{self.name}`: CEF lines are no JSON array")

    def _check_address(self, scheme: str) -> None:
        parts = urlsplit(self.to)
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise ValueError(f"`to` of `{self.name}` needs a host, and no user")
        if scheme in ("tcp", "http") and parts.hostname not in _LOOPBACK:
            raise ValueError(f"`to` of `{self.name}` is not encrypted: only on loopback")
        if scheme in SYSLOG and (parts.path not in ("", "/") or parts.query or parts.fragment):
            raise ValueError(f"`to` of `{self.name}` is a host and a port, and nothing else")
        _ = parts.port  # raises ValueError

    @property
    def scheme(self) -> str:
        return self.to.partition(":")[0]
