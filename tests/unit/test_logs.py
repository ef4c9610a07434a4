from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from pdp.logs import configure_logs, get_log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_time_and_level(stream: io.StringIO) -> None:
    get_log("pdp.test").info("policy activated", revision="r1")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["revision"], line["level"], line["logger"]) == (
        "policy activated",
        "r1",
        "info",
        "pdp.test",
    )
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("authorization", "anything"),
        ("api_key", "anything"),
        ("url", "postgresql://sekisho:hunter2@db/x"),
        ("detail", "sent sekisho_ab12_c2VjcmV0LXNlY3JldA as its key"),
        ("detail", "Bearer hunter2"),
        ("detail", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1LTEifQ.hunter2"),
    ],
)
def test_a_secret_is_cut_by_name_and_by_look(stream: io.StringIO, key: str, value: str) -> None:
    get_log("pdp.test").warning("refused", **{key: value})
    logging.getLogger("some.library").warning("%s", value if key != "authorization" and key != "api_key" else "x")
    assert not any(secret in stream.getvalue() for secret in ("anything", "hunter2", "c2VjcmV0"))


def test_a_librarys_exception_stays_on_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert "boom" in json.loads(lines[0])["exception"]
