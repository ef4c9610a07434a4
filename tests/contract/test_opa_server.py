"""What only the adapter for an OPA server promises: sharing a server, healing, deadlines, and trusting nobody."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.request
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.engine.frames import MAX_VALUE_BYTES
from pdp.engine.opa_server import OpaServerEngine
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineTimeoutError, SettingsError
from tests.certificates import Authority
from tests.http_server import serving
from tests.servers import OpaServer, opa_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pdp.bundle.bundle import Bundle

pytestmark = pytest.mark.anyio

DEADLINE = timedelta(milliseconds=500)
TOKEN = "a-token-of-the-engine"

# Two files of one package that need one another, functions in a circle of modules, every kind of rule.
MODULES = {
    "x/answer.rego": """package x

import data.y

answer := {"n": y.twice(input.n), "names": names, "first": first[1], "k": data.k, "deep": deep.a.b} if input.n

thrice(n) := y.twice(n) + n
""",
    "x/more.rego": """package x

names contains name if some name in data.names

first[n] := name if some n, name in data.names

deep.a.b := 1

default known := false

known if "b" in names
""",
    "y.rego": """package y

import data.x

twice(n) := n + n

four(n) := x.thrice(n) + n
""",
    "unused.rego": """package unused

z := 1
""",
}


def bundle(revision: str = "r1", modules: dict[str, str] | None = None, **data: Any) -> Bundle:
    return make_bundle(
        manifest={"revision": revision, "metadata": {"entrypoint": "x/answer"}},
        modules=modules or MODULES,
        data={"k": revision, "names": ["a", "b"], **data},
    )


@asynccontextmanager
async def engine_at(url: str, **options: Any) -> AsyncIterator[OpaServerEngine]:
    engine = OpaServerEngine(url, **{"deadline": DEADLINE, **options})
    try:
        yield engine
    finally:
        await engine.close()


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaServer]:
    with opa_server() as server:
        yield server


@pytest.fixture
async def engine(opa) -> AsyncIterator[OpaServerEngine]:
    async with engine_at(opa.url) as made:
        yield made


def call(server: OpaServer, method: str, path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(server.url + path, data=body, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def policies(server: OpaServer) -> list[str]:
    return [policy["id"] for policy in call(server, "GET", "/v1/policies")["result"]]


async def ask(engine: OpaServerEngine, n: int = 1) -> Any:
    (answer,) = await engine.evaluate([json.dumps({"n": n}).encode()])
    if isinstance(answer, EngineError):
        raise answer
    return json.loads(answer)


# --- a bundle on the server


async def test_files_of_one_package_and_functions_that_call_one_another_load_in_any_order(engine):
    await engine.activate(bundle("r1"))
    assert await ask(engine, 4) == {"n": 8, "names": ["a", "b"], "first": "b", "k": "r1", "deep": 1}


async def test_two_workers_with_different_bundles_share_one_server(opa, engine):
    async with engine_at(opa.url) as other:
        await engine.activate(bundle("r1"))
        await other.activate(bundle("r2"))
        assert [(await ask(engine))["k"], (await ask(other))["k"]] == ["r1", "r2"]


async def test_policies_and_data_of_others_are_left_alone(opa, engine):
    call(opa, "PUT", "/v1/policies/others", b"package others\n\nx := 1\n")
    call(opa, "PUT", "/v1/data/others_data", b'{"a": 1}')
    for number in range(6):
        await engine.activate(bundle(f"tidy {number}"))
    assert "others" in policies(opa)
    assert call(opa, "GET", "/v1/data/others_data")["result"] == {"a": 1}


async def test_old_bundles_are_tidied_up_and_the_newest_stay(opa, engine):
    for number in range(7):
        await engine.activate(bundle(f"many {number}"))
    gates = [policy for policy in policies(opa) if policy.endswith("/gate")]
    assert len(gates) == 4
    assert (await ask(engine))["k"] == "many 6"


async def test_a_refused_bundle_leaves_nothing_behind(opa, engine):
    await engine.activate(bundle("r1"))
    before = policies(opa)
    with pytest.raises(BundleError):
        await engine.activate(bundle("r2", {**MODULES, "z.rego": "package z\n\nx := nobody.knows(1)\n"}))
    with pytest.raises(BundleError):
        await engine.activate(bundle("r3", {**MODULES, "x/answer.rego": 'package x\n\nanswer := to_number("a")\n'}))
    assert sorted(policies(opa)) == sorted(before)


async def test_a_fault_in_a_module_is_told_with_its_own_file_line_and_column(engine):
    modules = {**MODULES, "z z.rego": "package z\n\nx if { data.k; data.names; count(1) }\n"}
    with pytest.raises(BundleError) as refusal:
        await engine.activate(bundle("r1", modules))
    assert refusal.value.where == "z z.rego:3:28"
    assert "sekisho" not in str(refusal.value)


@pytest.mark.parametrize("missing", ["/gate", "/modules/y.rego", "/modules/unused.rego", "data", "everything"])
async def test_a_bundle_of_which_something_is_missing_answers_nothing_until_it_is_whole_again(opa, engine, missing):
    await engine.activate(bundle(f"missing {missing}"))
    own = [id_ for id_ in policies(opa) if id_.startswith("sekisho/")]
    if missing == "everything":
        opa.restart()
    elif missing == "data":
        for place in call(opa, "GET", "/v1/data/sekisho")["result"]:
            if place.startswith("b"):
                call(opa, "DELETE", f"/v1/data/sekisho/{place}")
    else:
        for id_ in own:
            if id_.endswith(missing):
                call(opa, "DELETE", f"/v1/policies/{id_}")
    answers = await asyncio.gather(*(ask(engine, n) for n in range(1, 9)))
    assert [answer["n"] for answer in answers] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert {answer["k"] for answer in answers} == {f"missing {missing}"}


async def test_the_gate_itself_says_nothing_where_a_part_is_missing(opa, engine):
    await engine.activate(bundle("gate"))
    places = {id_.split("/")[1] for id_ in policies(opa) if id_.startswith("sekisho/")}
    digest = bundle("gate").digest
    (place,) = [one for one in places if digest.startswith(one)]
    question = f"/v1/data/sekisho/g{place}/answer"
    assert call(opa, "POST", question, b'{"input": {"n": 1}}')["result"]["digest"] == digest
    call(opa, "DELETE", f"/v1/policies/sekisho/{place}/modules/unused.rego")
    assert call(opa, "POST", question, b'{"input": {"n": 1}}').get("result", {}) == {}


# --- a server that pulls its bundles itself


def bundle_folder(tmp_path, revision):
    made = bundle(revision)
    folder = tmp_path / "bundle"
    for name, text in made.modules.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data.json").write_text(json.dumps(made.data))
    (folder / ".manifest").write_text(json.dumps({"revision": revision, "roots": ["x", "y", "unused", "k", "names"]}))
    return str(folder)


async def test_a_server_with_its_own_bundle_answers_for_that_revision_only(tmp_path):
    with opa_server("--bundle", bundle_folder(tmp_path, "r7")) as server:
        async with engine_at(server.url, manage=False) as engine:
            with pytest.raises(BundleError, match="r7"):
                await engine.activate(bundle("r6"))
            await engine.activate(bundle("r7"))
            assert (await ask(engine, 4))["n"] == 8
            bundle_folder(tmp_path, "r8")
            server.restart()
            with pytest.raises(EngineError, match="r8"):
                await ask(engine, 4)
            assert not [id_ for id_ in policies(server) if id_.startswith("sekisho/")]
        async with engine_at(server.url, manage=False, bundle_name="another") as engine:
            with pytest.raises(BundleError):
                await engine.activate(bundle("r8"))


async def test_a_server_without_a_bundle_does_not_pass_for_one_that_has_it(opa):
    async with engine_at(opa.url, manage=False) as engine:
        with pytest.raises(BundleError):
            await engine.activate(bundle("r1"))


# --- credentials


AUTHORIZATION = f"""package system.authz

default allow := false

allow if input.identity == "{TOKEN}"

allow if input.path == ["health"]
"""


async def test_the_token_opens_a_server_that_wants_one(tmp_path):
    (tmp_path / "authz.rego").write_text(AUTHORIZATION)
    arguments = ("--authentication=token", "--authorization=basic", str(tmp_path / "authz.rego"))
    with opa_server(*arguments) as server:
        async with engine_at(server.url, token=TOKEN) as engine:
            await engine.activate(bundle("r1"))
            assert (await ask(engine))["n"] == 2
        async with engine_at(server.url, token="another") as engine:
            with pytest.raises(EngineError) as refusal:
                await engine.activate(bundle("r1"))
            assert "another" not in str(refusal.value)


async def test_tls_needs_an_authority_that_we_trust_and_shows_our_certificate(tmp_path):
    authority = Authority(tmp_path)
    server, worker = authority.issue("opa", "opa", host="localhost"), authority.issue("worker", "worker")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(worker.certificate, worker.key)
    (tmp_path / "authz.rego").write_text(AUTHORIZATION.replace(TOKEN, "CN=worker"))
    arguments = (
        f"--tls-cert-file={server.certificate}",
        f"--tls-private-key-file={server.key}",
        f"--tls-ca-cert-file={authority.certificate}",
        "--authentication=tls",
        "--authorization=basic",
        str(tmp_path / "authz.rego"),
    )
    with opa_server(*arguments, trust=authority.certificate, certificate=worker) as running:
        async with engine_at(running.url, ssl_context=context) as engine:
            await engine.activate(bundle("r1"))
            assert (await ask(engine))["n"] == 2
        async with engine_at(running.url) as engine:
            with pytest.raises(EngineDiedError):
                await engine.activate(bundle("r1"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1:8181",
        "127.0.0.1:8181",
        "http://user:secret@127.0.0.1:8181",
        "http://127.0.0.1:8181/v1",
        "http://127.0.0.1:eight",
        "http://",
        "http://127.0.0.1:8181?token=secret",
    ],
)
def test_an_address_that_is_more_or_less_than_one_is_refused(url):
    with pytest.raises(SettingsError) as refusal:
        OpaServerEngine(url)
    assert "secret" not in str(refusal.value)


# --- servers that are not what they should be


GOOD = json.dumps({"result": True, "provenance": {"bundles": {"b": {"revision": "r1"}}}}).encode()


class Scripted:
    """An ASGI application that gives one answer to everything, and counts."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.status, self.body, self.headers = 200, GOOD, {"content-type": "application/json"}
        self.asked: list[str] = []
        self.repeat = 1
        self.silent = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        while self.silent:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for _ in range(self.repeat):
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def lying() -> Iterator[tuple[Scripted, int]]:
    app = Scripted()
    with serving(app) as port:
        yield app, port


@pytest.fixture
async def scripted(lying) -> AsyncIterator[tuple[Scripted, OpaServerEngine]]:
    """A server that says what a test wants, and an engine that believes it to have revision r1."""
    app, port = lying
    app.reset()
    async with engine_at(f"http://127.0.0.1:{port}", manage=False, token=TOKEN) as engine:
        await engine.activate(bundle("r1"))
        yield app, engine
        app.silent = False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"true",
        b"<html>",
        b'{"result": tru}',
        b'{"result": true}',
        b'{"result": true, "provenance": null}',
        b'{"result": true, "provenance": {"bundles": {}}}',
        b'{"result": true, "provenance": {"bundles": {"b": {"revision": "r2"}}}}',
        b'{"result": true, "provenance": {"bundles": {"b": {"revision": "r1"}, "c": {"revision": "r1"}}}}',
        b'{"result": true, "provenance": {"bundles": ["r1"]}}',
        b'{"provenance": {"bundles": {"b": {"revision": "r1"}}}}',
        b'{"decision": true, "provenance": {"bundles": {"b": {"revision": "r1"}}}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_not_one_is_an_error(scripted, body):
    app, engine = scripted
    assert await engine.evaluate([b"{}"]) == [b"true"]
    app.body = body
    (answer,) = await engine.evaluate([b"{}"])
    assert isinstance(answer, EngineError)
    app.body = GOOD
    assert await engine.evaluate([b"{}"]) == [b"true"]


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 429, 500, 502, 503])
async def test_a_status_other_than_success_is_an_error_and_is_asked_once(scripted, status):
    app, engine = scripted
    app.status, app.headers = status, {"location": "/v1/data/elsewhere", "content-type": "application/json"}
    app.asked.clear()
    (answer,) = await engine.evaluate([b"{}"])
    assert isinstance(answer, EngineError)
    assert TOKEN not in str(answer)
    assert app.asked == ["/v1/data/x/answer"]


async def test_a_server_that_says_nothing_costs_the_deadline(scripted):
    app, engine = scripted
    app.silent = True
    began = time.monotonic()
    (answer,) = await engine.evaluate([b"{}"])
    assert isinstance(answer, EngineTimeoutError)
    assert time.monotonic() - began < DEADLINE.total_seconds() + 1


async def test_an_answer_without_end_is_cut_off(scripted):
    app, engine = scripted
    app.body, app.repeat = b" " * (1 << 20), (MAX_VALUE_BYTES >> 20) + 2
    (answer,) = await engine.evaluate([b"{}"])
    assert isinstance(answer, EngineError)
    assert "not the JSON" in str(answer)


async def test_a_server_that_is_not_there_is_no_fault_of_the_bundle():
    async with engine_at("http://127.0.0.1:1") as engine:
        with pytest.raises(EngineDiedError):
            await engine.activate(bundle("r1"))
