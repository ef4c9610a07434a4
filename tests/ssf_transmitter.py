"""A transmitter of shared signals on loopback: it signs whatever it is told, delivers by poll, and can lie.

`lie` makes one path answer otherwise: a status, a body, an endless body, or nothing for a while.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.request import Request, urlopen

from tests.tokens import jwk, rsa_key, signed_raw

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
AUDIENCE = "https://pdp.example.com"
TOKEN = "poll-token-0123456789"
_numbers = count(1)


def signed_set(
    issuer: str,
    event: str,
    subject: dict[str, Any],
    *,
    at: float,
    key: Any = None,
    kid: str = "rsa-1",
    members: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    without: str = "",
    **claims: Any,
) -> str:
    """A SET that holds, but for what is said. `at`: its `iat`."""
    head = {"alg": "RS256", "typ": "secevent+jwt", "kid": kid, **(header or {})}
    payload = {
        "iss": issuer,
        "jti": f"set-{next(_numbers)}",
        "iat": int(at),
        "aud": AUDIENCE,
        "sub_id": subject,
        "events": {event: members or {}},
        **claims,
    }
    payload = {name: value for name, value in payload.items() if name != without}
    return signed_raw(json.dumps(head).encode(), json.dumps(payload).encode(), key or rsa_key())


def id_of(text: str) -> str:
    import base64

    payload = text.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["jti"])


@dataclass
class Lie:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    endless: bytes = b""
    wait_s: float = 0.0


class Transmitter:
    """`offered`: SETs that wait, by jti; `polls`, `verifications`: what was asked of it."""

    def __init__(self) -> None:
        self.keys = [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]
        self.offered: dict[str, str] = {}
        self.polls: list[dict[str, Any]] = []
        self.acked: list[str] = []
        self.refused: dict[str, dict[str, str]] = {}
        self.verifications: list[dict[str, Any]] = []
        self.lies: dict[str, Lie] = {}
        self.critical: list[str] = []
        self.key_reads = 0
        self._new = threading.Condition()
        self.url = ""

    def offer(self, *texts: str) -> None:
        with self._new:
            self.offered.update({id_of(text): text for text in texts})
            self._new.notify_all()

    def set(self, event: str, subject: dict[str, Any], **more: Any) -> str:
        return signed_set(self.url, event, subject, **{"at": time.time(), **more})

    def metadata(self) -> dict[str, Any]:
        found = {
            "spec_version": "1_0",
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks.json",
            "verification_endpoint": f"{self.url}/verify",
        }
        return {**found, "critical_subject_members": self.critical} if self.critical else found

    def poll(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._new:
            self.polls.append(body)
            for jti in body.get("ack", []):
                self.acked.append(jti)
                self.offered.pop(jti, None)
            for jti, err in body.get("setErrs", {}).items():
                self.refused[jti] = err
                self.offered.pop(jti, None)
            if not body.get("returnImmediately") and not self.offered:
                self._new.wait(2.0)
            most = body.get("maxEvents", 100)
            sets = dict(list(self.offered.items())[:most])
        return {"sets": sets, "moreAvailable": len(sets) < len(self.offered)}


def push(url: str, text: str | bytes, token: str = TOKEN, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """(status, body, headers) of the answer to a pushed SET."""
    from urllib.error import HTTPError

    given = {
        "Content-Type": "application/secevent+jwt",
        "Accept": "application/json",
        "Authorization": f"Bearer {token}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    request = Request(url, text.encode() if isinstance(text, str) else text, given)
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers)
    except HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read() or b"{}"), dict(refusal.headers)


@contextmanager
def transmitting() -> Iterator[Transmitter]:
    made = Transmitter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            if self._lied():
                return
            if self.path == "/.well-known/ssf-configuration":
                self._say(200, made.metadata())
            elif self.path == "/jwks.json":
                made.key_reads += 1
                self._say(200, {"keys": made.keys})
            else:
                self._say(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._lied():
                return
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._say(401, {})
            elif self.path.startswith("/poll?stream_id="):
                assert "setErrs" not in body or self.headers["Content-Language"]
                self._say(200, made.poll(body))
            elif self.path == "/verify":
                made.verifications.append(body)
                self._say(204, None)
            else:
                self._say(404, {})

        def _lied(self) -> bool:
            lie = made.lies.get(self.path.partition("?")[0])
            if lie is None:
                return False
            time.sleep(lie.wait_s)
            if not lie.endless:
                self._send(lie.status, lie.body, lie.headers)
                return True
            self.send_response(lie.status)
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                while True:
                    self.wfile.write(lie.endless)
            return True

        def _say(self, status: int, body: Any) -> None:
            self._send(status, b"" if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            with suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="transmitter", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
