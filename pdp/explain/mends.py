"""What somebody could change about an access, who that is, and how to say so.

A mend is one thing that one person does; it changes one fact, or those few that change together (who goes
to the office changes the zone and the line). What nobody can put right is not here: who the person is, an
employment that ended, a risk that was seen, what a system is, the day and the hour, an emergency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.explain.fact_table import same, value_at
from pdp.model.decision import Fixer, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pdp.explain.fact_table import Value
    from pdp.explain.parameters import Parameters
    from pdp.model.input import InputV1


@dataclass(frozen=True, slots=True)
class Mend:
    """`changes` maps a path to its new value. `effort` tells the lighter of two mends of one fact."""

    changes: Mapping[str, Value]
    by: Fixer
    text: Text
    effort: int = 0

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(self.changes)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Where the fact at `path` has one of the values of `when`, `by` can make it `to`."""

    path: str
    when: tuple[Value, ...]
    to: Value
    by: Fixer
    text: Text
    only_if: Callable[[InputV1], bool] = lambda _: True


def _rule(path: str, when: tuple[Value, ...], to: Value, by: Fixer, ja: str, en: str, **more: Any) -> _Rule:  # noqa: PLR0913, PLR0917  # a table row
    return _Rule(path, when, to, by, Text(ja=ja, en=en), **more)


def _of_organisation(document: InputV1) -> bool:
    return document.device.ownership == "organisation"


def _municipal(document: InputV1) -> bool:
    return document.subject.kind == "municipal_staff"


def _known_staff(document: InputV1) -> bool:
    return document.subject.kind not in ("unknown", "municipal_staff")


_RULES: Final[tuple[_Rule, ...]] = (
    _rule("subject.identity_source", ("none",), "integrated", "help_desk",
          "統合認証に登録する", "register the person in the integrated authentication", only_if=_known_staff),
    _rule("subject.identity_source", ("none", "integrated"), "federated", "help_desk",
          "所属団体の認証と連携する", "federate with the authentication of the person's organisation",
          only_if=_municipal),
    _rule("device.relation", ("assigned_to_other", "none"), "own", "section",
          "台帳でこの端末を本人に割り当てる", "assign the terminal to this person in the register",
          only_if=_of_organisation),
    _rule("device.loan", ("none", "expired"), "valid", "section",
          "モバイル端末の貸出登録をする", "book the terminal for this person"),
    _rule("device.loan", ("mismatch",), "valid", "section",
          "貸出登録の利用者を直す", "correct the person in the booking of the terminal"),
    _rule("device.permit", ("none",), "valid", "section",
          "個人所有端末の利用許可を申請する", "apply for a permit of the private device"),
    _rule("device.permit", ("expired",), "valid", "section",
          "個人所有端末の利用許可を更新する", "renew the permit of the private device"),
    _rule("device.permit", ("held",), "valid", "security_office",
          "利用許可の保留の理由を解消し、再開する", "settle why the permit is held, and release it"),
    _rule("device.takeout", ("not_permitted", "unknown"), "permitted", "section",
          "端末の持出し許可を登録する", "register the permission to take the terminal out"),
    _rule("device.state", ("lost", "lost_unconfirmed_found"), "in_service", "security_office",
          "端末が見つかったことを確かめ、紛失の解除を承認する",
          "confirm that the terminal was found, and clear the lost report"),
    _rule("device.state", ("quarantined",), "in_service", "security_office",
          "原因を取り除き、端末の隔離を解除する", "remove the cause, and release the terminal from quarantine"),
    _rule("device.returned_from_outside", (True,), False, "help_desk",
          "持帰り後の再確認を受ける", "have the terminal re-checked after its return"),
    _rule("resource.tenant", ("other",), "own", "user",
          "自組織のテナントを利用する", "use the tenant of your own organisation"),
    _rule("context.path_encrypted", (False, "unknown"), True, "user",
          "SASEまたはVPNに接続する", "connect through the SASE or the VPN"),
    _rule("context.underlay", ("public_wifi", "unknown"), "carrier", "user",
          "公衆Wi-Fiではなく携帯電話回線から接続する", "connect over a mobile line instead of public Wi-Fi"),
    _rule("context.zone", ("public", "sase", "carrier", "security_cloud", "office"), "ip_vpn", "user",
          "保守用の閉域網（IP-VPN）から接続する", "connect through the IP-VPN for maintenance",
          only_if=lambda document: document.device.class_ == "maintenance_pc"),
    _rule("context.work_permit", ("none",), "valid", "section",
          "作業申請を登録する", "register a work permit"),
    _rule("context.work_permit", ("out_of_window",), "valid", "section",
          "作業申請の時間帯に作業するか、時間帯を変更する",
          "work inside the window of the work permit, or change the window"),
    _rule("context.work_permit", ("out_of_scope",), "valid", "section",
          "作業申請に対象のシステムと端末を加える", "add the system and the terminal to the work permit"),
    _rule("context.work_permit", ("not_named",), "valid", "section",
          "作業申請に本人の氏名を加える", "name the person in the work permit"),
    _rule("context.sources.posture", ("unavailable",), "ok", "help_desk",
          "状態の確認先（資産管理など）を復旧する", "restore the source of the posture"),
)  # fmt: skip

_GOOD_POSTURE: Final[Mapping[str, Value]] = {
    "certificate": True,
    "disk_encrypted": True,
    "edr_running": True,
    "edr_risk": "none",
    "av_current": True,
    "firewall": True,
    "screen_lock": True,
    "tampered": False,
    "patch_age_days": 0,
    "age_hours": 0,
}
_REPORT: Final = Text(
    ja="端末の状態の収集を直し、良好な状態が報告されるようにする",
    en="have the terminal report its state again, and the report be good",
)

# Of one posture fact, where the report has it and it is bad.
_POSTURE_RULES: Final[tuple[_Rule, ...]] = (
    _rule("device.posture.certificate", (False, "unknown"), True, "help_desk",
          "端末証明書を入れ直す", "install the client certificate again"),
    _rule("device.posture.disk_encrypted", (False, "unknown"), True, "section",
          "ディスクの暗号化を有効にする", "turn on disk encryption"),
    _rule("device.posture.edr_running", (False, "unknown"), True, "section",
          "EDRを起動する", "start the EDR"),
    _rule("device.posture.edr_running", ("not_managed",), True, "help_desk",
          "EDRを導入する", "install the EDR"),
    _rule("device.posture.edr_risk", ("low", "medium", "high"), "none", "security_office",
          "検出された脅威を取り除く", "remove the threat that the EDR found"),
    _rule("device.posture.edr_risk", ("unknown",), "none", "help_desk",
          "EDRの判定が届くようにする", "have the EDR report its finding"),
    _rule("device.posture.av_current", (False, "unknown"), True, "user",
          "定義ファイルを更新する", "update the antivirus definitions"),
    _rule("device.posture.firewall", (False, "unknown"), True, "help_desk",
          "ファイアウォールを有効にする", "turn on the firewall"),
    _rule("device.posture.screen_lock", (False, "unknown"), True, "user",
          "画面ロックを設定する", "set a screen lock"),
    _rule("device.posture.tampered", (True,), False, "security_office",
          "改造を元に戻し、確認を受ける", "undo the modification, and have it confirmed"),
    _rule("device.posture.tampered", ("unknown",), False, "help_desk",
          "改造の有無を確認する", "have it confirmed that the terminal is not modified"),
    _rule("device.posture.patch_age_days", ("unknown",), 0, "help_desk",
          "更新プログラムの適用状況を確認する", "have the state of the updates confirmed"),
    _rule("device.posture.age_hours", ("unknown",), 0, "help_desk",
          "資産管理へ接続して端末の状態を確認する", "connect to the asset management, and have the state checked"),
)  # fmt: skip


def mends_of(document: InputV1, parameters: Parameters) -> list[Mend]:
    """Everything that somebody could change about this access, in the order of the document."""
    found = [
        *_authentication(document),
        *_scope(document, parameters),
        *_from_rules(_RULES, document),
        *_posture(document, parameters),
        *_action(document),
        *_place(document, parameters),
    ]
    missing = [word for word in parameters.pep_words if word not in document.context.pep]
    if missing:
        words = ", ".join(missing)
        text = Text(f"制限（{words}）を適用できる実施点を経由する", f"use an enforcement point that can apply {words}")
        found.append(Mend({"context.pep": sorted([*document.context.pep, *missing])}, "security_office", text))
    return found


def _from_rules(rules: tuple[_Rule, ...], document: InputV1) -> Iterator[Mend]:
    for rule in rules:
        current = value_at(document, rule.path)
        if any(same(current, value) for value in rule.when) and rule.only_if(document):
            yield Mend({rule.path: rule.to}, rule.by, rule.text)


_STRONGEST: Final = 3


def _authentication(document: InputV1) -> Iterator[Mend]:
    for level in range(document.subject.auth_level + 1, _STRONGEST + 1):
        text = Text(f"再認証して認証の強さを{level}にする", f"authenticate again at level {level}")
        yield Mend({"subject.auth_level": level}, "user", text, effort=level)


_MANY: Final = 3  # departments or roles; more alternatives help nobody


def _scope(document: InputV1, parameters: Parameters) -> Iterator[Mend]:
    subject, resource = document.subject, document.resource
    if not set(subject.departments) & set(resource.departments):
        for department in resource.departments[:_MANY]:
            text = Text(
                f"所属「{department}」への異動または併任を登録する", f"register a post in the department `{department}`"
            )
            yield Mend({"subject.departments": [*subject.departments, department]}, "section", text)
    for role in [role for role in parameters.roles if role not in subject.roles][:_MANY]:
        text = Text(f"役割「{role}」の付与を申請する", f"apply for the role `{role}`")
        yield Mend({"subject.roles": sorted([*subject.roles, role])}, "section", text)


def _posture(document: InputV1, parameters: Parameters) -> Iterator[Mend]:
    """Where several facts are unknown the report is missing: one person mends that, once."""
    posture = document.device.posture
    unknown = [name for name in _GOOD_POSTURE if getattr(posture, name) == "unknown"]
    singles = list(_from_rules(_POSTURE_RULES, document))
    if len(unknown) > 1:
        changes = {f"device.posture.{name}": _GOOD_POSTURE[name] for name in dict.fromkeys([*unknown, "age_hours"])}
        yield Mend(changes, "help_desk", _REPORT)
        singles = [mend for mend in singles if not mend.paths & set(changes)]
    elif _above(posture.age_hours, parameters.posture_hours):
        text = Text(
            "資産管理へ接続して端末の状態を再確認する", "connect to the asset management, and re-check the state"
        )
        yield Mend({"device.posture.age_hours": 0}, "help_desk", text)
    if _above(posture.patch_age_days, parameters.patch_days):
        text = Text("更新プログラムを適用する", "install the pending updates")
        yield Mend({"device.posture.patch_age_days": 0}, "user", text)
    yield from singles


def _above(value: int | str, thresholds: tuple[int, ...]) -> bool:
    return isinstance(value, int) and value >= min(thresholds, default=1)


def _action(document: InputV1) -> Iterator[Mend]:
    if document.action.name != "screen_transfer":
        yield Mend({"action.name": "screen_transfer"}, "user", Text("画面転送で利用する", "use it by screen transfer"))
    if document.action.name != "read":
        yield Mend({"action.name": "read"}, "user", Text("閲覧だけにする", "only read"))


def _place(document: InputV1, parameters: Parameters) -> Iterator[Mend]:
    if document.context.zone != "office":
        text = Text("庁内で利用する", "use it in the office")
        yield Mend({"context.zone": "office", "context.underlay": "office"}, "user", text)
    if parameters.countries and document.context.country not in parameters.countries:
        text = Text(
            "国内から、接続元を確認できる経路で利用する", "use it from inside the country, on a path that shows it"
        )
        yield Mend({"context.country": parameters.countries[0]}, "user", text)
