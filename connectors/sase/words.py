"""What an administrator reads about rules that no static rule can say, whichever the vendor."""

from __future__ import annotations

from typing import Final

from pdp.model.rules import Words

NO_ORGANISATION: Final = Words(
    ja="どの団体のデータかは要求ごとに決まり、静的な規則では表せない",
    en="whose data it is depends on each request; a static rule cannot say it",
)
NO_PAIR: Final = Words(
    ja="端末と利用者の組の条件。端末の検査や属性では表せない（一人しかサインインできない端末なら one_person_devices）",
    en="a condition of device and person together, which no check or attribute of a device says (`one_person_devices`)",
)
LEFT: Final = Words(ja="対応表で対象外としたシステム", en="the mapping leaves this system out")
KEEP_CALLOUT: Final = Words(
    ja="この利用は、Sekisho に問い合わせるゲートウェイで判定する",
    en="have these accesses decided by a gateway that asks Sekisho",
)
ELSEWHERE: Final = Words(ja="別のゲートウェイで利用する", en="use another gateway for it")


def no_control(product: str) -> Words:
    """Why an allow with a control is left out where the applications behind a product do not carry it out."""
    return Words(
        ja=f"この制限を実施する者が {product} の後ろにいない（対応表の enforces にない）",
        en=f"nobody behind {product} carries this control out (it is not in `enforces` of the mapping)",
    )
