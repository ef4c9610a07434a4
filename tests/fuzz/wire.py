"""Throws broken requests at the lane and looks at what comes back. `python tests/fuzz/fuzz_wire.py --seconds 60`.

In process, without a socket: the lane, the AuthZEN handlers and the facts builder are real; the policy says
yes to everybody, so that an answer that should not have been a decision shows. Asserted of every answer:

- no 5xx: whatever a client sends is the client's fault, or a decision;
- an error in our form, or a decision or a search result in AuthZEN's;
- `X-Request-ID` echoed where it was one, and never where it was not;
- no decision without the caller's key, and none to a body that `json.loads` does not read.

What breaks one of these is written to `tests/fuzz/seeds`, and pytest replays it from then on.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import copy
import hashlib
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdp.api.app import serve_app
from pdp.api.openapi import ACTION_SEARCH, CALLER, EVALUATIONS, RESOURCE_SEARCH, SUBJECT_SEARCH
from pdp.api.surface import Surface
from pdp.bundle.bundle import read_bundle
from pdp.callers.belief import believable
from pdp.errors import BadRequestError
from pdp.facts.document import build_facts
from pdp.facts.reference import read_reference
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer, Witnesses, prove
from pdp.model.decision import BAD_INPUT, Decision, Outcome, Text, Verdict, denied
from pdp.model.directory import User, snapshot_of
from pdp.model.input import encode_input
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import DirectoryCandidates
from pdp.wire.page_token import PageTokens
from tests.scripted_decider import OneKey
from tests.unit.api.asgi import Exchange, part

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pdp.api.lane import Lane
    from pdp.callers.caller import Caller
    from pdp.model.request import AccessRequest, Refusal

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"
KEY = "key-of-gateway-1"
MAX_BODY = 600_000  # twice what the lane takes
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
POLICIES = ROOT / "policies"


class Yes:
    """Permits whatever becomes a document. A fault that is not the request's own is raised, and so becomes a 500."""

    def __init__(self) -> None:
        self._reference = read_reference(read_bundle(POLICIES).data)
        self._snapshot = snapshot_of(epoch=1, users=[User("u-0001", "staff"), User("u-0002", "contractor")])
        self.candidates = DirectoryCandidates(self._snapshot, ["mail", "groupware", "finance"])

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        document = b"null"
        try:
            believed, users = believable(request, caller), self._snapshot.users
            proof = await prove(believed, caller, Witnesses(LevelTable(), NoIssuer()), users, NOW, "decision-1")
            document = encode_input(build_facts(request, proof, self._snapshot, self._reference, NOW).document)
            verdict = Verdict(Outcome.ALLOW, ("OK",))
        except BadRequestError:
            verdict = denied(BAD_INPUT)
        return Decision(
            id="decision-1",
            at=NOW,
            verdict=verdict,
            reason_user=Text("", ""),
            reason_admin=Text("", ""),
            expires_at=NOW,
            policy_revision="1",
            bundle_digest="0" * 64,
            directory_epoch=1,
            cache="bypass",
            input=document,
        )

    def begin(self, request: AccessRequest, caller: Caller) -> Coroutine[Any, Any, Decision]:
        return self.decide(request, caller)

    async def refuse(self, refusal: Refusal, _caller: Caller) -> str:
        assert refusal.fault.status < 500
        return "refusal-1"


def make_lane(bugs: list[BaseException]) -> Lane:
    decider = Yes()
    routes = authzen_routes(
        decider,
        OneKey(KEY),
        profile=lambda: "zta",
        public_url="https://pdp.example.jp",
        searching=Searching(lambda: decider.candidates, PageTokens(b"k" * 32), lambda: NOW),
    )
    return serve_app(Surface(exact=routes, readiness=list, metrics=bytes, on_bug=bugs.append))


@dataclass(frozen=True)
class Shot:
    """One request, as bytes."""

    path: str
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def to_json(self) -> str:
        members = {**self.__dict__, "body": base64.b64encode(self.body).decode()}
        return json.dumps(members, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Shot:
        members = json.loads(text)
        headers = tuple((name, value) for name, value in members["headers"])
        return cls(members["path"], members["method"], headers, base64.b64decode(members["body"]))


WELL = (("content-type", "application/json"), ("authorization", f"Bearer {KEY}"), ("x-request-id", "r-1"))
GOOD = {
    "/access/v1/evaluation": CALLER,
    "/access/v1/evaluations": EVALUATIONS,
    "/access/v1/search/subject": SUBJECT_SEARCH,
    "/access/v1/search/resource": RESOURCE_SEARCH,
    "/access/v1/search/action": ACTION_SEARCH,
}
ODD_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**53, -(2**63), 1e308, 0.1, "", "\x00", "\ud800", "三重", "a" * 2_000, [], {}, [[]]),
    *({"": ""}, [None] * 70, {"id": "u-0001"}, {"type": "user", "id": "u-0001"}, "user", "application"),
    *("execute_all", "permit_on_first_permit", "2023-08-01T00:00:00Z", "9999-12-31T23:59:59-23:59", 253402300800),
    *("::ffff:10.1.2.3", "fe80::1%1", "10.1.2.3", "ab" * 32, "bulk_download", "public_wifi", "JP", "mail"),
]
ODD_BYTES = [
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1" * 400, b"\\ud800", b"\\u0000", b"\xff", b"\xc0\xae", b"\xef\xbb\xbf"),
    *(b"[" * 40, b"{" * 40, b'{"a":' * 40, b'"', b"\\", b",", b":", b"}", b"]", b"\n", b"\x00", b"//", b'"subject":1,'),
]
ODD_HEADERS = {
    "x-request-id": ["", "a b", "é", "a" * 256, "a" * 257, "\t", "0b36d8f2-4c1b-4d8e-9f45-0c4f8d0e4c11"],
    "content-type": ["", "text/plain", "application/json; charset=utf-16", "APPLICATION/JSON ;x", "application/json,"],
    "authorization": ["", "Bearer", f"Bearer  {KEY}", KEY, f"Basic {KEY}", "Bearer é", "Bearer x", f"bearer {KEY}"],
    "x-api-key": ["", KEY, "x", f"{KEY} "],
    "traceparent": [
        "",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ],
    "content-length": ["", "0", "1", "-1", "99999999999999", "٣"],
    "transfer-encoding": ["chunked"],
    "expect": ["100-continue"],
}


def draw(chance: random.Random) -> Shot:
    """One request: a good one, broken a few times in one way or another."""
    path = chance.choice(list(GOOD))
    value = copy.deepcopy(GOOD[path])
    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        value = _warp(value, chance)
    body = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(chance.choice((0, 0, 0, 1, 2, 8))):
        body = _damage(body, chance)
    shot = Shot(path, "POST", WELL, body)
    while chance.random() < 0.25:
        shot = _redress(shot, chance)
    return shot


def _warp(value: Any, chance: random.Random) -> Any:
    """Change one node of a JSON value: replace, remove, rename, or put another's subtree there."""
    nodes = list(_nodes(value))
    holder, name = chance.choice(nodes)
    if holder is None:
        return copy.deepcopy(chance.choice(ODD_VALUES)) if chance.random() < 0.2 else value
    match chance.randrange(4):
        case 0:
            holder[name] = copy.deepcopy(chance.choice(ODD_VALUES))
        case 1:
            del holder[name]
        case 2 if isinstance(holder, dict):
            holder[chance.choice(("type", "id", "properties", "token", "claims", "page", "x"))] = holder.pop(name)
        case _:
            other, key = chance.choice(nodes)
            source = value if other is None else other[key] if not isinstance(other, list) or key < len(other) else None
            holder[name] = copy.deepcopy(source)
    return value


def _nodes(value: Any) -> Any:
    yield None, None
    stack = [value]
    while stack:
        holder = stack.pop()
        for name in (
            list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        ):
            yield holder, name
            stack.append(holder[name])


def _damage(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    match chance.randrange(5):
        case 0:
            return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]
        case 1:
            return body[:at] + body[at + chance.randrange(1, 20) :]
        case 2:
            return body[:at] + chance.choice(ODD_BYTES) + body[at:]
        case 3:
            return body[:at] + body[max(0, at - chance.randrange(1, 60)) :]
        case _:
            return body[:at]


def _redress(shot: Shot, chance: random.Random) -> Shot:
    match chance.randrange(6):
        case 0:
            return replace(shot, method=chance.choice(("GET", "PUT", "HEAD", "post", "TRACE")))
        case 1:
            path = chance.choice((*GOOD, shot.path + "/", shot.path + "%20", "/", "/.well-known/authzen-configuration"))
            return replace(shot, path=path)
        case 2:
            gone = chance.choice(shot.headers)[0] if shot.headers else ""
            return replace(shot, headers=tuple(pair for pair in shot.headers if pair[0] != gone))
        case 3:
            return replace(
                shot, body=(shot.body * chance.randrange(2, 600))[:MAX_BODY] if len(shot.body) < MAX_BODY else b""
            )
        case _:
            name = chance.choice(list(ODD_HEADERS))
            kept = tuple(pair for pair in shot.headers if pair[0] != name or chance.random() < 0.2)
            return replace(shot, headers=(*kept, (name, chance.choice(ODD_HEADERS[name]))))


async def fire(lane: Lane, shot: Shot, bugs: list[BaseException]) -> Exchange:
    """Send one request and hold the answer against what the module promises. Raises AssertionError."""
    bugs.clear()
    # The header names of a server are ASCII, its values bytes; `encode` of the exchange is latin-1.
    headers = [(name, value.encode("utf-8").decode("latin-1")) for name, value in shot.headers]
    exchange = await Exchange(shot.path, method=shot.method, headers=headers, parts=[part(shot.body, more=False)]).run(
        lane
    )
    assert not bugs, repr(bugs[0])
    assert exchange.status < 500, f"status {exchange.status}"
    _check_echo(exchange, shot)
    if shot.method != "HEAD":
        _check_body(exchange, shot)
    return exchange


def _check_echo(exchange: Exchange, shot: Shot) -> None:
    sent = [value for name, value in shot.headers if name == "x-request-id"]
    valid = len(sent) == 1 and 0 < len(sent[0]) <= 256 and all("!" <= letter <= "~" for letter in sent[0])
    assert exchange.headers.get("x-request-id") == (sent[0] if valid else None), "the request id is not echoed"


def _check_body(exchange: Exchange, shot: Shot) -> None:
    # Behind the lane, where nothing is at a path, errors are problem details that carry the same member.
    forms = ("application/json", "application/problem+json") if exchange.status in (404, 405) else ("application/json",)
    assert exchange.headers["content-type"] in forms
    said = json.loads(exchange.body)
    if exchange.status != 200:
        assert {"code", "message", "next_step"} <= set(said["error"]) <= {"code", "message", "next_step", "id"}
        assert said["error"]["message"].isprintable(), "an error repeats what cannot be printed"
        assert len(exchange.body) < 4_000, "an error repeats too much"
        return
    if shot.path not in GOOD:
        assert "policy_decision_point" in said or said.get("openapi") is not None
        return
    keys = [value.rpartition(" ")[2] or value for name, value in shot.headers if name in ("authorization", "x-api-key")]
    assert any(key.strip() == KEY for key in keys), "a decision without the key"
    assert shot.method == "POST", "a decision for another method"
    asked = json.loads(shot.body.decode())
    assert isinstance(asked, dict), "a decision on something that is no object"
    if "search" in shot.path:
        assert all(set(result) in ({"type", "id"}, {"name"}) for result in said["results"])
    else:
        decisions = said.get("evaluations", [said])
        assert all(type(decision["decision"]) is bool for decision in decisions)


def seeds() -> list[Path]:
    return sorted(SEEDS.glob("*.json"))


def keep(shot: Shot) -> Path:
    text = shot.to_json()
    path = SEEDS / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    path.write_text(text, encoding="utf-8")
    return path


async def fuzz(seed: int, *, seconds: float, most: int | None = None) -> tuple[Counter[int], list[Path]]:
    """Fire for so long, or so often. (how often each status came, the findings)."""
    chance = random.Random(seed)
    bugs: list[BaseException] = []
    lane = make_lane(bugs)
    statuses: Counter[int] = Counter()
    findings: list[Path] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or statuses.total() < most):
        shot = draw(chance)
        try:
            statuses[(await fire(lane, shot, bugs)).status] += 1
        except AssertionError as fault:
            statuses[0] += 1
            findings.append(keep(shot))
            print(f"{findings[-1].name}: {fault}")
            if len(findings) >= 20:
                break
    return statuses, findings


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--seed", type=int, default=None, help="of the first draw; printed, to repeat a run")
    given = arguments.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    statuses, findings = asyncio.run(fuzz(seed, seconds=given.seconds))
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    print(f"seed {seed}: {statuses.total()} requests ({told}); {len(findings)} findings")
    return 1 if findings else 0
