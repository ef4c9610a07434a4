"""One connection to a ClickHouse server over its HTTP interface; every fault becomes CopyUnavailableError."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pyarrow as pa

from pdp.errors import CopyUnavailableError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.model.log_copy import ClickHouseServer

_CONNECT_S: Final = 5.0
_MAX_PASSWORD: Final = 1_024
_CODE: Final = re.compile(r"\(([A-Z_]{3,60})\)")  # how ClickHouse names its own faults, at the end of what it says
_NUMBER: Final = re.compile(r"[Cc]ode:? (\d{1,4})")


class ClickHouse:
    """Used by one thread. Connects with the first statement, and anew after a fault."""

    def __init__(self, server: ClickHouseServer) -> None:
        """Raises SettingsError where a file of the settings cannot be used."""
        self.server: Final = server
        self._password: Final = _password(server)
        if server.ca_file and not Path(server.ca_file).is_file():
            raise SettingsError("`ca_file` of `audit_clickhouse` cannot be read")
        self._client: Any = None

    def command(self, statement: str) -> None:
        """Raises CopyUnavailableError."""
        with self._connected() as client:
            client.command(statement)

    def ask(
        self, statement: str, params: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> pa.Table:
        """The answer as it comes. `params` travel beside the statement. Raises CopyUnavailableError."""
        with self._connected() as client:
            answer = client.raw_query(
                statement, parameters=dict(params or {}), settings=dict(settings or {}), fmt="ArrowStream"
            )
        try:
            with pa.ipc.open_stream(answer) as reader:
                return reader.read_all()
        except pa.ArrowException as fault:
            raise CopyUnavailableError(f"the answer of ClickHouse is cut or damaged: {fault}", fault="answer") from None

    def insert(self, table: str, rows: pa.Table, token: str) -> None:
        """All of the rows, or, where something with this token was inserted, none. Raises CopyUnavailableError."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=max(rows.num_rows, 1))  # one block: there whole or not at all
        with self._connected() as client:
            client.raw_insert(
                f"{self.server.database}.{table}",
                column_names=rows.column_names,
                insert_block=sink.getvalue().to_pybytes(),
                fmt="ArrowStream",
                settings={
                    "insert_deduplicate": 1,
                    "insert_deduplication_token": token,
                    "async_insert": 0,
                    "max_insert_block_size": max(rows.num_rows, 1),
                },
            )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            from clickhouse_connect.driver.exceptions import Error
            from urllib3.exceptions import HTTPError
        except ImportError:
            raise SettingsError(
                "the client of ClickHouse is not installed", next_step="install `sekisho-pdp[clickhouse]`"
            ) from None
        try:
            if self._client is None:
                self._client = self._opened()
            yield self._client
        except (Error, HTTPError, OSError) as fault:
            self.close()
            word = _word(fault)
            raise CopyUnavailableError(f"ClickHouse does not do it: {word}", fault=word) from None

    def _opened(self) -> Any:
        from clickhouse_connect import get_client
        from clickhouse_connect.driver.httputil import get_pool_manager

        # It logs statements and answers of the server, which hold values of records; we say what happened.
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL + 1)
        address = urlsplit(self.server.url)
        secure = address.scheme == "https"
        return get_client(
            host=address.hostname,
            port=address.port or (8443 if secure else 8123),
            interface=address.scheme,
            username=self.server.user,
            password=self._password,
            database="",  # it may not be there yet: every name in a statement is whole
            verify=secure,
            connect_timeout=_CONNECT_S,
            send_receive_timeout=self.server.deadline_s,
            query_retries=0,  # whoever asks knows when to ask again
            autogenerate_session_id=False,  # a session would let no two statements run at once
            pool_mgr=get_pool_manager(
                verify=secure, ca_cert=self.server.ca_file or None
            ),  # of its own, and not that of all clients of the process
        )


def _password(server: ClickHouseServer) -> str:
    if not server.password_file:
        return ""
    try:
        password = Path(server.password_file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise SettingsError("`password_file` of `audit_clickhouse` cannot be read") from None
    if not password or len(password) > _MAX_PASSWORD or not password.isprintable():
        raise SettingsError("`password_file` of `audit_clickhouse` holds no password")
    return password


def _word(fault: Exception) -> str:
    """What ClickHouse calls it, else what happened; never what it said, which may hold values of records."""
    text = str(fault)
    code, number = _CODE.findall(text), _NUMBER.search(text)
    if code:
        return str(code[-1])
    return f"code_{number[1]}" if number else "unreachable"
