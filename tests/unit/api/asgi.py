"""An ASGI server of a few lines, so that a test can say what the client sends, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message

GONE: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Exchange:
    """One request. After its `parts` the client stays silent, or is gone where the last part says so."""

    def __init__(
        self,
        path: str = "/own",
        *,
        method: str = "POST",
        headers: Iterable[tuple[str, str]] = (),
        parts: Iterable[Message] | None = None,
        **scope: Any,
    ) -> None:
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("192.0.2.1", 50_000),
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 8080),
            "root_path": "",
            **scope,
        }
        self._parts = list(parts if parts is not None else [part(b"", more=False)])
        self.sent: list[Message] = []
        self.received = 0

    async def receive(self) -> Message:
        if not self._parts:
            await anyio.sleep_forever()
        self.received += 1
        return self._parts.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, app: ASGIApp) -> Exchange:
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        pairs = [(name.decode(), value.decode("latin-1")) for name, value in self.sent[0]["headers"]]
        assert len(dict(pairs)) == len(pairs), "a header stands twice"
        return dict(pairs)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])
