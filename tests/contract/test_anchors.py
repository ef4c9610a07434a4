"""Signed heads in a real object store with Object Lock, and stamped by a real time-stamp authority."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.errors import SettingsError
from pdp.transparency.anchor import Anchor, AnchorError
from pdp.transparency.anchor_bucket import BucketAnchor
from pdp.transparency.anchor_feed import AnchorFeed
from pdp.transparency.anchored import anchored_notes
from pdp.transparency.anchors import open_anchor
from pdp.transparency.inspection import inspect
from pdp.transparency.place import ProofPlace
from pdp.transparency.timestamps import Roots, stamp_findings
from tests.flaky_proxy import flaky_proxy
from tests.s3_server import S3Server
from tests.tsa_server import TsaServer
from tests.unit.declog.logs import lines, writer_at
from tests.unit.declog.samples import Clock
from tests.unit.transparency.notaries import notary_at

LOCKED = "heads"


def real_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def opened() -> Iterator[Callable[..., Anchor]]:
    made: list[Anchor] = []

    def open_it(address: str, **others: object) -> Anchor:
        made.append(open_anchor(address, node="local", clock=real_now, **others))  # type: ignore[arg-type]
        return made[-1]

    yield open_it
    for anchor in made:
        anchor.close()


def signed(root: Path, count: int = 3) -> list[str]:
    """A log with so many heads, and these."""
    writer = writer_at(root, clock=Clock())
    writer.open()
    notary = notary_at(root)
    notes = []
    for number in range(count):
        writer.commit(lines(2, 10 * number))
        note = notary.turn().note
        assert note is not None
        notes.append(note)
    notary.close()
    writer.seal("close")
    return notes


def address_of(s3: S3Server, bucket: str, prefix: str, *, port: int | None = None, who: str = "writer") -> str:
    credentials = s3.folder / f"{who}.credentials"
    return f"s3+http://127.0.0.1:{port or s3.port}/{bucket}/{prefix}?days=2&every=0&credentials_file={credentials}"


# -- object lock ---------------------------------------------------------------------------------------


def test_a_head_in_a_locked_bucket_can_neither_be_deleted_nor_unlocked_and_is_read_back(s3, opened, tmp_path: Path):
    s3.make_bucket(LOCKED, locked=True)
    notes = signed(tmp_path / "log")
    anchor = opened(address_of(s3, LOCKED, "a/b"))
    for note in (*notes, notes[-1]):  # one of them twice, as after an answer that was lost
        anchor.publish(note)
    client = s3.client()
    versions = client.list_object_versions(Bucket=LOCKED, Prefix="a/b/")["Versions"]
    assert len(versions) == len(notes)
    for version in versions:
        name = {"Bucket": LOCKED, "Key": version["Key"], "VersionId": version["VersionId"]}
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.delete_object(**name, BypassGovernanceRetention=True)
        sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": real_now() + timedelta(hours=1)}
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            client.put_object_retention(**name, Retention=sooner)
    client.close()
    assert isinstance(anchor, BucketAnchor)
    fetched = tmp_path / "fetched"
    fetched.write_bytes(b"".join(anchor.heads()))
    assert [note for _, note in anchored_notes(fetched)] == notes
    assert inspect(Layout(tmp_path / "log"), anchors=[fetched]).breaks == 0


def test_a_log_that_was_cut_does_not_hold_the_heads_in_the_bucket(s3, opened, tmp_path: Path):
    s3.make_bucket(LOCKED, locked=True)
    log = tmp_path / "log"
    anchor = opened(address_of(s3, LOCKED, "cut"))
    for note in signed(log):
        anchor.publish(note)
    ledger = ProofPlace(log, "local").ledger(1)
    raw = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(raw[:-3]))
    fetched = tmp_path / "fetched"
    fetched.write_bytes(b"".join(anchor.heads()))
    assert "missing_heads" in {finding.kind for finding in inspect(Layout(log), anchors=[fetched]).findings}


def test_a_bucket_without_lock_is_no_anchor(s3, opened, tmp_path: Path):
    s3.make_bucket("plain")
    with pytest.raises(AnchorError, match="InvalidRequest"):
        opened(address_of(s3, "plain", "x")).publish(signed(tmp_path)[0])


@pytest.mark.parametrize(
    ("who", "bucket", "word"),
    [
        ("stranger", LOCKED, "InvalidAccessKeyId"),
        ("reader", LOCKED, "AccessDenied"),
        ("writer", "nowhere", "NoSuchBucket"),
    ],
)
def test_a_bucket_that_refuses_is_named_by_its_own_word(s3, opened, tmp_path: Path, who: str, bucket: str, word: str):
    s3.make_bucket(LOCKED, locked=True)
    with pytest.raises(AnchorError, match=word):
        opened(address_of(s3, bucket, "x", who=who)).publish(signed(tmp_path)[0])


def test_heads_wait_for_a_bucket_that_cannot_be_reached_and_the_newest_arrives(s3, opened, tmp_path: Path):
    s3.make_bucket(LOCKED, locked=True)
    notes = signed(tmp_path)
    with flaky_proxy(("127.0.0.1", s3.port)) as proxy:
        proxy.manner = "garbage"
        proxy.garbage = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n"
        anchor = opened(address_of(s3, LOCKED, "later", port=proxy.port).replace("every=0", "every=1"))
        feed = AnchorFeed(anchor, retry_s=0.05)
        for size, note in enumerate(notes, 1):
            feed.offer(size, note)
        while feed.health.fault is None:
            threading_wait()
        assert feed.health.published == 0
        proxy.manner = "pass"
        proxy.drop_connections()
        while feed.health.published != len(notes):
            threading_wait()
        assert feed.health.fault is None
        feed.close()
    reader = opened(address_of(s3, LOCKED, "later"))
    assert isinstance(reader, BucketAnchor)
    assert notes[-1] in {json.loads(line)["checkpoint"] for line in reader.heads()}


def threading_wait() -> None:
    from time import sleep

    sleep(0.02)  # nothing tells of a feed's health; the test's own timeout is the deadline


# -- time stamps ---------------------------------------------------------------------------------------


@pytest.fixture
def stamps(tsa: TsaServer, opened, tmp_path: Path) -> Iterator[Callable[[], Anchor]]:
    def open_it() -> Anchor:
        place = ProofPlace(tmp_path / "log", "local")
        return opened(f"{tsa.address}?every=0", tsa_file=str(tsa.roots), stamps=place.timestamps)

    yield open_it
    tsa.answer, tsa.status = None, 200


def test_a_stamp_is_kept_beside_the_ledger_and_holds_offline(tsa: TsaServer, stamps, tmp_path: Path):
    notes = signed(tmp_path / "log")
    anchor = stamps()
    for note in notes:
        anchor.publish(note)
    file = ProofPlace(tmp_path / "log", "local").timestamps
    roots = Roots(str(tsa.roots))
    assert [note for _, note in anchored_notes(file)] == notes
    assert list(stamp_findings(file, roots)) == []
    answer = b64decode(json.loads(file.read_text().splitlines()[0])["timestamp"])
    when = roots.time_of(answer, notes[0].encode())
    assert when is not None
    assert abs(when - real_now()) < timedelta(minutes=5)
    report = inspect(Layout(tmp_path / "log"), anchors=[file])
    assert report.breaks == 0, report.findings


def test_a_stamp_for_another_head_from_another_root_or_altered_does_not_hold(tsa, stamps, tmp_path: Path):
    notes = signed(tmp_path / "log")
    anchor = stamps()
    anchor.publish(notes[0])
    file = ProofPlace(tmp_path / "log", "local").timestamps
    line = json.loads(file.read_text())
    answer = bytearray(b64decode(line["timestamp"]))
    forged = tmp_path / "forged"
    answer[len(answer) // 2] ^= 1
    cases = [
        {"checkpoint": notes[1], "timestamp": line["timestamp"]},
        {"checkpoint": notes[0], "timestamp": b64encode(answer).decode()},
        {"checkpoint": notes[0], "timestamp": "AAAA"},
        {"checkpoint": notes[0]},
    ]
    forged.write_text("".join(json.dumps(case, separators=(",", ":")) + "\n" for case in cases) + "no line\n")
    found = list(stamp_findings(forged, Roots(str(tsa.roots))))
    assert [(finding.kind, finding.at) for finding in found] == [("bad_timestamp", at) for at in range(1, 6)]
    (tmp_path / "other").mkdir()
    other = TsaServer(tmp_path / "other")
    other.server.server_close()
    assert [finding.at for finding in stamp_findings(file, Roots(str(other.roots)))] == [1]


def test_no_flipped_byte_of_a_stamp_gives_another_time(tsa: TsaServer, stamps, tmp_path: Path):
    """What is carried besides the signature may change; the stamp then still proves the same."""
    notes = signed(tmp_path / "log", 1)
    stamps().publish(notes[0])
    roots = Roots(str(tsa.roots))
    answer = b64decode(json.loads(ProofPlace(tmp_path / "log", "local").timestamps.read_text())["timestamp"])
    when = roots.time_of(answer, notes[0].encode())
    found = [roots.time_of(flipped(answer, at), notes[0].encode()) for at in range(0, len(answer), 3)]
    assert when is not None
    assert set(found) <= {None, when}
    assert found.count(None) > 0.9 * len(found)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_an_authority_that_answers_anything_else_stamps_nothing(tsa: TsaServer, stamps, tmp_path: Path):
    notes = signed(tmp_path / "log")
    anchor = stamps()
    anchor.publish(notes[0])
    file = ProofPlace(tmp_path / "log", "local").timestamps
    replayed = b64decode(json.loads(file.read_text())["timestamp"])
    for status, answer, word in (
        (200, replayed, "bad_timestamp"),  # a good stamp, for this very head, but not for this question's nonce
        (200, b"", "bad_timestamp"),
        (200, b"x" * 70_000, "too_large"),
        (503, b"busy", "http_503"),
        (302, b"", "http_302"),
    ):
        tsa.status, tsa.answer = status, answer
        with pytest.raises(AnchorError, match=word):
            anchor.publish(notes[0])
    assert len(file.read_text().splitlines()) == 1


def test_an_authority_without_roots_or_with_a_strange_address_is_refused(tsa: TsaServer, opened, tmp_path: Path):
    for address, roots in (
        (tsa.address, ""),
        (tsa.address, str(tmp_path / "nothing")),
        ("rfc3161+http://tsa.example.jp/", str(tsa.roots)),
        ("rfc3161+https://tsa.example.jp/?every=x", str(tsa.roots)),
        ("rfc3161+https://tsa.example.jp/?evry=1", str(tsa.roots)),
        ("rfc3161+https://u@tsa.example.jp/", str(tsa.roots)),
        ("s3+https://s3.example.jp/bucket", ""),  # for how long?
        ("s3+https://s3.example.jp/bucket?days=0", ""),
        ("s3+https://s3.example.jp/bucket?days=1&mode=none", ""),
        ("s3+https://s3.example.jp/bucket?days=1&colour=red", ""),
        ("s3+http://s3.example.jp/bucket?days=1", ""),
        ("s3+https://s3.example.jp/?days=1", ""),
        ("s3+https://u:p@s3.example.jp/bucket?days=1", ""),
    ):
        with pytest.raises(SettingsError):
            opened(address, tsa_file=roots, stamps=tmp_path / "stamps")
