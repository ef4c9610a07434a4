"""Kept spaces are sealed: what this deployment did not write is noticed, and made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from pdp.bundle.bundle import Bundle
from pdp.space.asking import asker_for
from pdp.space.keeping import Shelf, dumped, kept_space, key_of, sealed, unsealed
from pdp.space.parts import Parts
from pdp.space.space import DecisionSpace
from pdp.space.tables import Asker
from tests.unit.space.test_space import bundle_of

SECRET = b"k" * 32


class Workshop:
    """A shelf in a folder, and how often a space was made and a file was refused."""

    def __init__(self, folder: Path, secret: bytes = SECRET) -> None:
        self.made = self.refused = 0
        self._shelf = Shelf(folder, secret, self._refuse)
        self.folder = folder

    def _refuse(self) -> None:
        self.refused += 1

    @asynccontextmanager
    async def _ask(self, bundle: Bundle, parts: Parts) -> AsyncIterator[Asker]:
        self.made += 1
        async with asker_for(bundle, parts, children=1) as asker:
            yield asker

    def space(self, bundle: Bundle, *, anew: bool = False) -> DecisionSpace:
        return asyncio.run(kept_space(self._shelf, bundle, self._ask, anew=anew))

    @property
    def file(self) -> Path:
        (found,) = self.folder.glob("*.json")
        return found


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_a_space_that_is_kept_is_not_made_again_unless_somebody_asks_for_it(workshop: Workshop) -> None:
    bundle = bundle_of('fine if input.context.zone == "office"')
    first = workshop.space(bundle)
    assert dumped(workshop.space(bundle)) == dumped(first)
    assert (workshop.made, workshop.refused) == (1, 0)
    assert dumped(workshop.space(bundle, anew=True)) == dumped(first)
    assert (workshop.made, workshop.refused) == (2, 0)


def test_a_space_that_somebody_widened_is_noticed_and_made_anew(workshop: Workshop) -> None:
    """Attack: whoever can write to the folder gives every vector the verdict `allow`."""
    bundle = bundle_of('fine if input.context.zone == "office"')
    honest = workshop.space(bundle)
    mac, _, text = workshop.file.read_bytes().partition(b"\n")
    held = msgspec.json.decode(text)
    held["leaves"] = [leaf.replace('"deny"', '"allow"') for leaf in held["leaves"]]
    wide = msgspec.json.encode(held)
    for forged in (mac + b"\n" + wide, wide, b"\n" + wide, sealed(wide, key_of(bundle), b"m" * 32), text, b""):
        workshop.file.write_bytes(forged)
        assert dumped(workshop.space(bundle)) == dumped(honest)
        assert unsealed(workshop.file.read_bytes(), key_of(bundle), SECRET) == dumped(honest)
    assert workshop.refused == 6


def test_the_space_of_another_policy_does_not_count_under_this_ones_name(workshop: Workshop) -> None:
    """Attack: our own file of a wider policy, renamed. The seal is over the policy's key, too."""
    office = bundle_of('fine if input.context.zone == "office"')
    anywhere = bundle_of("fine if true")
    workshop.space(anywhere)
    file = workshop.file.rename(workshop.folder / f"{key_of(office)}.json")
    assert workshop.space(office).outcomes() != workshop.space(anywhere).outcomes()
    assert workshop.refused == 1
    assert file.exists()


def test_a_secret_of_another_deployment_opens_nothing(tmp_path: Path) -> None:
    bundle = bundle_of('fine if input.context.zone == "office"')
    Workshop(tmp_path).space(bundle)
    other = Workshop(tmp_path, b"o" * 32)
    other.space(bundle)
    assert (other.made, other.refused) == (1, 1)
    with pytest.raises(ValueError, match="32"):
        partial(sealed, b"{}", "key")(b"short")
