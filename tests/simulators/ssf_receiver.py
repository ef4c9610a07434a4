"""A receiver of pushed security events (RFC 8935) on loopback, and the ways in which receivers misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.http_server import serving


@dataclass
class Receiver:
    """`mode`: how it answers from now on. `taken`: the tokens that it answered 202 to; `seen`: all that came."""

    mode: str = "take"
    port: int = 0
    taken: list[str] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    refuses: str = ""  # only a token whose claims hold this text

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events?tenant=1"

    @property
    def delivery(self) -> dict[str, str]:
        return {"method": "urn:ietf:rfc:8935", "endpoint_url": self.url, "authorization_header": "Bearer s3cret"}

    def claims(self) -> list[dict[str, Any]]:
        return [claims_of(token) for token in self.taken]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        path = scope["path"] + "?" + scope["query_string"].decode()
        token = body.decode()
        self.seen.append((token, {**headers, ":method": scope["method"], ":path": path}))
        mode = "refuse" if self.refuses and self.refuses in json.dumps(claims_of(token)) else self.mode
        await self._answer(mode, token, send)

    async def _answer(self, mode: str, token: str, send: Any) -> None:
        status, headers, body = 202, [], b""
        match mode:
            case "take":
                self.taken.append(token)
            case "ok":
                status, body = 200, b"<html>welcome</html>"
            case "broken":
                status, body = 500, b"x" * 1_000_000
            case "redirect":
                status, headers = 307, [(b"location", f"http://127.0.0.1:{self.port}/elsewhere".encode())]
            case "slow":
                await asyncio.sleep(3_600)
            case "refuse":
                status, body = 400, json.dumps({"err": "invalid_request", "description": "not this one"}).encode()
            case "unknown_key":
                status, body = 400, json.dumps({"err": "invalid_key", "description": "who are you?"}).encode()
            case "babble":
                status, body = 400, b"[" * 100_000
            case "gibberish":
                status, body = 400, b"\xff{"
            case "endless":
                await send({"type": "http.response.start", "status": 400, "headers": []})
                for _ in range(500):  # as endless as anybody has time for
                    await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
                    await asyncio.sleep(0)
                return
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def claims_of(token: str) -> dict[str, Any]:
    """Not verified."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@contextmanager
def receiving(mode: str = "take") -> Iterator[Receiver]:
    """A receiver that answers until the block ends."""
    receiver = Receiver(mode)
    with serving(receiver) as port:
        receiver.port = port
        yield receiver
