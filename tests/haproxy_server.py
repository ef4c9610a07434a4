"""A real HAProxy in front of a real server, configured by deploy/haproxy with nothing replaced but addresses and file
names.
"""

from __future__ import annotations

import os
import re
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
from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEPLOYED = Path(__file__).resolve().parents[1] / "deploy" / "haproxy" / "haproxy.cfg"
SCRIPT = DEPLOYED.with_name("sekisho.lua")


def haproxy_binary() -> str:
    """Skips the test, saying what to install, where there is no HAProxy (tests/conftest.py: CI fails on it)."""
    found = shutil.which("haproxy", path=str(OWN_TOOLS)) or shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip("no `haproxy` in .tools/bin or /usr/sbin: install it with `make tools`")
    return found


def deployed(folder: Path, *, upstream_port: int, port: int) -> str:
    """The deployed file with its addresses and file names replaced, and nothing else."""
    text = DEPLOYED.read_text(encoding="utf-8")
    for old, new in (
        ("/etc/sekisho", str(folder)),
        ("bind :8443", f"bind 127.0.0.1:{port}"),
        ("192.0.2.10:80", f"127.0.0.1:{upstream_port}"),
        ("192.0.2.11:80", f"127.0.0.1:{upstream_port}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def prepare(folder: Path) -> Authority:
    """The files that the deployed one names."""
    authority = Authority(folder)
    server = authority.issue(HOST, "server", host=HOST)
    shutil.copy(authority.certificate, folder / "device-ca.pem")
    (folder / "server-bundle.pem").write_bytes(server.certificate.read_bytes() + server.key.read_bytes())
    shutil.copy(SCRIPT, folder / "sekisho.lua")
    return authority


def environment(pdp_port: int, key: str) -> dict[str, str]:
    return {**os.environ, "SEKISHO_KEY": key, "SEKISHO_URL": f"http://127.0.0.1:{pdp_port}"}


def check(folder: Path, text: str, *, key: str = GATEWAY_KEY) -> subprocess.CompletedProcess[str]:
    """`haproxy -c`."""
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    command = [haproxy_binary(), "-c", "-f", str(folder / "haproxy.cfg")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment(1, key))


@contextmanager
def haproxy(
    folder: Path, text: str, port: int, *, pdp_port: int, key: str = GATEWAY_KEY
) -> Iterator[subprocess.Popen[bytes]]:
    """A running HAProxy until the block ends; its own words are in `folder/haproxy.log`. Ended by its pid."""
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    command = [haproxy_binary(), "-db", "-f", str(folder / "haproxy.cfg")]
    with (folder / "haproxy.log").open("wb") as words:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=environment(pdp_port, key)
        )
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "haproxy.log").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError("haproxy did not start: " + said[-2000:])
            time.sleep(LOOK_AGAIN_S)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def with_patience(folder: Path, text: str) -> str:
    """With long deadlines, in the script of `folder` too: a busy machine must not turn an answer into a 503."""
    script = folder / "sekisho.lua"
    lua, deadlines = re.subn(r"DEADLINE_MS = 500\b", "DEADLINE_MS = 20000", script.read_text(encoding="utf-8"))
    text, sessions = re.subn(r"(tune\.lua\.\w+-timeout) 2s", r"\1 30s", text)
    assert (deadlines, sessions) == (1, 2)
    script.write_text(lua, encoding="utf-8")
    return text


@contextmanager
def haproxy_gateway(
    app: object,
    folder: Path,
    *,
    change: Callable[[str], str] | None = None,
    pdp_port: int | None = None,
    key: str = GATEWAY_KEY,
    issuer: Issuer | None = None,
    patient: bool = False,
) -> Iterator[Front]:
    """HAProxy, `app` as its PDP (or whoever listens on `pdp_port`), and an upstream. `change` may alter the text.

    A `patient` one has long deadlines.
    """
    haproxy_binary()
    authority, issuer = prepare(folder), issuer or Issuer()
    terminal = authority.issue("terminal, d-1", "terminal")
    upstream, port = Upstream(), free_port()
    with serving(app) as own_port, serving(upstream) as upstream_port:
        text = deployed(folder, upstream_port=upstream_port, port=port)
        text = with_patience(folder, text) if patient else text
        text = text if change is None else change(text)
        with haproxy(folder, text, port, pdp_port=pdp_port or own_port, key=key):
            yield Front({"front": port}, issuer, authority.certificate, terminal, upstream)
