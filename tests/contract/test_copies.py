"""Copies that die half-way, lose things, lie or are gone: nothing is lost, nothing is there twice, and somebody says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from pdp.archive.duck import DuckQueries
from pdp.archive.retention import Terms, carry_out, plan
from pdp.archive.store import LocalStore
from pdp.commands.archive import query
from pdp.commands.audit import app
from pdp.errors import CopyUnavailableError, RecordDamagedError, SekishoError, SettingsError
from pdp.model.log_copy import ClickHouseServer, ObjectStore
from pdp.outgrown.bucket_sink import BucketSink
from pdp.outgrown.clickhouse_client import ClickHouse
from pdp.outgrown.clickhouse_sink import ClickHouseSink
from pdp.outgrown.clickhouse_tables import statements
from pdp.outgrown.metrics import CopyMetrics
from pdp.outgrown.publisher import Publisher
from pdp.outgrown.standing import Standings
from pdp.s3_client import Bucket
from tests.chdb_server import PASSWORD, USER, ChdbServer
from tests.contract.test_query_engines import DAY, in_any_order, plain
from tests.copies import BUCKET, BucketCopy, ClickHouseCopy, Copy, local_store
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.s3_server import S3Server
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_pseudonymising import LATER, rewrite
from tests.unit.declog.samples import START

NOW = START + timedelta(days=1)
SOME = ("newest",)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path / "decisions")


@pytest.fixture
def log(tmp_path: Path, worker: Worker) -> LocalStore:
    """Three segments, each in a stored file of its own."""
    root = tmp_path / "decisions"
    for _ in range(3):
        worker.segment(8)
    store = LocalStore(root, disk=local_store(root).disk, rows_per_file=8)
    with store.held():
        store.publish(store.waiting(), START)
    return store


@pytest.fixture
def clickhouse(chdb: ChdbServer, tmp_path: Path) -> Iterator[ClickHouseCopy]:
    copy = ClickHouseCopy(chdb, tmp_path)
    yield copy
    copy.close()


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path) -> Iterator[BucketCopy]:
    copy = BucketCopy(s3, tmp_path)
    yield copy
    copy.close()


def check(copy: Copy, log: LocalStore) -> None:
    """It answers as the log does, and has what it says."""
    for name in SOME:
        expected = DuckQueries([log.layout.root]).run(name, DAY)
        assert in_any_order(plain(copy.engine().run(name, DAY))) == in_any_order(plain(expected))
    hours = {"since": datetime(2026, 3, 31, tzinfo=UTC), "until": datetime(2026, 4, 3, tzinfo=UTC)}
    counted = copy.engine().run("counts", hours)["decisions"].to_pylist()
    assert sum(counted) == DuckQueries([log.layout.root]).run("newest", DAY).num_rows
    assert copy.sink(log).lacking() == []


# -- a ClickHouse ----------------------------------------------------------------------------------------


class Dying(ClickHouse):
    """The process ends before or after one of its statements has arrived."""

    def __init__(self, server: ClickHouseServer, at: int, *, after: bool) -> None:
        super().__init__(server)
        self._left = at
        self._after = after

    def insert(self, table: str, rows: Any, token: str) -> None:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise KeyboardInterrupt
        super().insert(table, rows, token)
        if self._left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("at", "after"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_publisher_that_died_between_any_two_steps_is_followed_by_one_that_ends_them(
    clickhouse: ClickHouseCopy, log: LocalStore, at: int, after: bool
):
    names = log.layout.names()
    clickhouse.sink(log).publish(names[:1], NOW)
    dying = Dying(clickhouse.server, at, after=after)
    with pytest.raises(KeyboardInterrupt):
        ClickHouseSink(log, dying).publish(names[1:2], NOW)
    dying.close()
    again = clickhouse.sink(log)
    assert again.publish(names, NOW - timedelta(hours=1)) in (1, 2)  # also by a clock that was set back
    assert again.stored(names) == {str(name) for name in names}
    check(clickhouse, log)


@pytest.mark.parametrize("harm", ["some are lost", "all are lost", "some are there twice"])
def test_rows_that_a_clickhouse_lost_or_has_twice_are_found_and_mended(
    clickhouse: ClickHouseCopy, log: LocalStore, harm: str
):
    sink, names = clickhouse.sink(log), log.layout.names()
    sink.publish(names, NOW)
    table = f"{clickhouse.server.database}.decisions_v1"
    if harm == "some are there twice":
        twice = f"INSERT INTO {table} SELECT * FROM {table} WHERE segment = '{names[1]}' AND seq % 2 = 0"
        clickhouse.clickhouse.command(f"{twice} SETTINGS insert_deduplication_token = 'another'")
    else:
        some = " AND seq % 2 = 0" if harm == "some are lost" else ""
        gone = f"ALTER TABLE {table} DELETE WHERE segment = '{names[1]}'{some}"
        clickhouse.clickhouse.command(f"{gone} SETTINGS mutations_sync = 2")
    lacking = sink.lacking()
    assert lacking == [str(names[1])]
    sink.mend(lacking, NOW)
    assert sink.publish(names, NOW) == 1
    check(clickhouse, log)


def test_a_clickhouse_is_made_anew_from_the_store_where_the_segments_are_gone(
    clickhouse: ClickHouseCopy, log: LocalStore
):
    names = log.layout.names()
    with log.held():
        log.remove_these(names[:2], NOW)
    assert clickhouse.sink(log).publish(names, NOW) == 3
    check(clickhouse, log)


def test_a_stored_file_that_is_damaged_is_not_copied_and_the_others_are(clickhouse: ClickHouseCopy, log: LocalStore):
    names = log.layout.names()
    with log.held():
        log.remove_these(names[:1], NOW)
    file = next(f for f in log.manifest.files() if f.name == log.manifest.file_of(str(names[0])))
    log.rows_path(file).write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    sink = clickhouse.sink(log)
    with pytest.raises(RecordDamagedError):
        sink.publish(names, NOW)
    assert sink.stored(names) == {str(name) for name in names[1:]}


def test_a_cluster_has_replicated_tables_and_names_are_words():
    server = ClickHouseServer(url="https://ch.example.jp:8443", database="audit", cluster="main")
    made = statements(server)
    assert all("ON CLUSTER `main`" in statement for statement in made)
    assert sum("Replicated" in statement for statement in made) == 3
    assert all("replicated_deduplication_window" in statement for statement in made[1:])
    for wrong in (
        {"url": "http://ch.example.jp"}, {"url": "https://u:p@ch"}, {"url": "https://ch/x"}, {"url": "ftp://ch"},
        {"url": "https://ch", "database": "a;b"}, {"url": "https://ch", "cluster": "a`b"}, {"url": "https://ch:x"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=None):
            msgspec.convert(wrong, ClickHouseServer)


# -- an object store -------------------------------------------------------------------------------------


class DyingBucket(Bucket):
    def __init__(self, store: ObjectStore, at: int, *, after: bool) -> None:
        super().__init__(store)
        self._left = at
        self._after = after

    def put(self, *words: Any, **others: Any) -> bool:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise KeyboardInterrupt
        done = super().put(*words, **others)
        if self._left < 0:
            raise KeyboardInterrupt
        return done


@pytest.mark.parametrize(("at", "after"), [(1, False), (4, False), (5, False), (5, True)])
def test_a_reader_of_a_bucket_sees_all_of_a_publication_or_nothing(
    bucket: BucketCopy, log: LocalStore, at: int, after: bool
):
    names = log.layout.names()
    bucket.sink(log).publish(names[:1], NOW)
    dying = DyingBucket(bucket.bucket.store, at, after=after)
    with pytest.raises(KeyboardInterrupt):
        BucketSink(log, dying, bucket.folder).publish(names, NOW)
    dying.close()
    assert bucket.engine().run("newest", DAY).num_rows == (24 if (at, after) == (5, True) else 8)
    bucket.sink(log).publish(names, NOW)
    check(bucket, log)


def test_files_that_were_merged_or_removed_here_are_so_there(bucket: BucketCopy, log: LocalStore):
    names = log.layout.names()
    sink = bucket.sink(log)
    sink.publish(names, NOW)
    check(bucket, log)
    with log.held():
        log.merge(log.manifest.files()[:2], NOW)
    assert sink.publish([], NOW) == 0
    check(bucket, log)
    late = START + timedelta(days=3000)
    with log.held():
        carry_out(log, plan(log, Terms(1, 1), late)[:1], Terms(1, 1), late)
    sink.publish([], late)
    left = DuckQueries([log.layout.root]).run("newest", DAY).num_rows
    assert 0 < left < 24
    assert bucket.engine().run("newest", DAY).num_rows == left
    kept = bucket.engine().run("report_10_completeness", {}).to_pylist()
    assert kept == DuckQueries([log.layout.root]).run("report_10_completeness", {}).to_pylist()
    assert len(objects(bucket, "rows")) == 1  # what was merged or removed is gone from the bucket as well


def test_records_that_have_pseudonyms_here_have_them_there(
    bucket: BucketCopy, clickhouse: ClickHouseCopy, log: LocalStore, worker: Worker
):
    names = log.layout.names()
    for copy in (bucket, clickhouse):
        copy.sink(log).publish(names, NOW)
    worker.begin()  # the newest segment of a worker is left as it is
    assert len(rewrite(log)) == 3
    bucket.sink(log).publish([], LATER)
    check(bucket, log)
    assert len(objects(bucket, "rows")) == 3
    # A ClickHouse is told by whoever removes the rows there; what it is sent again has pseudonyms.
    database = clickhouse.server.database
    clickhouse.clickhouse.command(f"ALTER TABLE {database}.decisions_v1 DELETE WHERE true SETTINGS mutations_sync = 2")
    sink = clickhouse.sink(log)
    lacking = sink.lacking()
    assert len(lacking) == 3
    sink.mend(lacking, LATER)
    assert sink.publish(names, LATER) == 3
    check(clickhouse, log)
    for copy in (bucket, clickhouse):
        people = copy.engine().run("newest", DAY)["person"].to_pylist()
        assert people and not any(str(person).startswith("u-") for person in people)


def objects(bucket: BucketCopy, part: str) -> list[str]:
    return list(bucket.bucket.names(f"{bucket.folder}/{part}/"))


def overwrite(s3: S3Server, key: str, body: bytes | None) -> None:
    client = s3.client()
    if body is None:
        client.delete_object(Bucket=BUCKET, Key=key)
    else:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    client.close()


@pytest.mark.parametrize(
    ("part", "harm"),
    [
        ("rows", "gone"),
        ("rows", "altered"),
        ("hourly", "altered"),
        ("days", "gone"),
        ("days", "altered"),
        ("index", "{}"),
    ],
)
def test_an_object_that_is_gone_or_another_answers_nothing(
    s3: S3Server, bucket: BucketCopy, log: LocalStore, part: str, harm: str
):
    bucket.sink(log).publish(log.layout.names(), NOW)
    key = objects(bucket, part)[0]
    body = bucket.bucket.get(key, 1 << 20)
    assert body is not None
    altered = body.replace(b"1", b"2", 1) if b"1" in body else body[:-1] + b"x"
    overwrite(s3, key, {"gone": None, "altered": altered, "{}": b"{}"}[harm])
    hours = {"since": datetime(2026, 3, 31, tzinfo=UTC), "until": datetime(2026, 4, 3, tzinfo=UTC)}
    name, params = ("counts", hours) if part == "hourly" else ("newest", DAY)
    with pytest.raises((RecordDamagedError, CopyUnavailableError)):
        bucket.engine().run(name, params)
    if part in ("rows", "hourly"):
        sink = bucket.sink(log)
        assert sink.lacking() == [key]
        if harm == "gone":
            sink.mend([key], NOW)
            check(bucket, log)
        else:
            with pytest.raises(RecordDamagedError):
                sink.mend([key], NOW)


def test_a_publisher_that_knew_more_says_that_roots_were_taken_away(s3: S3Server, bucket: BucketCopy, log: LocalStore):
    sink, names = bucket.sink(log), log.layout.names()
    for name in names:
        sink.publish([name], NOW)
    for key in objects(bucket, "index")[1:]:
        overwrite(s3, key, None)
    with pytest.raises(RecordDamagedError, match="lost the index `3`"):
        sink.stored(names)


def test_two_publishers_of_one_place_do_not_overwrite_one_another(bucket: BucketCopy, log: LocalStore):
    one, other, names = bucket.sink(log), bucket.sink(log), log.layout.names()
    one.publish(names[:1], NOW)
    files = other._files()
    one.publish(names[1:2], NOW)
    with pytest.raises(CopyUnavailableError, match="another process"):
        other._commit(files, NOW)
    assert other.publish(names[2:], NOW) == 1
    check(bucket, log)


def test_a_damaged_file_is_not_published_and_the_others_are(bucket: BucketCopy, log: LocalStore):
    names = log.layout.names()
    file = next(f for f in log.manifest.files() if f.name == log.manifest.file_of(str(names[1])))
    path = log.rows_path(file)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    sink = bucket.sink(log)
    with pytest.raises(RecordDamagedError, match="not what was stored"):
        sink.publish(names, NOW)
    assert sink.stored(names) == {str(names[0]), str(names[2])}


def test_a_bucket_keeps_the_newest_root_findable_among_many(bucket: BucketCopy, log: LocalStore):
    sink = bucket.sink(log)
    sink.publish(log.layout.names()[:1], NOW)
    for second in range(9):
        files = sink._files()
        sink._commit(files, NOW + timedelta(seconds=second))
    assert bucket.sink(log)._roots.newest().root.number == 10
    assert bucket.sink(log)._roots.newest(4).root.number == 10
    bodies = [bucket.bucket.get(key, 1 << 20) or b"" for key in objects(bucket, "index")]
    before = [json.loads(body)["before"] for body in bodies]
    assert before == ["", *(sha256(body).hexdigest() for body in bodies[:-1])]


# -- faults: nothing is lost, and the status says since when ----------------------------------------------

SKEWED = b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
FAULTS: dict[str, tuple[str, bytes]] = {
    "5xx": ("garbage", b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
    "no HTTP": ("garbage", b"220 mail.example.jp ESMTP\r\n"),
    "half an answer": ("cut", b""),
    "clock skew": (
        "garbage",
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
        % (len(SKEWED), SKEWED),
    ),
}


@pytest.fixture
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Copy, FlakyProxy]]:
    """A copy behind a proxy that hurts."""
    server: Any = request.getfixturevalue("chdb" if request.param == "clickhouse" else "s3")
    with flaky_proxy(("127.0.0.1", server.port)) as proxy:
        made = ClickHouseCopy if request.param == "clickhouse" else BucketCopy
        copy = made(server, tmp_path, port=proxy.port)
        yield copy, proxy
        copy.close()


@pytest.mark.parametrize(
    ("behind", "fault"),
    [
        ("clickhouse", "5xx"),
        ("clickhouse", "half an answer"),
        ("object_store", "clock skew"),
        ("object_store", "half an answer"),
        ("object_store", "no HTTP"),
    ],
    indirect=["behind"],
)
def test_a_copy_that_fails_costs_nothing_but_delay_and_says_since_when(
    behind: tuple[Copy, FlakyProxy], log: LocalStore, tmp_path: Path, fault: str
):
    copy, proxy = behind
    hour = Ticking()
    standings = Standings(tmp_path / "copies")
    (tmp_path / "copies").mkdir()
    publisher = Publisher(copy.sink(log), log, standings, clock=hour, chance=lambda: 0.5)
    manner, garbage = FAULTS[fault]
    proxy.manner, proxy.garbage = manner, garbage  # type: ignore[assignment]
    since = hour.now
    for _ in range(2):
        word = publisher.once()
        assert word
        hour.now += timedelta(hours=1)
    if fault == "clock skew" and isinstance(copy, BucketCopy):
        assert word == "RequestTimeTooSkewed"
    standing = standings.read(publisher.name)
    assert standing is not None
    assert (standing.failures, standing.waiting, standing.fault) == (2, 3, word)
    assert standing.failing_since == since.isoformat(timespec="seconds")
    assert shown(standings, publisher.name, hour.now) == (3.0, 7200.0)
    proxy.manner = "pass"
    proxy.drop_connections()
    assert publisher.once() == ""
    standing = standings.read(publisher.name)
    assert standing is not None
    assert (standing.failures, standing.waiting, standing.segments, standing.failing_since) == (0, 0, 3, "")
    assert shown(standings, publisher.name, hour.now) == (0.0, 0.0)
    check(copy, log)


class Ticking:
    def __init__(self) -> None:
        self.now = NOW.replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now


def shown(standings: Standings, name: str, now: datetime) -> tuple[float | None, float | None]:
    registry = CollectorRegistry()
    CopyMetrics(registry, standings, [name]).show(now)
    return tuple(
        registry.get_sample_value(f"sekisho_log_copy_{what}", {"copy": name})
        for what in ("waiting_segments", "failing_seconds")
    )  # type: ignore[return-value]


def test_who_may_not_is_told_so_by_the_stores_own_word(chdb: ChdbServer, s3: S3Server, log: LocalStore, tmp_path: Path):
    (tmp_path / "password").write_text("wrong")
    wrong = ClickHouseServer(url=chdb.url, user=USER, password_file=str(tmp_path / "password"))
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: ClickHouseSink(log, ClickHouse(wrong)), "AUTHENTICATION_FAILED"),
        (lambda: ClickHouseSink(log, ClickHouse(ClickHouseServer(url="http://127.0.0.1:1"))), "unreachable"),
        (lambda: BucketSink(log, Bucket(s3.store(BUCKET, who="stranger")), "x"), "InvalidAccessKeyId"),
        (lambda: BucketSink(log, Bucket(s3.store(BUCKET, who="reader")), "x"), "AccessDenied"),
        (lambda: BucketSink(log, Bucket(s3.store("nowhere")), "x"), "NoSuchBucket"),
        (lambda: BucketSink(log, Bucket(s3.store(BUCKET, port=1)), "x"), "unreachable"),
    ]
    s3.make_bucket(BUCKET)
    for made, word in cases:
        sink = made()
        with pytest.raises(CopyUnavailableError) as fault:
            sink.publish(log.layout.names(), NOW)
        assert fault.value.fault == word
        assert PASSWORD not in str(fault.value)
        assert "secret" not in str(fault.value)
        sink.close()


def test_files_of_the_settings_that_cannot_be_used_are_said_at_the_start(tmp_path: Path):
    nothing = str(tmp_path / "nothing")
    for made in (
        lambda: ClickHouse(ClickHouseServer(url="https://ch", password_file=nothing)),
        lambda: ClickHouse(ClickHouseServer(url="https://ch", ca_file=nothing)),
        lambda: Bucket(ObjectStore(bucket="logs", ca_file=nothing)),
        lambda: Bucket(ObjectStore(bucket="logs", credentials_file=nothing)),
    ):
        with pytest.raises(SettingsError):
            made()
    for wrong in (
        {"bucket": "a", "endpoint": "http://s3.example.jp"}, {"bucket": "a", "endpoint": "https://s3/x"},
        {"bucket": "a", "kms_key_id": "k"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=None):
            msgspec.convert(wrong, ObjectStore)


# -- as an administrator sees it --------------------------------------------------------------------------


@pytest.fixture
def config(chdb: ChdbServer, s3: S3Server, log: LocalStore, tmp_path: Path) -> Path:
    s3.make_bucket(BUCKET)
    (tmp_path / "password").write_text(PASSWORD)
    path = tmp_path / "pdp.toml"
    path.write_text(
        f'state_dir = "{tmp_path}"\nnode = "local"\n'
        f'[audit_clickhouse]\nurl = "{chdb.url}"\nuser = "{USER}"\npassword_file = "{tmp_path}/password"\n'
        f'database = "by_command"\n'
        f'[audit_object_store]\nbucket = "{BUCKET}"\nprefix = "by-command"\nendpoint = "{s3.url}"\n'
        f'credentials_file = "{s3.folder}/writer.credentials"\n'
    )
    return path


def run(*words: str, config: Path, command: Any = app) -> tuple[int, str]:
    done = CliRunner().invoke(command, [*words, "--config", str(config)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def asked(source: str, config: Path) -> list[Any]:
    from typer import Typer

    alone = Typer()
    alone.command()(query)
    times = [f"-p{name}={value.isoformat()}" for name, value in DAY.items()]
    code, said = run("newest", *times, "--from", source, "--json", config=config, command=alone)
    assert code == 0
    return list(json.loads(said)["rows"])


def test_the_commands_publish_say_where_each_copy_stands_and_ask_it(config: Path, log: LocalStore):
    code, said = run("publish", "--once", "--json", config=config)
    answer = json.loads(said.splitlines()[-1])
    assert (code, answer["ok"]) == (0, True)
    assert [(one["name"], one["segments"], one["waiting"]) for one in answer["copies"]] == [
        ("clickhouse", 3, 0),
        ("object_store", 3, 0),
    ]
    assert run("publish", "--verify", "--json", config=config) == (0, '{"ok":true,"lacking":{}}\n')
    assert run("publish", "--status", "--lang", "ja", config=config)[0] == 0
    rows = {len(asked(source, config)) for source in ("clickhouse", "object_store", f"s3://{BUCKET}/by-command/local")}
    assert rows == {24}
    with pytest.raises(SekishoError):
        run("publish", "elsewhere", config=config)
    with pytest.raises(SekishoError):
        asked("s3://../x", config)


def test_a_copy_that_lost_something_is_exit_code_one_and_is_mended(
    config: Path, s3: S3Server, log: LocalStore, tmp_path: Path
):
    assert run("publish", "object_store", "--once", config=config)[0] == 0
    client = s3.client()
    keys = [e["Key"] for e in client.list_objects_v2(Bucket=BUCKET, Prefix="by-command/local/rows/")["Contents"]]
    client.delete_object(Bucket=BUCKET, Key=keys[0])
    client.close()
    code, said = run("publish", "object_store", "--verify", "--json", config=config)
    assert (code, json.loads(said)["lacking"]) == (1, {"object_store": [keys[0]]})
    assert run("publish", "object_store", "--verify", "--mend", config=config)[0] == 0
