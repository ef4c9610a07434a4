"""A real Traefik in front of a real server, configured by deploy/traefik with nothing replaced but addresses and file
names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from tests.envoy_server import GATEWAY_KEY, HOST, Front, Issuer, Upstream
from tests.http_server import serving
from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPLOYED = Path(__file__).resolve().parents[1] / "deploy" / "traefik" / "sekisho.yaml"
STATIC = DEPLOYED.with_name("traefik.yaml")


def traefik_binary() -> str:
    """Skips the test, saying what to install, where there is no Traefik (tests/conftest.py: CI fails on it)."""
    found = shutil.which("traefik", path=str(OWN_TOOLS)) or shutil.which("traefik")
    if found is None:
        pytest.skip("no `traefik` in .tools/bin or PATH: install it with `make tools`")
    return found


def deployed(folder: Path, *, pdp_port: int, upstream_port: int) -> str:
    """The deployed dynamic file with its addresses and file names replaced, and nothing else."""
    return _replaced(
        DEPLOYED,
        ("/etc/traefik", str(folder)),
        ("127.0.0.1:8080", f"127.0.0.1:{pdp_port}"),
        ("192.0.2.10:80", f"127.0.0.1:{upstream_port}"),
        ("192.0.2.11:80", f"127.0.0.1:{upstream_port}"),
    )


def _replaced(file: Path, *pairs: tuple[str, str]) -> str:
    text = file.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


@contextmanager
def traefik(
    folder: Path, text: str, port: int, front: Front, *, key: str = GATEWAY_KEY
) -> Iterator[subprocess.Popen[bytes]]:
    """A running Traefik until the block ends; its own words are in `folder/traefik.log`. Ended by its pid."""
    (folder / "sekisho.yaml").write_text(text, encoding="utf-8")
    static = _replaced(STATIC, ("/etc/traefik", str(folder)), ('":8443"', f'"127.0.0.1:{port}"'))
    (folder / "traefik.yaml").write_text(static, encoding="utf-8")
    with (folder / "traefik.log").open("wb") as words:
        process = subprocess.Popen(
            [traefik_binary(), f"--configFile={folder / 'traefik.yaml'}"],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env={**os.environ, "SEKISHO_KEY": key, "GOMAXPROCS": "2"},
        )
    try:
        deadline = time.monotonic() + START_S
        while not _routes(front):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "traefik.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError("traefik did not start: " + said[-2000:])
            time.sleep(LOOK_AGAIN_S)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _routes(front: Front) -> bool:
    """Its port is open before it has read its routers and its certificate; this request reaches no PDP's decision."""
    try:
        return front.ask("/groupware/", timeout_s=5).status != 404
    except OSError:
        return False


@contextmanager
def traefik_gateway(
    app: object,
    folder: Path,
    *,
    change: Callable[[str], str] | None = None,
    pdp_port: int | None = None,
    key: str = GATEWAY_KEY,
    issuer: Issuer | None = None,
    patient: bool = True,  # its deadline is 30 s and cannot be set
) -> Iterator[Front]:
    """Traefik, `app` as its PDP (or whoever listens on `pdp_port`), and an upstream. `change` may alter the text."""
    traefik_binary()
    authority, issuer = Authority(folder), issuer or Issuer()
    authority.issue(HOST, "server", host=HOST)
    shutil.copy(authority.certificate, folder / "device-ca.pem")
    terminal = authority.issue("terminal, d-1", "terminal")
    upstream, port = Upstream(), free_port()
    with serving(app) as own_port, serving(upstream) as upstream_port:
        text = deployed(folder, pdp_port=pdp_port or own_port, upstream_port=upstream_port)
        text = text if change is None else change(text)
        front = Front({"front": port}, issuer, authority.certificate, terminal, upstream)
        with traefik(folder, text, port, front, key=key):
            yield front
