from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from pdp.errors import SettingsError
from pdp.transparency.anchor import anchor_line
from pdp.transparency.anchor_feed import AnchorFeed
from pdp.transparency.anchor_file import FileAnchor
from pdp.transparency.anchored import anchored_notes
from pdp.transparency.anchors import open_anchor
from tests.certificates import Authority
from tests.unit.declog.samples import Clock

NOTE = "a log\n7\nAAAA\n\n— a AAAA\n"


def opened(address: str, ca_file: str = ""):
    return open_anchor(address, node="node-1", clock=Clock(), ca_file=ca_file)


class Listener:
    """A syslog server that takes one connection after the other and keeps every byte."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(10)
        self._tls = tls
        self.port = self._server.getsockname()[1]

    def accept(self) -> socket.socket:
        peer, _ = self._server.accept()
        peer.settimeout(10)
        return peer if self._tls is None else self._tls.wrap_socket(peer, server_side=True)

    def close(self) -> None:
        self._server.close()


def message(peer: socket.socket) -> str:
    """One octet-counted message (RFC 6587, 3.4.1)."""
    length = b""
    while (letter := peer.recv(1)) != b" ":
        length += letter
    data = b""
    while len(data) < int(length):
        data += peer.recv(int(length) - len(data))
    return data.decode()


def check(text: str) -> None:
    head, _, body = text.partition(" checkpoint - ")
    assert head == "<109>1 2026-04-01T00:00:00.123456Z node-1 sekisho -"
    assert json.loads(body) == {"checkpoint": NOTE}


def test_a_file_is_only_appended_to_and_read_back(tmp_path: Path):
    path = tmp_path / "anchor"
    path.write_text("what stood there, cut o")
    anchor = opened(f"file:{path}")
    anchor.publish(NOTE)
    anchor.publish(NOTE)
    assert path.read_text() == "what stood there, cut o\n" + (anchor_line(NOTE) + "\n") * 2
    assert list(anchored_notes(path)) == [(2, NOTE), (3, NOTE)]


def test_a_new_file_begins_with_its_first_head_and_others_may_not_read_it(tmp_path: Path):
    path = tmp_path / "anchor"
    opened(f"file:{path}").publish(NOTE)
    assert path.read_text() == anchor_line(NOTE) + "\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_mount_that_is_gone_is_an_error_and_not_made_anew(tmp_path: Path):
    anchor = opened(f"file:{tmp_path / 'mount' / 'anchor'}")
    with pytest.raises(FileNotFoundError):
        anchor.publish(NOTE)
    assert not (tmp_path / "mount").exists()


def test_a_datagram_carries_one_message():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        opened(f"syslog+udp://127.0.0.1:{server.getsockname()[1]}").publish(NOTE)
        check(server.recv(4096).decode())


def test_a_stream_carries_counted_messages_over_one_connection_and_a_new_one_where_the_server_closed():
    listener = Listener()
    anchor = opened(f"syslog+tcp://127.0.0.1:{listener.port}")
    anchor.publish(NOTE)
    with listener.accept() as peer:
        check(message(peer))
        anchor.publish(NOTE)
        check(message(peer))
    anchor.publish(NOTE)  # noticed before it is sent: nothing is lost into a closed connection
    with listener.accept() as peer:
        check(message(peer))
    anchor.close()
    listener.close()
    with pytest.raises(OSError, match="refused"):
        anchor.publish(NOTE)


def test_a_tls_stream_is_taken_only_from_a_server_that_the_authority_names(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "other").mkdir()
    authority, stranger = Authority(tmp_path / "theirs"), Authority(tmp_path / "other")
    shown = authority.issue("logs", "logs", names=[x509.IPAddress(ip_address("127.0.0.1"))])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    listener = Listener(context)
    heard: list[str] = []

    def serve() -> None:
        with listener.accept() as peer:
            heard.append(message(peer))
        with suppress(OSError):
            listener.accept()

    serving = threading.Thread(target=serve)
    serving.start()
    address = f"syslog+tls://127.0.0.1:{listener.port}"
    trusting = opened(address, ca_file=str(authority.certificate))
    trusting.publish(NOTE)
    with pytest.raises(ssl.SSLCertVerificationError):
        opened(address, ca_file=str(stranger.certificate)).publish(NOTE)
    serving.join(10)
    trusting.close()
    listener.close()
    check(heard[0])


def test_an_address_that_names_no_anchor_is_refused():
    for address in (
        "", "file:relative", "http://a", "syslog://a", "syslog+udp://", "syslog+tcp://a:x", "syslog+tls://a/path", "syslog+tcp://u@a",
    ):  # fmt: skip
        with pytest.raises(SettingsError):
            opened(address)
    with pytest.raises(SettingsError, match="authorities"):
        opened("syslog+tls://a", ca_file="/nowhere")
    assert opened("syslog+tls://logs.example.jp").name == "syslog+tls://logs.example.jp:6514"
    assert opened("syslog+tcp://[::1]").name == "syslog+tcp://::1:601"


class Trial:
    """An anchor that fails while it is told to, and one that hangs while it is told to."""

    name = "trial"
    every_s = 0.0

    def __init__(self) -> None:
        self.fails = False
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.notes: list[str] = []
        self.arrived = threading.Event()
        self.closed = False

    def publish(self, note: str) -> None:
        self.entered.set()
        self.free.wait()
        if self.fails:
            raise OSError(28, "simulated")
        self.notes.append(note)
        self.arrived.set()

    def close(self) -> None:
        self.closed = True


def test_a_feed_brings_heads_in_order_and_says_how_far_it_is():
    trial = Trial()
    feed = AnchorFeed(trial)
    for size in (1, 2, 3):
        feed.offer(size, f"{size}")
    feed.close()
    assert trial.notes == ["1", "2", "3"]
    assert trial.closed
    assert (feed.health.published, feed.health.waiting, feed.health.dropped, feed.health.fault) == (3, 0, 0, None)


def test_an_anchor_that_fails_is_tried_again_and_loses_nothing():
    trial = Trial()
    trial.fails = True
    feed = AnchorFeed(trial, retry_s=0.01)
    feed.offer(1, "1")
    feed.offer(2, "2")
    assert trial.entered.wait(10)
    trial.entered.clear()
    assert trial.entered.wait(10)  # the second try
    assert feed.health.fault == "ENOSPC"
    trial.fails = False
    assert trial.arrived.wait(10)
    feed.close()
    assert trial.notes == ["1", "2"]
    assert feed.health.fault is None


def test_an_anchor_that_hangs_holds_nobody_and_costs_the_oldest_heads():
    trial = Trial()
    trial.free.clear()
    feed = AnchorFeed(trial, queue=3)
    feed.offer(1, "1")
    assert trial.entered.wait(10)
    for size in range(2, 8):
        feed.offer(size, f"{size}")
    assert (feed.health.waiting, feed.health.dropped) == (3, 3)
    feed.close(timeout_s=0.01)
    trial.free.set()
    feed.close()
    assert trial.notes == ["1", "5", "6", "7"]


def test_a_disk_that_is_full_is_an_error_with_its_name(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="space"):
        FileAnchor(Path("/dev/full")).publish(NOTE)
