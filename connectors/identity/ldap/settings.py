"""The settings of an LDAP source: the free table of its `[[connectors]]` entry, checked before anything connects."""

from __future__ import annotations

import ipaddress
import ssl
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from connectors.identity.ldap.filters import FilterError, compile_filter
from connectors.identity.ldap.names import NameFault, parse_name
from connectors.identity.ldap.values import IdForm
from pdp.errors import SettingsError
from pdp.model.input import IdentitySource, SubjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable

Dialect = Literal["active_directory", "openldap"]
Attribute = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,99}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=500)]

_LDAP_PORT, _LDAPS_PORT = 389, 636
# Active Directory counts changes per server; elsewhere only the time of the last change is kept.
_INCREMENTAL: Final = {"active_directory": "usn", "openldap": "modify_timestamp"}
_USER_FILTER: Final = {
    "active_directory": "(&(objectCategory=person)(objectClass=user))",
    "openldap": "(objectClass=inetOrgPerson)",
}
_GROUP_FILTER: Final = {
    "active_directory": "(objectCategory=group)",
    "openldap": "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
}
_ID_ATTRIBUTE: Final = {"active_directory": "sAMAccountName", "openldap": "uid"}


class KindRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom this rule matches is of this kind. All that is given must hold; the order of rules does not count."""

    kind: SubjectKind
    under: Text | None = None  # a DN: the account stands below it
    attribute: Attribute | None = None  # with `values`
    values: tuple[Text, ...] = ()  # exact
    id_prefix: Text | None = None
    group: Text | None = None  # a DN: the account is a member, directly or through other groups


class GroupRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What membership in a group gives."""

    dn: Text
    roles: tuple[Text, ...] = ()
    departments: tuple[Text, ...] = ()


class UnitRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts below this unit belong to the department; the deepest unit counts."""

    under: Text
    department: Text


class Departments(Struct, frozen=True, forbid_unknown_fields=True):
    """`main`: attribute of the main post (本務); `others`: of further posts (兼務), which may have several values.

    `words`: the directory's words as ids of departments; where it is empty the words are the ids.
    """

    main: Attribute | None = None
    others: tuple[Attribute, ...] = ()
    separator: Annotated[str, Meta(max_length=1)] = ""
    words: dict[str, Text] = {}
    units: tuple[UnitRule, ...] = ()


class Organisation(Struct, frozen=True, forbid_unknown_fields=True):
    """`attribute` with `words`, or one organisation for all."""

    default: Text = "mie"
    attribute: Attribute | None = None
    words: dict[str, Text] = {}


class Employment(Struct, frozen=True, forbid_unknown_fields=True):
    """Attributes that hold dates; of several the narrowest counts. Active Directory's accountExpires counts by itself.

    `suspended_attribute` with one of `suspended_values`: 休職.
    """

    start: tuple[Attribute, ...] = ()
    until: tuple[Attribute, ...] = ()
    suspended_attribute: Attribute | None = None
    suspended_values: tuple[Text, ...] = ()


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """Which attribute says what of a user."""

    id: Attribute | None = None
    id_form: IdForm = "text"
    id_lower: bool = False  # the directory ignores case, and tokens carry the id in lower case
    name: tuple[Attribute, ...] = ("displayName", "cn")
    identity_source: IdentitySource = "integrated"
    kinds: tuple[KindRule, ...] = ()
    groups: tuple[GroupRule, ...] = ()
    departments: Departments = Departments()
    organisation: Organisation = Organisation()
    employment: Employment = Employment()


class Groups(Struct, frozen=True, forbid_unknown_fields=True):
    """How membership is found.

    `walk` reads the groups and those within them; `in_chain` lets Active Directory do it; `member_of` reads only the
    direct groups that stand at the account, and so cannot run incrementally: a change of a group leaves no mark there.
    """

    how: Literal["walk", "in_chain", "member_of"] = "walk"
    base: Text | None = None
    filter: Text | None = None
    member: Attribute = "member"
    members_are: Literal["names", "ids"] = "names"  # ids: posixGroup's memberUid


class LdapSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`bind` simple needs `bind_dn` and `password_file`; external `client_certificate` and `client_key`."""

    url: Text
    base: Text
    dialect: Dialect = "active_directory"
    start_tls: bool = False
    ca_file: str = ""
    server_name: str = ""
    bind: Literal["simple", "external"] = "simple"
    bind_dn: str = ""
    password_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    filter: str = ""
    scope: Literal["one", "subtree"] = "subtree"
    page_size: Annotated[int, Meta(ge=10, le=5_000)] = 500  # Active Directory gives 1,000 at most
    max_entries: Annotated[int, Meta(ge=1, le=200_000)] = 50_000  # six times the prefecture
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 30.0  # of one page
    run_timeout_s: Annotated[float, Meta(ge=1, le=3_600)] = 600.0
    incremental: Literal["auto", "usn", "modify_timestamp", "off"] = "auto"
    overlap_s: Annotated[int, Meta(ge=0, le=86_400)] = 60  # commits later than its own stamp, or replicas
    read_deleted: bool = False  # Active Directory's deleted objects; our account needs the right to see them
    user: Mapping = Mapping()
    groups: Groups = Groups()

    @property
    def how(self) -> Literal["usn", "modify_timestamp", "off"]:
        if self.incremental != "auto":
            return self.incremental
        if self.groups.how == "member_of":
            return "off"
        return "usn" if _INCREMENTAL[self.dialect] == "usn" else "modify_timestamp"

    @property
    def id_attribute(self) -> str:
        return self.user.id or _ID_ATTRIBUTE[self.dialect]

    @property
    def user_filter(self) -> bytes:
        return compile_filter(self.filter or _USER_FILTER[self.dialect])

    @property
    def group_filter(self) -> bytes:
        return compile_filter(self.groups.filter or _GROUP_FILTER[self.dialect])

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (_LDAPS_PORT if parts.scheme == "ldaps" else _LDAP_PORT)

    @property
    def digest(self) -> str:
        """Of everything that decides which rows come out, so that another mapping means a full run."""
        return sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def checked(settings: LdapSettings) -> LdapSettings:
    """The same settings. Raises SettingsError for what no type says."""
    _check_address(settings)
    if settings.bind == "simple" and not (settings.bind_dn and settings.password_file):
        raise SettingsError("a simple bind needs `bind_dn` and `password_file`")
    if settings.bind == "external" and not (settings.client_certificate and settings.client_key):
        raise SettingsError("an external bind needs `client_certificate` and `client_key`")
    if settings.groups.how == "member_of" and settings.how != "off":
        raise SettingsError(
            "`groups.how` member_of needs `incremental` off: a changed group leaves no mark at the account"
        )
    if settings.how == "usn" and settings.dialect != "active_directory":
        raise SettingsError("`incremental` usn is Active Directory's")
    _check_rules(settings.user)
    for name in _names(settings):
        _check_name(name)
    try:
        _ = settings.user_filter, settings.group_filter
    except FilterError as fault:
        raise SettingsError(f"`filter` cannot be used: {fault}") from None
    return settings


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(settings: LdapSettings) -> ssl.SSLContext | None:
    """Certificates and names are checked, TLS 1.2 or newer. None: plain, which `checked` allows only on loopback.

    Raises SettingsError where a file cannot be used.
    """
    if not settings.url.startswith("ldaps:") and not settings.start_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.client_certificate:
            context.load_cert_chain(settings.client_certificate, settings.client_key or None)
    except (OSError, ValueError):
        raise SettingsError(
            "`ca_file`, `client_certificate` or `client_key` cannot be read, or do not belong together"
        ) from None
    return context


def _check_address(settings: LdapSettings) -> None:
    try:
        parts = urlsplit(settings.url)
        port = parts.port
    except ValueError:
        raise SettingsError("`url` is not an address") from None
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise SettingsError("`url` is written `ldaps://HOST:PORT`")
    if parts.username is not None or parts.password is not None or port == 0:
        raise SettingsError("`url` must not hold a name or password; use `bind_dn` and `password_file`")
    if parts.scheme == "ldaps" and settings.start_tls:
        raise SettingsError("`start_tls` belongs to an `ldap://` address; `ldaps://` has TLS from the first byte")
    safe = parts.scheme == "ldaps" or settings.start_tls
    if not safe and not is_loopback(parts.hostname):
        raise SettingsError("a password must not cross the network in plain text: use `ldaps://` or `start_tls`")
    if settings.bind == "external" and not safe:
        raise SettingsError("an external bind needs TLS: its certificate says who we are")


def _check_rules(user: Mapping) -> None:
    for rule in user.kinds:
        if not (rule.under or rule.attribute or rule.id_prefix or rule.group):
            raise SettingsError(f"the rule of kind `{rule.kind}` matches everybody: name what it asks for")
        if (rule.attribute is None) != (not rule.values):
            raise SettingsError(f"the rule of kind `{rule.kind}` needs both `attribute` and `values`, or neither")
    if (user.employment.suspended_attribute is None) != (not user.employment.suspended_values):
        raise SettingsError("`suspended_attribute` and `suspended_values` belong together")
    if not user.name:
        raise SettingsError("`name` needs an attribute")


def _names(settings: LdapSettings) -> Iterable[str]:
    yield settings.base
    if settings.groups.base:
        yield settings.groups.base
    for rule in settings.user.kinds:
        yield from (name for name in (rule.under, rule.group) if name)
    yield from (rule.dn for rule in settings.user.groups)
    yield from (rule.under for rule in settings.user.departments.units)


def _check_name(name: str) -> None:
    try:
        parse_name(name)
    except NameFault as fault:
        raise SettingsError(f"`{name}` is not a distinguished name: {fault}") from None
