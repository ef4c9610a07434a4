"""A real nginx in front of a real server, configured by deploy/nginx/sekisho.conf with nothing replaced but addresses
and file names.
"""

from __future__ import annotations

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

DEPLOYED = Path(__file__).resolve().parents[1] / "deploy" / "nginx" / "sekisho.conf"

# What Debian's /etc/nginx/nginx.conf says around it, for a process of an ordinary user.
AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sekisho.conf;
}}
"""


def nginx_binary() -> str:
    """Skips the test, saying what to install, where there is no nginx (tests/conftest.py: CI fails on it)."""
    found = shutil.which("nginx", path=str(OWN_TOOLS)) or shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip("no `nginx` in .tools/bin or /usr/sbin: install it with `make tools`")
    return found


def deployed(folder: Path, *, pdp_port: int, upstream_port: int, port: int) -> str:
    """The deployed file with its addresses and file names replaced, and nothing else."""
    text = DEPLOYED.read_text(encoding="utf-8")
    for old, new in (
        ("/etc/sekisho", str(folder)),
        ("127.0.0.1:8080", f"127.0.0.1:{pdp_port}"),
        ("listen 8443", f"listen 127.0.0.1:{port}"),
        ("192.0.2.10:80", f"127.0.0.1:{upstream_port}"),
        ("192.0.2.11:80", f"127.0.0.1:{upstream_port}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def prepare(folder: Path, key: str = GATEWAY_KEY) -> Authority:
    """The files that the deployed one names."""
    authority = Authority(folder)
    server = authority.issue(HOST, "server", host=HOST)
    shutil.copy(authority.certificate, folder / "device-ca.pem")
    assert server.certificate == folder / "server.pem"
    (folder / "nginx-key.conf").write_text(f'proxy_set_header X-Pdp-Key "{key}";\n', encoding="utf-8")
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder), encoding="utf-8")
    return authority


def check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """`nginx -t`."""
    (folder / "sekisho.conf").write_text(text, encoding="utf-8")
    command = [nginx_binary(), "-t", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@contextmanager
def nginx(folder: Path, text: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A running nginx until the block ends; its own words are in `folder/error.log`. Ended by its pid."""
    (folder / "sekisho.conf").write_text(text, encoding="utf-8")
    command = [nginx_binary(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with (folder / "stderr").open("wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words)
    try:
        deadline = time.monotonic() + START_S
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                said = (folder / "stderr").read_text(encoding="utf-8", errors="replace")
                raise RuntimeError("nginx did not start: " + said[-2000:])
            time.sleep(LOOK_AGAIN_S)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def with_patience(text: str) -> str:
    """With long deadlines: a busy machine must not turn an answer into a 503."""
    text, found = re.subn(r"(proxy_(?:connect|send|read)_timeout) \d+ms;", r"\1 20s;", text)
    assert found == 3
    return text


@contextmanager
def nginx_gateway(
    app: object,
    folder: Path,
    *,
    change: Callable[[str], str] | None = None,
    pdp_port: int | None = None,
    key: str = GATEWAY_KEY,
    issuer: Issuer | None = None,
    patient: bool = False,
) -> Iterator[Front]:
    """nginx, `app` as its PDP (or whoever listens on `pdp_port`), and an upstream. `change` may alter the text.

    A `patient` one has long deadlines.
    """
    nginx_binary()
    authority, issuer = prepare(folder, key), issuer or Issuer()
    terminal = authority.issue("terminal, d-1", "terminal")
    upstream, port = Upstream(), free_port()
    with serving(app) as own_port, serving(upstream) as upstream_port:
        text = deployed(folder, pdp_port=pdp_port or own_port, upstream_port=upstream_port, port=port)
        text = with_patience(text) if patient else text
        with nginx(folder, text if change is None else change(text), port):
            yield Front({"front": port}, issuer, authority.certificate, terminal, upstream)
