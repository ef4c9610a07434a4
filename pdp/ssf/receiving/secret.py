"""A token that stands in a file, as it stands there now: whoever changes the file changes it, without a restart."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Final

from pdp.errors import NotReadyError, SettingsError

MIN_LENGTH: Final = 16  # characters; what can be guessed is no credential
MAX_LENGTH: Final = 8_192  # an access token of another house with many scopes has about 4,000


class Secret:
    """Never shown: not in a message, not in a representation."""

    def __init__(self, path: str, setting: str) -> None:
        """Raises SettingsError where the file has no token that can be one."""
        self._path = Path(path)
        self._setting = setting
        self._seen: tuple[int, int, int] | None = None
        self._value = ""
        try:
            self.current()
        except NotReadyError as fault:
            raise SettingsError(fault.message, next_step=f"correct the file that `{setting}` names") from None

    def current(self) -> str:
        """Raises NotReadyError where the file cannot be read, or holds no token."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._value = self._path.read_text(encoding="ascii").strip()
                self._seen = seen
        except (OSError, UnicodeDecodeError):
            raise NotReadyError(f"the file of `{self._setting}` cannot be read") from None
        value = self._value
        if not MIN_LENGTH <= len(value) <= MAX_LENGTH or not value.isprintable() or " " in value:
            raise NotReadyError(
                f"the file of `{self._setting}` holds no token of {MIN_LENGTH} to {MAX_LENGTH} characters"
            )
        return value

    def is_shown(self, authorization: str | None) -> bool:
        """Whether this `Authorization` is `Bearer` and the token, compared without telling how much of it is right."""
        scheme, _, shown = (authorization or "").partition(" ")
        right = hmac.compare_digest(shown.strip().encode("latin-1", "replace"), self.current().encode())
        return right and scheme.lower() == "bearer"
