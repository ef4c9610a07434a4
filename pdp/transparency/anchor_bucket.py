"""Signed heads into an S3-compatible store, each as an object that nobody can delete before its time (Object Lock).

`s3+https://HOST/BUCKET/PREFIX?days=N` and, behind `&`: `mode=compliance` (default) or `governance`, `every=SECONDS`
(60), `region=…`, `style=virtual`, `profile=…`, `credentials_file=…`. The bucket was made with Object Lock.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from pdp.errors import CopyUnavailableError, SettingsError
from pdp.model.log_copy import ObjectStore
from pdp.s3_client import Bucket, Lock
from pdp.transparency.anchor import AnchorError, anchor_line
from pdp.transparency.checkpoint import parse_checkpoint
from pdp.transparency.note import parse_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

SCHEMES: Final = ("s3+https", "s3+http")  # the second on loopback only
_MAX_LINE: Final = 65_536
_SLACK: Final = timedelta(hours=1)  # between our clock and the store's
_DEADLINE_S: Final = 10.0


class _Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands behind the `?` of an address."""

    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)]
    mode: Literal["compliance", "governance"] = "compliance"
    every: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    region: str = "us-east-1"
    style: Literal["path", "virtual"] = "path"
    profile: str = ""
    credentials_file: str = ""


class BucketAnchor:
    def __init__(self, address: str, *, clock: Callable[[], datetime], ca_file: str = "") -> None:
        """Raises SettingsError."""
        store, terms = _read(address, ca_file)
        self._store: Final = store
        self._keep: Final = timedelta(days=terms.days)
        self._compliance: Final = terms.mode == "compliance"
        self._clock: Final = clock
        self._bucket: Final = Bucket(store)
        self.every_s: Final = terms.every

    @property
    def name(self) -> str:
        return f"s3:{self._store.endpoint}/{self._store.bucket}/{self._store.prefix}"

    def publish(self, note: str) -> None:
        """Raises AnchorError, also where the store took the object without locking it."""
        body = (anchor_line(note) + "\n").encode()
        digest = sha256(body).hexdigest()
        until = self._clock() + self._keep
        key = self._key(note, digest)
        try:
            self._bucket.put(key, body, digest, lock=Lock(until, self._compliance))
            found = self._bucket.find(key)
        except CopyUnavailableError as fault:
            raise AnchorError(fault.fault) from None
        if found is None or found.size != len(body) or found.sha256 not in (None, digest):
            raise AnchorError("not_kept")
        # One that was written by a try whose answer was lost was locked a while before this one.
        if found.locked_until is None or found.locked_until < until - self._keep / 2 - _SLACK:
            raise AnchorError("not_locked")

    def heads(self) -> Iterator[bytes]:
        """What lies there, as lines. What the store does not list is not missed here, but by the log's own heads.

        Raises AnchorError.
        """
        try:
            for key in self._bucket.names(f"{self._store.prefix}/" if self._store.prefix else ""):
                if key.endswith(".json"):
                    yield (self._bucket.get(key, _MAX_LINE) or b"").rstrip(b"\n") + b"\n"
        except CopyUnavailableError as fault:
            raise AnchorError(fault.fault) from None

    def close(self) -> None:
        self._bucket.close()

    def _key(self, note: str, digest: str) -> str:
        """Sorted by the size of the log; the same head has the same name."""
        parsed = parse_note(note)
        head = None if parsed is None else parse_checkpoint(parsed.text)
        origin, size = ("unknown", 0) if head is None else (quote(head.origin, safe="").replace("%", "_"), head.size)
        name = f"{origin}/{size:018d}-{digest[:16]}.json"
        return f"{self._store.prefix}/{name}" if self._store.prefix else name


def _read(address: str, ca_file: str) -> tuple[ObjectStore, _Terms]:
    parts = urlsplit(address)
    bucket, _, prefix = parts.path.strip("/").partition("/")
    given: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        terms = msgspec.convert(given, _Terms, strict=False)
        store = msgspec.convert(
            {
                "bucket": bucket,
                "prefix": prefix,
                "endpoint": f"{parts.scheme.removeprefix('s3+')}://{parts.netloc}",
                "region": terms.region,
                "path_style": terms.style == "path",
                "profile": terms.profile,
                "credentials_file": terms.credentials_file,
                "ca_file": ca_file,
                "deadline_s": _DEADLINE_S,
            },
            ObjectStore,
        )
    except msgspec.ValidationError as fault:
        raise SettingsError(
            f"the anchor in `{bucket}` cannot be used: {fault}",
            next_step="name it as `s3+https://HOST/BUCKET/PREFIX?days=1096`; see docs/audit-proof.md",
        ) from None
    return store, terms
