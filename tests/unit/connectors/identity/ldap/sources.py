"""What the tests of the LDAP source share: a setup without a world, and the reading of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.identity.ldap import connector
from connectors.setup import Setup

if TYPE_CHECKING:
    from connectors.identity.ldap.source import LdapSource
    from connectors.port import Refused
    from pdp.model.directory import User

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


class Seen(NamedTuple):
    users: dict[str, User]
    removed: tuple[str, ...]
    refused: list[Refused]
    complete: bool
    cursor: str | None

    def codes(self) -> list[str]:
        return sorted(note.code for note in self.refused)


def setup(settings: dict[str, Any], password: str = "secret") -> Setup:
    async def sleep(seconds: float) -> None:
        raise AssertionError("this connector does not wait")

    def http(**_: Any) -> Any:
        raise AssertionError("this connector speaks no HTTP")

    return Setup(
        name="prefecture-ad",
        settings=settings,
        read_secret=lambda path: password if path == "password" else "",
        clock=lambda: NOW,
        sleep=sleep,
        http=http,
    )


def source(password: str = "secret", **settings: Any) -> LdapSource:
    return connector(setup(settings, password))


async def seen(source: LdapSource, cursor: str | None = None, now: datetime = NOW) -> Seen:
    run = await source.run(cursor, now)
    users: dict[str, User] = {}
    removed: list[str] = []
    refused: list[Refused] = []
    async for page in run.pages:
        assert not users.keys() & {user.id for user in page.items}, "a user is handed out once"
        users |= {user.id: user for user in page.items}
        removed += page.removed
        refused += page.refused
    return Seen(users, tuple(removed), refused, run.complete, run.cursor.value)
