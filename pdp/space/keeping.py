"""A decision space as bytes, and a folder of those that were made: the same bytes in every run.

A kept space is bound to the digest of its bundle and to what made it; any other file is made anew. It is a memory of
work done, for commands; the gate of drafts does not believe it, for the key is no secret (`pdp.gates.proving_child`).
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from pdp import __version__
from pdp.space.diagram import LEAF, Diagram
from pdp.space.facts import Fact, Value
from pdp.space.space import Built, DecisionSpace, build_space

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.space.space import OpenAsker

SCHEMA: Final = "pdp.space/v1"


class _Fact(msgspec.Struct, frozen=True):
    level: int
    name: str
    path: tuple[str, ...]
    values: tuple[Value, ...]
    kind: str
    word: str | None
    pieces: tuple[tuple[int, int], ...]


class _Kept(msgspec.Struct, frozen=True):
    """`nodes` are levels and children, each after its children; leaves are below zero: -1 is the first of `leaves`."""

    schema: str
    key: str
    facts: tuple[_Fact, ...]
    nodes: tuple[tuple[int, tuple[int, ...]], ...]
    leaves: tuple[str, ...]
    root: int
    parts: int
    questions: int
    widest: tuple[str, int]


def key_of(bundle: Bundle) -> str:
    """What a space is a function of: the policy, the engine, the schema of the input, and how it is made."""
    made = "\n".join((SCHEMA, __version__, version("gordon-to-regorus"), _sources(), bundle.digest))
    return hashlib.sha256(made.encode()).hexdigest()


@cache
def _sources() -> str:
    """A digest of the text of `pdp.space`, and of the schema that its facts are taken from."""
    found = [file for file in files("pdp.space").iterdir() if file.name.endswith(".py")]
    texts = [
        file.read_bytes() for file in (*sorted(found, key=lambda file: file.name), files("pdp.model") / "input.py")
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


def dumped(space: DecisionSpace) -> bytes:
    """The space as JSON; equal spaces give equal bytes."""
    diagram = space.diagram
    numbers: dict[int, int] = {}
    nodes: list[tuple[int, tuple[int, ...]]] = []
    leaves: list[str] = []

    def number(one: int) -> int:
        found = numbers.get(one)
        if found is None:
            if diagram.is_leaf(one):
                leaves.append(diagram.payload(one))
                found = -len(leaves)
            else:
                kids = tuple([number(kid) for kid in diagram.kids(one)])
                nodes.append((diagram.level(one), kids))
                found = len(nodes) - 1
            numbers[one] = found
        return found

    root = number(space.verdict)
    facts = tuple(_Fact(level, f.name, f.path, f.values, f.kind, f.word, f.pieces) for level, f in space.facts.items())
    built = space.built
    kept = _Kept(
        SCHEMA,
        key_of(space.bundle),
        facts,
        tuple(nodes),
        tuple(leaves),
        root,
        built.parts,
        built.questions,
        built.widest,
    )
    return msgspec.json.encode(kept)


def loaded(text: bytes, bundle: Bundle) -> DecisionSpace | None:
    """The space that these bytes are, or None where they are not a space of this bundle."""
    try:
        kept = msgspec.json.decode(text, type=_Kept)
        if kept.schema != SCHEMA or kept.key != key_of(bundle):
            return None
        diagram = Diagram()
        facts = {f.level: Fact(f.name, f.path, f.values, f.kind, f.word, f.pieces) for f in kept.facts}  # type: ignore[arg-type]
        diagram.sizes.update({level: len(fact.values) for level, fact in facts.items()})
        leaves = [diagram.leaf(text) for text in kept.leaves]
        made: list[int] = []
        for level, kids in kept.nodes:
            if level not in facts or len(kids) != diagram.sizes[level] or level >= LEAF:
                return None
            made.append(diagram.node(level, tuple([made[kid] if kid >= 0 else leaves[-kid - 1] for kid in kids])))
        root = made[kept.root] if kept.root >= 0 else leaves[-kept.root - 1]
    except (msgspec.DecodeError, IndexError, UnicodeDecodeError):
        return None
    return DecisionSpace(bundle, facts, diagram, root, Built(kept.parts, kept.questions, kept.widest))


async def kept_space(folder: Path | None, bundle: Bundle, open_asker: OpenAsker) -> DecisionSpace:
    """The space of this bundle: as it is kept in the folder, or made, and kept there where the folder can be written.

    Raises as `build_space`.
    """
    file = None if folder is None else folder / f"{key_of(bundle)}.json"
    if file is not None:
        try:
            space = loaded(file.read_bytes(), bundle)
        except OSError:
            space = None
        if space is not None:
            return space
    space = await build_space(bundle, open_asker)
    if file is not None:
        _keep(file, dumped(space))
    return space


def _keep(file: Path, text: bytes) -> None:
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(text)
        part.replace(file)
    except OSError:  # it is made again next time
        part.unlink(missing_ok=True)
