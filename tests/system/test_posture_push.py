"""A terminal that turns bad is reported to `pdp serve`, and every worker's next decision is a deny."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

from tests.http_server import serving as http_serving
from tests.simulators.pan_os import drives, hip_report
from tests.system.test_serve import ANSWER_S, Question, Served, paused, reachable, serving, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

DEVICE = "d-demo-pc"
GOOD = {"certificate": True, "disk_encrypted": True, "edr_running": True, "edr_risk": "none", "tampered": False}


class Worker:
    """A client that one worker answers: it connects while the other one stands still and cannot take it."""

    def __init__(self, question: Question, other: int | None = None) -> None:
        parts = urlsplit(question.url)
        assert parts.hostname is not None
        self._question = question
        self._path = parts.path
        self._other = other
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=ANSWER_S)
        self.connection = closing(self._connection)

    def call(self, method: str, path: str, body: Any = None, **headers: str | None) -> tuple[int, Any]:
        sent = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self._question.key}", "Content-Type": "application/json", **headers}
        given = {name: value for name, value in given.items() if value is not None}
        try:
            return self._exchange(method, path, sent, given)
        except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):  # idle for longer than the server keeps it
            self._connection.close()
            return self._exchange(method, path, sent, given)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        if self._connection.sock is None and self._other is not None:
            with paused(self._other):
                self._connection.connect()
                self._connection.request("GET", "/healthz")
                self._connection.getresponse().read()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def decide(self) -> tuple[bool, list[str]]:
        status, answer = self.call("POST", self._path, self._question.body)
        assert status == 200, answer
        return answer["decision"], answer["context"]["reasons"]

    def push(self, facts: dict[str, Any], observed_at: datetime, device: str = DEVICE) -> tuple[int, Any]:
        body = {"observed_at": observed_at.isoformat(), "facts": facts}
        return self.call("PUT", f"/posture/v1/devices/{device}", body)


_latest = [datetime.now(UTC)]


def later() -> datetime:
    """A time after every one before: the tests share the device, and run in any order."""
    _latest.append(max(datetime.now(UTC), _latest[-1] + timedelta(milliseconds=1)))
    return _latest[-1]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, Worker]]:
    with serving(tmp_path_factory.mktemp("push"), "--workers", "2") as served, ExitStack() as stack:
        question = served.question()
        until(lambda: reachable(question.url), "nobody listens", served.process)
        first, second = workers_of(served)
        here, there = Worker(question, other=second), Worker(question, other=first)
        for worker in (here, there):
            stack.enter_context(worker.connection)
            assert worker.decide()[0] is True
        yield here, there


def workers_of(served: Served) -> list[int]:
    def two() -> list[int] | None:
        pids = sorted(set(served.evaluators().values()))
        return pids if len(pids) == 2 else None

    pids: list[int] = until(two, "no two workers", served.process)
    return pids


def all_say(workers: tuple[Worker, ...], holds: Callable[[bool, list[str]], bool], what: str) -> None:
    for worker in workers:
        until(lambda worker=worker: holds(*worker.decide()), what)


def test_a_bad_posture_denies_on_both_workers_and_a_good_one_allows_again(both: tuple[Worker, Worker]) -> None:
    here, there = both
    bad = later()

    assert here.push({**GOOD, "edr_risk": "high"}, bad)[1]["kept"] == "this"
    all_say(both, lambda allowed, reasons: not allowed and "EDR_RISK_HIGH" in reasons, "no deny")

    assert there.push(GOOD, bad - timedelta(seconds=5))[1]["kept"] == "newer"
    assert here.decide()[0] is False and there.decide()[0] is False

    assert there.push(GOOD, later())[1]["kept"] == "this"
    all_say(both, lambda allowed, _: allowed, "no allow")


def test_a_batch_and_a_hip_report_reach_both_workers(both: tuple[Worker, Worker]) -> None:
    here, there = both
    tampered = {"device": DEVICE, "observed_at": later().isoformat(), "facts": {**GOOD, "tampered": True}}

    status, answer = here.call("POST", "/posture/v1/devices", {"reports": [tampered, {**tampered, "device": "d-none"}]})
    assert (status, [result["status"] for result in answer["results"]]) == (207, [200, 404])
    all_say(both, lambda allowed, reasons: not allowed and "DEVICE_TAMPERED" in reasons, "no deny")

    report = hip_report("PC-0001", serial="nobodys", encryption=drives(("C:", "unencrypted")))
    status, answer = there.call("POST", "/posture/v1/hip", report.encode(), **{"Content-Type": "application/xml"})
    assert (status, answer["error"]["code"]) == (404, "unknown_device")

    assert there.push(GOOD, later())[1]["kept"] == "this"
    all_say(both, lambda allowed, _: allowed, "no allow")


def test_what_is_held_is_shown_by_the_other_worker(both: tuple[Worker, Worker]) -> None:
    here, there = both
    assert here.push(GOOD, later())[0] == 200
    status, held = there.call("GET", f"/posture/v1/devices/{DEVICE}")
    assert status == 200
    assert "push:demo-gateway" in [report["source"] for report in held["reports"]]
    assert held["together"]["facts"]["edr_risk"] == "none"


def test_who_has_no_key_pushes_nothing(both: tuple[Worker, Worker]) -> None:
    status, _ = both[0].call("PUT", f"/posture/v1/devices/{DEVICE}", {}, Authorization="Bearer none")
    assert status == 401
    assert both[0].decide()[0] is True


def test_a_worker_without_redis_denies_at_its_next_decisions(tmp_path: Path) -> None:
    config = tmp_path / "pdp.toml"  # the working directory of what is started
    config.write_text("demo_valkey = false\n", encoding="utf-8")
    with serving(tmp_path) as served:
        worker = Worker(served.question())
        with worker.connection:
            assert worker.decide()[0] is True
            assert worker.push({**GOOD, "edr_risk": "high"}, later())[1]["kept"] == "this"
            all_say((worker,), lambda allowed, _: not allowed, "no deny")
    assert "Traceback" not in served.stderr


# --- Cloudflare, behind its own Access


class Team:
    """The page on which an account publishes its keys."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        public = jwk.construct(self._pem(self._private.public_key()), "RS256").to_dict()
        self._keys = {"keys": [{**public, "kid": "k-1", "use": "sig", "alg": "RS256"}]}

    @staticmethod
    def _pem(key: Any) -> str:
        kind = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return key.public_bytes(*kind).decode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self._keys).encode()})

    def sign(self, claims: dict[str, Any], private: Any = None) -> str:
        kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pem = (private or self._private).private_bytes(*kind).decode()
        return jwt.encode(claims, pem, algorithm="RS256", headers={"kid": "k-1"})


def test_cloudflare_behind_access_is_known_by_what_access_signs(tmp_path: Path) -> None:
    team = Team()
    with http_serving(team) as port:
        domain = f"http://127.0.0.1:{port}"
        (tmp_path / "pdp.toml").write_text(
            f'demo_valkey = false\n[cloudflare]\nteam_domain = "{domain}"\nprivate_hosts = ["127.0.0.1"]\n'
            'posture_audience = "tag-1"\nposture_client_id = "client-1.access"\n',
            encoding="utf-8",
        )
        with serving(tmp_path) as served:
            worker = Worker(served.question())
            now = int(datetime.now(UTC).timestamp())
            good = {
                "iss": domain,
                "aud": ["tag-1"],
                "type": "app",
                "common_name": "client-1.access",
                "sub": "",
                "iat": now,
                "exp": now + 600,
            }
            stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

            def status(assertion: str) -> int:
                headers: dict[str, str | None] = {"Authorization": None, "Cf-Access-Jwt-Assertion": assertion}
                body = {"devices": [{"device_id": "uuid-1", "serial_number": "5CG"}]}
                found, answer = worker.call("POST", "/cloudflare/posture/v1/devices", body, **headers)
                assert found != 200 or answer == {"result": {"uuid-1": {"s2s_id": "", "score": 0}}}
                return found

            with worker.connection:
                assert status(team.sign(good)) == 200
                assert status(team.sign(good, stranger)) == 401
                assert status(team.sign({**good, "aud": ["tag-2"]})) == 401
                assert status(team.sign({**good, "common_name": "another.access"})) == 401
                assert status(team.sign({**good, "exp": now - 1})) == 401
                assert status("none") == 401
        assert "Traceback" not in served.stderr
