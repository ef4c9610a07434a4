"""From an entry of a directory to a user. Pure; read `person` first.

1. id               without one that can be used there is no user
2. kind             by rules; shared and emergency accounts win; none, or two that differ: `unknown`
3. posts            the main one first
4. roles            by groups
5. employment       the narrowest of all dates
6. status           disabled or locked: suspended

INVARIANT (doubt closes): a word that the mapping does not know gives less (no post, kind `unknown`); a value that
would have bounded the account and cannot be read suspends it. Each is counted by its code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connectors.identity.ldap.names import Name, NameFault, is_under, parse_name
from connectors.identity.ldap.values import (
    ACCOUNT_DISABLED,
    ValueFault,
    date_or_time,
    file_time,
    guid,
    number,
    one,
    text,
    texts,
    truth,
)
from connectors.port import Refused
from pdp.directory.files import words
from pdp.directory.files.faults import Wrong
from pdp.model.directory import ALWAYS, Period, Post, User, period_of_dates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.identity.ldap.messages import Entry
    from connectors.identity.ldap.settings import KindRule, LdapSettings
    from pdp.model.input import SubjectKind

# They win over every other kind: an account that several people use, or that lies sealed, is never a person's.
_STRONGER: Final[tuple[SubjectKind, ...]] = ("shared_account", "emergency_account")
_AD_CONTROL, _AD_EXPIRES = "userAccountControl", "accountExpires"
_PPOLICY_LOCKED, _NS_LOCKED = "pwdAccountLockedTime", "nsAccountLock"
MEMBER_OF: Final = "memberOf"


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in which of the groups that the settings name, as `member_key` and the group's folded name."""

    groups: Mapping[str, frozenset[Name]] = field(default_factory=dict)

    def of(self, key: str) -> frozenset[Name]:
        return self.groups.get(key, frozenset())


@dataclass(slots=True)
class Person:
    """A user as far as one entry tells, and what was wrong with it."""

    key: str
    name: Name
    user: User
    refused: list[Refused]


def wanted_attributes(settings: LdapSettings) -> tuple[str, ...]:
    """What to ask the server for: nothing that is not used, least of all passwords and photographs."""
    user = settings.user
    names = [settings.id_attribute, *user.name, *user.employment.start, *user.employment.until]
    names += [user.departments.main or "", *user.departments.others, user.organisation.attribute or ""]
    names += [user.employment.suspended_attribute or "", *(rule.attribute or "" for rule in user.kinds)]
    if settings.dialect == "active_directory":
        names += [_AD_CONTROL, _AD_EXPIRES]
    else:
        names += [_PPOLICY_LOCKED, _NS_LOCKED]
    if settings.groups.how == "member_of":
        names.append(MEMBER_OF)
    if settings.how == "modify_timestamp":
        names.append("modifyTimestamp")
    return tuple({name.lower(): name for name in names if name}.values())


def person(entry: Entry, settings: LdapSettings, membership: Membership) -> Person | Refused:
    """The user of an entry; Refused where nothing can be said of anybody."""
    try:
        name = parse_name(entry.dn)
        key = user_id(entry, settings)
    except NameFault:
        return Refused("bad_dn", detail="the name of an object cannot be read")
    except ValueFault as fault:
        return Refused(fault.code, detail=f"{fault.detail} ({_shown(entry.dn)})")
    reading = _Reading(entry, settings, key, name)
    reading.groups = reading.member_of() if settings.groups.how == "member_of" else membership.of(
        key if settings.groups.members_are == "ids" else name_key(name)
    )  # fmt: skip
    employment, readable = reading.employment()
    user = User(
        id=key,
        kind=reading.kind(),
        organisation=reading.organisation(),
        identity_source=settings.user.identity_source,
        posts=reading.posts(),
        roles=reading.roles(),
        employment=employment,
        status="active" if readable and not reading.is_closed() else "suspended",
        name=reading.display_name(),
    )
    return Person(key, name, user, reading.refused)


def user_id(entry: Entry, settings: LdapSettings) -> str:
    """Raises ValueFault: absent, several, or no id of ours."""
    attribute = settings.id_attribute
    value = one(entry, attribute)
    if value is None:
        raise ValueFault("no_id", f"`{attribute}` is absent")
    found = guid(value, attribute) if settings.user.id_form == "guid" else text(value, attribute)
    return _identifier(found.lower() if settings.user.id_lower else found, attribute, "bad_id")


def name_key(name: Name) -> str:
    """A folded name as the key of a membership."""
    return repr(name)


def twice(one_of_them: Person) -> Person:
    """Two objects claim one id: neither is believed, because either may be an impostor."""
    user = User(one_of_them.key, "unknown", status="suspended", identity_source=one_of_them.user.identity_source)
    note = Refused("duplicate_id", one_of_them.key, "several objects have this id; all are suspended")
    return Person(one_of_them.key, one_of_them.name, user, [note])


class _Reading:
    """One entry while it is read: each answer notes what was wrong."""

    def __init__(self, entry: Entry, settings: LdapSettings, key: str, name: Name) -> None:
        self._entry = entry
        self._settings = settings
        self._user = settings.user
        self._key = key
        self._name = name
        self.groups: frozenset[Name] = frozenset()
        self.refused: list[Refused] = []

    def kind(self) -> SubjectKind:
        found = {rule.kind for rule in self._user.kinds if self._matches(rule)}
        for kind in _STRONGER:
            if kind in found:
                return kind
        if len(found) == 1:
            return found.pop()
        self._note("kind_conflict" if found else "unknown_kind", f"{len(found)} rules of different kinds match")
        return "unknown"

    def _matches(self, rule: KindRule) -> bool:
        if rule.under is not None and not is_under(self._name, parse_name(rule.under)):
            return False
        if rule.id_prefix is not None and not self._key.startswith(rule.id_prefix):
            return False
        if rule.group is not None and parse_name(rule.group) not in self.groups:
            return False
        return rule.attribute is None or not set(self._texts(rule.attribute)).isdisjoint(rule.values)

    def posts(self) -> tuple[Post, ...]:
        rules = self._user.departments
        found = [self._department(word) for word in self._texts(rules.main)[:2]] if rules.main else []
        if len(found) > 1:
            self._note("several_values", f"`{rules.main}` has several values; none is the main post")
            found = []
        for attribute in rules.others:
            found += [self._department(word) for word in self._texts(attribute, rules.separator)]
        units = [(parse_name(unit.under), unit.department) for unit in rules.units]
        under = [unit for unit in units if is_under(self._name, unit[0])]
        if under:
            found.append(max(under, key=lambda unit: len(unit[0]))[1])
        for group in self._user.groups:
            if group.departments and parse_name(group.dn) in self.groups:
                found += group.departments
        return tuple(Post(department) for department in dict.fromkeys(found) if department)

    def _department(self, word: str) -> str:
        table = self._user.departments.words
        if table:
            if word not in table:
                self._note("unknown_department", f"no department is known by {_shown(word)}")
            return table.get(word, "")
        try:
            return _identifier(word, "department", "bad_department")
        except ValueFault as fault:
            self._note(fault.code, fault.detail)
            return ""

    def roles(self) -> tuple[str, ...]:
        given = (role for group in self._user.groups if parse_name(group.dn) in self.groups for role in group.roles)
        return tuple(sorted(set(given)))

    def organisation(self) -> str:
        rule = self._user.organisation
        if rule.attribute is None:
            return rule.default
        found = self._texts(rule.attribute)
        if len(found) == 1 and (not rule.words or found[0] in rule.words):
            try:
                return _identifier(rule.words.get(found[0], found[0]), rule.attribute, "bad_organisation")
            except ValueFault as fault:
                self._note(fault.code, fault.detail)
                return "unknown"
        self._note("unknown_organisation", f"`{rule.attribute}` names no organisation that is known")
        return "unknown"  # INVARIANT (doubt closes): not the default, which opens the prefecture's own data

    def display_name(self) -> str:
        for attribute in self._user.name:
            found = self._texts(attribute)
            if found:
                return found[0]
        return ""

    def employment(self) -> tuple[Period, bool]:
        """(the narrowest of all dates, whether all of them could be read)."""
        dates = self._user.employment
        periods, readable = [], True
        fields = [(name, True) for name in dates.start] + [(name, False) for name in dates.until]
        if self._settings.dialect == "active_directory":
            fields.append((_AD_EXPIRES, False))
        for attribute, is_start in fields:
            try:
                periods.append(self._period(attribute, is_start=is_start))
            except ValueFault as fault:
                self._note(fault.code, fault.detail)
                readable = False
        start = max((p.start for p in periods if p.start), default=None)
        end = min((p.end for p in periods if p.end), default=None)
        if start is not None and end is not None and end < start:
            self._note("bad_date", "the employment ends before it starts")
            return ALWAYS, False
        return Period(start, end), readable

    def _period(self, attribute: str, *, is_start: bool) -> Period:
        value = one(self._entry, attribute)
        if not value:
            return ALWAYS
        if attribute == _AD_EXPIRES:
            return Period(None, file_time(value, attribute))
        found = date_or_time(value, attribute)
        if found is None and is_start:
            raise ValueFault("bad_date", f"`{attribute}` is not a start")
        try:
            return period_of_dates(found, None) if is_start else period_of_dates(None, found)
        except ValueError as fault:
            raise ValueFault("bad_date", f"`{attribute}`: {fault}") from None

    def is_closed(self) -> bool:
        """Disabled, locked or on leave; also where the entry does not let us see whether it is."""
        try:
            if self._settings.dialect == "active_directory":
                closed = self._closed_in_active_directory()
            else:
                closed = self._closed_elsewhere()
        except ValueFault as fault:
            self._note(fault.code, fault.detail)
            return True
        rule = self._user.employment
        if rule.suspended_attribute is None:
            return closed
        return closed or not set(self._texts(rule.suspended_attribute)).isdisjoint(rule.suspended_values)

    def _closed_in_active_directory(self) -> bool:
        control = one(self._entry, _AD_CONTROL)
        if control is None:
            raise ValueFault("no_account_state", f"`{_AD_CONTROL}` is absent, or our account may not read it")
        return bool(number(control, _AD_CONTROL) & ACCOUNT_DISABLED)

    def _closed_elsewhere(self) -> bool:
        """The password policy overlay's lock, by failures or by hand, and 389 Directory Server's."""
        flag = one(self._entry, _NS_LOCKED)
        if flag is not None and truth(flag, _NS_LOCKED):
            return True
        return bool(self._entry.attributes.get(_PPOLICY_LOCKED.lower()))

    def member_of(self) -> frozenset[Name]:
        names = set()
        for value in self._entry.attributes.get(MEMBER_OF.lower(), ()):
            try:
                names.add(parse_name(value.decode("utf-8")))
            except (NameFault, UnicodeDecodeError):
                self._note("bad_dn", f"a value of `{MEMBER_OF}` is not a distinguished name")
        return frozenset(names)

    def _texts(self, attribute: str, separator: str = "") -> list[str]:
        try:
            return texts(self._entry, attribute, separator)
        except ValueFault as fault:
            self._note(fault.code, fault.detail)
            return []

    def _note(self, code: str, detail: str) -> None:
        note = Refused(code, self._key, detail)
        if note not in self.refused:
            self.refused.append(note)


def _identifier(value: str, attribute: str, code: str) -> str:
    try:
        return words.identifier(value)
    except Wrong as wrong:
        raise ValueFault(code, f"`{attribute}`: {wrong.message}") from None


def _shown(value: str) -> str:
    return "`" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in value[:100]) + "`"
