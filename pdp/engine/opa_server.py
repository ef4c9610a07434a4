"""The second engine: an OPA server, asked through opa-python-client.

Two ways to get a bundle there:

- `manage=True`: this engine loads it, under a name made of its digest and behind a gate that proves in each
  query that all of it is there (`pdp.engine.opa_namespace`). Several workers, and several bundles, may share
  a server; what a restart or another worker took away is loaded anew, and the documents wait for that.
- `manage=False`: the server pulls its bundles itself. `activate` loads nothing, and each answer must come from
  a bundle of the active revision: OPA names the revision in the same transaction (`provenance`).

Builtin errors fail the evaluation (`strict-builtin-errors`), as they do in regorus: OPA by itself would take
an erring condition for false, and go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from pdp.bundle.rules import RuleBook
from pdp.engine.crew import MAX_WAITING, PATIENCE, SLICE
from pdp.engine.frames import MAX_VALUE_BYTES
from pdp.engine.opa_answer import (
    FailedError,
    NotWholeError,
    RevisionError,
    UndefinedError,
    check_document,
    failure,
    value_behind_gate,
    value_of_revision,
)
from pdp.engine.opa_client import AnswerTooLargeError, OpaClient, OpaRefusalError
from pdp.engine.opa_namespace import Namespace, namespace_of
from pdp.engine.opa_shelf import Shelf
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineSupersededError, EngineTimeoutError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle

DEADLINE: Final = timedelta(milliseconds=250)
CONNECTIONS: Final = 32  # two for each core of a large host: more only queue up inside OPA
MAX_TREE_BYTES: Final = 256 * 1024 * 1024  # a policy comes back with its tree, some eight times its text
LOAD_DEADLINE_S: Final = 10.0  # one policy: OPA compiles all that it has with each
_PAUSE_S: Final = 1.0  # after a bundle could not be loaded anew

_STRICT: Final = {"strict-builtin-errors": "true"}
_STRICT_WITH_PROVENANCE: Final = {**_STRICT, "provenance": "true"}


@dataclass(frozen=True, slots=True)
class _Served:
    """The active bundle, and where it stands: `namespace` is None where the server pulls it itself."""

    bundle: Bundle
    namespace: Namespace | None


class OpaServerEngine:
    """The port `Engine` over an OPA server at `http(s)://host:port`.

    `deadline` bounds each evaluation; OPA stops working on it when we hang up. `ssl_context` holds the
    authorities and the client certificate for https (None: the system's authorities). `bundle_name` says
    which of the server's bundles counts with `manage=False`; None: it must have exactly one.
    """

    def __init__(  # noqa: PLR0913  # each is one setting, named at the call
        self,
        url: str,
        *,
        deadline: timedelta = DEADLINE,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        manage: bool = True,
        bundle_name: str | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._deadline_s = deadline.total_seconds()
        self._manage = manage
        self._bundle_name = bundle_name
        self._client = OpaClient(
            url,
            deadline_s=self._deadline_s,
            connections=connections,
            max_answer_bytes=MAX_VALUE_BYTES,
            token=token,
            ssl_context=ssl_context,
        )
        self._shelf = Shelf(
            OpaClient(
                url,
                deadline_s=LOAD_DEADLINE_S,
                connections=2,
                max_answer_bytes=MAX_TREE_BYTES,
                token=token,
                ssl_context=ssl_context,
            )
        )
        self._served: _Served | None = None
        self._room = asyncio.Semaphore(connections)
        self._waiting = 0
        self._activating = asyncio.Lock()
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def name(self) -> str:
        return "opa"

    async def activate(self, bundle: Bundle) -> None:
        """As the port says. With `manage=False`, BundleError also where the server has another revision."""
        async with self._activating:
            if self._closed:
                raise EngineError("the engine is closed")
            await self._client.open()
            former = self._served
            namespace = await asyncio.to_thread(_namespace, bundle) if self._manage else None
            served = _Served(bundle, namespace)
            in_use = former.namespace if former is not None else None
            try:
                if namespace is not None:
                    await self._shelf.put(namespace)
                await self._prove(served)
            except BundleError:
                if namespace is not None and (in_use is None or in_use.short != namespace.short):
                    await self._shelf.take_away(namespace)
                raise
            if namespace is not None:
                await self._shelf.tidy({one.short for one in (namespace, in_use) if one is not None})
            self._served = served  # last, as the port promises: nothing is awaited after it

    async def _prove(self, served: _Served) -> None:
        try:
            await self._ask(served, b"{}")
        except NotWholeError:
            raise EngineError("the bundle did not stay on the OPA server") from None
        except UndefinedError:  # of an input without a single fact: a policy may well have no answer to that
            return
        except FailedError as fault:
            raise BundleError(f"the evaluation of `{{}}` failed: {fault.detail}", where=fault.where) from None
        except (EngineTimeoutError, RevisionError) as fault:
            raise BundleError(str(fault)) from None

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        """As the port says. All documents of one call are judged by the bundle that was active when it began."""
        served = self._served
        if served is None or self._closed:
            return [EngineError("no bundle is active") for _ in documents]
        if digest is not None and digest != served.bundle.digest:
            return [EngineSupersededError("another bundle has become active") for _ in documents]
        answers: list[bytes | EngineError] = []
        for start in range(0, len(documents), SLICE):
            answers += await self._evaluate_slice(served, documents[start : start + SLICE])
        return answers

    async def _evaluate_slice(self, served: _Served, documents: Sequence[bytes]) -> list[bytes | EngineError]:
        if self._waiting >= MAX_WAITING:
            return [EngineError(f"more than {MAX_WAITING} documents wait for the OPA server") for _ in documents]
        self._waiting += len(documents)
        try:
            if len(documents) == 1:  # the usual case needs no task of its own
                return [await self._evaluate(served, documents[0])]
            return list(await asyncio.gather(*(self._evaluate(served, document) for document in documents)))
        finally:
            self._waiting -= len(documents)

    async def _evaluate(self, served: _Served, document: bytes) -> bytes | EngineError:
        try:
            return await self._ask(served, document)
        except NotWholeError:
            pass
        except EngineError as fault:
            return fault
        try:
            await self._load_anew(served)
            return await self._ask(served, document)
        except NotWholeError:
            return EngineError("the OPA server does not have the whole bundle")
        except EngineError as fault:
            return fault

    async def _ask(self, served: _Served, document: bytes) -> bytes:
        check_document(document)
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._room.acquire()
        except TimeoutError:
            raise EngineTimeoutError(f"no connection was free within {PATIENCE.total_seconds():g} s") from None
        try:
            async with asyncio.timeout(self._deadline_s):
                said = await self._request(served, document)
        except TimeoutError:
            raise EngineTimeoutError("the OPA server did not answer within the deadline") from None
        except OpaRefusalError as refusal:
            raise failure(refusal, served.namespace) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise EngineDiedError(f"the OPA server cannot be reached: {type(fault).__name__}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AnswerTooLargeError):
            raise EngineError("the OPA server's answer is not the JSON that it should be") from None
        finally:
            self._room.release()
        if served.namespace is None:
            return value_of_revision(said, served.bundle.revision, self._bundle_name)
        return value_behind_gate(said, served.namespace.digest)

    async def _request(self, served: _Served, document: bytes) -> Any:
        try:
            return await self._query(served, document)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # A connection of the pool that the server has closed meanwhile: an evaluation changes nothing,
            # so it may be asked again.
            return await self._query(served, document)

    async def _query(self, served: _Served, document: bytes) -> Any:
        if self._closed:
            raise EngineError("the engine is closed")
        path = served.bundle.entrypoint if served.namespace is None else served.namespace.question
        options = _STRICT_WITH_PROVENANCE if served.namespace is None else _STRICT
        return await self._client.query_rule(msgspec.Raw(document), path, query_params=options)

    async def _load_anew(self, served: _Served) -> None:
        """Put the bundle back: once, for all who miss it. Raises EngineError."""
        if served.namespace is None or self._closed:
            raise NotWholeError
        key = served.namespace.short
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._put_back(served.namespace))
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        done, _ = await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
        if not done:
            raise EngineTimeoutError("the bundle is being loaded into the OPA server again")

    async def _put_back(self, namespace: Namespace) -> None:
        try:
            await self._shelf.put(namespace)
        except (BundleError, EngineError):
            # Who asks next finds this task still there, and fails with it: no storm on a server that struggles.
            await asyncio.sleep(_PAUSE_S)

    async def close(self) -> None:
        """Let the connections go. What was loaded stays: another worker may be using it."""
        self._closed = True
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close_connection()
        await self._shelf.close()


def _namespace(bundle: Bundle) -> Namespace:
    modules, broken = parse_modules(bundle.modules)
    for fault in broken:
        raise BundleError(fault.message, where=f"{fault.name}:{fault.line}:{fault.column}")
    rules = RuleBook(modules)
    if not rules.definitions(("data", *bundle.entrypoint.split("/"))):
        raise BundleError(f"no rule `{bundle.query}` is defined")
    return namespace_of(bundle, rules)
