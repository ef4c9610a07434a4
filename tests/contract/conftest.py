"""Real servers of this suite, started once when the first test asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chdb_server import ChdbServer, chdb_server
from tests.s3_server import S3Server, s3_server
from tests.tsa_server import TsaServer, tsa_server


@pytest.fixture(scope="session")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    with chdb_server(tmp_path_factory.mktemp("chdb")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TsaServer]:
    with tsa_server(tmp_path_factory.mktemp("tsa")) as server:
        yield server
