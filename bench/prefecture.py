"""The demonstration prefecture at full size, and who asks for what in it: a seeded stream, close to a working day.

People are drawn by Zipf's law (a few ask much, most ask little), then one of their sessions (a terminal, a
place, the time of their last log-in), then a system, by Zipf's law again. Nothing is drawn from what the
policy would answer: leavers, lost terminals and wrong networks come in the shares that the directory has.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.model.directory import Snapshot, User

SEED: Final = 20260401
PEOPLE_SKEW: Final = 1.0  # Zipf's exponent over the people: the first of 7,790 makes a tenth of the requests
SYSTEMS_SKEW: Final = 1.0

# In the order of how much they are used.
OFFICE: Final = (
    "groupware", "mail", "chat", "file-storage", "document-management", "web", "web-meeting", "finance", "low-code",
    "data-dashboard", "soumu-ledger", "data-catalogue", "help-desk", "patch-server", "lgwan-asp", "data-api",
    "disaster-system", "home-working", "old-groupware", "mynumber-system", "staff-accounts",
)  # fmt: skip
PHONE: Final = ("mail", "chat", "groupware", "web-meeting", "file-storage", "web", "finance")
MAINTENANCE: Final = ("consolidated-server-x", "remote-maintenance", "consolidated-server-y", "network-equipment")
ADMINISTERED: Final = frozenset((*MAINTENANCE, "staff-accounts"))


@dataclass(frozen=True)
class Place:
    """Where somebody sits, as the gateway sees it."""

    address: str  # with {} for the two last bytes
    underlay: str
    tunnel: bool
    path_encrypted: bool


HALL: Final = Place("10.1.{}", "office", tunnel=False, path_encrypted=True)
BRANCH: Final = Place("192.168.{}", "office", tunnel=False, path_encrypted=True)
HOME: Final = Place("100.64.{}", "home", tunnel=True, path_encrypted=True)
MOBILE: Final = Place("100.65.{}", "carrier", tunnel=True, path_encrypted=True)
CAFE: Final = Place("100.64.{}", "public_wifi", tunnel=True, path_encrypted=True)
NOWHERE: Final = Place("203.0.113.7", "unknown", tunnel=False, path_encrypted=False)
CLOUD: Final = Place("198.51.100.9", "office", tunnel=False, path_encrypted=True)
VPN: Final = Place("172.16.{}", "carrier", tunnel=True, path_encrypted=True)


@dataclass(frozen=True)
class Session:
    """One person at one terminal in one place since one log-in."""

    user: str
    device: str
    place: Place
    address: str
    acr: int
    auth_time: int  # seconds since 1970
    systems: tuple[str, ...]
    action: str


@dataclass(frozen=True)
class Question:
    session: Session
    resource: str
    action: str

    def members(self) -> dict[str, Any]:
        """The AuthZEN question."""
        session, place = self.session, self.session.place
        claims = {"acr": f"urn:sekisho:auth-level:{session.acr}", "auth_time": session.auth_time}
        network = {
            "source_ip": session.address,
            "tunnel": place.tunnel,
            "underlay": place.underlay,
            "country": "JP",
            "path_encrypted": place.path_encrypted,
        }
        return {
            "subject": {"type": "user", "id": session.user, "properties": {"claims": claims}},
            "action": {"name": self.action},
            "resource": {"type": "application", "id": self.resource},
            "context": {"device": {"id": session.device}, "network": network, "pep": list(PEP)},
        }

    def body(self) -> str:
        return json.dumps(self.members(), separators=(",", ":"))


PEP: Final = ("clipboard", "print", "save", "download", "browser_only", "record_session")  # a gateway that can do all


@dataclass(frozen=True)
class Stream:
    """Questions in the order in which they are asked."""

    questions: tuple[Question, ...]
    people: int  # who could have asked
    distinct: int = field(init=False)
    askers: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "distinct", len(set(self.questions)))
        object.__setattr__(self, "askers", len({question.session.user for question in self.questions}))

    def boxcars(self, items: int, count: int) -> list[str]:
        """Bodies of `items` evaluations each."""
        needed = (self.questions * -(-items * count // len(self.questions)))[: items * count]
        return [
            json.dumps({"evaluations": [q.members() for q in needed[at : at + items]]}, separators=(",", ":"))
            for at in range(0, len(needed), items)
        ]


def stream_of(snapshot: Snapshot, now: datetime, length: int, seed: int = SEED) -> Stream:
    """The same arguments give the same stream; `now` places the log-ins in the hours before it."""
    chance = Random(seed)
    desk = _Desk(snapshot, now, chance)
    people = [user for user in snapshot.users.values() if user.kind not in ("shared_account", "emergency_account")]
    chance.shuffle(people)
    weights = list(accumulate(1 / rank**PEOPLE_SKEW for rank in range(1, len(people) + 1)))
    sessions: dict[str, tuple[Session, ...]] = {}
    questions: list[Question] = []
    while len(questions) < length:
        (user,) = chance.choices(people, cum_weights=weights)
        if user.id not in sessions:
            sessions[user.id] = desk.sessions(user)
        if sessions[user.id]:
            session = chance.choices(sessions[user.id], [4.0, 1.5, 0.5][: len(sessions[user.id])])[0]
            questions.append(_question(session, chance))
    return Stream(tuple(questions), len(people))


def _question(session: Session, chance: Random) -> Question:
    ranks = [1 / rank**SYSTEMS_SKEW for rank in range(1, len(session.systems) + 1)]
    (resource,) = chance.choices(session.systems, ranks)
    action = "administer" if resource in ADMINISTERED else session.action
    return Question(session, resource, "screen_transfer" if resource in ("lgwan-asp", "home-working") else action)


class _Desk:
    """Which terminals a person uses, and where."""

    def __init__(self, snapshot: Snapshot, now: datetime, chance: Random) -> None:
        self._now = now.astimezone(UTC)
        self._chance = chance
        self._section: dict[str, list[str]] = defaultdict(list)
        self._own: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for device in snapshot.devices.values():
            if device.owner is not None:
                self._own[device.owner].append((device.id, device.class_))
            elif device.class_ == "section_pc" and device.department:
                self._section[device.department].append(device.id)
        self._lent: dict[str, list[str]] = defaultdict(list)
        for loans in snapshot.loans.values():
            for loan in loans:
                self._lent[loan.user].append(loan.device)

    def sessions(self, user: User) -> tuple[Session, ...]:
        """At most three: the desk, a private or lent terminal, and one more."""
        found = [self._at_own(user, id_, class_) for id_, class_ in self._own.get(user.id, ())]
        found += [self._session(user, id_, (HOME, MOBILE, HALL), OFFICE, 2) for id_ in self._lent.get(user.id, ())]
        section = self._section.get(user.posts[-1].department if user.posts else "", [])
        if section and (not found or self._chance.random() < 0.1):
            found.append(self._session(user, self._chance.choice(section), (HALL, BRANCH), OFFICE, 2))
        return tuple(found[:3])

    def _at_own(self, user: User, id_: str, class_: str) -> Session:
        if class_.startswith("byod_"):
            return self._session(user, id_, (MOBILE, HOME, CAFE, NOWHERE), PHONE, 2)
        if class_ == "municipal_pc":
            systems = (f"data-{user.organisation}", "data-catalogue", "data-dashboard", "data-tsu")
            return self._session(user, id_, (CLOUD, CLOUD, NOWHERE), systems, 2, "read")
        if class_ == "maintenance_pc":
            return self._session(user, id_, (VPN, VPN, CAFE), MAINTENANCE, 3, "administer")
        draw = self._chance.random()
        places = (HALL, BRANCH) if draw < 0.75 else (HOME, CAFE, MOBILE)
        return self._session(user, id_, places, OFFICE, 3 if draw > 0.85 else 2)

    def _session(  # noqa: PLR0913, PLR0917  # what a session is
        self,
        user: User,
        device: str,
        places: Sequence[Place],
        systems: tuple[str, ...],
        acr: int,
        action: str = "access",
    ) -> Session:
        weights = [0.8, 0.15, 0.04, 0.01][: len(places)]
        (place,) = self._chance.choices(places, weights)
        tail = f"{self._chance.randint(0, 31)}.{self._chance.randint(1, 254)}"
        ago = self._chance.randint(60, 9 * 3600)
        level = acr if self._chance.random() > 0.03 else 1
        at = int(self._now.timestamp()) - ago
        return Session(user.id, device, place, place.address.format(tail), level, at, systems, action)
