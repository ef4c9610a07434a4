"""The targets of the settings, each with its carrier, its mask and its place: what `pdp audit ship` runs."""

from __future__ import annotations

import random
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.declog.layout import Layout
from pdp.declog.marks import rfc3339
from pdp.errors import SettingsError
from pdp.logs import get_log
from pdp.shipping.file import FileCarrier
from pdp.shipping.following import bytes_behind
from pdp.shipping.http import HttpCarrier
from pdp.shipping.ledger import Ledger, Standing
from pdp.shipping.masking import Mask
from pdp.shipping.port import UndeliveredError
from pdp.shipping.shaping import Shaper
from pdp.shipping.shipper import Shipper
from pdp.shipping.syslog import SyslogCarrier
from pdp.side_by_side import side_by_side

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from pdp.model.log_target import LogTarget
    from pdp.shipping.port import Carrier

_MAX_TOKEN: Final = 4_096
_END_S: Final = 150.0  # the longest batch, and the pause after it
_log = get_log("pdp.shipping")


class Fleet:
    """Holds the locks of its targets until `close`. Raises SettingsError, OSError."""

    def __init__(self, state: Path, targets: Sequence[LogTarget]) -> None:
        self._ledger: Final = Ledger(state / "shipping")
        self._layout: Final = Layout(state / "decisions")
        if not self._layout.segments.is_dir():
            raise SettingsError("there is no decision log here yet", next_step="start the service first")
        self._locks = []
        self._shippers: dict[str, Shipper] = {}
        try:
            for target in targets:
                self._locks.append(self._ledger.lock(target.name))
                self._shippers[target.name] = self._made(target)
        except BaseException:
            self.close()
            raise

    def once(self) -> dict[str, str]:
        """Ship to each target what is there now; the fault of each that could not take it all."""
        ended = {name: shipper.once() for name, shipper in self._shippers.items()}
        return {name: fault for name, fault in ended.items() if fault}

    def forever(self, stop: threading.Event) -> None:
        """Each target in a thread of its own, so that one that is dead delays no other. Returns after `stop`."""
        works = {name: shipper.forever for name, shipper in self._shippers.items()}
        side_by_side(works, stop, end_s=_END_S, failed=_failed)

    def close(self) -> None:
        for lock in self._locks:
            lock.release()

    def standings(self) -> dict[str, Standing]:
        return {name: shipper.standing for name, shipper in self._shippers.items()}

    def _made(self, target: LogTarget) -> Shipper:
        shape = Shaper(target, mask_of(target))
        return Shipper(
            target,
            carrier_of(target),
            shape,
            self._layout,
            self._ledger,
            clock=lambda: rfc3339(datetime.now(UTC)),
            chance=random.random,
        )


def _failed(target: str) -> None:
    _log.exception("the shipping to a target ended with a fault of ours", target=target)


def behind(state: Path, standing: Standing | None) -> int:
    """Bytes of the log that a target has not been shipped yet. Raises OSError."""
    layout = Layout(state / "decisions")
    if not layout.segments.is_dir():
        return 0
    return bytes_behind(layout, {} if standing is None else standing.positions)


def carrier_of(target: LogTarget) -> Carrier:
    """Raises SettingsError where a file of the target cannot be used."""
    match target.scheme:
        case "file":
            return FileCarrier(Path(target.to.removeprefix("file:").removeprefix("//")))
        case "tls":
            return SyslogCarrier(target.to, _context(target), deadline_s=target.deadline_s)
        case "tcp":
            return SyslogCarrier(target.to, None, deadline_s=target.deadline_s)
    verify = _context(target) if target.scheme == "https" else True
    _token(target)  # a token that cannot be read is found at the start
    return HttpCarrier(target, verify, lambda: _token_now(target))


def mask_of(target: LogTarget) -> Mask:
    """Raises SettingsError."""
    if not target.pseudonymise:
        return Mask((), b"")
    try:
        return Mask(target.pseudonymise, Path(target.pseudonym_key_file).read_bytes().strip())
    except OSError as fault:
        raise SettingsError(f"`pseudonym_key_file` of `{target.name}` cannot be read: {fault.strerror}") from None
    except ValueError as fault:
        raise SettingsError(f"`pseudonym_key_file` of `{target.name}`: {fault}") from None


def _context(target: LogTarget) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=target.ca_file or None)
        if target.cert_file:
            context.load_cert_chain(target.cert_file, target.key_file)
    except (OSError, ssl.SSLError) as fault:
        raise SettingsError(f"the certificates of `{target.name}` cannot be used: {fault.strerror}") from None
    return context


def _token(target: LogTarget) -> str:
    if not target.token_file:
        return ""
    try:
        token = Path(target.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"`token_file` of `{target.name}` cannot be read") from None
    if not token or not token.isprintable() or " " in token or len(token) > _MAX_TOKEN:
        raise SettingsError(f"`token_file` of `{target.name}` holds no token")
    return token


def _token_now(target: LogTarget) -> str:
    try:
        return _token(target)
    except SettingsError as fault:
        raise UndeliveredError("token", fault.message) from None
