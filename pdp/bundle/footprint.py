"""What a bundle can see of its input: the footprint.

The paths below which the entry point can read, found in the syntax trees of the modules and not by running
them. Two inputs that agree at every path of the footprint get one answer; the decision cache stands on this.
To agree at a path is to have equal values there, or to end at the same step before it: a policy can tell
`{"device": {}}` from `{}` by handing `input.device` on, although neither has a `device.posture`.

The way: `grammar` refuses what is not known, `reach` says what a name can stand for, `sight` walks and
collects `findings`. Whatever cannot be analysed sees the whole input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.bundle.findings import TooManyFindingsError
from pdp.bundle.grammar import unknown_part
from pdp.bundle.reach import Reach
from pdp.bundle.sight import look
from pdp.bundle.syntax import Path, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.bundle.findings import Findings, Why
    from pdp.bundle.syntax import Module, Node


@dataclass(frozen=True, slots=True)
class Footprint:
    """`paths` are sorted, and none is the beginning of another. `((),)` is the whole input, `()` nothing of it."""

    paths: tuple[Path, ...]

    def reads(self, path: Path | str) -> bool:
        """Whether the policy can see anything at, below or above this path (`"device.id"`, or its parts)."""
        at = tuple(path.split(".")) if isinstance(path, str) else path
        return any(known[: len(at)] == at[: len(known)] for known in self.paths)

    @property
    def whole(self) -> bool:
        return () in self.paths

    def together(self, other: Footprint) -> Footprint:
        """What two policies see between them."""
        every = sorted({*self.paths, *other.paths})
        return Footprint(tuple(p for p in every if not any(p[: len(q)] == q and p != q for q in every)))


WHOLE: Final = Footprint(((),))


@dataclass(frozen=True, slots=True, order=True)
class Reading:
    """One place at which a path comes into the footprint, and why not more narrowly.

    `line` counts from 1; `module` is empty and `line` 0 where there is no such place.

    `value` it is compared, calculated with, or a condition · `call` a builtin takes it · `step` it is asked for a
    computed member or a number · `loop` its members are gone through · `collection` it becomes part of a list,
    set or object · `answer` it is part of the answer · `clash` several definitions could give this value, and
    engines compare them · `presence` it is handed on and no part of it used, so only whether it is there counts.

    For the whole input also: `with` another input, datum or function takes the place of one · `syntax` this node
    is not known · `name` this import, package or rule name has no clear meaning · `entrypoint` no such rule ·
    `unparsed` a module that does not parse · `size` too much to follow.
    """

    path: Path
    module: str
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A footprint, and for each of its paths at least one reading."""

    footprint: Footprint
    readings: tuple[Reading, ...]


def footprint_of(modules: Sequence[Module], entrypoint: str) -> Footprint:
    """The footprint of an entry point such as `pdp/decision`. Never raises: what cannot be analysed sees the whole."""
    return explain_footprint(modules, entrypoint).footprint


def explain_footprint(modules: Sequence[Module], entrypoint: str) -> Explained:
    """The same, with the places. `modules` are all that are in service, each parsed; tests are not among them."""
    try:
        return _explained(modules, ("data", *entrypoint.split("/")))
    except (TooManyFindingsError, RecursionError):
        return blind("size")


def blind(why: str, module: str = "", line: int = 0) -> Explained:
    """The whole input, for this reason."""
    return Explained(WHOLE, (Reading((), module, line, why),))


def _explained(modules: Sequence[Module], entrypoint: Path) -> Explained:
    for module in modules:
        unknown = unknown_part(module)
        if unknown is not None:
            return blind("syntax", module.name, _line(module, unknown))
    reach = Reach(modules)
    for module, node in reach.unclear:
        return blind("name", module.name, _line(module, node))
    if not any(reach.around(entrypoint)):
        return blind("entrypoint")
    findings = look(reach, entrypoint)
    _add_what_is_only_present(findings)
    paths = tuple(_shortest(findings.readings))
    return Explained(Footprint(paths), tuple(sorted(_places(findings, paths, reach.modules))))


def _add_what_is_only_present(findings: Findings) -> None:
    """A path below it tells whether a value is there; where there is none, and none above it, it has to be read.

    The input itself is always there.
    """
    read = list(findings.readings)
    for path, (place, node) in findings.seen.items():
        if path and not any(path[: len(one)] == one[: len(path)] for one in read):
            findings.read(path, place, node, "presence")


def _shortest(paths: Iterable[Path]) -> Iterator[Path]:
    last: Path | None = None
    for path in sorted(paths):
        if last is None or path[: len(last)] != last:
            last = path
            yield path


def _places(findings: Findings, paths: Sequence[Path], modules: dict[str, Module]) -> Iterator[Reading]:
    for path in paths:
        found: dict[tuple[str, int, Why], None] = {}
        for ((module, _), why), node in findings.readings[path].items():
            found[module, _line(modules[module], node), why] = None
        yield from (Reading(path, module, line, why) for module, line, why in found)


def _line(module: Module, node: Node) -> int:
    return place_of(module, node)[0] if node else 0
