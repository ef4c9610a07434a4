"""The settings of a drop folder, and the mapping file that says what its columns and words mean."""

from __future__ import annotations

from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pdp.directory.files.words import KINDS
from pdp.errors import BadRequestError, SettingsError
from pdp.model.input import IdentitySource, SubjectKind
from pdp.plain_yaml import load_one

Sheet = Literal["roster", "orders"]
Order = Literal[
    "hire", "rehire", "transfer", "promotion", "concurrent", "concurrent_end", "leave", "return", "retirement"
]
Column = Literal[
    "id", "name", "kind", "organisation", "department", "concurrent", "roles", "status", "order", "effective",
    "next_department", "hired", "retires", "term_until", "until", "leave_from", "leave_until", "ignore",
]  # fmt: skip

COLUMNS: Final[dict[str, Column]] = {
    "職員番号": "id", "氏名": "name", "職種区分": "kind", "任用区分": "kind", "所属団体": "organisation",
    "所属コード": "department", "兼務所属コード": "concurrent", "兼務所属": "concurrent", "役割": "roles",
    "在職状態": "status", "発令区分": "order", "発令種別": "order", "異動日": "effective", "発令日": "effective",
    "異動後所属コード": "next_department", "採用日": "hired", "任用開始日": "hired", "退職日": "retires",
    "任用終了日": "term_until", "終了日": "until", "休職開始日": "leave_from", "休職終了日": "leave_until",
}  # fmt: skip
ORDERS: Final[dict[str, Order]] = {
    "採用": "hire", "任用": "hire", "再任用": "rehire", "異動": "transfer", "転任": "transfer", "配置換": "transfer",
    "昇任": "promotion", "兼務": "concurrent", "併任": "concurrent", "兼務解除": "concurrent_end",
    "併任解除": "concurrent_end", "休職": "leave", "復職": "return", "退職": "retirement",
}  # fmt: skip
_MAX_MAPPING: Final = 1_000_000  # characters of a mapping file: every department of a prefecture has 200 KB


class FeedMapping(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says, in YAML. A table that is given replaces ours; `departments` empty: the codes are the ids."""

    roster: tuple[str, ...] = ("roster*.csv", "職員一覧*.csv")
    orders: tuple[str, ...] = ("orders*.csv", "発令*.csv")
    columns: dict[str, Column] = {}
    order_words: dict[str, Order] = {}
    kinds: dict[str, SubjectKind] = {}
    departments: dict[str, str] = {}
    roles: dict[str, str] = {}
    organisation: str = "mie"
    identity_source: IdentitySource = "integrated"

    @property
    def all_columns(self) -> dict[str, Column]:
        return {**COLUMNS, **self.columns}

    @property
    def all_orders(self) -> dict[str, Order]:
        return self.order_words or ORDERS

    @property
    def all_kinds(self) -> dict[str, SubjectKind]:
        return self.kinds or KINDS  # type: ignore[return-value]  # a test holds its words to SubjectKind

    def sheet_of(self, name: str) -> Sheet | None:
        """None where no pattern fits the file's name, or both do."""
        roster = any(fnmatchcase(name, pattern) for pattern in self.roster)
        orders = any(fnmatchcase(name, pattern) for pattern in self.orders)
        return None if roster == orders else "roster" if roster else "orders"


class CsvDropSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`ready`: how a file says that it is whole. `done`: a file of its name with `.done`; `manifest`: a `*.manifest`
    as `sha256sum` writes it; `quiet`: nobody wrote to it for `quiet_s` seconds.

    `owners`: whose files are read (user ids); without it the owner of the folder, and ours.
    """

    folder: Annotated[str, Meta(min_length=1, max_length=1_000)]
    mapping_file: str = ""
    ready: Literal["done", "manifest", "quiet"] = "done"
    quiet_s: Annotated[int, Meta(ge=1, le=86_400)] = 120
    owners: tuple[int, ...] = ()
    max_bytes: Annotated[int, Meta(ge=1_000, le=256 * 1024 * 1024)] = 64 * 1024 * 1024
    max_files: Annotated[int, Meta(ge=1, le=10_000)] = 200  # waiting at one time
    timeout_s: Annotated[float, Meta(ge=1, le=3_600)] = 120.0


def read_mapping(text: str) -> tuple[FeedMapping, str]:
    """(the mapping, its digest). Raises SettingsError with what is wrong in it."""
    digest = sha256(text.encode()).hexdigest()[:16]
    if len(text) > _MAX_MAPPING:
        raise SettingsError("the mapping file is too large")
    if not text.strip():
        return FeedMapping(), digest
    try:
        return msgspec.convert(load_one(text), FeedMapping, strict=True), digest
    except (BadRequestError, msgspec.ValidationError) as fault:
        raise SettingsError(f"the mapping file cannot be used: {fault}") from None
