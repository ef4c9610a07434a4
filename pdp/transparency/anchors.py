"""Signed heads off the box: who may rewrite the log here cannot reach them there.

    Notary -> AnchorFeed (bounded queue, a thread of its own) -> Anchor

Adapters: a file that is only appended to, on another mount (`file:/PATH`); a syslog of another team over UDP, TCP or
TLS (`syslog+udp://HOST:PORT`, `syslog+tcp://…`, `syslog+tls://…`); an object store with Object Lock
(`s3+https://HOST/BUCKET/PREFIX?days=N`); a time-stamp authority (`rfc3161+https://HOST/PATH`).
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pdp.errors import SettingsError
from pdp.transparency import anchor_bucket, anchor_timestamp
from pdp.transparency.anchor_file import FileAnchor
from pdp.transparency.anchor_syslog import SYSLOG_PORTS, SyslogAnchor
from pdp.transparency.timestamps import Roots

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.transparency.anchor import Anchor


def open_anchor(  # noqa: PLR0913  # where to, as whom, by which clock, trusting whom
    address: str,
    *,
    node: str,
    clock: Callable[[], datetime],
    ca_file: str = "",
    tsa_file: str = "",
    stamps: Path | None = None,
) -> Anchor:
    """The anchor that an address of the settings names. `stamps`: the file of its time stamps. Raises SettingsError."""
    if address.startswith("file:/"):
        return FileAnchor(Path(address.removeprefix("file:")))
    try:
        parts = urlsplit(address)
        port = parts.port or SYSLOG_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise SettingsError(f"the anchor `{address}` has no such port") from None
    if parts.scheme in anchor_bucket.SCHEMES:
        return anchor_bucket.BucketAnchor(address, clock=clock, ca_file=ca_file)
    if parts.scheme in anchor_timestamp.SCHEMES and stamps is not None:
        tls = _tls(ca_file) if ca_file else None
        return anchor_timestamp.TimestampAnchor(address, file=stamps, roots=Roots(tsa_file), tls=tls)
    if parts.scheme not in SYSLOG_PORTS or not parts.hostname or parts.path or parts.query or parts.username:
        raise SettingsError(
            f"the anchor `{address}` cannot be used",
            next_step="name it as `file:/PATH`, `syslog+udp://`, `syslog+tcp://` or `syslog+tls://HOST:PORT`,"
            " `s3+https://HOST/BUCKET/PREFIX?days=N` or `rfc3161+https://HOST/PATH`",
        )
    context = _tls(ca_file) if parts.scheme == "syslog+tls" else None
    return SyslogAnchor(parts.scheme, parts.hostname, port, node=node, clock=clock, tls=context)


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as fault:  # an SSLError is one
        raise SettingsError(f"the authorities of the anchor cannot be read: {fault.strerror or 'no PEM'}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
