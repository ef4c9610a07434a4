"""Every fact of `pdp.input/v1`: its path, its name in both languages, and the other values that it could have.

Closed enumerations are read from the types of the document itself, so that they cannot fall behind it; for
the open ones a function says which values are worth asking about. The order is the document's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import inspect as types

from pdp.model.decision import Text
from pdp.model.input import InputV1, check_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pdp.explain.parameters import Parameters

Value = Any  # a JSON value: text, number, boolean, list of texts


@dataclass(frozen=True, slots=True)
class Fact:
    """`path` is the policy's own, without `input`: `device.posture.age_hours`."""

    path: str
    label: Text


def _fact(path: str, ja: str, en: str) -> Fact:
    return Fact(path, Text(ja=ja, en=en))


GROUPS: Final[Mapping[str, Text]] = {
    "subject": Text("利用者", "subject"),
    "device": Text("端末", "device"),
    "device.posture": Text("端末の状態", "posture of the device"),
    "resource": Text("システム", "resource"),
    "action": Text("操作", "action"),
    "context": Text("利用の状況", "context"),
}

FACTS: Final[tuple[Fact, ...]] = (
    _fact("subject.id", "利用者ID", "user id"),
    _fact("subject.kind", "利用者の区分", "kind of user"),
    _fact("subject.organisation", "所属団体", "organisation"),
    _fact("subject.departments", "所属（併任を含む）", "departments, concurrent posts included"),
    _fact("subject.roles", "役割", "roles"),
    _fact("subject.employment", "在職の状態", "employment"),
    _fact("subject.identity_source", "認証の連携元", "identity source"),
    _fact("subject.auth_level", "認証の強さ", "authentication level"),
    _fact("subject.auth_age_min", "認証からの経過（分）", "minutes since authentication"),
    _fact("device.id", "端末ID", "device id"),
    _fact("device.class", "端末の種類", "kind of device"),
    _fact("device.ownership", "端末の所有", "ownership"),
    _fact("device.registered", "台帳への登録", "registered"),
    _fact("device.shared", "共用端末", "shared terminal"),
    _fact("device.relation", "利用者との関係", "relation to the user"),
    _fact("device.loan", "貸出登録", "booking of the lent terminal"),
    _fact("device.permit", "個人所有端末の利用許可", "permit of the private device"),
    _fact("device.takeout", "外部持ち出し", "permission to take it out"),
    _fact("device.state", "台帳上の状態", "state in the register"),
    _fact("device.returned_from_outside", "持帰り後の再確認待ち", "awaits its re-check after its return"),
    _fact("device.posture.certificate", "端末証明書", "client certificate"),
    _fact("device.posture.disk_encrypted", "ディスク暗号化", "disk encryption"),
    _fact("device.posture.edr_running", "EDRの稼働", "EDR running"),
    _fact("device.posture.edr_risk", "EDRの判定", "risk found by the EDR"),
    _fact("device.posture.av_current", "定義ファイルの更新", "antivirus definitions current"),
    _fact("device.posture.firewall", "ファイアウォール", "firewall"),
    _fact("device.posture.screen_lock", "画面ロック", "screen lock"),
    _fact("device.posture.tampered", "改造（脱獄・root化）", "tampered with (jailbreak, root)"),
    _fact("device.posture.patch_age_days", "更新プログラムの経過日数", "days since the last updates"),
    _fact("device.posture.age_hours", "状態の確認からの経過（時間）", "hours since the state was reported"),
    _fact("device.posture.source", "状態の報告元", "source of the report"),
    _fact("resource.id", "システムID", "resource id"),
    _fact("resource.group", "システムの区分", "group of the resource"),
    _fact("resource.segment", "ネットワークの区分", "network segment"),
    _fact("resource.status", "提供の状態", "status of the service"),
    _fact("resource.departments", "利用できる所属", "departments that it is for"),
    _fact("resource.organisations", "データの団体", "organisations whose data it is"),
    _fact("resource.sensitivity", "機密性", "sensitivity"),
    _fact("resource.tenant", "テナント", "tenant"),
    _fact("action.name", "操作", "action"),
    _fact("context.zone", "接続元の区分", "zone"),
    _fact("context.underlay", "下位の回線", "underlying line"),
    _fact("context.path_encrypted", "通信経路の暗号化", "path encrypted"),
    _fact("context.country", "国", "country"),
    _fact("context.business_day", "開庁日", "business day"),
    _fact("context.business_hours", "執務時間", "office hours"),
    _fact("context.risk", "不正利用の兆候", "risk signals"),
    _fact("context.work_permit", "作業申請", "work permit"),
    _fact("context.work_permit_until", "作業時間帯の終わり", "end of the work window"),
    _fact("context.disaster_mode", "災害時運用", "disaster mode"),
    _fact("context.sources.posture", "状態の確認先", "source of posture"),
    _fact("context.sources.identity", "認証基盤", "source of identities"),
    _fact("context.pep", "実施点が適用できる制限", "limits that the enforcement point can apply"),
)
BY_PATH: Final[Mapping[str, Fact]] = {fact.path: fact for fact in FACTS}


def group_of(path: str) -> str:
    """Under which heading a fact is shown."""
    return "device.posture" if path.startswith("device.posture.") else path.partition(".")[0]


def value_at(document: InputV1, path: str) -> Value:
    """The value of one fact, as plain JSON."""
    node: Any = document
    for name in path.split("."):
        node = getattr(node, "class_" if name == "class" else name)
    return node


def with_values(document: InputV1, changes: Mapping[str, Value]) -> InputV1:
    """The document with these facts replaced. Raises BadRequestError where no such document can exist."""
    built = msgspec.to_builtins(document)
    for path, value in changes.items():
        *parents, name = path.split(".")
        node = built
        for parent in parents:
            node = node[parent]
        node[name] = value
    return check_input(built)


def other_values(document: InputV1, path: str, parameters: Parameters) -> list[Value]:
    """What this fact could be instead: all of a closed enumeration, the neighbours of every threshold."""
    current = value_at(document, path)
    wide = _OPEN.get(path)
    candidates = list(_enumerated(_TYPES[path])) if wide is None else wide(document, parameters)
    found: list[Value] = []
    for value in candidates:
        if not same(value, current) and not any(same(value, known) for known in found):
            found.append(value)
    return found


def closed_values(path: str) -> list[Value]:
    """Every value of a closed fact; of an open one those that have a meaning of their own: `unknown`, `none`."""
    return list(_enumerated(_TYPES[path]))


def kind_of_fact(path: str) -> str:
    """`text`, `number`, `boolean` or `list`: what it is where it is known."""
    kind = _TYPES[path]
    parts = kind.types if isinstance(kind, types.UnionType) else (kind,)
    names = ((types.ListType, "list"), (types.BoolType, "boolean"), (types.IntType, "number"))
    return next((name for type_, name in names if any(isinstance(part, type_) for part in parts)), "text")


def same(one: Value, other: Value) -> bool:
    """Equal as JSON: `1` is not `true`."""
    return type(one) is type(other) and one == other


def _leaves(struct: types.StructType, prefix: str = "") -> Iterator[tuple[str, types.Type]]:
    for field in struct.fields:
        path = f"{prefix}{field.encode_name}"
        if isinstance(field.type, types.StructType):
            yield from _leaves(field.type, f"{path}.")
        elif path != "schema":
            yield path, field.type


def _enumerated(kind: types.Type) -> Iterator[Value]:
    """Every value of a closed type; nothing of an open one."""
    match kind:
        case types.LiteralType(values=values):
            yield from values
        case types.BoolType():
            yield from (True, False)
        case types.UnionType(types=members):
            for member in members:
                yield from _enumerated(member)
        case types.IntType(ge=int(low), le=int(high)) if high - low < _FEW:
            yield from range(low, high + 1)
        case _:
            pass


_FEW: Final = 10  # a number with fewer values than this is an enumeration


def _around(thresholds: tuple[int, ...]) -> list[Value]:
    """Both sides of every threshold, whichever way a rule compares; and not known."""
    return ["unknown", 0, *(n for threshold in thresholds for n in (threshold - 1, threshold, threshold + 1) if n >= 0)]


def _without_each(words: list[str]) -> list[Value]:
    return [[kept for kept in words if kept != word] for word in words]


def _with_each(words: list[str], more: tuple[str, ...] | list[str]) -> list[Value]:
    return [[*words, word] for word in more if word not in words]


def _list_values(words: list[str], more: tuple[str, ...] | list[str]) -> list[Value]:
    return [[], *_without_each(words), *_with_each(words, more)]


_SOMEBODY_ELSE: Final = "somebody-else"  # for a rule that names one id
_HOUR_MIN: Final = 60

_OPEN: Final[Mapping[str, Callable[[InputV1, Parameters], list[Value]]]] = {
    "subject.id": lambda _d, _p: [_SOMEBODY_ELSE],
    "subject.organisation": lambda d, _p: ["unknown", *d.resource.organisations],
    "subject.departments": lambda d, _p: _list_values(d.subject.departments, d.resource.departments),
    "subject.roles": lambda d, p: _list_values(d.subject.roles, p.roles),
    "subject.auth_age_min": lambda _d, _p: [0, _HOUR_MIN, 24 * _HOUR_MIN],
    "device.id": lambda _d, _p: [_SOMEBODY_ELSE],
    "device.posture.patch_age_days": lambda _d, p: _around(p.patch_days),
    "device.posture.age_hours": lambda _d, p: _around(p.posture_hours),
    "device.posture.source": lambda _d, _p: ["unknown"],
    "resource.id": lambda _d, _p: [_SOMEBODY_ELSE],
    "resource.departments": lambda d, _p: _list_values(d.resource.departments, d.subject.departments),
    "resource.organisations": lambda d, _p: _list_values(d.resource.organisations, [d.subject.organisation]),
    "resource.sensitivity": lambda _d, _p: [0, 1, 2, 3],
    "context.country": lambda _d, p: ["unknown", *p.countries[:3]],
    "context.risk": lambda d, _p: _list_values(list(d.context.risk), list(_enumerated(_item("context.risk")))),
    "context.work_permit_until": lambda _d, _p: ["none"],
    "context.pep": lambda d, p: _list_values(d.context.pep, p.pep_words),
}


def _item(path: str) -> types.Type:
    kind = _TYPES[path]
    assert isinstance(kind, types.ListType)
    return kind.item_type


_ROOT = types.type_info(InputV1)
assert isinstance(_ROOT, types.StructType)
_TYPES: Final[Mapping[str, types.Type]] = dict(_leaves(_ROOT))
