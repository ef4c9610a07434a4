"""The people of the demonstration: staff with their posts over the year, fixed-term staff, outsiders, accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pdp.directory.demo_places import FAMILY_NAMES, GIVEN_NAMES, MUNICIPALITIES, SECTIONS, VENDORS
from pdp.model.directory import ALWAYS, JST, Period, Post, User, period_of_dates

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from pdp.model.input import Employment

STAFF: Final = 5_700
LICENSED: Final = 7_500  # regular and fixed-term staff together
PER_MUNICIPALITY: Final = 10
PER_VENDOR: Final = 15
SHARED_ACCOUNTS: Final = 40
EMERGENCY_ACCOUNTS: Final = 3

_TRANSFERRED: Final = 0.16  # of the staff, on the last 1 April
_TO_BE_TRANSFERRED: Final = 0.01  # known already, on the next one
_CONCURRENT: Final = 0.03
_SUSPENDED: Final = 0.012
_LEFT: Final = 0.015
_NEW: Final = 0.03


@dataclass(frozen=True)
class FiscalYear:
    """The year from 1 April in which `now` lies, in Japan."""

    now: datetime

    @cached_property
    def today(self) -> date:
        return self.now.astimezone(JST).date()

    @cached_property
    def start(self) -> date:
        return date(self.today.year if self.today.month >= 4 else self.today.year - 1, 4, 1)  # noqa: PLR2004  # April

    @cached_property
    def end(self) -> date:
        """31 March, the last day."""
        return date(self.start.year + 1, 3, 31)

    @cached_property
    def last_end(self) -> date:
        return self.start - timedelta(days=1)

    def april(self, years_ago: int) -> date:
        return date(self.start.year - years_ago, 4, 1)

    @cached_property
    def whole(self) -> Period:
        return period_of_dates(self.start, self.end)


@dataclass(frozen=True)
class Cast:
    """Everybody, by what they are. Staff and fixed-term staff leave room for the personas."""

    staff: tuple[User, ...]
    fixed_term: tuple[User, ...]
    municipal: tuple[User, ...]
    contractors: tuple[User, ...]
    accounts: tuple[User, ...]

    @property
    def users(self) -> tuple[User, ...]:
        return (*self.staff, *self.fixed_term, *self.municipal, *self.contractors, *self.accounts)


def people(year: FiscalYear, chance: Random, *, staff: int, fixed_term: int) -> Cast:
    """So many of the staff and the fixed-term staff, and everybody else in their usual numbers."""
    crowd = _Crowd(year, chance)
    return Cast(
        staff=tuple(crowd.staff() for _ in range(staff)),
        fixed_term=tuple(crowd.fixed_term() for _ in range(fixed_term)),
        municipal=tuple(crowd.municipal(place) for place in MUNICIPALITIES for _ in range(PER_MUNICIPALITY)),
        contractors=tuple(crowd.contractor(vendor) for vendor in VENDORS for _ in range(PER_VENDOR)),
        accounts=(
            *(crowd.shared_account() for _ in range(SHARED_ACCOUNTS)),
            *(crowd.emergency_account(number) for number in range(1, EMERGENCY_ACCOUNTS + 1)),
        ),
    )


class _Crowd:
    def __init__(self, year: FiscalYear, chance: Random) -> None:
        self._year = year
        self._chance = chance
        self._sections = tuple(SECTIONS)
        self._shares = tuple(share for _, share in SECTIONS.values())
        self._made = 0
        self._this_year = year.whole
        self._since = [period_of_dates(year.april(years), None) for years in range(4)]

    def _id(self) -> str:
        self._made += 1
        return f"u-{self._made:06d}"

    def _name(self) -> str:
        return f"{self._chance.choice(FAMILY_NAMES)} {self._chance.choice(GIVEN_NAMES)}"

    def section(self) -> str:
        return self._chance.choices(self._sections, self._shares)[0]

    def _other_section(self, than: str) -> str:
        while (other := self.section()) == than:
            pass
        return other

    def _posts(self) -> tuple[Post, ...]:
        year, draw, main = self._year, self._chance.random(), self.section()
        if draw < _TRANSFERRED:
            before = period_of_dates(year.april(self._chance.randint(1, 4)), year.last_end)
            posts = [Post(self._other_section(main), before), Post(main, self._since[0])]
        elif draw < _TRANSFERRED + _TO_BE_TRANSFERRED:
            until = period_of_dates(year.april(self._chance.randint(1, 3)), year.end)
            posts = [Post(main, until), Post(self._other_section(main), period_of_dates(year.april(-1), None))]
        else:
            posts = [Post(main, self._chance.choice(self._since))]
        if self._chance.random() < _CONCURRENT:
            posts.append(Post(self._other_section(main), period_of_dates(year.april(0), None)))
        return tuple(posts)

    def _career(self) -> tuple[Period, Employment]:
        year, draw = self._year, self._chance.random()
        if draw < _LEFT:
            return period_of_dates(year.april(self._chance.randint(2, 30)), year.last_end), "active"
        if draw < _LEFT + _SUSPENDED:
            return period_of_dates(year.april(self._chance.randint(2, 30)), None), "suspended"
        years = 0 if draw > 1 - _NEW else self._chance.randint(1, 35)
        return period_of_dates(year.april(years), None), "active"

    def staff(self) -> User:
        posts = self._posts()
        employment, status = self._career()
        return User(
            id=self._id(),
            kind="staff",
            posts=posts,
            roles=self._roles(posts[-1].department),
            employment=employment,
            status=status,
            name=self._name(),
        )

    def _roles(self, section: str) -> tuple[str, ...]:
        roles: list[str] = []
        if self._chance.random() < (1.0 if section in ("bousai", "saigai") else 0.06):
            roles.append("disaster_response")
        if self._chance.random() < (0.6 if section in ("toukei", "digital") else 0.08):
            roles.append("data_user")
        if section == "digital" and self._chance.random() < 0.2:  # noqa: PLR2004  # one in five there
            roles.append("server_admin")
        if section in ("digital", "jinji") and self._chance.random() < 0.05:  # noqa: PLR2004  # a handful
            roles.append("account_admin")
        return tuple(roles)

    def fixed_term(self) -> User:
        """会計年度任用職員: appointed for one year; a few ended, a few begin later."""
        draw = self._chance.random()
        if draw < 0.02:  # noqa: PLR2004  # two in a hundred were not appointed again
            term = period_of_dates(self._year.april(1), self._year.last_end)
        elif draw < 0.03:  # noqa: PLR2004  # one in a hundred begins in the second half
            term = period_of_dates(date(self._year.start.year, 10, 1), self._year.end)
        else:
            term = self._this_year
        return User(
            id=self._id(),
            kind="fixed_term_staff",
            posts=(Post(self.section(), term),),
            roles=("data_user",) if self._chance.random() < 0.02 else (),  # noqa: PLR2004
            employment=term,
            name=self._name(),
        )

    def municipal(self, place: str) -> User:
        section = self._chance.choice(("kikaku", "soumu", "digital", "bousai"))
        return User(
            id=self._id(),
            kind="municipal_staff",
            organisation=place,
            identity_source="federated",
            posts=(Post(section, self._chance.choice(self._since)),),
            name=self._name(),
        )

    def contractor(self, vendor: str) -> User:
        """Under contract to the end of the platform's term, or out of contract since last March."""
        ended = self._chance.random() < 0.1  # noqa: PLR2004  # one in ten
        until = self._year.last_end if ended else max(date(2028, 3, 31), self._year.end)
        return User(
            id=self._id(),
            kind="contractor",
            organisation=vendor,
            identity_source="federated",
            roles=("server_admin",),
            employment=period_of_dates(self._year.april(1), until),
            name=self._name(),
        )

    def shared_account(self) -> User:
        post = Post(self.section(), ALWAYS)
        return User(id=self._id(), kind="shared_account", posts=(post,), name="共用アカウント")

    def emergency_account(self, number: int) -> User:
        return User(
            id=self._id(),
            kind="emergency_account",
            posts=(Post("digital", ALWAYS),),
            roles=("account_admin", "disaster_response", "server_admin"),
            name=f"緊急用アカウント{number}",
        )
