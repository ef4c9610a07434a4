"""What several unit suites share."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from pdp.logs import configure_logs


@pytest.fixture
def operators_log() -> Iterator[io.StringIO]:
    """The operator's log from `info` on, as JSON lines; afterwards logging is as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
