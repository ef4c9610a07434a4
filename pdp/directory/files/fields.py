"""Every column of every file: its headings in both languages, what its values may be, and what empty means.

The English heading is also the key in a YAML file. `docs/directory.md` lists the same, and a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from pdp.directory.files import names, words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Sheet = Literal["users", "posts", "devices", "posture", "permits", "loans", "work_permits", "resources", "emergencies"]
SHEETS: Final[tuple[Sheet, ...]] = get_args(Sheet)


@dataclass(frozen=True, slots=True)
class Field:
    """One column. `empty`: what an empty cell means; a `needed` one must not be empty, and a new row must have it."""

    name: str
    headings: tuple[str, ...]  # Japanese ones; the English heading is the name
    convert: Callable[[Any], Any]
    empty: Any = None
    needed: bool = False
    same_as: str | None = None  # another spelling of that field: only one of the two may be given

    @property
    def target(self) -> str:
        return self.same_as or self.name


def _span(start: tuple[str, ...], until: tuple[str, ...], *, may_be_open: bool = False) -> tuple[Field, ...]:
    """`from` and `until`, and their twins whose times are Japan's. Both are needed, and only some may have no end."""
    end, end_in_japan = (
        (words.end, words.end_in_japan) if may_be_open else (words.closed_end, words.closed_end_in_japan)
    )
    return (
        Field("from", start, words.start, needed=True),
        Field("until", until, end, needed=True),
        Field("from_jst", _in_japan(start), words.start_in_japan, needed=True, same_as="from"),
        Field("until_jst", _in_japan(until), end_in_japan, needed=True, same_as="until"),
    )


def _in_japan(headings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{heading}（日本時間）" for heading in headings)


_USERS: Final = (
    Field("id", ("利用者ID",), words.identifier, needed=True),
    Field("kind", ("任用区分", "利用者区分"), words.kind, needed=True),
    Field("name", ("氏名",), words.text, empty=""),
    Field("organisation", ("所属団体",), words.identifier, empty="mie"),
    Field("identity_source", ("認証元",), words.identity_source, empty="integrated"),
    Field("roles", ("役割",), words.identifiers, empty=()),
    Field("status", ("在職状態",), words.employment, empty="active"),
    Field("employed_from", ("採用日", "任用開始日"), words.start),
    Field("employed_until", ("退職日",), words.end),
    Field("appointment_until", ("任用終了日",), words.end),
    Field("contract_until", ("契約終了日",), words.end),
    Field("department", ("所属",), words.identifier),
    Field("post_from", ("所属開始日",), words.start),
    Field("post_until", ("所属終了日",), words.end),
)
_POSTS: Final = (
    Field("user", ("利用者ID",), words.identifier, needed=True),
    Field("department", ("所属",), words.identifier, needed=True),
    Field("from", ("開始日", "発令日"), words.start),
    Field("until", ("終了日",), words.end),
    Field("order", ("順位",), words.count(99)),
)
_DEVICES: Final = (
    Field("id", ("端末ID",), words.identifier, needed=True),
    Field("class", ("端末種別",), words.device_class, needed=True),
    Field("owner", ("利用者ID", "使用者"), words.identifier),
    Field("department", ("所属",), words.identifier),
    Field("shared", ("共用",), words.flag, empty=False),
    Field("state", ("状態",), words.device_state, empty="in_service"),
    Field("takeout", ("持出し", "外部持ち出し"), words.takeout, empty="unknown"),
    Field("returned_from_outside", ("持帰り後の確認待ち",), words.flag, empty=False),
    Field("certificate_sha256", ("端末証明書SHA-256",), words.sha256_hex),
    Field("serial", ("シリアル番号", "製造番号"), names.device_name),
    Field("udid", ("UDID",), names.device_name),
    Field("entra_device_id", ("EntraデバイスID",), names.device_name),
    Field("host_name", ("ホスト名", "コンピューター名"), names.device_name),
    Field("asset_tag", ("資産番号", "管理番号"), names.device_name),
    Field("vendor_id", ("管理ツールの端末ID",), names.device_name),
    Field("aliases", ("別名",), names.aliases, empty=()),
)
_POSTURE: Final = (
    Field("device", ("端末ID",), words.identifier, needed=True),
    Field("observed_at", ("確認日時",), words.instant),
    Field("observed_at_jst", ("確認日時（日本時間）",), words.instant_in_japan, same_as="observed_at"),
    Field("age_hours", ("経過時間",), words.count_or_unknown(87_600)),
    Field("certificate", ("端末証明書",), words.known, empty="unknown"),
    Field("disk_encrypted", ("ディスク暗号化",), words.known, empty="unknown"),
    Field("edr_running", ("EDR稼働",), words.edr_running, empty="unknown"),
    Field("edr_risk", ("EDRリスク",), words.edr_risk, empty="unknown"),
    Field("av_current", ("定義ファイル最新",), words.known, empty="unknown"),
    Field("firewall", ("ファイアウォール",), words.known, empty="unknown"),
    Field("screen_lock", ("画面ロック",), words.known, empty="unknown"),
    Field("tampered", ("改造",), words.known, empty="unknown"),
    Field("patch_age_days", ("更新プログラム未適用日数",), words.count_or_unknown(36_500)),
    Field("source", ("取得元",), words.identifier, empty="asset"),
)
_PERMITS: Final = (
    Field("device", ("端末ID",), words.identifier, needed=True),
    Field("user", ("利用者ID",), words.identifier, needed=True),
    *_span(("許可開始日",), ("許可終了日",), may_be_open=True),
    Field("held", ("保留",), words.flag, empty=False),
)
_LOANS: Final = (
    Field("device", ("端末ID",), words.identifier, needed=True),
    Field("user", ("利用者ID",), words.identifier, needed=True),
    *_span(("貸出開始日",), ("返却予定日", "貸出終了日")),
)
_WORK_PERMITS: Final = (
    Field("id", ("申請番号",), words.identifier, needed=True),
    Field("users", ("作業者ID",), words.identifiers, needed=True),
    Field("resources", ("対象システム",), words.identifiers, needed=True),
    Field("devices", ("使用端末",), words.identifiers, needed=True),
    *_span(("作業開始日時",), ("作業終了日時",)),
)
_RESOURCES: Final = (
    Field("id", ("システムID",), words.identifier, needed=True),
    Field("group", ("システム区分",), words.resource_group, needed=True),
    Field("ja", ("名称",), words.text, empty=""),
    Field("en", ("英語名称",), words.text, empty=""),
    Field("segments", ("ネットワーク区分",), words.segments),
    Field("segment", (), words.one_segment, same_as="segments"),
    Field("from", ("提供開始日",), words.start),
    Field("until", ("提供終了日",), words.end),
    Field("readonly_from", ("閲覧のみ開始日",), words.start),
    Field("departments", ("利用所属",), words.identifiers, empty=()),
    Field("organisations", ("データ保有団体",), words.identifiers, empty=()),
    Field("sensitivity", ("機密性",), words.count(9), empty=2),
)
_EMERGENCIES: Final = (
    *_span(("開始日時",), ("終了日時",)),
    Field("reason", ("理由",), words.text, empty=""),
)

FIELDS: Final[Mapping[Sheet, tuple[Field, ...]]] = {
    "users": _USERS,
    "posts": _POSTS,
    "devices": _DEVICES,
    "posture": _POSTURE,
    "permits": _PERMITS,
    "loans": _LOANS,
    "work_permits": _WORK_PERMITS,
    "resources": _RESOURCES,
    "emergencies": _EMERGENCIES,
}

# What a file may be called, before `.csv` or before a `-` or `_` and anything else.
FILE_NAMES: Final[Mapping[str, Sheet]] = {
    **{sheet: sheet for sheet in SHEETS},
    "利用者": "users",
    "所属": "posts",
    "端末": "devices",
    "端末の状態": "posture",
    "利用許可": "permits",
    "貸出": "loans",
    "作業申請": "work_permits",
    "システム": "resources",
    "災害時運用": "emergencies",
}
