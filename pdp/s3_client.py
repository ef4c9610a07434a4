"""One bucket of an S3-compatible store; every fault becomes CopyUnavailableError.

The client is boto3: it knows where credentials come from (environment, files, the role of an instance or a pod) and
renews them, which no client of ours should try. Objects are written once (`If-None-Match: *`), with their SHA-256,
which the store checks as it takes them and says again when it is asked.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pdp.errors import CopyUnavailableError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pdp.model.log_copy import ObjectStore

_CONNECT_S: Final = 5.0
_BLOCK: Final = 1 << 20
_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_THERE: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})


@dataclass(frozen=True, slots=True)
class Found:
    """`sha256`: in hex, as the store says it; None where it does not. `locked_until`: no one may delete it before."""

    size: int
    sha256: str | None
    locked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Lock:
    """Object Lock. `compliance`: nobody may lift it; else who has the right to."""

    until: datetime
    compliance: bool


class Bucket:
    """Safe for use by several threads. Nothing is sent before the first call."""

    def __init__(self, store: ObjectStore) -> None:
        """Raises SettingsError where a file of the settings cannot be used, or the client is not installed."""
        self.store: Final = store
        for what, path in (("ca_file", store.ca_file), ("credentials_file", store.credentials_file)):
            if path and not Path(path).is_file():
                raise SettingsError(f"`{what}` of the object store cannot be read")
        self._client: Final = _client(store)

    def close(self) -> None:
        self._client.close()

    def put(self, key: str, body: bytes | BinaryIO, sha256: str, *, lock: Lock | None = None) -> bool:
        """Write it, unless there is one of this name already: then False. Raises CopyUnavailableError."""
        more: dict[str, Any] = {"ChecksumSHA256": b64encode(bytes.fromhex(sha256)).decode()}
        if self.store.encryption:
            more["ServerSideEncryption"] = self.store.encryption
        if self.store.kms_key_id:
            more["SSEKMSKeyId"] = self.store.kms_key_id
        if lock is not None:
            more |= {
                "ObjectLockMode": "COMPLIANCE" if lock.compliance else "GOVERNANCE",
                "ObjectLockRetainUntilDate": lock.until,
            }
        try:
            with _faults():
                self._client.put_object(Bucket=self.store.bucket, Key=key, Body=body, IfNoneMatch="*", **more)
        except CopyUnavailableError as fault:
            if fault.fault in _THERE:
                return False
            raise
        return True

    def find(self, key: str) -> Found | None:
        """What the store knows of an object; None where there is none. Raises CopyUnavailableError."""
        try:
            with _faults():
                said = self._client.head_object(Bucket=self.store.bucket, Key=key, ChecksumMode="ENABLED")
        except CopyUnavailableError as fault:
            if fault.fault in _ABSENT:
                return None
            if fault.fault.isdigit():  # an answer without a body does not say why; the same question with one does
                with _faults():
                    self._client.get_object(Bucket=self.store.bucket, Key=key, Range="bytes=0-0")["Body"].close()
            raise
        digest = said.get("ChecksumSHA256")
        try:
            sha256 = b64decode(digest, validate=True).hex() if digest else None
        except ValueError:  # a digest over the parts of an object, which says nothing of the whole
            sha256 = None
        return Found(int(said["ContentLength"]), sha256, said.get("ObjectLockRetainUntilDate"))

    def blocks(self, key: str, limit: int) -> Iterator[bytes]:
        """Its bytes, never more than `limit`. Raises CopyUnavailableError, also where there is none (`NoSuchKey`)."""
        with _faults():
            body = self._client.get_object(Bucket=self.store.bucket, Key=key)["Body"]
            try:
                size = 0
                for block in body.iter_chunks(_BLOCK):
                    size += len(block)
                    if size > limit:
                        raise CopyUnavailableError("an object of the store is larger than it may be", fault="too_large")
                    yield block
            finally:
                body.close()

    def get(self, key: str, limit: int) -> bytes | None:
        """The whole object; None where there is none. Raises CopyUnavailableError."""
        try:
            return b"".join(self.blocks(key, limit))
        except CopyUnavailableError as fault:
            if fault.fault in _ABSENT:
                return None
            raise

    def names(self, prefix: str) -> Iterator[str]:
        """What the store lists. It may leave out what it likes: nothing may rest on it. Raises CopyUnavailableError."""
        with _faults():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.store.bucket, Prefix=prefix)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

    def delete(self, key: str) -> None:
        """Raises CopyUnavailableError, for example where a lock holds it."""
        with _faults():
            self._client.delete_object(Bucket=self.store.bucket, Key=key)


def _client(store: ObjectStore) -> Any:
    try:
        from boto3 import Session
        from botocore.config import Config
        from botocore.session import get_session
    except ImportError:
        raise SettingsError("the client of S3 is not installed", next_step="install `sekisho-pdp[s3]`") from None
    from botocore.exceptions import BotoCoreError

    ways = get_session()
    if store.credentials_file:
        ways.set_config_variable("credentials_file", os.fspath(Path(store.credentials_file).absolute()))
        ways.set_config_variable("config_file", os.devnull)
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=store.deadline_s,
        retries={"total_max_attempts": 2, "mode": "standard"},  # whoever asks knows when to ask again
        s3={"addressing_style": "path" if store.path_style else "virtual"},
        # Old and small stores do not know the checksums that newer clients send unasked; ours are asked for.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        profile = store.profile or ("default" if store.credentials_file else None)
        session = Session(botocore_session=ways, profile_name=profile)
        client = session.client(
            "s3",
            endpoint_url=store.endpoint or None,
            region_name=store.region,
            verify=store.ca_file or None,
            config=config,
        )
    except (BotoCoreError, ValueError) as fault:
        raise SettingsError(f"the object store cannot be used: {type(fault).__name__}") from None
    client.meta.events.register_last("before-call.s3", _without_expectations)
    return client


def _without_expectations(params: dict[str, Any], **_: object) -> None:
    """No `Expect: 100-continue`: where that answer is cut off, botocore 1.44 reads for ever, past any deadline."""
    params["headers"].pop("Expect", None)


@contextmanager
def _faults() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
    from botocore.exceptions import ConnectionError as Unreachable
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as fault:
        word = str(fault.response.get("Error", {}).get("Code") or "unknown")[:60]
        raise CopyUnavailableError(f"the object store does not do it: {word}", fault=word) from None
    except NoCredentialsError:
        raise CopyUnavailableError("there are no credentials for the object store", fault="credentials") from None
    except (HTTPClientError, Unreachable, HTTPError, OSError) as fault:
        raise CopyUnavailableError(f"the object store: {type(fault).__name__}", fault="unreachable") from None
    except BotoCoreError as fault:
        raise CopyUnavailableError(f"the object store: {type(fault).__name__}", fault=type(fault).__name__) from None
