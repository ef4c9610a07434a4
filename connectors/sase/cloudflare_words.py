"""What an administrator reads about rules that Cloudflare Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from connectors.sase.words import no_control
from pdp.model.rules import Words

NO_CONTROL: Final = no_control("Cloudflare Access")
NO_ACTION: Final = Words(
    ja="Access は操作の種類を見ない（その操作しか行えないアプリケーションなら、対応表の resources に action を書く）",
    en="Access does not see which action it is (for an application where nothing else is done, name its `action`)",
)
NO_TIME: Final = Words(
    ja="Access の規則には時刻の条件がない",
    en="rules of Access have no condition on the time",
)
NO_FACT: Final = Words(
    ja="この条件を表す選択子が Access になく、対応表の given・zones・authentication・tagged にもない",
    en="Access has no selector for this condition, and `given`, `zones`, `authentication` and `tagged` do not name it",
)
NOT_HERE: Final = Words(
    ja="ここでは成り立たない条件がある（対応表の given）",
    en="a condition does not hold here (`given` of the mapping)",
)

REMARKS: Final = (
    Words(
        ja="グループと認証方法はログイン時にだけ確かめられる。異動や失効が効くまでの時間は、最長でセッションの時間になる。"
        "アカウント全体のセッション（global session）も、これより長くしないこと。",
        en="Groups and methods of authentication are looked at when somebody logs in: a withdrawal takes as long as a "
        "session at most. The account's global session must not be longer than that.",
    ),
    Words(
        ja="端末の集合（sets.json）は、接続（カスタムのサービスプロバイダー）が問い合わせに 100（含む）か 0（含まない）"
        "で答える。答えが来なくなると expiration で失効し、拒否になる。",
        en="Sets of devices (sets.json) are what the connection (a custom service provider) answers: 100 for a member, "
        "0 for any other. Where no answer comes, the last one expires (`expiration`) and the device is denied.",
    ),
    Words(
        ja="applications.json の policies の id は、access-policies.json の名前である。作成後の id に置き換えて"
        "適用する。",
        en="In applications.json an `id` of `policies` is a name of access-policies.json: the id that the account "
        "gives when the policy is created takes its place.",
    ),
)
