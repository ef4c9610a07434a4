"""The examination of the shared cache by `pdp doctor`: is Redis there, are we let in, is the secret usable."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from pdp.commands.finding import Finding, fail, ok, warn
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.settings import Settings

_PATIENCE_S: Final = 2.0


async def shared_cache_findings(settings: Settings, pick: Callable[[str, str], str]) -> list[Finding]:
    """A Redis that is not there is a warning: decisions are as right without it, and slower."""
    topic = pick("共有キャッシュ", "shared cache")
    if settings.cache == "off":
        return [warn(topic, pick("使わない設定", "switched off"), pick('`cache = "on"` に戻す', "set `cache` to `on`"))]
    if not settings.redis_url:
        return [ok(topic, pick("なし（ワーカーごとに保持）", "none: each worker has its own"))]
    from redis.exceptions import RedisError

    from pdp.parts import redis_place
    from pdp.redis_client import open_redis

    try:
        if settings.redis_secret_file:
            from pdp.parts import cache_seal

            cache_seal(settings)
        client = open_redis(redis_place(settings), deadline_s=_PATIENCE_S, max_connections=1)
    except SekishoError as fault:
        return [fail(topic, fault.message, fault.next_step)]
    began = perf_counter()
    try:
        await client.execute_command("PING")
    except (RedisError, OSError, TimeoutError) as fault:
        look = pick("Redis の稼働・アドレス・認証情報を確認する", "look at Redis, its address and its credentials")
        return [warn(topic, pick("応答なし", "does not answer") + f": {type(fault).__name__}", look)]
    finally:
        await client.aclose()
    return [ok(topic, f"{(perf_counter() - began) * 1_000:.1f} ms")]
