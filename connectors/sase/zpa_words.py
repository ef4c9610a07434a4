"""What an administrator reads about rules that Zscaler Private Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from connectors.sase.words import no_control
from pdp.model.rules import Words

NO_CONTROL: Final = no_control("ZPA")
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
NOT_HERE: Final = Words(
    ja="このテナントの通信では成り立たない条件がある（対応表の given）",
    en="a condition does not hold for the traffic of this tenant (`given` of the mapping)",
)

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
