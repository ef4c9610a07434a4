"""What an administrator reads about rules that Zscaler Private Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from pdp.model.rules import Words

NO_CONTROL: Final = Words(
    ja="この制限を実施する者が ZPA の後ろにいない（対応表の enforces にない）",
    en="nobody behind ZPA carries this control out (it is not in `enforces` of the mapping)",
)
NO_ORGANISATION: Final = Words(
    ja="どの団体のデータかは要求ごとに決まり、静的な規則では表せない",
    en="whose data it is depends on each request; a static rule cannot say it",
)
NO_ACTION: Final = Words(
    ja="操作の種類は通信から分からない（その操作しか行えない接続先なら、対応表の resources に action を書く）",
    en="traffic does not show which action it is (for a segment where nothing else is done, name its `action`)",
)
NO_CHECK: Final = Words(
    ja="この端末の種類または端末の条件を確かめるポスチャがない（対応表の unsaid）",
    en="no posture check finds out this class or this set of devices (`unsaid` of the mapping)",
)
NO_FACT: Final = Words(
    ja="この条件は、テナントに固有の事実（given）でも、属性・ネットワーク・国として確かめられるものでもない",
    en="this condition is neither given for the tenant nor an attribute, a trusted network or a country",
)
NO_PAIR: Final = Words(
    ja="端末と利用者の組の条件。端末ごとの検査では表せない（一人しかサインインできない端末なら one_person_devices）",
    en="a condition of device and person together, which no check of a device says (`one_person_devices`)",
)
NOT_HERE: Final = Words(
    ja="このテナントの通信では成り立たない条件がある（対応表の given）",
    en="a condition does not hold for the traffic of this tenant (`given` of the mapping)",
)
LEFT: Final = Words(ja="対応表で対象外としたシステム", en="the mapping leaves this system out")
KEEP_CALLOUT: Final = Words(
    ja="この利用は、Sekisho に問い合わせるゲートウェイで判定する",
    en="have these accesses decided by a gateway that asks Sekisho",
)
ELSEWHERE: Final = Words(ja="別のゲートウェイで利用する", en="use another gateway for it")

REMARKS: Final = (
    Words(
        ja="規則は上から順に最初に一致したものが効く。この規則より上に、同じセグメントを許可する規則を置かない。",
        en="The first rule that matches decides: put no rule above these that allows the same segments.",
    ),
    Words(
        ja="ポスチャのプロファイルは Client Connector のポータルで作る。検査の間隔と SCIM の同期の遅れが、"
        "失効の遅れになる。SAML の属性は、最後にログインした時のもの。",
        en="Posture profiles are made in the Client Connector portal. How often they are checked and how fast SCIM "
        "synchronises is how long a withdrawal takes; SAML attributes are those of the last login.",
    ),
)
