"""A real S3 store: SeaweedFS in one process, on loopback, with two people and, where asked, TLS."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, STOP_S, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.model.log_copy import ObjectStore

_START_S = 60.0  # it elects itself first; on a busy machine that takes its time
WRITER, READER = ("AKIDWRITER", "a secret of the writer"), ("AKIDREADER", "a secret of the reader")


def weed_binary() -> str:
    """Skips the test, saying what to install, where there is none (tests/conftest.py: CI fails on it)."""
    found = shutil.which("weed", path=str(OWN_TOOLS)) or shutil.which("weed")
    if found is None:
        pytest.skip("no `weed` in .tools/bin or PATH: install it with `make tools`")
    return found


class S3Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        people = [_person("writer", WRITER, ["Admin"]), _person("reader", READER, ["Read", "List"])]
        (folder / "s3.json").write_text(json.dumps({"identities": people}), encoding="utf-8")
        for name, (key, secret) in (("writer", WRITER), ("reader", READER), ("stranger", ("AKIDNOBODY", "unknown"))):
            text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            (folder / f"{name}.credentials").write_text(text, encoding="utf-8")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ports = {name: free_port() for name in ("master", "volume", "filer", "s3.g", "master.g", "volume.g", "filer.g")}
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        words = (self.folder / "words").open("ab")
        with words:
            self._process = subprocess.Popen(
                [
                    weed_binary(),
                    "-logtostderr",
                    "server",
                    f"-dir={data}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    "-filer",
                    f"-filer.localSocket={self.folder / 'filer.sock'}",
                    "-s3",
                    f"-s3.config={self.folder / 's3.json'}",
                    f"-s3.localSocket={self.folder / 's3.sock'}",
                    f"-s3.port={self.port}",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    "-s3.autoCreateBucket=false",
                    f"-s3.port.grpc={ports['s3.g']}",
                    *(f"-{name}.port={ports[name]}" for name in ("master", "volume", "filer")),
                    *(f"-{name}.port.grpc={ports[f'{name}.g']}" for name in ("master", "volume", "filer")),
                    "-master.telemetry=false",
                    "-master.volumeSizeLimitMB=64",
                    "-master.electionTimeout=1s",
                    "-volume.max=40",
                ],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
            )
        deadline = time.monotonic() + _START_S
        while not self._takes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("SeaweedFS did not start: " + (self.folder / "words").read_text()[-2000:])
            time.sleep(5 * LOOK_AGAIN_S)

    def _takes(self) -> bool:
        """Whether an object can be written: the parts of the server find one another one after the other."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self.client()
        try:
            self.make_bucket("probe")
            client.put_object(Bucket="probe", Key="probe", Body=b"x")
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def client(self) -> Any:
        from boto3 import Session
        from botocore.config import Config

        return Session(aws_access_key_id=WRITER[0], aws_secret_access_key=WRITER[1]).client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            config=Config(connect_timeout=1, read_timeout=10, retries={"total_max_attempts": 1}),
        )

    def make_bucket(self, name: str, *, locked: bool = False) -> None:
        client = self.client()
        try:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
        except (client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
            pass
        finally:
            client.close()

    def store(self, bucket: str, *, who: str = "writer", port: int | None = None, **others: Any) -> ObjectStore:
        """The settings of a copy in this bucket, as seen by one of the people."""
        from pdp.model.log_copy import ObjectStore

        return ObjectStore(
            bucket=bucket,
            endpoint=f"http://127.0.0.1:{port or self.port}",
            credentials_file=str(self.folder / f"{who}.credentials"),
            **others,
        )

    def stop(self) -> None:
        """At once: in order it would take ten seconds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None


def _person(name: str, key: tuple[str, str], actions: list[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    server = S3Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
