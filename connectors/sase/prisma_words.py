"""What an administrator reads about rules that Prisma Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from pdp.model.rules import Words

NO_CONTROL: Final = Words(
    ja="この制限を実施する者が Prisma Access の後ろにいない（対応表の enforces にない）",
    en="nobody behind Prisma Access carries this control out (it is not in `enforces` of the mapping)",
)
NO_ORGANISATION: Final = Words(
    ja="どの団体のデータかは要求ごとに決まり、静的な規則では表せない",
    en="whose data it is depends on each request; a static rule cannot say it",
)
NO_ACTION: Final = Words(
    ja="操作の種類は通信から分からない（その操作しか行えない接続先なら、対応表の resources に action を書く）",
    en="traffic does not show which action it is (for a destination where nothing else is done, name its `action`)",
)
NO_FACT: Final = Words(
    ja="この条件は、フォルダに固有の事実（given）でも、セッションのタグ（tagged）でもない",
    en="this condition is neither given for a folder nor kept as a tag of the session (`given`, `tagged`)",
)
NOT_HERE: Final = Words(
    ja="どのフォルダの通信でも成り立たない条件がある（対応表の given）",
    en="a condition does not hold for the traffic of any folder (`given` of the mapping)",
)
LEFT: Final = Words(ja="対応表で対象外としたシステム", en="the mapping leaves this system out")
KEEP_CALLOUT: Final = Words(
    ja="この利用は、Sekisho に問い合わせるゲートウェイで判定する",
    en="have these accesses decided by a gateway that asks Sekisho",
)
ELSEWHERE: Final = Words(ja="別のゲートウェイで利用する", en="use another gateway for it")

REMARKS: Final = (
    Words(
        ja="タグ（tagging.json）は本サービスがセッションのアドレスに付ける。接続が切れたら外し、反映の遅れが失効の遅れになる。",
        en="Tags (tagging.json) are set by this service on the address of a session and taken off when it ends: how "
        "long that takes is how long a withdrawal takes.",
    ),
    Words(
        ja="HIP の報告は既定で1時間ごと。規則は候補設定に入り、反映（push）するまで効かない。",
        en="HIP reports come every hour by default. Rules enter the candidate configuration and count from its push.",
    ),
)
