"""What an administrator reads about rules that Netskope Private Access cannot have, and about those that it has."""

from __future__ import annotations

from typing import Final

from connectors.sase.words import no_control
from pdp.model.rules import Words

NO_CONTROL: Final = no_control("Netskope")
NO_ACTION: Final = Words(
    ja="操作の種類は通信から分からない（その操作しか行えないアプリなら、対応表の resources に action を書く）",
    en="traffic does not show which action it is (for a private app where nothing else is done, name its `action`)",
)
NO_LABEL: Final = Words(
    ja="この端末の種類または端末の条件を確かめるラベルがない（対応表の unsaid）",
    en="no device classification finds out this class or this set of devices (`unsaid` of the mapping)",
)
NO_SOURCE: Final = Words(
    ja="クライアント接続では、接続元のネットワークと国を条件にできない（評価されるテナントなら、対応表の source_ip）",
    en="networks and countries are no conditions for the client's traffic (where a tenant has them: `source_ip`)",
)
NO_FACT: Final = Words(
    ja="この条件は、テナントに固有の事実（given）でも、グループから外す理由（withdrawn）でもなく、NPA に条件がない",
    en="this condition is neither given for the tenant nor a reason to leave a group (`withdrawn`), and NPA has none",
)
NOT_HERE: Final = Words(
    ja="このテナントの通信では成り立たない条件がある（対応表の given）",
    en="a condition does not hold for the traffic of this tenant (`given` of the mapping)",
)

REMARKS: Final = (
    Words(
        ja="Netskope 向けはプレビューで、許可の規則だけを書き出す。同じアプリを許可する規則をほかに置かない。"
        "規則の並びは判定に使えない（製品の文書が食い違う）ため、下に拒否を置いても守れない。",
        en="The Netskope export is a preview and writes allows only. Keep no other rule that allows these apps: the "
        "vendor's documents disagree on what order means, so no deny below would hold.",
    ),
    Words(
        ja="書き込んだ規則を読み戻し、device_classification_id と userGroups が残っていることを確かめてから "
        "Apply Changes を行う。",
        en="Read each rule back before Apply Changes: `device_classification_id` and `userGroups` have to be there.",
    ),
    Words(
        ja="端末に付くラベルは一つだけである。meanings.json の priority の順に並べる。id が null のもの（二つの集合に"
        "共通する端末）にもラベルを作って対応表に書く。ないあいだ、その端末は先のラベルの許可だけを得る。",
        en="A device has one label: put them in the order of `priority` in meanings.json. Make labels for the sets "
        "whose `id` is null, too (what two sets have in common): without one, such a device has the first label's "
        "allows only.",
    ),
)
