"""Where further copies of the decision log are kept: the tables `[audit_clickhouse]` and `[audit_object_store]`."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

# What stands in a statement without quotes, and in a path: nothing that could end either.
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}\Z")]
_Cluster = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,62})?\Z")]
_Bucket = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")]  # S3, "Bucket naming rules"
_Prefix = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){0,7})?\Z")
]


def _check_address(what: str, address: str) -> None:
    """Raises ValueError for an address that carries a secret, or that is not encrypted and leaves the machine."""
    parts = urlsplit(address)
    _ = parts.port  # raises ValueError
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"`{what}` is a scheme, a host and a port; no user, and nothing after it")
    if parts.path not in ("", "/"):
        raise ValueError(f"`{what}` has a path")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"`{what}` must begin with https:// (http:// on loopback only)")


class ClickHouseServer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ClickHouse that sealed segments are copied to, over HTTP. Raises ValueError for what cannot work."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    user: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "default"
    password_file: str = ""
    ca_file: str = ""  # PEM; empty: the system's authorities
    database: _Word = "sekisho"
    cluster: _Cluster = ""  # tables are made on all of its hosts, and replicated; empty: one server
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 30.0  # of one statement

    def __post_init__(self) -> None:
        _check_address("url", self.url)


class ObjectStore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place in an S3-compatible store. Each node writes below `PREFIX/NODE/`. Raises ValueError."""

    bucket: _Bucket
    prefix: _Prefix = ""
    endpoint: str = ""  # https://…; empty: that of AWS for the region
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] = "us-east-1"
    path_style: bool = True  # https://HOST/BUCKET; false: https://BUCKET.HOST, as AWS prefers
    credentials_file: str = (
        ""  # as of the AWS tools; empty: their ways, that is environment, files, role of the instance
    )
    profile: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,64}\Z")] = ""  # in that file
    ca_file: str = ""  # PEM; empty: the authorities that come with the client
    encryption: Literal["", "AES256", "aws:kms"] = ""  # asked of the store at each object; empty: the bucket's own
    kms_key_id: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 60.0  # of one answer's silence, not of a whole file

    def __post_init__(self) -> None:
        if self.endpoint:
            _check_address("endpoint", self.endpoint)
        if self.kms_key_id and self.encryption != "aws:kms":
            raise ValueError("`kms_key_id` is for `encryption` = `aws:kms`")
