"""How `pdp caller` shows callers: as tables for people, as JSON for scripts. No secret is there to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pdp.callers.bindings import Bound
    from pdp.callers.bounds import CallerBounds, KeyBounds
    from pdp.callers.listing import ListedBinding, ListedCaller, ListedKey
    from pdp.commands.terminal import Terminal


def show_all(terminal: Terminal, callers: Sequence[ListedCaller], now: datetime) -> None:
    if terminal.as_json:
        terminal.json({"callers": [_caller_json(one, now) for one in callers]})
        return
    columns = (
        ["呼出し元", "権限", "資格情報", "識別子", "状態", "作成", "期限", "制限"]
        if terminal.lang == "ja"
        else ["caller", "permissions", "credential", "id", "state", "created", "expires", "only"]
    )
    terminal.table(columns, [row for one in callers for row in _rows(terminal, one, now)])


def show_bounds(terminal: Terminal, one: ListedCaller) -> None:
    """What bounds one caller, whatever it shows."""
    if terminal.as_json:
        terminal.json({"id": one.id, "permissions": sorted(one.permissions), "bounds": _bounds_json(one.bounds)})
        return
    limits = one.bounds.limits
    pick = terminal.pick
    terminal.say(one.id, style="bold")
    terminal.table(
        ["", ""],
        [
            [pick("権限", "permissions"), ", ".join(sorted(one.permissions))],
            [pick("ネットワーク", "networks"), ", ".join(one.bounds.networks) or pick("どこからでも", "any")],
            [pick("プロファイル", "profile"), one.bounds.profile or pick("すべて", "any")],
            [
                pick("毎秒の判定数（ワーカーごと）", "evaluations a second, in each worker"),
                f"{limits.requests_per_s:,}",
            ],
            [pick("一度に", "at once"), f"{limits.burst:,}"],
            [pick("本文の最大バイト数", "largest body, bytes"), f"{limits.body_bytes:,}"],
            [pick("一括判定の最大件数", "largest batch"), f"{limits.batch:,}"],
        ],
    )


def _rows(terminal: Terminal, one: ListedCaller, now: datetime) -> list[list[str]]:
    permissions = ", ".join(sorted(one.permissions))
    whole = _only(one.bounds)
    rows = []
    for key in one.keys:
        kind = terminal.pick("鍵", "key")
        times = [_minute(key.created_at), _minute(key.expires_at)]
        only = " ".join(filter(None, [whole, _only_key(key.bounds)]))
        rows.append([one.id, permissions, kind, key.key_id, _state(key, now), *times, only or "-"])
    for binding in one.bindings:
        state = "active" if binding.revoked_at is None else "revoked"
        names = [_kind(terminal, binding.bound), binding.binding_id, state, _minute(binding.created_at), "-"]
        rows.append([one.id, permissions, *names, " ".join(filter(None, [whole, _bound(binding.bound)]))])
    return rows or [[one.id, permissions, "-", "-", "-", _minute(one.created_at), "-", whole or "-"]]


def _kind(terminal: Terminal, bound: Bound) -> str:
    ja, en = {
        "certificate": ("証明書", "certificate"),
        "name": ("証明書の名前", "certificate name"),
        "client": ("OAuth クライアント", "OAuth client"),
    }[bound.kind]
    return terminal.pick(ja, en)


def _bound(bound: Bound) -> str:
    if bound.kind == "certificate":
        return bound.value
    if bound.kind == "name":
        return f"{bound.value} by {bound.issuer[:16]}"
    return f"{bound.value} of {bound.issuer}" + (f" sub {bound.subject}" if bound.subject != bound.value else "")


def _only(bounds: CallerBounds) -> str:
    return " ".join([*bounds.networks, *([bounds.profile] if bounds.profile else [])])


def _only_key(bounds: KeyBounds) -> str:
    words = [] if bounds.permissions is None else [f"({', '.join(bounds.permissions)})"]
    return " ".join([*bounds.networks, *([bounds.profile] if bounds.profile else []), *words])


def _caller_json(one: ListedCaller, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "permissions": sorted(one.permissions),
        "created_at": one.created_at.isoformat(),
        "bounds": _bounds_json(one.bounds),
        "keys": [_key_json(key, now) for key in one.keys],
        "bindings": [_binding_json(binding) for binding in one.bindings],
    }


def _bounds_json(bounds: CallerBounds) -> dict[str, Any]:
    limits = bounds.limits
    return {
        "networks": list(bounds.networks),
        "profile": bounds.profile,
        "requests_per_s": limits.requests_per_s,
        "burst": limits.burst,
        "body_bytes": limits.body_bytes,
        "batch": limits.batch,
    }


def _key_json(key: ListedKey, now: datetime) -> dict[str, Any]:
    permissions = key.bounds.permissions
    return {
        "key_id": key.key_id,
        "state": _state(key, now),
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
        "permissions": None if permissions is None else list(permissions),
        "networks": list(key.bounds.networks),
        "profile": key.bounds.profile,
    }


def _binding_json(binding: ListedBinding) -> dict[str, Any]:
    return {
        "binding_id": binding.binding_id,
        **binding.bound._asdict(),
        "state": "active" if binding.revoked_at is None else "revoked",
        "created_at": binding.created_at.isoformat(),
        "revoked_at": None if binding.revoked_at is None else binding.revoked_at.isoformat(),
    }


def _state(key: ListedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _minute(instant: datetime | None) -> str:
    return "-" if instant is None else instant.isoformat(timespec="minutes")
