"""Strata Cloud Manager as far as its configuration API is delivered to: objects, security rules, a candidate, jobs.

Written to the OpenAPI of pan.dev. The candidate refuses what names nothing, what is named and to be deleted, and two of
one name; a push takes it over into `running` once its job has ended well.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from tests.simulators.vendor import Request, Simulator

CLIENT: Final = "svc@1234.iam.panserviceaccount.com"
SECRET: Final = "s3cret-of-the-tenant"
SCOPE: Final = "tsg_id:1234"
RULES: Final = "security-rules"
OBJECTS: Final = (
    "tags", "address-groups", "dynamic-user-groups", "external-dynamic-lists", "hip-objects", "hip-profiles",
    "schedules",
)  # fmt: skip
_PATH: Final = re.compile(r"/config/(?:security|objects)/v1/([a-z-]+)(?:/([0-9a-f-]{36})(:move)?)?", re.ASCII)
_RESERVED: Final = {"any", "known-user", "unknown", "pre-login"}

Document = dict[str, Any]


@dataclass
class Scm(Simulator):
    """`candidate`: by kind, rules in their order. `meddling`: what somebody does right before request number N.

    `refusals`: requests that are answered with this status and not done.
    """

    candidate: dict[str, list[Document]] = field(default_factory=lambda: {kind: [] for kind in (*OBJECTS, RULES)})
    running: dict[str, list[Document]] = field(default_factory=dict)
    refusals: dict[int, int] = field(default_factory=dict)
    meddling: dict[int, Callable[[], None]] = field(default_factory=dict)
    job_results: list[str] = field(default_factory=list)  # of the next pushes; OK where there is none
    job_looks: int = 1  # how often a job is looked at before it has ended
    jobs: list[Document] = field(default_factory=list)
    page: int = 200
    token_path: str = "/oauth2/access_token"
    _made: int = 0

    def admits(self, form: dict[str, str]) -> bool:
        return (form.get("client_id"), form.get("client_secret"), form.get("scope")) == (CLIENT, SECRET, SCOPE)

    def put(self, kind: str, document: Document) -> None:
        """Something that is there already, of ours or of others."""
        self.candidate[kind].append(self._stored(kind, document))

    def answer(self, request: Request) -> tuple[int, Document]:
        number = len(self.requests)
        if number in self.meddling:
            self.meddling[number]()
        if number in self.refusals:
            return self.refusals[number], _error("E016", "it is not done")
        if request.path == "/config/operations/v1/config-versions/candidate:push":
            return self._push(json.loads(request.body))
        if request.path.startswith("/config/operations/v1/jobs/"):
            return self._job(request.path.rpartition("/")[2])
        found = _PATH.fullmatch(unquote(request.path))
        if found is None or found[1] not in self.candidate:
            return 404, _error("API_I00013", "there is no such path")
        kind, id_, move = found.groups()
        if move:
            return self._move(id_, json.loads(request.body))
        if id_ is None:
            return self._list(kind, request) if request.method == "GET" else self._create(kind, request)
        return self._one(kind, id_, request)

    # Objects.

    def _list(self, kind: str, request: Request) -> tuple[int, Document]:
        if kind == RULES and request.param("position") not in {"pre", "post"}:
            return 400, _error("E003", "position is needed")
        folder, name = request.param("folder"), request.param("name")
        seen = [one for one in self.candidate[kind] if one["folder"] in {folder, "All"}]
        if name:
            one = next((held for held in seen if held["name"] == name), None)
            return (200, one) if one is not None else (404, _error("API_I00013", "object not present"))
        offset, limit = int(request.param("offset", "0")), min(self.page, int(request.param("limit", "200")))
        return 200, {"data": seen[offset : offset + limit], "offset": offset, "limit": limit, "total": len(seen)}

    def _create(self, kind: str, request: Request) -> tuple[int, Document]:
        document = json.loads(request.body)
        if any((one["name"], one["folder"]) == (document["name"], document["folder"]) for one in self.candidate[kind]):
            return 409, _error("API_I00016", "Name Not Unique")
        if lacking := self._lacking(kind, document):
            return 400, _error("API_I00035", f"Invalid Object: {lacking}")
        made = self._stored(kind, document)
        self.candidate[kind].append(made)
        return 201, made

    def _one(self, kind: str, id_: str, request: Request) -> tuple[int, Document]:
        held = self.candidate[kind]
        at = next((number for number, one in enumerate(held) if one["id"] == id_), None)
        if at is None:
            return 404, _error("API_I00013", "object not present")
        if request.method == "GET":
            return 200, held[at]
        if request.method == "PUT":
            document = json.loads(request.body)
            if lacking := self._lacking(kind, document):
                return 400, _error("API_I00035", f"Invalid Object: {lacking}")
            held[at] = self._stored(kind, document, id_)
            return 200, held[at]
        if self._is_named(kind, held[at]["name"]):
            return 409, _error("API_I00015", "Reference Not Zero")
        return 200, held.pop(at)

    def _move(self, id_: str, where: Document) -> tuple[int, Document]:
        rules = self.candidate[RULES]
        moved = next((one for one in rules if one["id"] == id_), None)
        if moved is None:
            return 404, _error("API_I00013", "object not present")
        rest = [one for one in rules if one["id"] != id_]
        if where["destination"] == "top":
            at = next((n for n, one in enumerate(rest) if one["folder"] == moved["folder"]), len(rest))
        else:
            at = next((n for n, one in enumerate(rest) if one["id"] == where["destination_rule"]), -1)
            if at < 0:
                return 400, _error("API_I00035", "Invalid Object")
            at += 1 if where["destination"] == "after" else 0
        rules[:] = [*rest[:at], moved, *rest[at:]]
        return 200, {}

    def _stored(self, kind: str, document: Document, id_: str | None = None) -> Document:
        """With what the vendor adds."""
        self._made += 1
        added: Document = {"id": id_ or f"00000000-0000-4000-8000-{self._made:012x}", "snippet": "default"}
        if kind == RULES:
            added |= {"disabled": False, "negate_source": False, "policy_type": "Security"}
        return {**added, **copy.deepcopy(document)}

    def _names(self, kind: str) -> set[str]:
        return {one["name"] for one in self.candidate[kind]}

    def _lacking(self, kind: str, document: Document) -> str:
        """The first name of ours (`zt…`) that stands for nothing."""
        every = {name for of in OBJECTS for name in self._names(of)}
        return next((name for name in _named(kind, document) if name.startswith("zt") and name not in every), "")

    def _is_named(self, kind: str, name: str) -> bool:
        return kind != RULES and any(
            name in _named(other, one) for other, held in self.candidate.items() if other != kind for one in held
        )

    # Push.

    def _push(self, asked: Document) -> tuple[int, Document]:
        if not asked.get("folders") or asked.get("admin") != [CLIENT]:
            return 400, _error("E003", "folders and admin are needed")
        result = self.job_results.pop(0) if self.job_results else "OK"
        number = len(self.jobs) + 1
        self.jobs.append({"id": str(number), "looks": 0, "result": result, "config": copy.deepcopy(self.candidate)})
        return 201, {"success": True, "job_id": str(number), "message": f"CommitAndPush job enqueued: {number}"}

    def _job(self, number: str) -> tuple[int, Document]:
        job = next((one for one in self.jobs if one["id"] == number), None)
        if job is None:
            return 404, _error("API_I00013", "object not present")
        job["looks"] += 1
        if job["looks"] <= self.job_looks:
            return 200, {"data": [{"id": number, "status_str": "ACT", "result_str": "PEND"}]}
        if job["result"] == "OK" and "config" in job:
            self.running = job.pop("config")
        return 200, {"data": [{"id": number, "status_str": "FIN", "result_str": job["result"]}]}


def _named(kind: str, document: Document) -> list[str]:
    if kind == RULES:
        found = [*document["source"], *document["source_user"], *document.get("source_hip", [])]
        return [name for name in [*found, document.get("schedule", "any")] if name not in _RESERVED]
    text = document.get("match") or document.get("filter") or document.get("dynamic", {}).get("filter", "")
    return re.findall(r"""['"]([^'"]+)['"]""", text)


def _error(code: str, message: str) -> Document:
    return {"_errors": [{"code": code, "message": message, "details": ""}], "_request_id": "r"}
