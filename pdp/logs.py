"""Structured logs: one JSON object a line on stderr, with the trace where there is one, and no secrets.

Decisions are not logged here: they stand in the decision log. Here stands what the operator needs:
starts, stops, activations, refreshes, faults.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

# structlog loads Rich for its console where there is one: 6 MB and 50 ms of every process, for what is not used here.
# None in `sys.modules` says that there is none; who wants it later finds it.
_unloaded: Final = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
import structlog  # noqa: E402

if _unloaded:
    del sys.modules["rich"]

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# A net under the rule "never log a secret": these values are cut wherever they appear.
_SECRET_KEYS: Final = re.compile(r"(?i)(authorization|token|secret|password|api_?key|cookie)")
_SECRET_VALUES: Final = re.compile(
    r"sekisho_[A-Za-z0-9]{1,64}_[A-Za-z0-9_-]{1,256}"  # our API keys
    r"|eyJ[A-Za-z0-9_-]{1,8192}\.[A-Za-z0-9_.-]{1,16384}"  # JSON Web Tokens
    r"|(?i:(?:bearer|basic)\s+[^\s\"']{1,16384})"
    r"|(?<=://)[^\s/]{0,512}@"  # credentials in a URL, whatever is in them
)
_LONGEST: Final = 16_384  # characters of one value; beyond, a log line is no place for it
_CUT: Final = "[removed]"


def configure_logs(level: str, *, stream: Any = None) -> None:
    """Send our own and the libraries' logs as JSON lines to `stream` (stderr). Call once per process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            without_secrets,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for quiet in ("uvicorn.access", "aiohttp.access", "alembic", "sqlalchemy.engine", "httpx"):  # httpx logs every URL
        logging.getLogger(quiet).setLevel(logging.WARNING)


def without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut secrets out of an event: by the name of its key, and by the look of its value, however deep."""
    for key, value in event.items():
        event[key] = _CUT if _SECRET_KEYS.search(key) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_VALUES.sub(_CUT, value[:_LONGEST])
    if isinstance(value, dict):
        return {key: _CUT if _SECRET_KEYS.search(str(key)) else _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    return value if isinstance(value, int | float | bool | None) else _SECRET_VALUES.sub(_CUT, str(value)[:_LONGEST])


def get_log(name: str) -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log
