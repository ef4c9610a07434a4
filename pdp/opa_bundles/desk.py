"""`GET /bundles/policy.tar.gz`, as OPA's bundle plugin asks: entity tags, and long polling where it is asked for.

What is served is what this worker decides by. An OPA that asks two workers during an activation may be given the new
policy and then once more the old one; half a second later both give the new one.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from pdp.errors import NotFoundError, NotPermittedError, SekishoError
from pdp.opa_bundles.tarball import pack
from pdp.wire.error_answer import error_answer
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.bundle.bundle import Bundle
    from pdp.callers.caller import Caller
    from pdp.opa_bundles.tarball import Packed
    from pdp.revisions.statement import SigningKey
    from pdp.wire.exchange import HttpRequest

NAME: Final = "policy.tar.gz"
MAX_WAIT_S: Final = 300.0  # of one long poll: proxies end an idle connection after a few minutes
MAX_WAITING: Final = 200  # long polls of one worker at once; who comes then is answered at once
LOOK_S: Final = 0.25  # between two looks at what decides, which are a comparison in memory
_LONG_POLL: Final = "application/vnd.openpolicyagent.bundles"  # tells an OPA that its wait was understood
_GZIP: Final = "application/gzip"
_WAIT: Final = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})(?:$|[;,\s])")


class BundleDesk:
    """`active`: what decides here. `key`: signs, where there is one; read for each new policy."""

    def __init__(
        self,
        introduce: Callable[[HttpRequest], Awaitable[Caller]],
        active: Callable[[], Bundle],
        key: Callable[[], SigningKey | None],
    ) -> None:
        self._introduce = introduce
        self._active = active
        self._key = key
        self._packed: tuple[str, Packed] | None = None
        self._waiting = 0

    async def answer(self, request: HttpRequest, name: str) -> HttpAnswer:
        try:
            caller = await self._introduce(request)
            if not caller.may("read_bundles"):
                raise NotPermittedError("this caller may not pull bundles")
            if name != NAME:
                raise NotFoundError(f"there is no bundle `{name[:64]}`", next_step=f"pull `/bundles/{NAME}`")
            known = request.header("if-none-match")
            wait_s = _wait_s(request.header("prefer"))
            packed = await self._current()
            if _is_known(packed.etag, known) and wait_s:
                packed = await self._changed(packed, wait_s)
        except SekishoError as fault:
            return error_answer(fault)
        headers = (
            ("etag", packed.etag),
            ("content-type", _LONG_POLL if wait_s else _GZIP),
            ("cache-control", "no-cache"),
        )
        if _is_known(packed.etag, known):
            return HttpAnswer(304, headers)
        return HttpAnswer(200, headers, packed.body)

    async def _current(self) -> Packed:
        """Raises NotReadyError where nothing decides, SettingsError where the key cannot be read."""
        bundle = self._active()
        if self._packed is None or self._packed[0] != bundle.digest:
            packed = await asyncio.to_thread(lambda: pack(bundle, self._key()))
            self._packed = (bundle.digest, packed)
        return self._packed[1]

    async def _changed(self, packed: Packed, wait_s: float) -> Packed:
        """The next one, or this one where nothing changes in time."""
        if self._waiting >= MAX_WAITING:
            return packed
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                while (found := await self._current()).etag == packed.etag:  # noqa: ASYNC110  # the worker says nothing
                    await asyncio.sleep(LOOK_S)
                return found
        except TimeoutError:
            return packed
        finally:
            self._waiting -= 1


def _wait_s(prefer: str | None) -> float:
    """Of `Prefer: modes=snapshot,delta;wait=N` (RFC 7240 section 4.3); 0 where nobody asks for it."""
    found = _WAIT.search(prefer or "")
    return 0.0 if found is None else min(float(found[1]), MAX_WAIT_S)


def _is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether one of the tags is this one; proxies that compress make them weak (RFC 9110 section 8.8.3.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return etag in tags or etag.strip('"') in tags
