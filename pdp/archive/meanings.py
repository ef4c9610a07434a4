"""What each column says, in both languages: heads of tables and files, and the description for who writes SQL.

A test holds these against the schema: a column without a meaning, or a meaning without a column, fails it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

DECISIONS: Final[Mapping[str, Text]] = {
    "segment": Text("セグメント", "the segment of the log that the record stands in"),
    "seq": Text("記録番号", "number of the record within its worker's epoch"),
    "raw": Text("原文（形式外の記録）", "the bytes of a record that is not one of ours in its canonical form"),
    "person": Text("利用者", "person, as the directory knew them, else as asked"),
    "device": Text("端末", "device, as the directory knew it, else as asked"),
    "resource": Text("業務システム", "application, as the directory knew it, else as asked"),
    "id": Text("判定番号", "decision id (uuid7)"),
    "kind": Text("種別", "`decision`, or `refusal` of a request that was none"),
    "time": Text("日時", "when the record was made (UTC)"),
    "now": Text("判定基準時刻", "the instant at which the facts were derived (UTC)"),
    "trace_id": Text("トレース番号", "trace id of the request"),
    "request_id": Text("要求番号", "request id that the caller sent"),
    "wire": Text("受付方式", "wire format of the request"),
    "caller_id": Text("呼出元", "enforcement point that asked"),
    "profile": Text("プロファイル", "`zta` or `plain`"),
    "token_sha256": Text("トークンのダイジェスト", "SHA-256 of the token's text"),
    "subject_id": Text("要求の利用者", "person as the request named them"),
    "device_id": Text("要求の端末", "device as the request named it"),
    "resource_id": Text("要求の業務システム", "application as the request named it"),
    "action": Text("要求の操作", "action as the request named it"),
    "session_id": Text("セッション", "session as the request named it"),
    "path": Text("パス", "path without its query"),
    "source_ip": Text("接続元アドレス", "address that the request came from"),
    "outcome": Text("判定", "`allow`, `limit`, `step_up` or `deny`"),
    "reasons": Text("判定理由", "codes of the reasons, in their order"),
    "obligations": Text("付帯義務", "obligations, as JSON"),
    "required_auth_level": Text("必要な認証強度", "authentication level that would be needed"),
    "expires_at": Text("有効期限", "until when the answer holds (UTC)"),
    "policy_revision": Text("ポリシーの版", "revision of the policy"),
    "bundle_digest": Text("バンドルのダイジェスト", "digest of the policy bundle"),
    "directory_epoch": Text("台帳の世代", "epoch of the directory"),
    "cache": Text("一時保存", "`hit`, `miss` or `bypass`"),
    "step_cache_us": Text("所要時間: 一時保存（マイクロ秒）", "time of the cache, in microseconds"),
    "step_caller_us": Text("所要時間: 呼出元（マイクロ秒）", "time of the caller's check, in microseconds"),
    "step_engine_us": Text("所要時間: ポリシー（マイクロ秒）", "time of the policy engine, in microseconds"),
    "step_facts_us": Text("所要時間: 属性（マイクロ秒）", "time of the facts, in microseconds"),
    "step_identity_us": Text("所要時間: 認証（マイクロ秒）", "time of the token's check, in microseconds"),
    "step_obligations_us": Text("所要時間: 付帯義務（マイクロ秒）", "time of the obligations, in microseconds"),
    "fault": Text("障害", "why no verdict could be had"),
    "error_code": Text("エラー番号", "of a refusal: its code"),
    "error_message": Text("エラー内容", "of a refusal: its message"),
    "body_sha256": Text("要求本文のダイジェスト", "of a refusal: SHA-256 of the body"),
    "body_bytes": Text("要求本文の長さ", "of a refusal: length of the body in bytes"),
    "answer_sha256": Text("応答のダイジェスト", "SHA-256 of the answer"),
    "redacted": Text("伏せた箇所", "places in the input that hold a digest in the value's place"),
    "erased": Text("消去した箇所", "places of the record that were erased"),
    "masked": Text("仮名・概略にした箇所", "places of the record that were pseudonymised or coarsened"),
    "policy_context": Text("ポリシーの付記", "what a `plain` policy added, as JSON"),
    "input_form": Text("入力の保存形式", "`columns`, `text` or `none`: where the input stands"),
    "input_text": Text("入力（原文）", "the input where it is no canonical `pdp.input/v1`"),
    "input_subject_id": Text("入力の利用者", "person as the policy saw them"),
    "subject_kind": Text("利用者区分", "kind of person"),
    "subject_organisation": Text("組織", "the person's organisation"),
    "subject_departments": Text("所属", "the person's departments, the main one first"),
    "subject_roles": Text("役割", "the person's roles"),
    "subject_employment": Text("任用状態", "`not_started`, `active`, `suspended` or `ended`"),
    "subject_identity_source": Text("認証元", "where the identity comes from"),
    "subject_auth_level": Text("認証強度", "authentication level, 0 to 3"),
    "subject_auth_age_min": Text("認証からの経過（分）", "minutes since the authentication"),
    "input_device_id": Text("入力の端末", "device as the policy saw it"),
    "device_class": Text("端末区分", "class of the device"),
    "device_ownership": Text("端末の所有", "`organisation`, `private` or `unknown`"),
    "device_registered": Text("端末の登録", "whether the device is registered"),
    "device_shared": Text("共用端末", "whether the device is shared"),
    "device_relation": Text("端末と利用者の関係", "whose device it is to the person"),
    "device_loan": Text("貸出の状態", "state of the loan"),
    "device_permit": Text("個人所有端末の許可", "state of a private device's permit"),
    "device_takeout": Text("外部持ち出し", "whether it may be taken out"),
    "device_state": Text("端末の使用状態", "`in_service`, `lost`, `quarantined`, …"),
    "device_returned_from_outside": Text("持ち帰り端末", "whether it has come back and was not checked yet"),
    "posture_certificate": Text("端末証明書", "posture: client certificate"),
    "posture_disk_encrypted": Text("ディスク暗号化", "posture: disk encryption"),
    "posture_edr_running": Text("EDRの稼働", "posture: EDR runs"),
    "posture_edr_risk": Text("EDRの危険度", "posture: risk as the EDR has it"),
    "posture_av_current": Text("定義ファイルの更新", "posture: definitions are current"),
    "posture_firewall": Text("端末ファイアウォール", "posture: firewall"),
    "posture_screen_lock": Text("画面ロック", "posture: screen lock"),
    "posture_tampered": Text("端末の改造", "posture: jailbreak or root"),
    "posture_patch_age_days": Text("更新プログラム未適用日数", "posture: age of the oldest missing patch, in days"),
    "posture_age_hours": Text("端末の状態の取得からの経過（時間）", "age of the posture, in hours; NULL: not known"),
    "posture_source": Text("端末の状態の取得元", "source of the posture"),
    "input_resource_id": Text("入力の業務システム", "application as the policy saw it"),
    "resource_group": Text("業務システムの区分", "group of the application"),
    "resource_segment": Text("ネットワーク区分", "network segment of the application"),
    "resource_status": Text("業務システムの状態", "service state of the application"),
    "resource_departments": Text("利用できる所属", "departments that may use the application"),
    "resource_organisations": Text("利用できる組織", "organisations that may use the application"),
    "resource_sensitivity": Text("自治体機密性", "confidentiality class of the application"),
    "resource_tenant": Text("テナント", "`own` or `other`"),
    "action_name": Text("操作", "action as the policy saw it"),
    "context_zone": Text("接続経路", "where the request came in"),
    "context_underlay": Text("接続回線", "line below the tunnel"),
    "context_path_encrypted": Text("通信経路の暗号化", "whether the path is encrypted"),
    "context_country": Text("国", "country of the address"),
    "context_business_day": Text("開庁日", "whether it is a working day"),
    "context_business_hours": Text("業務時間内", "whether it is within working hours"),
    "context_risk": Text("リスクの兆候", "risk signals"),
    "context_work_permit": Text("作業許可", "state of the permit for remote maintenance"),
    "context_work_permit_until": Text("作業許可の期限", "end of that permit"),
    "context_disaster_mode": Text("災害時運用", "`true` in emergency mode"),
    "sources_posture": Text("端末情報の取得状況", "whether the source of posture answered"),
    "sources_identity": Text("認証情報の取得状況", "whether the source of identity answered"),
    "context_pep": Text("実施点の能力", "what the enforcement point can enforce"),
}

HOURLY: Final[Mapping[str, Text]] = {
    "hour": Text("時間", "begin of the hour (UTC)"),
    **{name: DECISIONS[name] for name in ("kind", "outcome", "reasons", "resource", "resource_group")},
    "department": Text("所属", "the person's main department"),
    **{name: DECISIONS[name] for name in ("caller_id", "wire", "policy_revision")},
    "decisions": Text("件数", "number of records"),
}

SEGMENTS: Final[Mapping[str, Text]] = {
    "segment": DECISIONS["segment"],
    "node": Text("ノード", "node that wrote it"),
    "worker": Text("ワーカー", "worker that wrote it"),
    "epoch": Text("世代", "start of the worker"),
    "number": Text("セグメント番号", "number within the epoch"),
    "created": Text("作成日時", "when it was begun (UTC)"),
    "state": Text("状態", "`fresh`, `stored` or `removed`"),
    "records": Text("件数", "number of records, where it is stored"),
    "first_seq": Text("最初の記録番号", "number of its first record"),
    "last_seq": Text("最後の記録番号", "number of its last record"),
    "whole": Text("完全性", "whether every line was proven when it was stored"),
}

RELATIONS: Final[Mapping[str, Mapping[str, Text]]] = {
    "decisions": DECISIONS,
    "hourly": HOURLY,
    "segments": SEGMENTS,
}
"""What a statement of an auditor may name: relation, columns, what they say."""

_ANSWERS: Final[Mapping[str, Text]] = {
    "departments": DECISIONS["subject_departments"],
    "day": Text("日", "day"),
    "reason": Text("判定理由", "reason"),
    "caller": DECISIONS["caller_id"],
    "revision": DECISIONS["policy_revision"],
    "people": Text("利用者数", "distinct persons"),
}


def head_of(column: str) -> Text | None:
    """The meaning of a column of a relation or of an answer; None for a name that somebody made."""
    return DECISIONS.get(column) or HOURLY.get(column) or SEGMENTS.get(column) or _ANSWERS.get(column)
