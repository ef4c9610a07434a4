"""The words of the document in the two languages: values of facts, outcomes, and who can put something right.

The Japanese follows the glossary of the house: 未確認 for what is not known, 所属 for a department, 端末 for a
device. A value that stands nowhere here (an id, a number, an administrator's own word) is shown as it is.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pdp.model.decision import Fixer, Outcome, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTCOMES: Final[Mapping[Outcome, Text]] = {
    Outcome.ALLOW: Text("許可", "allow"),
    Outcome.LIMIT: Text("制限付き許可", "allow with limits"),
    Outcome.STEP_UP: Text("追加認証", "step-up authentication"),
    Outcome.DENY: Text("拒否", "deny"),
}

WITHOUT_REASON: Final = Text("（判定理由の記録なし）", "(no reason recorded)")

FIXERS: Final[Mapping[Fixer, Text]] = {
    "user": Text("利用者", "the user"),
    "section": Text("所属", "the section"),
    "help_desk": Text("ヘルプデスク", "the help desk"),
    "security_office": Text("情報セキュリティ担当", "the security office"),
    "none": Text("なし", "nobody"),
}

# Of every fact, unless the fact itself stands below.
_ANYWHERE: Final[Mapping[object, Text]] = {
    "unknown": Text("未確認", "unknown"),
    "none": Text("なし", "none"),
    True: Text("はい", "yes"),
    False: Text("いいえ", "no"),
}

_WORDS: Final[Mapping[str, Mapping[str, Text]]] = {
    "subject.kind": {
        "staff": Text("正規職員", "regular staff"),
        "fixed_term_staff": Text("会計年度任用職員", "fixed-term staff"),
        "municipal_staff": Text("市町職員", "municipal staff"),
        "contractor": Text("受託事業者", "contractor"),
        "emergency_account": Text("緊急用アカウント", "emergency account"),
        "shared_account": Text("共用アカウント", "shared account"),
        "unknown": Text("未登録", "not registered"),
    },
    "subject.employment": {
        "not_started": Text("開始前", "not started"),
        "active": Text("在職", "active"),
        "suspended": Text("休職等", "suspended"),
        "ended": Text("終了", "ended"),
    },
    "subject.identity_source": {
        "integrated": Text("統合認証", "integrated authentication"),
        "federated": Text("所属団体との連携", "federated"),
    },
    "device.class": {
        "managed_pc": Text("業務端末（一人一台パソコン）", "managed PC"),
        "section_pc": Text("各所属で調達した端末", "section PC"),
        "mobile_pc": Text("モバイル端末（貸出端末）", "lent mobile PC"),
        "byod_phone": Text("個人所有のスマートフォン", "private phone"),
        "byod_tablet": Text("個人所有のタブレット", "private tablet"),
        "byod_pc": Text("個人所有のパソコン", "private PC"),
        "maintenance_pc": Text("保守用貸出端末", "maintenance PC"),
        "municipal_pc": Text("市町の端末", "municipal PC"),
        "mynumber_terminal": Text("個人番号利用事務系の専用端末", "My Number terminal"),
        "unknown": Text("未登録端末", "not registered"),
    },
    "device.ownership": {"organisation": Text("組織", "organisation"), "private": Text("個人", "private")},
    "device.relation": {
        "own": Text("本人の端末", "the user's own"),
        "assigned_to_other": Text("他の利用者の端末", "assigned to another person"),
        "pool": Text("所属の端末", "a section's pool"),
    },
    "device.loan": {
        "valid": Text("有効", "valid"),
        "mismatch": Text("利用者が異なる", "booked by another person"),
        "expired": Text("期限切れ", "expired"),
    },
    "device.permit": {
        "valid": Text("有効", "valid"),
        "expired": Text("期限切れ", "expired"),
        "held": Text("保留", "held"),
    },
    "device.takeout": {"permitted": Text("許可", "permitted"), "not_permitted": Text("対象外", "not permitted")},
    "device.state": {
        "in_service": Text("利用中", "in service"),
        "lost": Text("紛失", "lost"),
        "lost_unconfirmed_found": Text("発見（解除は未承認）", "found, not yet cleared"),
        "quarantined": Text("隔離中", "quarantined"),
        "retired": Text("廃棄済み", "retired"),
    },
    "device.posture.edr_running": {"not_managed": Text("EDRなし", "no EDR on this terminal")},
    "device.posture.edr_risk": {
        "low": Text("低", "low"),
        "medium": Text("中", "medium"),
        "high": Text("高", "high"),
    },
    "resource.group": {
        "communication": Text("コミュニケーション基盤", "communication"),
        "no_code": Text("業務効率化ツール", "no-code tools"),
        "internet": Text("インターネット閲覧", "internet"),
        "business": Text("庁内業務システム", "business systems"),
        "data": Text("データ活用基盤", "data platform"),
        "lgwan": Text("LGWAN接続系のシステム", "LGWAN systems"),
        "mynumber": Text("個人番号利用事務系", "My Number systems"),
        "server_admin": Text("サーバ・機器の管理", "administration of servers"),
        "account_admin": Text("利用者の管理", "administration of accounts"),
        "home_working": Text("在宅勤務システム", "home-working system"),
        "legacy": Text("移行前のシステム", "legacy systems"),
        "disaster": Text("防災システム", "disaster system"),
        "remediation": Text("パッチ配付・ヘルプデスク案内", "remediation"),
        "unknown": Text("未登録", "not registered"),
    },
    "resource.segment": {
        "cloud": Text("クラウド", "cloud"),
        "internet": Text("インターネット接続系", "internet segment"),
        "lgwan": Text("LGWAN接続系", "LGWAN segment"),
        "mynumber": Text("個人番号利用事務系", "My Number segment"),
    },
    "resource.status": {
        "not_started": Text("提供前", "not started"),
        "in_service": Text("提供中", "in service"),
        "readonly": Text("閲覧のみ", "read-only"),
        "ended": Text("提供終了", "ended"),
    },
    "resource.tenant": {"own": Text("自組織", "our own"), "other": Text("他の組織", "another's")},
    "action.name": {
        "access": Text("利用", "access"),
        "read": Text("閲覧", "read"),
        "write": Text("書込み", "write"),
        "download": Text("ダウンロード", "download"),
        "administer": Text("管理", "administer"),
        "screen_transfer": Text("画面転送", "screen transfer"),
    },
    "context.zone": {
        "office": Text("庁内", "office"),
        "sase": Text("SASE経由", "SASE"),
        "ip_vpn": Text("保守用の閉域網（IP-VPN）", "IP-VPN"),
        "carrier": Text("携帯電話回線", "carrier"),
        "security_cloud": Text("自治体情報セキュリティクラウド", "security cloud"),
        "public": Text("公衆網", "public"),
    },
    "context.underlay": {
        "office": Text("庁内", "office"),
        "home": Text("自宅", "home"),
        "public_wifi": Text("公衆Wi-Fi", "public Wi-Fi"),
        "carrier": Text("携帯電話回線", "carrier"),
    },
    "context.risk": {
        "bulk_download": Text("一括ダウンロード", "bulk download"),
        "impossible_travel": Text("あり得ない移動", "impossible travel"),
        "impersonation": Text("なりすまし", "impersonation"),
        "malware_alert": Text("マルウェアの検知", "malware alert"),
    },
    "context.work_permit": {
        "valid": Text("有効", "valid"),
        "out_of_window": Text("時間帯の外", "outside its window"),
        "out_of_scope": Text("対象外", "outside its scope"),
        "not_named": Text("氏名なし", "the person is not named"),
    },
    "context.sources.posture": {"ok": Text("稼働", "ok"), "unavailable": Text("停止", "unavailable")},
    "context.sources.identity": {"ok": Text("稼働", "ok"), "unavailable": Text("停止", "unavailable")},
}


def words_for(path: str, value: Any) -> Text:
    """One value of one fact, for people."""
    if isinstance(value, list):
        parts = [words_for(path, item) for item in value]
        if not parts:
            return Text("（なし）", "(none)")
        return Text("、".join(part.ja for part in parts), ", ".join(part.en for part in parts))
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(str(value), str(value))
    shown = str(value)
    return _WORDS.get(path, {}).get(shown) or _ANYWHERE.get(value) or Text(shown, shown)


_ERAS: Final = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))


def day_text(day: date) -> str:
    """A day in the Japanese calendar, as official letters have it: `令和8年4月1日`. Before 昭和, in ours."""
    for begun, era in _ERAS:
        if day >= begun:
            year = day.year - begun.year + 1
            return f"{era}{'元' if year == 1 else year}年{day.month}月{day.day}日"
    return f"{day.year}年{day.month}月{day.day}日"
