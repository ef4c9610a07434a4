"""Mutants that no test can notice, because the policy means the same: a list beside the bundle, each with its why.

`mutants.yaml` holds a list of `{file, where, change, why: {ja, en}}`: `where` is the line, or the path of the datum,
and `change` as `pdp bundle mutate` prints it. It decides nothing, so it is no part of the bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import BadRequestError, BundleError
from pdp.plain_yaml import load_one

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.bundle.mutants import Mutant

FILE: Final = "mutants.yaml"


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ja: str
    en: str


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mutant that is the policy itself, in other words."""

    file: str
    where: str
    change: str
    why: Why


def read_equivalents(text: str) -> list[Equivalent]:
    """Raises BundleError for anything that is not such a list."""
    try:
        return msgspec.convert(load_one(text), list[Equivalent])
    except (msgspec.ValidationError, BadRequestError, ValueError) as fault:
        raise BundleError(str(fault), where=FILE) from None


def explained(mutants: Sequence[Mutant], known: Sequence[Equivalent]) -> Mapping[int, Equivalent]:
    """By the place in `mutants`: why nobody can notice it."""
    by_key = {(one.file, one.where, one.change): one for one in known}
    found = {at: by_key.get((mutant.file, mutant.where, mutant.change)) for at, mutant in enumerate(mutants)}
    return {at: one for at, one in found.items() if one is not None}
