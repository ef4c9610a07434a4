"""A drop folder on disk, what people put into it, and the reading of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.identity.csv_drop import connector
from connectors.setup import Setup

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.port import Refused
    from pdp.model.directory import User

HEADING = "職員番号,氏名,職種区分,所属コード,兼務所属コード,採用日,退職日,異動日\n"
ORDERS = "職員番号,発令区分,発令日,所属コード,任用区分,氏名,終了日\n"
YAMADA = "1001,山田太郎,正規職員,soumu,,平成20年4月1日,,\n"
SUZUKI = "1002,鈴木花子,会計年度任用職員,zaisei,,R7.4.1,令和8年3月31日,\n"


class Seen(NamedTuple):
    users: dict[str, User]
    refused: list[Refused]
    complete: bool
    cursor: str | None

    def codes(self) -> list[str]:
        return sorted(note.code for note in self.refused)


class Office:
    """The personnel office and its folder. `day` is noon in Japan unless an hour is named."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = {"folder": str(folder), **settings}

    def drop(self, name: str, text: str | bytes, *, encoding: str = "utf-8-sig", marker: bool = True) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        if marker:
            (self.folder / f"{name}.done").touch()
        return path

    async def run(self, cursor: str | None, day: str, hour_in_utc: int = 3) -> Seen:
        now = datetime.fromisoformat(day).replace(hour=hour_in_utc, tzinfo=UTC)
        run = await connector(_setup(self.settings)).run(cursor, now)
        users: dict[str, User] = {}
        refused: list[Refused] = []
        async for page in run.pages:
            users |= {user.id: user for user in page.items}
            refused += page.refused
        return Seen(users, refused, run.complete, run.cursor.value)

    def names(self, folder: str = ".") -> list[str]:
        return sorted(path.name for path in (self.folder / folder).iterdir() if path.name not in ("done", "refused"))

    def reports(self) -> list[str]:
        texts = [name for name in self.names("refused") if name.endswith(".txt")]
        return [(self.folder / "refused" / name).read_text("utf-8-sig") for name in texts]


def _setup(settings: dict[str, Any]) -> Setup:
    async def sleep(seconds: float) -> None:
        raise AssertionError("this connector does not wait")

    def http(**_: Any) -> Any:
        raise AssertionError("this connector speaks no HTTP")

    return Setup("personnel", settings, lambda _: "", lambda: datetime.now(UTC), sleep, http)
