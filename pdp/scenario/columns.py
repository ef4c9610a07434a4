"""The columns of a table of scenarios: a Japanese heading with the English name that counts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.scenario.cells import Kind


class Column(NamedTuple):
    """`id` is its name, `path` where its value stands below the part of a scenario that its group is."""

    id: str
    ja: str
    kind: Kind
    path: tuple[str, ...]

    @property
    def heading(self) -> str:
        return f"{self.ja} [{self.id}]"


def _group(name: str, *columns: tuple[str, str, Kind]) -> tuple[Column, ...]:
    return tuple(Column(f"{name}.{path}", ja, kind, tuple(path.split("."))) for path, ja, kind in columns)


ID: Final = Column("id", "シナリオ", "text", ("id",))
TITLES: Final = (
    Column("title.ja", "題名（日本語）", "text", ("ja",)),
    Column("title.en", "題名（英語）", "text", ("en",)),
)
STEP: Final = Column("step", "手順", "plain", ("step",))
NOW: Final = Column("now", "日時", "moment", ("now",))
_SPAN: Final[tuple[tuple[str, str, Kind], ...]] = (("from", "開始", "moment"), ("until", "終了", "moment"))

USER: Final = _group(
    "user",
    ("id", "利用者", "text"),
    ("kind", "利用者の区分", "text"),
    ("name", "氏名", "text"),
    ("organisation", "所属団体", "text"),
    ("identity_source", "認証元", "text"),
    ("roles", "役割", "words"),
    ("employment.status", "在籍", "text"),
    ("employment.from", "在籍開始", "moment"),
    ("employment.until", "在籍終了", "moment"),
    ("contract_until", "契約終了", "moment"),
    ("appointment_until", "任用終了", "moment"),
)
POST: Final = _group(
    "post", ("department", "所属", "text"), ("from", "所属開始", "moment"), ("until", "所属終了", "moment")
)
DEVICE: Final = _group(
    "device",
    ("id", "端末", "text"),
    ("class", "端末の種類", "text"),
    ("owner", "端末の利用者", "text"),
    ("department", "端末の所属", "text"),
    ("shared", "共用", "plain"),
    ("state", "端末の状態", "text"),
    ("takeout", "持出し", "text"),
    ("returned_from_outside", "持帰り後未点検", "plain"),
    ("posture", "端末の健全性", "text"),
    ("posture.certificate", "証明書", "plain"),
    ("posture.disk_encrypted", "暗号化", "plain"),
    ("posture.edr_running", "EDR", "plain"),
    ("posture.edr_risk", "EDRの判定", "text"),
    ("posture.av_current", "ウイルス対策", "plain"),
    ("posture.firewall", "ファイアウォール", "plain"),
    ("posture.screen_lock", "画面ロック", "plain"),
    ("posture.tampered", "改造", "plain"),
    ("posture.patch_age_days", "更新からの日数", "plain"),
    ("posture.age_hours", "確認からの時間", "plain"),
    ("posture.source", "確認元", "text"),
)
_BOOKING: Final[tuple[tuple[str, str, Kind], ...]] = (
    ("device", "端末", "text"),
    ("user", "利用者", "text"),
    *_SPAN,
    ("held", "保留", "plain"),
)
PERMIT: Final = _group("permit", *((path, f"利用許可・{ja}", kind) for path, ja, kind in _BOOKING))
LOAN: Final = _group("loan", *((path, f"貸出・{ja}", kind) for path, ja, kind in _BOOKING))
WORK: Final = _group(
    "work_permit",
    ("id", "作業申請", "text"),
    ("users", "作業申請・利用者", "words"),
    ("resources", "作業申請・システム", "words"),
    ("devices", "作業申請・端末", "words"),
    ("from", "作業申請・開始", "moment"),
    ("until", "作業申請・終了", "moment"),
)
RESOURCE: Final = _group(
    "resource",
    ("id", "台帳のシステム", "text"),
    ("group", "システムの区分", "text"),
    ("ja", "システム名（日本語）", "text"),
    ("en", "システム名（英語）", "text"),
    ("segment", "系", "text"),
    ("segments", "系の変遷（JSON）", "json"),
    ("from", "提供開始", "moment"),
    ("until", "提供終了", "moment"),
    ("readonly_from", "閲覧のみ開始", "moment"),
    ("departments", "利用所属", "words"),
    ("organisations", "利用団体", "words"),
    ("sensitivity", "重要度", "plain"),
    ("status", "提供状況", "text"),
    ("name", "システムの呼び名", "any"),
    ("title", "システムの説明", "any"),
)
DISASTER: Final = _group(
    "disaster",
    ("declared", "災害時運用", "mark"),
    ("from", "災害時運用・開始", "moment"),
    ("until", "災害時運用・終了", "moment"),
)
REQUEST: Final = _group(
    "request",
    ("user", "要求する利用者", "text"),
    ("auth_level", "認証レベル", "plain"),
    ("auth_age_min", "認証からの分", "plain"),
    ("device", "要求の端末", "text"),
    ("resource", "要求のシステム", "text"),
    ("action", "操作", "text"),
    ("tenant", "テナント", "text"),
    ("organisation", "対象団体", "text"),
    ("zone", "接続元", "text"),
    ("underlay", "回線", "text"),
    ("path_encrypted", "通信の暗号化", "plain"),
    ("country", "国", "text"),
    ("risk", "不審な兆候", "words"),
    ("pep", "制御できること", "words"),
    ("sources.posture", "健全性の確認先", "text"),
    ("sources.identity", "認証基盤の確認先", "text"),
)
EXPECT: Final = _group(
    "expect",
    ("outcome", "期待する判定", "text"),
    ("reasons", "期待する理由", "words"),
    ("obligations", "期待する制限", "pairs"),
    ("required_auth_level", "期待する認証レベル", "plain"),
)

LISTS: Final[Mapping[str, tuple[Column, ...]]] = {
    "users": USER,
    "devices": DEVICE,
    "permits": PERMIT,
    "loans": LOAN,
    "work_permits": WORK,
    "resources": RESOURCE,
    "disaster": DISASTER,
}
"""The lists of a directory; the posts of a user stand beside it and below it."""

COLUMNS: Final[tuple[Column, ...]] = (
    *(ID, *TITLES, STEP, NOW),
    *(*REQUEST, *EXPECT),
    *(*USER, *POST, *DEVICE, *PERMIT, *LOAN, *WORK, *RESOURCE, *DISASTER),
)
BY_ID: Final[Mapping[str, Column]] = {column.id: column for column in COLUMNS}
ALWAYS: Final = frozenset({ID.id, STEP.id, NOW.id, "request.user", "request.resource", "expect.outcome"})
"""In every table, also where nothing stands in them."""
