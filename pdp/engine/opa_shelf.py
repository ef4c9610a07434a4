"""What stands on an OPA server: bundles are put there, looked after, and taken away when nobody needs them.

A register (`data.sekisho_register`) names every bundle with its policies, so that one worker can tidy up what
another has left. It is only bookkeeping: no evaluation trusts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from opa_client.errors import PolicyNotFoundError

from pdp.engine.opa_client import AnswerTooLargeError, OpaRefusalError
from pdp.engine.opa_namespace import OURS
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Collection

    from pdp.engine.opa_client import OpaClient
    from pdp.engine.opa_namespace import Namespace

KEPT_BUNDLES: Final = 4  # the newest ones: the active one, the one before it, and what other workers still use
_REGISTER: Final = "sekisho_register"
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500

# What a request through the client can raise, beyond a refusal.
_BROKEN = (aiohttp.ClientError, OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, AnswerTooLargeError)


class Shelf:
    """The bundles on one server. `client` is its own: loading takes longer than an evaluation may."""

    def __init__(self, client: OpaClient) -> None:
        self._client = client
        self._turn = asyncio.Lock()

    async def put(self, namespace: Namespace) -> None:
        """Load all of a bundle, its gate last.

        Raises BundleError where OPA refuses a part of it, EngineError where OPA cannot be used.
        """
        async with self._turn:
            try:
                await self._client.open()
                await self._put(namespace)
            except OpaRefusalError as refusal:
                raise _reading(refusal, namespace) from None
            except TimeoutError:
                raise EngineTimeoutError("the OPA server did not take the bundle in time") from None
            except _BROKEN as fault:
                raise EngineDiedError(f"the OPA server cannot be reached: {type(fault).__name__}") from None

    async def _put(self, namespace: Namespace) -> None:
        entry = {"policies": list(namespace.ids), "data": namespace.data_path, "at": time.time_ns()}
        await self._client.update_or_create_data(entry, f"{_REGISTER}/{namespace.short}")
        await self._client.update_or_create_data(dict(namespace.data), namespace.data_path)
        for id_, text in namespace.stubs.items():
            await self._client.update_policy_from_string(text, quote(id_), rego_compat=False)
        for id_, module in namespace.modules.items():
            await self._client.update_policy_from_string(module.text, quote(id_), rego_compat=False)
        for id_ in namespace.modules:
            policy = await self._client.get_policy(quote(id_))
            if namespace.strays(policy.get("result", {}).get("ast")):
                raise BundleError("a reference to `data` cannot be moved", where=namespace.readable(id_))
        await self._client.update_policy_from_string(namespace.gate, quote(namespace.gate_id), rego_compat=False)

    async def take_away(self, namespace: Namespace) -> None:
        """Remove what there is of a bundle. What cannot be removed stays: without its gate it answers nothing."""
        async with self._turn:
            await self._remove(namespace.short, namespace.ids, namespace.data_path)

    async def tidy(self, kept: Collection[str]) -> None:
        """Remove all but the newest bundles and `kept`. A worker that still uses one loads it anew."""
        async with self._turn:
            for short, entry in (await self._register())[KEPT_BUNDLES:]:
                policies, data_path = entry.get("policies"), entry.get("data")
                ours = isinstance(policies, list) and all(str(one).startswith(OURS) for one in policies)
                if short not in kept and ours and str(data_path).startswith(OURS):  # nothing of other tenants
                    await self._remove(short, entry["policies"], entry["data"])

    async def _register(self) -> list[tuple[str, dict[str, Any]]]:
        try:
            found = (await self._client.get_data(_REGISTER))["result"]
        except (PolicyNotFoundError, OpaRefusalError, TimeoutError, *_BROKEN):
            return []
        entries = [(short, entry) for short, entry in found.items() if isinstance(entry, dict)]
        return sorted(entries, key=lambda one: int(one[1].get("at", 0)), reverse=True)

    async def _remove(self, short: str, policies: Collection[str], data_path: str) -> None:
        for id_ in policies:  # the gate comes first
            with contextlib.suppress(OpaRefusalError, TimeoutError, *_BROKEN):
                await self._client.delete_policy(quote(id_))
        for path in (data_path, f"{_REGISTER}/{short}"):
            with contextlib.suppress(OpaRefusalError, TimeoutError, *_BROKEN):
                await self._client.delete_data(path)

    async def close(self) -> None:
        await self._client.close_connection()


def _reading(refusal: OpaRefusalError, namespace: Namespace) -> BundleError | EngineError:
    """A refusal of a policy or of data is the bundle's fault; one of us, or a failing server, is not."""
    first = refusal.errors[0] if refusal.errors else {}
    message = namespace.readable(" ".join(str(first.get("message") or refusal.message).split()))
    if refusal.status == _CLIENT_ERROR:
        return BundleError(message, where=namespace.where(first.get("location")))
    if _CLIENT_ERROR < refusal.status < _SERVER_ERROR:
        return EngineError(f"the OPA server refuses us with status {refusal.status}")
    return EngineError(f"the OPA server failed with status {refusal.status}: {message}")
