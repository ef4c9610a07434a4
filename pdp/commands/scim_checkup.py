"""`pdp doctor` on provisioners (SCIM): which bring people, and which have gone silent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pdp.commands.finding import ok, warn
from pdp.scim.counting import last_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.commands.finding import Finding
    from pdp.model.provisioning import ScimTenant
    from pdp.store.store import Store


def scim_findings(
    pick: Callable[[str, str], str], store: Store, tenants: Mapping[str, ScimTenant], now: datetime
) -> list[Finding]:
    """A line for each provisioner. The fault: one whose key has expired is silent, and who left stays in force.

    Raises DirectoryError.
    """
    topic = pick("自動登録（SCIM）", "provisioning (SCIM)")
    found = []
    for tenant, at in sorted(last_writes(store, tenants).items()):
        bound = timedelta(hours=tenants[tenant].silent_after_h)
        if at is None:
            look = pick("登録元の設定（URL、鍵）を確かめる", "look at the provider's settings: the address and the key")
            found.append(warn(topic, f"{tenant}: {pick('まだ何も登録していない', 'it has brought nobody yet')}", look))
            continue
        said = pick(f"{tenant}: 最後の変更 {at:%Y-%m-%d %H:%M}Z", f"{tenant}: last change {at:%Y-%m-%d %H:%M}Z")
        if bound and now - at > bound:
            hours = int((now - at).total_seconds() // 3600)
            silent = pick(f"{said}（{hours} 時間変更がない）", f"{said}, silent for {hours} hours")
            look = pick(
                f"登録元の同期の記録と `pdp caller list` で鍵の期限を確かめる（目安は `scim.{tenant}.silent_after_h`）",
                f"see the provider's log, and `pdp caller list` for the key's end (`scim.{tenant}.silent_after_h`)",
            )
            found.append(warn(topic, silent, look))
        else:
            found.append(ok(topic, said))
    return found
