"""Settings that would send a password in plain text, or mean what nobody wants, are refused before a connection."""

from __future__ import annotations

import pytest

from connectors.identity.ldap import connector
from pdp.errors import SettingsError
from tests.unit.connectors.identity.ldap.sources import setup

GOOD = {
    "url": "ldaps://dc1.pref.example",
    "base": "DC=pref",
    "bind_dn": "CN=reader,DC=pref",
    "password_file": "password",
}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"url": "ldap://dc1.pref.example"}, "plain text"),
        ({"url": "ldap://dc1.pref.example", "dialect": "openldap"}, "plain text"),
        ({"url": "https://dc1"}, "written"),
        ({"url": "ldaps://"}, "written"),
        ({"url": "ldaps://dc1/DC=pref"}, "written"),
        ({"url": "ldaps://user:password@dc1"}, "must not hold"),
        ({"url": "ldaps://dc1", "start_tls": True}, "start_tls"),
        ({"url": "ldaps://dc1:99999"}, "not an address"),
        ({"bind_dn": ""}, "bind_dn"),
        ({"password_file": ""}, "password_file"),
        ({"bind": "external"}, "client_certificate"),
        ({"url": "ldap://127.0.0.1", "bind": "external", "client_certificate": "a", "client_key": "b"}, "needs TLS"),
        ({"base": "pref"}, "distinguished name"),
        ({"filter": "(objectClass=user"}, "filter"),
        ({"unknown": 1}, "unknown"),
        ({"page_size": 100_000}, "page_size"),
        ({"user": {"kinds": [{"kind": "staff"}]}}, "everybody"),
        ({"user": {"kinds": [{"kind": "staff", "attribute": "employeeType"}]}}, "values"),
        ({"user": {"kinds": [{"kind": "boss", "id_prefix": "a"}]}}, "kind"),
        ({"user": {"groups": [{"dn": "災害対応"}]}}, "distinguished name"),
        ({"user": {"employment": {"suspended_attribute": "a"}}}, "belong together"),
        ({"user": {"id": "uid)(objectClass=*"}}, "id"),
        ({"groups": {"how": "member_of"}, "incremental": "usn"}, "member_of"),
        ({"dialect": "openldap", "incremental": "usn"}, "usn"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, word):
    with pytest.raises(SettingsError, match=word):
        connector(setup({**GOOD, **settings}))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "ldap://dc1.pref.example", "start_tls": True},
        {"url": "ldap://localhost:10389"},
        {"url": "ldap://[::1]"},
        {"url": "ldaps://dc1", "bind": "external", "client_certificate": "a", "client_key": "b"},
    ],
)
def test_settings_that_keep_the_password_safe_are_taken(settings):
    assert connector(setup({**GOOD, **settings})).name == "prefecture-ad"
