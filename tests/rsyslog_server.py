"""A real rsyslog that takes syslog over TLS (OpenSSL's driver) and writes each message into a file."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, free_port, listens

if TYPE_CHECKING:
    from tests.certificates import Credential

TREE = OWN_TOOLS.parent / "rsyslog"

CONFIG = """
global(
  workDirectory="{folder}"
  maxMessageSize="64k"
  defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="{ca}"
  defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}"
  parser.escapeControlCharactersOnReceive="off"
)
# What it has read it has written when it ends: by itself it gives that a second and a half, however busy the machine.
main_queue(queue.timeoutShutdown="15000" queue.timeoutActionCompletion="15000")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="whole" type="list") {{
  property(name="pri") constant(value="\\t") property(name="hostname") constant(value="\\t")
  property(name="app-name") constant(value="\\t") property(name="msgid") constant(value="\\t")
  property(name="structured-data") constant(value="\\t") property(name="msg") constant(value="\\n")
}}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="siem")
ruleset(name="siem") {{ action(type="omfile" file="{folder}/taken.log" template="whole" flushOnTXEnd="on") }}
"""


def rsyslog_binary() -> str:
    """Skips the test, saying what to install, where there is none (tests/conftest.py: CI fails on it)."""
    found = shutil.which("rsyslogd", path=str(OWN_TOOLS)) or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip("no `rsyslogd` in .tools/bin or /usr/sbin: install it with `make tools`")
    return found


class RsyslogServer:
    """Started by `start`; its port stays the same over restarts, and so does what it has taken."""

    def __init__(self, folder: Path, ca: Path, server: Credential) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        text = CONFIG.format(folder=folder, ca=ca, certificate=server.certificate, key=server.key, port=self.port)
        (folder / "rsyslog.conf").write_text(text, encoding="utf-8")

    def start(self) -> None:
        binary = rsyslog_binary()
        modules = [str(path) for path in TREE.glob("usr/lib/*/rsyslog")] if OWN_TOOLS in Path(binary).parents else []
        command = [binary, "-n", "-C", "-f", str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
        words = (self.folder / "words").open("ab")
        with words:
            self._process = subprocess.Popen(
                [*command, *([f"-M{modules[0]}"] if modules else [])],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        deadline = time.monotonic() + START_S
        while not listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError("rsyslog did not start: " + (self.folder / "words").read_text()[-2000:])
            time.sleep(LOOK_AGAIN_S)

    def kill(self) -> None:
        """Without a chance to write down what it holds in memory."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_S)
            self._process = None
            (self.folder / "pid").unlink(missing_ok=True)

    def taken(self) -> list[list[str]]:
        """Priority, host, application, message id, structured data and text of each message."""
        path = self.folder / "taken.log"
        if not path.exists():
            return []
        return [line.split("\t", 5) for line in path.read_text(encoding="utf-8").splitlines()]
