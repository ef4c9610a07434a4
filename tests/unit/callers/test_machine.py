"""What the scopes of a machine's token give where the settings add none."""

from __future__ import annotations

import pytest

from pdp.callers.caller import PERMISSIONS, UnsafeAnyone
from pdp.callers.machine import DEFAULT_SCOPES, permissions_of


@pytest.mark.parametrize(
    ("scopes", "given"),
    [
        (["ssf.read"], {"ssf_read"}),
        (["ssf.manage"], {"ssf_read", "ssf_manage"}),
        (["sekisho:ssf_manage"], {"ssf_manage"}),
        (["ssf"], set()),
        (["ssf.read.x", "SSF.READ"], set()),
        ([], set()),
    ],
)
def test_the_scopes_of_the_interoperability_profile_give_the_same_as_ours(scopes: list[str], given: set[str]) -> None:
    assert permissions_of(scopes, DEFAULT_SCOPES) == given


def test_every_permission_has_a_scope() -> None:
    assert frozenset().union(*DEFAULT_SCOPES.values()) == PERMISSIONS


def test_nobody_has_a_stream_without_saying_who_it_is() -> None:
    anyone = UnsafeAnyone().authenticate(None)
    assert not anyone.may("ssf_read")
    assert not anyone.may("ssf_manage")
