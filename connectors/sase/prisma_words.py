"""What an administrator reads about rules that Prisma Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from connectors.sase.words import no_control
from pdp.model.rules import Words

NO_CONTROL: Final = no_control("Prisma Access")
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
