from __future__ import annotations

import pytest

from pdp import errors
from pdp.commands.exit_codes import INTERNAL, NO, NOT_READY, USAGE, exit_code

PUBLIC = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SekishoError) and kind is not errors.SekishoError
]


@pytest.mark.parametrize("kind", PUBLIC)
def test_every_error_of_the_tree_has_an_exit_code_of_its_own_choosing(kind):
    assert exit_code(kind("it went wrong")) in (NO, USAGE, NOT_READY)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (errors.ImportRefusedError("a row is wrong"), USAGE),  # although a DirectoryError is "not ready"
        (errors.DirectoryError("no database"), NOT_READY),
        (errors.EngineDiedError("gone"), NOT_READY),
        (errors.RecordFailedError("full"), NOT_READY),
        (errors.RecordDamagedError("cut"), NO),
        (errors.ScenarioError("no such key"), USAGE),
        (errors.SekishoError("?"), INTERNAL),
    ],
)
def test_the_exit_codes_are_what_the_documentation_says(fault, code):
    assert exit_code(fault) == code
