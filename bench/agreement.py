"""Before anything is measured: do all of them decide alike? And how much of the policy is Cerbos' version of it?

Facts age while one asks (the minutes since a log-in, the hours of a posture), so a question is asked of all of
them at once, with facts built at that moment, and once more where the answers differ: a difference that stays
is one.
"""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bench.documents import cerbos_body, opa_body
from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.contestants import Contestant, House
    from bench.documents import Archive
    from bench.prefecture import Question
    from bench.processes import Server

_TRIES: Final = 3
_DEADLINE_S: Final = 10.0
_PARTS: Final = ("outcome", "reasons", "obligations", "required_auth_level")


class Asker:
    """One kept-alive connection to one contestant."""

    def __init__(self, contestant: Contestant, server: Server, house: House) -> None:
        self._name = contestant.name
        self._path = contestant.path
        self._headers = dict(header.split(": ", 1) for header in contestant.headers(house))
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_DEADLINE_S)

    def ask(self, body: str) -> dict[str, Any]:
        """The JSON of a 200; anything else is BenchError."""
        said: dict[str, Any] = json.loads(self.raw(body)[2])
        return said

    def raw(self, body: str) -> tuple[int, list[tuple[str, str]], str]:
        self._connection.request("POST", self._path, body.encode(), self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise BenchError(f"{self._name} answered {answer.status}: {text[:300]}")
        return answer.status, answer.getheaders(), text

    def close(self) -> None:
        self._connection.close()


@contextmanager
def asking(contestant: Contestant, server: Server, house: House) -> Iterator[Asker]:
    asker = Asker(contestant, server, house)
    try:
        yield asker
    finally:
        asker.close()


@dataclass(frozen=True)
class Agreement:
    """`same`: questions that all of `compared` answered alike. `cerbos_same`: permitted or refused alike."""

    asked: int
    same: int
    compared: tuple[str, ...]
    permitted: int
    cerbos_same: int | None
    examples: tuple[str, ...]


def agree(askers: dict[str, tuple[Contestant, Asker]], archive: Archive, questions: Sequence[Question]) -> Agreement:
    """Ask everybody; differences, with an example or two, are for the caller to judge."""
    compared = tuple(name for name, (contestant, _) in askers.items() if contestant.wire in ("authzen", "opa"))
    same = permitted = cerbos_same = 0
    examples: list[str] = []
    for question in questions:
        said = _ask_all(askers, archive, question)
        verdicts = [said[name] for name in compared]
        if all(verdict == verdicts[0] for verdict in verdicts):
            same += 1
        elif len(examples) < 3:
            examples.append(json.dumps({"asked": question.members(), "said": said}, ensure_ascii=False))
        permits = verdicts[0]["outcome"] in ("allow", "limit")
        permitted += permits
        cerbos_same += said.get("cerbos") == {"permits": permits}
    return Agreement(
        len(questions), same, compared, permitted, cerbos_same if "cerbos" in askers else None, tuple(examples)
    )


def _ask_all(
    askers: dict[str, tuple[Contestant, Asker]], archive: Archive, question: Question
) -> dict[str, dict[str, Any]]:
    said: dict[str, dict[str, Any]] = {}
    for _ in range(_TRIES):
        document = archive.document(question, datetime.now(UTC))
        bodies = {"authzen": question.body(), "opa": opa_body(document), "cerbos": cerbos_body(document)}
        said = {name: _verdict(c, asker.ask(bodies[c.wire])) for name, (c, asker) in askers.items()}
        first, *others = [verdict for name, verdict in said.items() if askers[name][0].wire != "cerbos"]
        if all(other == first for other in others):
            break
    return said


def _verdict(contestant: Contestant, answer: dict[str, Any]) -> dict[str, Any]:
    if contestant.wire == "cerbos":
        (effect,) = answer["results"][0]["actions"].values()
        return {"permits": effect == "EFFECT_ALLOW"}
    members = answer["context"] if contestant.wire == "authzen" else answer["result"]
    verdict = {part: members[part] for part in _PARTS if part in members}
    if contestant.wire == "authzen" and answer["decision"] is not (verdict["outcome"] in ("allow", "limit")):
        raise BenchError(f"{contestant.name} says decision={answer['decision']} for {verdict['outcome']}")
    return verdict
