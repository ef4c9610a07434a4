"""Two ways to the desk for 例外措置 and 災害時運用: the control database of this host, or a running service's API.

Both say what `GET /admin/v1/exceptions` says. The register itself (`pdp.revisions.exceptions`) is one, and decides.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlencode

from pdp.errors import (
    BadRequestError,
    ConflictError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    NotReadyError,
    SekishoError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from pdp.commands.revision_board import Board
    from pdp.revisions.exceptions import Decision, Exemption

Json = dict[str, Any]
DEADLINE_S: Final = 15.0
MAX_ANSWER: Final = 4 * 1024 * 1024  # 500 exceptions with 200 names each stay far below
MAX_KEY: Final = 4_096
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ERRORS: Final[dict[int, type[SekishoError]]] = {
    400: BadRequestError,
    401: NotAuthenticatedError,
    403: NotPermittedError,
    404: NotFoundError,
    409: ConflictError,
    413: BadRequestError,
}


class Way(Protocol):
    """Every method raises what refuses it."""

    def all(self, states: str) -> list[Json]: ...

    def ask(self, said: Json) -> Json: ...

    def decide(self, number: int, decision: Decision, note: str) -> Json: ...


class OnThisHost:
    """The control database, as every command of this host; each change is in its trail."""

    def __init__(self, board: Board) -> None:
        from pdp.revisions.exceptions import Exceptions
        from pdp.revisions.person import People

        self._board = board
        self._held = Exceptions(board.store, People(board.settings.policy_people))

    def all(self, states: str) -> list[Json]:
        from pdp.governance.exceptions_desk import exemption_told, states_in

        found = self._held.all(self._board.now, states_in(states))
        may, person = self._held.may, self._board.person
        return [
            {**exemption_told(one.exemption), "in_force": one.in_force, "may": list(may(person, one.exemption))}
            for one in found
        ]

    def ask(self, said: Json) -> Json:
        from pdp.governance.exceptions_desk import asked_for, exemption_told
        from pdp.trail.keeping import noted

        board, asked = self._board, asked_for(said)
        with noted(board.settings, "exception.ask", {}, reason=asked.reason):
            made = self._held.ask(
                board.person,
                asked.kind,
                asked.scope,
                starts=asked.starts,
                ends=asked.ends,
                reason=asked.reason,
                now=board.now,
            )
        return exemption_told(made)

    def decide(self, number: int, decision: Decision, note: str) -> Json:
        from pdp.governance.exceptions_desk import exemption_told
        from pdp.trail.keeping import noted

        board, action = self._board, f"exception.{decision}"
        with noted(board.settings, action, {}, object=f"exception {number}", reason=note):  # type: ignore[arg-type]
            found: Exemption | tuple[Exemption, int] = getattr(self._held, decision)(
                board.person, number, note, board.now
            )
        if isinstance(found, tuple):
            found, epoch = found
            board.tell("directory", str(epoch))
        return exemption_told(found)


class OverTheApi:
    """A running service at `url`, asked with the key of a caller. Raises BadRequestError for an address without TLS."""

    def __init__(self, url: str, key: str, client: httpx.Client) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}
        self._client = client

    def all(self, states: str) -> list[Json]:
        found: list[Json] = self._sent(
            "GET", f"/exceptions?{urlencode({'state': states})}" if states else "/exceptions"
        )["exceptions"]
        return found

    def ask(self, said: Json) -> Json:
        return self._sent("POST", "/exceptions", said)

    def decide(self, number: int, decision: Decision, note: str) -> Json:
        return self._sent("POST", f"/exceptions/{number}/{decision}", {"note": note})

    def _sent(self, method: str, path: str, body: Json | None = None) -> Json:
        import httpx
        import msgspec

        try:
            with self._client.stream(method, f"{self._url}/admin/v1{path}", json=body, headers=self._headers) as answer:
                content = b"".join(_bounded(answer))
        except httpx.HTTPError as fault:
            raise NotReadyError(f"the service cannot be reached: {type(fault).__name__}") from None
        try:
            told: Json = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.MsgspecError:
            raise NotReadyError(f"what answers there is no service of ours (status {answer.status_code})") from None
        if answer.is_success:
            return told
        kind = _ERRORS.get(answer.status_code, NotReadyError)
        raise kind(str(told.get("detail") or told.get("title") or answer.status_code), next_step=_next_of(told))


def _next_of(told: Json) -> str | None:
    found = told.get("next_step")
    return found if isinstance(found, str) else None


def _bounded(answer: httpx.Response) -> Iterator[bytes]:
    taken = 0
    for chunk in answer.iter_bytes():
        taken += len(chunk)
        if taken > MAX_ANSWER:
            raise NotReadyError(f"the answer is larger than {MAX_ANSWER} bytes")
        yield chunk


@contextmanager
def over_the_api(url: str, key_file: Path | None) -> Iterator[OverTheApi]:
    """Raises BadRequestError for an address or a key that cannot be used."""
    import httpx

    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise BadRequestError(f"`{url[:128]}` is no address") from None
    if not address.host:
        raise BadRequestError(f"`{url[:128]}` is no address")
    if address.scheme != "https" and not (address.scheme == "http" and address.host in _LOOPBACK):
        raise BadRequestError("the address begins with https, or is this host's own", next_step="use its https address")
    if key_file is None:
        raise BadRequestError("--url needs --key-file", next_step="name a file with the key of a caller")
    try:
        with key_file.open("rb") as file:
            key = file.read(MAX_KEY).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise BadRequestError(f"the key file `{key_file.name}` cannot be read") from None
    with httpx.Client(timeout=DEADLINE_S, follow_redirects=False, trust_env=False) as client:
        yield OverTheApi(url, key, client)
