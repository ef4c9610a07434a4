"""The floor: an ASGI application that reads the body and says one recorded answer, on our server's own options.

python -m bench.echo ANSWER PORT      ANSWER is JSON: status, headers, body
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn


def echo(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    start = {"type": "http.response.start", "status": status, "headers": headers}
    end = {"type": "http.response.body", "body": body}

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001  # the signature of ASGI
        while (await receive()).get("more_body"):
            pass
        await send(start)
        await send(end)

    return app


def main() -> None:
    answer = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    app = echo(answer["status"], headers, answer["body"].encode())
    # As in pdp/server.py.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
    )


if __name__ == "__main__":
    main()
