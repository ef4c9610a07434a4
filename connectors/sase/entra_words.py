"""What an administrator reads about rules that Conditional Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from connectors.sase.words import no_control
from pdp.model.rules import Words

NO_CONTROL: Final = no_control("Entra")
NO_ACTION: Final = Words(
    ja="操作の種類はサインインから分からない（その操作しか行えないアプリなら、対応表の applications に action を書く）",
    en="a sign-in does not show which action it is (for an application where nothing else is done, name its `action`)",
)
NO_FACT: Final = Words(
    ja="この条件を表すもの（場所、認証強度、people のグループ、given）が対応表にない",
    en="the mapping has nothing that says this condition (a location, a strength, a group of `people`, `given`)",
)
NO_STATE: Final = Words(
    ja="災害時運用・確認先停止中の広げた許可は、Entra の側で状態を知ることができないため書かない",
    en="allowed beyond the ordinary, in disaster mode or while posture is down: Entra does not know these states",
)
NOT_HERE: Final = Words(
    ja="Entra のサインインでは成り立たない条件がある（対応表の given）",
    en="a condition does not hold for these sign-ins (`given` of the mapping)",
)

REMARKS: Final = (
    Words(
        ja="緊急用（break-glass）グループは全ポリシーの対象外で、突合の外にある。人数を最小にし、サインインを必ず監視する。",
        en="The break-glass group is excluded from every policy and outside of this comparison: keep it as small as "
        "can be, and have every sign-in of it watched.",
    ),
    Words(
        ja="すべてレポート専用で書き出す。突合は全ポリシーが有効な状態で行う。レポート専用の間、Entra は何も止めない。",
        en="All policies are report-only. The comparison is that of all of them switched on; until then Entra blocks "
        "nothing.",
    ),
    Words(
        ja="判定はサインインとトークン更新のときに行われる。失効が効くまでは、トークンの有効時間とグループ・属性の反映時間による。",
        en="Entra decides at sign-in and refresh: a withdrawal takes as long as a token lives, and as groups and "
        "attributes take to arrive.",
    ),
    Words(
        ja="対応表にないアプリと、利用者のいないアクセス（アプリ専用の資格情報）は、これらのポリシーの対象にならない。",
        en="Applications that the mapping does not name, and access without a user (credentials of applications), are "
        "not what these policies are about.",
    ),
    Words(
        ja="拡張属性が見られるのは、Intune 管理下・準拠・ハイブリッド参加の端末だけである。ほかの端末は拒否される。",
        en="Entra looks at extension attributes only of devices that are managed by Intune, compliant or hybrid "
        "joined: any other device is blocked.",
    ),
)
