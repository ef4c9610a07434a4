"""Local accounts, for the day on which the identity provider is down, and for the demonstration.

A file with one account a line, `NAME ROLE[,ROLE…] scrypt$N$R$P$SALT$HASH`, made by `pdp console account`. It is read at
every attempt and at every request of a session: an account that was taken out of it is out. A name that nobody has
costs the same work as a wrong password, so that the time says nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.console.person import Person, roles_in
from pdp.errors import BadRequestError, SettingsError
from pdp.model.console import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pdp.model.console import Role

MIN_PASSWORD: Final = 12  # characters; NIST SP 800-63B section 5.1.1.2 asks for 8
MAX_PASSWORD: Final = 256
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_HASH: Final = re.compile(r"scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)
_N, _R, _P = 1 << 15, 8, 3  # 32 MB and some 0.2 s: the third line of OWASP's table for scrypt
_MEMORY: Final = 1 << 27
_MAX_FILE: Final = 64 * 1024
_FIELDS: Final = 3
_DEMO_BYTES: Final = 12


class Account(NamedTuple):
    name: str
    roles: frozenset[Role]
    hashed: str


class Accounts:
    """Those of one file."""

    def __init__(self, file: Path) -> None:
        self._file: Final = file

    def read(self) -> dict[str, Account]:
        """By name. Raises SettingsError where the file cannot be read, or a line is none."""
        try:
            with self._file.open("rb") as file:
                text = file.read(_MAX_FILE + 1).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            raise SettingsError("`console.accounts_file` cannot be read") from None
        if len(text) > _MAX_FILE:
            raise SettingsError("`console.accounts_file` is larger than 64 KB")
        found: dict[str, Account] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            account = _account(line)
            if account is None or account.name in found:
                raise SettingsError(f"`console.accounts_file`, line {number}, is no account, or a name stands twice")
            found[account.name] = account
        return found

    def check(self, name: str, password: str) -> Person | None:
        """The person of this account with this password. Blocks for some tenths of a second. Raises SettingsError."""
        account = self.read().get(name)
        matches = _matches(password[:MAX_PASSWORD], _NOBODY if account is None else account.hashed)
        if account is None or not matches:
            return None
        return Person(_id(account), account.name, account.roles)

    def holds(self, person: Person) -> bool:
        """Whether the account with which this person logged in is there, with the same roles. Raises SettingsError."""
        account = self.read().get(person.name)
        return account is not None and person.id == _id(account) and person.roles == account.roles


def account_line(name: str, roles: Iterable[str], password: str) -> str:
    """A line for the file. Raises BadRequestError for a name, a role or a password that is none."""
    wanted = list(roles)
    if _NAME.fullmatch(name) is None:
        raise BadRequestError(
            "a name has small letters, digits and . _ -, at most 64, and begins with a letter or digit",
            next_step="choose another name",
        )
    if not wanted or set(wanted) - set(ROLES):
        raise BadRequestError(f"a role is one of {', '.join(ROLES)}", next_step="name one of them")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise BadRequestError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters", next_step="choose another one"
        )
    return f"{name} {','.join(dict.fromkeys(wanted))} {_hashed(password, secrets.token_hex(16))}"


def demonstration_accounts(file: Path) -> str:
    """An account for each role, called as the role, all with one new password, which is given back."""
    password = secrets.token_urlsafe(_DEMO_BYTES)
    hashed = _hashed(password, secrets.token_hex(16))
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text("".join(f"{role} {role} {hashed}\n" for role in ROLES), encoding="utf-8")
    return password


def _id(account: Account) -> str:
    return f"account:{account.name}"


def _account(line: str) -> Account | None:
    parts = line.split()
    if len(parts) != _FIELDS:
        return None
    name, words, hashed = parts
    roles = roles_in(words.split(","))
    usable = _NAME.fullmatch(name) and _HASH.fullmatch(hashed) and len(roles) == len(words.split(","))
    return Account(name, roles, hashed) if usable else None


def _hashed(password: str, salt: str, n: int = _N, r: int = _R, p: int = _P) -> str:
    found = hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=bytes.fromhex(salt), n=n, r=r, p=p, maxmem=_MEMORY, dklen=32
    )
    return f"scrypt${n}${r}${p}${salt}${found.hex()}"


def _matches(password: str, hashed: str) -> bool:
    parts = _HASH.fullmatch(hashed)
    if parts is None:
        return False
    n, r, p = (int(parts[group]) for group in (1, 2, 3))
    try:
        return hmac.compare_digest(_hashed(password, parts[4], n, r, p), hashed)
    except (ValueError, MemoryError):  # numbers that scrypt does not take
        return False


_NOBODY: Final = f"scrypt${_N}${_R}${_P}${'0' * 32}${'0' * 64}"
