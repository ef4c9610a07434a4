"""A decision space as bytes, and a folder of those that were made: the same bytes in every run.

A kept space is bound to the digest of its bundle (policy, data and catalogue), to the engine and the text that made it
(`key_of`), and sealed: its file begins with a MAC under a secret of this deployment, over that key and all that
follows. A file that was written by anybody else, or altered, counts as none, and the space is made anew.

INVARIANT (no kept space without its seal): nothing of a file is decoded before its MAC is right.

The gate of drafts does not read the folder at all (`pdp.gates.proving_child`): a draft's author may sit on this host.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from hmac import compare_digest
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from pdp import __version__
from pdp.space.diagram import LEAF, Diagram
from pdp.space.facts import Fact, Value
from pdp.space.space import Built, DecisionSpace, build_space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.space.space import OpenAsker

SCHEMA: Final = "pdp.space/v1"
_MAX_BYTES: Final = 256 * 1024 * 1024  # of one kept space; the shipped policy's has one megabyte
_MAC_BYTES: Final = 32
_MIN_SECRET_BYTES: Final = 32
_MOST_KEPT: Final = 8  # files of one kind: what was used last; the others are made again where they are wanted
_LEFT_BEHIND_S: Final = 3600.0  # whoever writes has long done so, or was killed
_PURPOSE: Final = b"sekisho space"  # BLAKE2b's personalisation, at most 16 bytes: one secret, one use


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
    return key_for(bundle.digest)


def key_for(digest: str) -> str:
    """`key_of`, by the digest of the bundle."""
    made = "\n".join((SCHEMA, __version__, version("gordon-to-regorus"), _sources(), digest))
    return hashlib.sha256(made.encode()).hexdigest()


@cache
def _sources() -> str:
    """A digest of the text of `pdp.space`, of what it reads policies with, and of the schema of its facts."""
    read_with = [files("pdp.bundle") / f"{name}.py" for name in ("grammar", "reach", "rules", "syntax")]
    found = [file for file in files("pdp.space").iterdir() if file.name.endswith(".py")] + read_with
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


def sealed(text: bytes, key: str, secret: bytes) -> bytes:
    """The bytes of a kept file: the MAC in hex, a newline, the text. Raises ValueError for a secret below 32 bytes."""
    return _mac(text, key, secret) + b"\n" + text


def unsealed(file: bytes, key: str, secret: bytes) -> bytes | None:
    """What was sealed under this secret for this key, or None for anything else. Raises ValueError as `sealed`."""
    mac, newline, text = file.partition(b"\n")
    return text if newline and compare_digest(mac, _mac(text, key, secret)) else None


def _mac(text: bytes, key: str, secret: bytes) -> bytes:
    if len(secret) < _MIN_SECRET_BYTES:
        raise ValueError(f"a secret of {len(secret)} bytes seals nothing; it needs {_MIN_SECRET_BYTES}")
    keyed = blake2b(secret, digest_size=blake2b.MAX_KEY_SIZE, person=_PURPOSE).digest()
    said = key.encode()
    mac = blake2b(len(said).to_bytes(4, "big") + said, digest_size=_MAC_BYTES, key=keyed, person=_PURPOSE)
    mac.update(text)
    return mac.hexdigest().encode()


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where spaces are kept, under which secret. `refused` is called where a file stands there that is not ours."""

    folder: Path
    secret: bytes
    refused: Callable[[], None] = lambda: None


async def kept_space(shelf: Shelf, bundle: Bundle, open_asker: OpenAsker, *, anew: bool = False) -> DecisionSpace:
    """The space of this bundle: as it is kept, or made, and kept where the folder can be written.

    `anew`: what is kept is not looked at. Raises as `build_space`, and ValueError for a secret below 32 bytes.
    """
    space = None if anew else found_space(shelf, bundle)
    if space is None:
        space = await build_space(bundle, open_asker)
        text = sealed(dumped(space), key_of(bundle), shelf.secret)
        if len(text) <= _MAX_BYTES:  # a larger one would not be read
            with suppress(OSError):  # it is made again next time
                put(file_of(shelf, bundle), text)
    return space


def found_space(shelf: Shelf, bundle: Bundle) -> DecisionSpace | None:
    """The space of this bundle, where one is kept that was sealed here. Raises ValueError as `kept_space`."""
    text = found_text(shelf, file_of(shelf, bundle), key_of(bundle), _MAX_BYTES)
    space = None if text is None else loaded(text, bundle)
    if text is not None and space is None:
        shelf.refused()
    return space


def file_of(shelf: Shelf, bundle: Bundle) -> Path:
    """Where this bundle's space is kept."""
    return shelf.folder / f"{key_of(bundle)}.json"


def found_text(shelf: Shelf, file: Path, key: str, most: int) -> bytes | None:
    """What was sealed here for this key, of at most so many bytes. None: there is no file, or `refused` was called."""
    try:
        found = read_file(file, most)
    except FileNotFoundError:
        return None
    except OSError:
        found = b""
    text = unsealed(found, key, shelf.secret)
    if text is None:
        shelf.refused()
        return None
    with suppress(OSError):
        os.utime(file)  # `put` removes what was not used for the longest time
    return text


def read_file(file: Path, most: int) -> bytes:
    """A file's bytes. Raises OSError for what cannot be read, is no file (a pipe is waited for for ever), or larger."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        about = os.fstat(opened.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            raise OSError("not a file of ours")
        return opened.read(most)


def put(file: Path, text: bytes) -> None:
    """Whole or not at all. What is left behind of its kind in the folder goes. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{secrets.token_hex(8)}.part")  # containers that share a folder share pids too
    try:
        part.write_bytes(text)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
    _tidy(file)


def _tidy(kept: Path) -> None:
    """What a killed process was writing, and all but the newest files of this kind."""
    for part in kept.parent.glob("*.part"):
        with suppress(OSError):
            if abs(time.time() - part.stat().st_mtime) > _LEFT_BEHIND_S:  # a clock may have been ahead
                part.unlink()
    used: list[tuple[float, Path]] = []
    for one in kept.parent.glob(f"*{kept.suffix}"):
        with suppress(OSError):
            used.append((one.stat().st_mtime, one))
    for _, one in sorted(used, reverse=True)[_MOST_KEPT:]:
        if one != kept:  # a clock that was ahead wrote the others
            with suppress(OSError):
                one.unlink()
