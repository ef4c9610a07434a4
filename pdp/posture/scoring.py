"""Scores for Cloudflare: who asks, which of our devices are meant, and what is known of them at this instant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.errors import (
    BadRequestError,
    DirectoryError,
    NotFoundError,
    NotPermittedError,
    NotReadyError,
    PayloadTooLargeError,
    SekishoError,
    UnsupportedMediaError,
)
from pdp.facts.device import device_facts
from pdp.facts.horizon import Horizon
from pdp.facts.membership import device_is_in
from pdp.posture.access import HEADER
from pdp.posture.naming import match_devices
from pdp.posture.problem import problem_answer
from pdp.posture.score import HIGHEST, LOWEST, score, thresholds_of
from pdp.strict_json import parse_json
from pdp.wire.cloudflare_posture import Scored, read_devices, score_answer, with_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from pdp.callers.caller import Caller
    from pdp.model.directory import Snapshot
    from pdp.model.rules import Condition
    from pdp.model.source import NameKind
    from pdp.sources.matching import Match
    from pdp.store.store import Store
    from pdp.wire.cloudflare_posture import Asked
    from pdp.wire.exchange import HttpAnswer, HttpRequest

MAX_BYTES: Final = 2 * 1024 * 1024  # a thousand devices have 300 KB
READ_S: Final = 10.0
SOURCE: Final = "cloudflare"  # of the aliases `vendor_id` that are Cloudflare's device ids
_NOBODY: Final = ""  # the subject: a score is of the device alone


@dataclass(frozen=True)
class Scorer:
    """`snapshot`: the directory on which decisions rest; `data`: the active bundle's. Both may raise NotReadyError."""

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    store: Store
    snapshot: Callable[[], Snapshot]
    data: Callable[[], Mapping[str, Any]]
    clock: Callable[[], datetime]
    access: Callable[[str], Awaitable[Caller]] | None = None  # the caller of an assertion of Cloudflare Access
    sets: Callable[[str], Sequence[Condition]] | None = None  # of exported rules, by name; None: there are none

    async def scores(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call of Cloudflare. An error is no answer: what it then holds is its own matter."""
        try:
            return await self._scores(request, self._score)
        except SekishoError as fault:
            return problem_answer(fault)

    async def memberships(self, request: HttpRequest, name: str) -> HttpAnswer:
        """100 for each device that is in this set of the exported rules, 0 for any other."""
        try:
            return await self._scores(request, lambda devices: self._members(devices, name))
        except SekishoError as fault:
            return problem_answer(fault)

    async def _scores(self, request: HttpRequest, rate: Callable[[Collection[str]], Mapping[str, int]]) -> HttpAnswer:
        caller = await self._caller(request)
        if not caller.may("read_posture"):
            raise NotPermittedError("this caller lacks the permission `read_posture`")
        if (request.header("content-type") or "").partition(";")[0].strip(" \t").lower() != "application/json":
            raise UnsupportedMediaError("the content type must be `application/json`")
        if len(request.body) > MAX_BYTES:
            raise PayloadTooLargeError(f"the body is larger than {MAX_BYTES} bytes")
        asked = read_devices(parse_json(request.body, max_bytes=MAX_BYTES))
        if asked:
            caller.spend(len(asked) - 1)
        ours = await self._ours(asked)
        rated = rate(set(ours.values()))
        return score_answer(asked, {them: Scored(our, rated[our]) for them, our in ours.items() if our in rated})

    async def _caller(self, request: HttpRequest) -> Caller:
        """Who calls: what Access says, where a site has it in front; then the id and secret are Access's own matter."""
        assertion = request.header(HEADER)
        if self.access is None or assertion is None:
            return await self.introduce(with_key(request))
        if any(name in ("authorization", "x-api-key") for name, _ in request.headers):
            raise BadRequestError("the request carries two different credentials; send one")
        return await self.access(assertion)

    async def _ours(self, asked: Sequence[Asked]) -> dict[str, str]:
        """Our device for each of theirs that is known, by its serial number and Cloudflare's own id."""
        try:
            async with asyncio.timeout(READ_S):
                matches = await asyncio.to_thread(self._match, [(_names(device), SOURCE) for device in asked])
        except (DirectoryError, TimeoutError):
            raise NotReadyError("the directory cannot be read") from None
        pairs = zip(asked, matches, strict=True)
        return {device.device_id: match.device for device, match in pairs if match.device is not None}

    def _match(self, asked: Sequence[tuple[Mapping[NameKind, str], str]]) -> list[Match]:
        with self.store.read() as connection:
            return match_devices(connection, asked)

    def _score(self, devices: Collection[str]) -> dict[str, int]:
        snapshot, thresholds, now = self.snapshot(), thresholds_of(self.data()), self.clock()
        return {
            device: score(device_facts(device, None, _NOBODY, snapshot, Horizon(now)), thresholds)
            for device in devices
            if device in snapshot.devices
        }

    def _members(self, devices: Collection[str], name: str) -> dict[str, int]:
        if self.sets is None:
            raise NotFoundError("there is no such set")
        snapshot, conditions, now = self.snapshot(), self.sets(name), self.clock()
        inside = {device for device in devices if device_is_in(device, conditions, snapshot, Horizon(now))}
        return {device: HIGHEST if device in inside else LOWEST for device in devices if device in snapshot.devices}


def _names(device: Asked) -> dict[NameKind, str]:
    names: dict[NameKind, str] = {"vendor_id": device.device_id}
    return names if device.serial is None else {"serial": device.serial, **names}
