"""The key of a verdict: everything that it can depend on, and nothing else.

A verdict is a function of the bundle and of what the bundle's entry point can read of the document (its
footprint). So the key is a SHA-256, in full length, over

    version, engine, bundle digest, profile, footprint, [mode]; then, per path of the footprint, the value there

in MessagePack, which gives each value one form: `1`, `1.0`, `true` and `"1"` differ, the members of an
object stand in one order, those of a list in theirs, and what is absent is not `null`.

INVARIANT (sight): two documents with one key are one document to the policy. So a change in the directory
needs no purge of a cache: it is another key.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from pdp import __version__
from pdp.model.input import attribute_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.footprint import Footprint
    from pdp.model.input import InputV1

KEY_BYTES: Final = 32
_VERSION: Final = f"sekisho-verdict-1 {__version__}"  # another program may read a verdict in another way
_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class KeyMaker:
    """Makes the keys of one bundle on one engine (`engine` is its name: two engines share no entry).

    `mode`: what else a verdict depends on, such as a time of warning (`pdp.grace`); empty: nothing.
    """

    def __init__(self, bundle: Bundle, footprint: Footprint, engine: str, mode: str = "") -> None:
        head = _encode([_VERSION, engine, bundle.digest, bundle.profile, footprint.paths, *([mode] if mode else [])])
        self._head = sha256(len(head).to_bytes(8) + head)
        self._paths = footprint.paths
        self._of_input = _reader_of_input(footprint.paths)

    def of_input(self, document: InputV1) -> bytes:
        """The key of a document of profile `zta`."""
        return self._digest(self._of_input(document))

    def of_json(self, document: object) -> bytes:
        """The key of any JSON value, for profile `plain`."""
        return self._digest([_at(document, path) for path in self._paths])

    def _digest(self, values: object) -> bytes:
        digest = self._head.copy()
        digest.update(_encode(values))
        return digest.digest()


@lru_cache(maxsize=16)  # bundles that one process asks in turn; types are looked up slowly
def _reader_of_input(paths: tuple[tuple[str, ...], ...]) -> Callable[[InputV1], object]:
    """The values at the paths. `pdp.input/v1` is closed: what it has no place for is absent from every document."""
    if () in paths:
        return lambda document: document
    attributes = sorted({name for path in paths if (name := attribute_of(path)) is not None})
    return attrgetter(*attributes) if attributes else lambda _: None


def _at(document: object, path: tuple[str, ...]) -> list[object] | int:
    """[value]; or, where there is none, how many steps of the path the document goes: a policy can tell that."""
    for depth, part in enumerate(path):
        if not isinstance(document, dict) or part not in document:
            return depth
        document = document[part]
    return [document]
