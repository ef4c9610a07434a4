"""Which of a record's values are not those that the policy saw, and whether it could tell. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.bundle.footprint import Footprint

_ANSWER: Final = frozenset({"outcome", "reasons", "obligations", "required_auth_level", "policy_context"})


def hides_what_counts(redacted: Iterable[str], masked: Iterable[str], footprint: Footprint) -> bool:
    """Whether a decision cannot be recomputed exactly from a record in which these values were replaced.

    `redacted` are JSON pointers (RFC 6901) into the input, `masked` into the record (also those that were erased).
    A value that the bundle cannot see changes nothing: a person's id in a policy that reads roles.
    """
    paths = [_path(pointer) for pointer in redacted]
    for pointer in masked:
        if pointer in ("", "/"):  # masking failed, and anything may be gone
            return True
        head, *rest = _path(pointer)
        if head in _ANSWER:
            return True
        if head == "input":
            paths.append(tuple(rest))
    return any(path == () or footprint.reads(path) for path in paths)


def _path(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
