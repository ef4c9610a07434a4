"""From the operator's `redis_*` settings to a client of redis-py, for one server, Sentinel or Cluster.

What redis-py 8.1 does by itself and this client does not:

- It repeats a failed command up to ten times with pauses. Here nothing is repeated: who asks has a deadline of
  its own, and a cache that is late is of no use.
- Under RESP3 it asks for maintenance notifications, and where it does, its pool no longer looks whether a
  connection still holds an unread answer, and a notification can raise every timeout to 10 s. Switched off.
- It trusts the system's authorities beside the file that the operator names. Here that file is all.
- It takes an answer of any size. Here an answer ends the connection at `MAX_REPLY_BYTES`.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from redis._parsers import _AsyncHiredisParser
from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.maint_notifications import MaintNotificationsConfig

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REPLY_BYTES: Final = 12_000_000  # of one answer; the largest of ours is a batch of 128 values of 64 KiB
_REDIS_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_MAX_ADDRESSES: Final = 32
_LAST_PORT: Final = 65535
_LAST_DATABASE: Final = 9_999
_MAX_PASSWORD_BYTES: Final = 4_096

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,64}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>\d{1,5}))?")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

_FORMS: Final = (
    "`redis://host:port/db`, `unix:///path`, `redis+sentinel://host:port,host:port/SERVICE/DB` or "
    "`redis+cluster://host:port,host:port`; `rediss` in place of `redis` for TLS"
)

Form = Literal["server", "unix", "sentinel", "cluster"]
Address = tuple[str, int]


class RedisPlace(msgspec.Struct, frozen=True):
    """Where Redis is and how to be let in, as the settings say it. Files are paths; empty: none."""

    url: str
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class _Target(msgspec.Struct, frozen=True):
    """A URL, understood."""

    form: Form
    tls: bool
    addresses: tuple[Address, ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0


def open_redis(place: RedisPlace, *, deadline_s: float, max_connections: int) -> Redis | RedisCluster:
    """A client that has not connected yet. The caller closes it with `aclose()`.

    RESP3, answers as bytes. Connecting may take `deadline_s`, and so may every command (a blocking one must
    block for less); after that it raises `redis.exceptions.TimeoutError` and its connection is closed. A pool
    has at most `max_connections` (in a cluster: for each node); one more raises
    `redis.exceptions.MaxConnectionsError`. Nothing is tried twice.

    Raises SettingsError for a URL that is none of the forms, and for a file that cannot be used.
    """
    target = read_url(place.url)
    tls = _tls(place) if target.tls else None
    if tls is None and (place.ca_file or place.cert_file or place.key_file):
        raise SettingsError("`redis_ca_file`, `redis_cert_file` and `redis_key_file` need a `rediss` url")
    options: dict[str, Any] = {
        **_credentials(place),
        "protocol": 3,
        "decode_responses": False,
        "socket_timeout": deadline_s,
        "socket_connect_timeout": deadline_s,
        "driver_info": None,  # no CLIENT SETINFO: a round-trip and a permission less
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    if target.form == "cluster":
        return _cluster(target, options, tls, max_connections)
    options |= {"retry": _no_retry(), "parser_class": _BoundedParser, "db": target.database}
    if target.form == "sentinel":
        return _sentinel(target, options, tls, max_connections)
    if target.form == "unix":
        options |= {"connection_class": UnixDomainSocketConnection, "path": target.path}
    else:
        host, port = target.addresses[0]
        options |= {"host": host, "port": port, **_connections(tls)}
    return Redis.from_pool(ConnectionPool(max_connections=max_connections, **options))


def read_url(url: str) -> _Target:
    """Raises SettingsError, which never repeats the URL: a password may stand in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(f"`redis_url` cannot be read; it is {_FORMS}") from None
    if "@" in parts.netloc:
        raise SettingsError("`redis_url` must not hold credentials; set `redis_username` and `redis_password_file`")
    if parts.query or parts.fragment:
        raise SettingsError(f"`redis_url` has no options; it is {_FORMS}")
    name, _, form = parts.scheme.partition("+")
    tls = name == "rediss"
    if parts.scheme == "unix":
        if parts.netloc or len(parts.path) < 2:  # noqa: PLR2004  # "/" alone
            raise SettingsError("a unix `redis_url` needs an absolute path, as `unix:///run/redis.sock`")
        return _Target("unix", tls=False, path=unquote(parts.path))
    path = [part for part in parts.path.split("/")[1:] if part]
    if name in ("redis", "rediss") and not form and "+" not in parts.scheme:
        addresses = _addresses(parts.netloc, _REDIS_PORT, most=1)
        return _Target("server", tls, addresses, database=_database(path))
    if name in ("redis", "rediss") and form == "cluster" and not path:
        return _Target("cluster", tls, _addresses(parts.netloc, _REDIS_PORT, most=_MAX_ADDRESSES))
    if name in ("redis", "rediss") and form == "sentinel":
        addresses = _addresses(parts.netloc, _SENTINEL_PORT, most=_MAX_ADDRESSES)
        if not path or not _SERVICE.fullmatch(path[0]):
            raise SettingsError("a sentinel `redis_url` names its service, as `redis+sentinel://host:port/SERVICE/DB`")
        return _Target("sentinel", tls, addresses, service=path[0], database=_database(path[1:]))
    raise SettingsError(f"`redis_url` is of no known form; it is {_FORMS}")


def _addresses(netloc: str, default_port: int, *, most: int) -> tuple[Address, ...]:
    found = []
    for text in netloc.split(","):
        match = _ADDRESS.fullmatch(text)
        port = int(match["port"] or default_port) if match else 0
        if match is None or not 0 < port <= _LAST_PORT:
            raise SettingsError(f"`redis_url` holds an address that is none; it is {_FORMS}")
        found.append((match["host"].strip("[]"), port))
    if len(found) > most:
        raise SettingsError(f"`redis_url` holds more than {most} address(es); it is {_FORMS}")
    return tuple(found)


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if len(path) > 1 or not path[0].isascii() or not path[0].isdigit() or int(path[0]) > _LAST_DATABASE:
        raise SettingsError(f"`redis_url` holds a database that is no number; it is {_FORMS}")
    return int(path[0])


def _credentials(place: RedisPlace) -> dict[str, Any]:
    if place.password_file:
        _read_password(place.password_file)  # an operator hears of a file that cannot be used at the start
        return {"credential_provider": _FromFile(place.username, place.password_file)}
    return {"username": place.username} if place.username else {}


class _FromFile(CredentialProvider):
    """Reads the password at each connection, so that a new one counts without a restart."""

    def __init__(self, username: str, file: str) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Raises SettingsError where the file cannot be used now."""
        password = _read_password(self._file)
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def _read_password(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            text = file.read(_MAX_PASSWORD_BYTES + 1).decode()
    except OSError as fault:
        raise SettingsError(f"`redis_password_file` cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError("`redis_password_file` is not UTF-8") from None
    password = text.rstrip("\r\n")
    if not password or len(text) > _MAX_PASSWORD_BYTES:
        raise SettingsError("`redis_password_file` is empty, or too long for a password")
    return password


def _tls(place: RedisPlace) -> ssl.SSLContext:
    """TLS 1.2 or newer, the server's name checked. With a CA file no other authority is trusted."""
    try:
        context = ssl.create_default_context(cafile=place.ca_file or None)
    except OSError as fault:  # ssl.SSLError is one
        raise SettingsError(f"`redis_ca_file` cannot be used: {_why(fault)}") from None
    if place.key_file and not place.cert_file:
        raise SettingsError("`redis_key_file` needs `redis_cert_file`")
    if place.cert_file:
        try:
            # A key with a passphrase would ask for it on the terminal; an empty one is refused at once.
            context.load_cert_chain(place.cert_file, place.key_file or None, password="")
        except OSError as fault:
            raise SettingsError(f"`redis_cert_file` or `redis_key_file` cannot be used: {_why(fault)}") from None
    return context


def _why(fault: OSError) -> str:
    return (fault.reason if isinstance(fault, ssl.SSLError) else fault.strerror) or type(fault).__name__


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


def _connections(tls: ssl.SSLContext | None, *, sentinel: bool = False) -> dict[str, Any]:
    if tls is None:
        return {"connection_class": SentinelManagedConnection if sentinel else Connection}
    return {"connection_class": _SentinelManagedTls if sentinel else _Tls, "tls": tls}


def _sentinel(target: _Target, options: dict[str, Any], tls: ssl.SSLContext | None, max_connections: int) -> Redis:
    """The master of a service. Each new connection asks the sentinels where it is.

    They are asked with the same user and password, and then, where they know neither, with none.
    """
    asked = [options]
    if "credential_provider" in options:
        asked.append({name: value for name, value in options.items() if name != "credential_provider"})
    manager = Sentinel([])  # type: ignore[no-untyped-call]
    manager.sentinels = [
        Redis.from_pool(ConnectionPool(max_connections=2, host=host, port=port, **with_, **_connections(tls), db=0))
        for with_ in ({name: value for name, value in each.items() if name != "db"} for each in asked)
        for host, port in target.addresses
    ]
    master: Redis = manager.master_for(
        target.service,
        redis_class=_Master,
        max_connections=max_connections,
        **options,
        **_connections(tls, sentinel=True),
    )
    return master


def _cluster(
    target: _Target, options: dict[str, Any], tls: ssl.SSLContext | None, max_connections: int
) -> RedisCluster:
    client = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in target.addresses],
        retry=_no_retry(),
        require_full_coverage=False,  # the slots that are served are worth asking
        max_connections=max_connections,
        **options,
    )
    # The constructor takes neither a parser nor a connection class; every node is made from these options.
    ours = {**_connections(tls), "parser_class": _BoundedParser}
    client.connection_kwargs.update(ours)
    for node in client.nodes_manager.startup_nodes.values():
        node.connection_class = ours["connection_class"]
        node.connection_kwargs.update({name: value for name, value in ours.items() if name != "connection_class"})
    return client


class _Master(Redis):
    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to the sentinels too, which redis-py leaves to nobody."""
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        await pool.sentinel_manager.aclose()


class _OwnContext(Connection):
    """TLS with the one context that `open_redis` made; redis-py would make one for each connection."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {"host": self.host, "port": self.port, "ssl": self._tls}


class _Tls(_OwnContext, SSLConnection):
    pass


class _SentinelManagedTls(_OwnContext, SentinelManagedSSLConnection):
    pass


class _BoundedParser(_AsyncHiredisParser):
    """Ends the connection at `MAX_REPLY_BYTES` of one answer.

    The attack: a value of 512 MB under one of our keys, or an answer without end, fills every worker's memory.
    """

    _taken = 0
    _stream: Any
    _reader: Any

    async def read_response(self, disable_decoding: bool = False, push_request: bool = False) -> Any:
        self._taken = 0
        return await super().read_response(disable_decoding=disable_decoding, push_request=push_request)

    async def read_from_socket(self) -> bool:
        chunk = await self._stream.read(self._read_size)
        if not chunk:
            raise RedisConnectionError("the server closed the connection")
        self._taken += len(chunk)
        if self._taken > MAX_REPLY_BYTES:
            raise InvalidResponse(f"an answer of more than {MAX_REPLY_BYTES} bytes")
        self._reader.feed(chunk)
        return True
