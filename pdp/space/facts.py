"""The facts of a decision space: each has a few values, and every input document has one of them.

Where the schema lists the values (`device.class`, `registered`, `auth_level`), they are taken as they are, and a rule
may do with them what it likes. Where it does not, a fact stands for what a rule can find out:

- a number for the piece of the line between the policy's thresholds that it lies on, or `unknown`;
- a text for the constant that it equals, `unknown`, or any other;
- a list of words for each word apart: is it in the list (`subject.roles∋server_admin`);
- `departments` and `organisation` for how the subject's stand to the resource's: a person's own department is named,
  another one of them, none.

`reading` refuses a rule that could find out more than this, so two documents with equal facts get one answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from pdp.errors import SpaceError
from pdp.model.input import InputV1

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Path = tuple[str, ...]
Document = dict[str, Any]
Value = str | int | bool
Constant = str | int | float  # of a policy's text or data

UNKNOWN: Final = "unknown"
OTHER: Final = "(other)"  # of a text: none of the policy's constants. No register has such a word
NOBODY: Final = "nobody"  # of `departments`: the subject has none

DEPARTMENTS: Final = "departments"
ORGANISATION: Final = "organisation"
RELATED: Final[Mapping[Path, str]] = {
    ("subject", "departments"): DEPARTMENTS,
    ("resource", "departments"): DEPARTMENTS,
    ("subject", "organisation"): ORGANISATION,
    ("resource", "organisations"): ORGANISATION,
}
_NAMED: Final = "dept-named"
_ELSE: Final = "dept-other"
_OUR: Final = "org-own"
_THEIR: Final = "org-other"
_FAR: Final = 1_000_000  # a number beyond every threshold
_LISTED_AT_MOST: Final = 16  # a number of fewer values than this is taken as it is
TIMES: Final = frozenset({("context", "work_permit_until")})
OTHER_TIME: Final = "9999-12-31T00:00:00Z"  # stands for any time

Kind = Literal["listed", "number", "text", "words", "closed_words", "related", "constant"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One place of the document, and what the schema says of it. `values`: of a listed fact or of a list's words."""

    path: Path
    kind: Kind
    values: tuple[Value, ...] = ()
    unknown: bool = False  # of a number: "unknown" may stand there
    least: int = 0

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Fact:
    """One variable of the space. `values` are its values in order; the number of a value is its place there.

    `name` is the path with dots, followed by `∋word` where it is about one word of a list.
    """

    name: str
    path: Path
    values: tuple[Value, ...]
    kind: Kind = "listed"
    word: str | None = None
    pieces: tuple[tuple[int, int], ...] = ()  # of a number: first and last of each value but `unknown`

    def number_of(self, document: Mapping[str, Any]) -> int:
        """Which of the values this document has. ValueError where it has none of them."""
        if self.kind == "related":
            return self.values.index(_relation(self.name, document))
        held = value_at(document, self.path)
        if self.word is not None:
            return int(self.word in held)
        if self.kind == "number" and isinstance(held, int) and not isinstance(held, bool):
            return next(
                n for n, (first, last) in enumerate(self.pieces) if first <= held <= last or held > last == _FAR
            )
        if self.kind == "text" and held not in self.values:
            return self.values.index(OTHER)
        return next(n for n, value in enumerate(self.values) if value == held and type(value) is type(held))

    def write(self, document: Document, number: int, *, last: bool = False) -> None:
        """Give a document this value. `last`: of a piece of numbers, its end and not its beginning."""
        value = self.values[number]
        if self.kind == "related":
            _write_relation(self.name, document, str(value))
        elif self.word is not None:
            held = value_at(document, self.path)
            if value is True and self.word not in held:
                held.append(self.word)
        elif self.kind == "number" and number < len(self.pieces):
            set_at(document, self.path, self.pieces[number][1 if last else 0])
        elif value == OTHER:
            set_at(document, self.path, OTHER_TIME if self.path in TIMES else OTHER)
        else:
            set_at(document, self.path, value)


def value_at(document: Mapping[str, Any], path: Path) -> Any:
    held: Any = document
    for part in path:
        held = held[part]
    return held


def set_at(document: Document, path: Path, value: object) -> None:
    value_at(document, path[:-1])[path[-1]] = value


# --- what the schema lists


def schema_leaves() -> dict[Path, Leaf]:
    """Every place of a `pdp.input/v1` document, in the document's order."""
    return {leaf.path: leaf for leaf in _leaves(InputV1, ())}


def _leaves(struct: type, at: Path) -> Iterator[Leaf]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        path = (*at, field.encode_name)
        hint = hints[field.name]
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from _leaves(hint, path)
        elif path in RELATED:
            yield Leaf(path, "related")
        else:
            yield _leaf(path, hint)


def _leaf(path: Path, hint: Any) -> Leaf:
    if get_origin(hint) is list:
        (of,) = get_args(hint)
        return Leaf(path, "closed_words", get_args(of)) if get_origin(of) is Literal else Leaf(path, "words")
    values: list[Value] = []
    number = text = False
    least = 0
    for part in _alternatives(hint):
        if get_origin(part) is Literal:
            values += get_args(part)
        elif part is bool:
            values += [True, False]
        elif part is str:
            text = True
        else:
            bounds = _bounds(part)
            least = bounds[0]
            if bounds[1] - bounds[0] < _LISTED_AT_MOST:
                values += range(bounds[0], bounds[1] + 1)
            else:
                number = True
    if number:
        return Leaf(path, "number", unknown=UNKNOWN in values, least=least)
    if text:
        return Leaf(path, "text")
    return Leaf(path, "listed" if len(values) > 1 else "constant", tuple(values))


def _alternatives(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _alternatives(part)
    else:
        yield hint


def _bounds(hint: Any) -> tuple[int, int]:
    """Least and greatest of an integer of the schema."""
    least, most = -_FAR, _FAR
    if get_origin(hint) is Annotated:
        for note in get_args(hint)[1:]:
            if isinstance(note, msgspec.Meta):
                least = least if note.ge is None else int(note.ge)
                most = most if note.le is None else int(note.le)
    return least, most


# --- the facts of one policy


def cuts_of(constants: Iterable[Constant]) -> set[int]:
    """The whole numbers at which these constants cut the line; what is no whole number cuts between two."""
    numbers = [one for one in constants if isinstance(one, int | float) and not isinstance(one, bool)]
    if any(abs(one) >= _FAR for one in numbers):
        raise SpaceError(f"a threshold beyond {_FAR:,}")
    return {int(end) for one in numbers for end in (floor(one), ceil(one))}


def fact_of(leaf: Leaf, constants: Iterable[Constant] = ()) -> Fact:
    """The fact at one place, for a policy that holds it against these constants. Not for words and relations.

    Raises SpaceError for a constant that says something else here.
    """
    if leaf.kind == "number":
        return _number(leaf, sorted(cuts_of(constants)))
    if leaf.kind == "text":
        texts = sorted({c for c in constants if isinstance(c, str)} - {UNKNOWN})
        if OTHER in texts:
            raise SpaceError(f"`{OTHER}` stands for any other text here, and the policy has a use of its own for it")
        if leaf.path in TIMES:
            times = [text for text in texts if text[:4].isdecimal()]  # no other word is valid there
            return Fact(leaf.name, leaf.path, ("none", *times, OTHER), "text")
        return Fact(leaf.name, leaf.path, (*texts, UNKNOWN, OTHER), "text")
    return Fact(leaf.name, leaf.path, leaf.values, leaf.kind)


def word_fact(leaf: Leaf, word: str) -> Fact:
    return Fact(f"{leaf.name}∋{word}", leaf.path, (False, True), leaf.kind, word=word)


def related_fact(name: str) -> Fact:
    """`departments` and `organisation`: how the subject's stand to those that the resource names.

    `open`: the resource names none. `first`, `later`: the person's main department is among them, another one is;
    `none`: no department of theirs. `open-nobody`, `nobody`: the person has no department at all.
    """
    if name == DEPARTMENTS:
        return Fact(
            name, ("subject", "departments"), ("open", "open-nobody", "first", "later", "none", NOBODY), "related"
        )
    return Fact(name, ("subject", "organisation"), ("open", "named", "none"), "related")


def _number(leaf: Leaf, constants: Sequence[int]) -> Fact:
    pieces: list[tuple[int, int]] = []
    begin = leaf.least
    for cut in constants:
        if cut < leaf.least:
            continue
        if begin < cut:
            pieces.append((begin, cut - 1))
        pieces.append((cut, cut))
        begin = cut + 1
    pieces.append((begin, _FAR))
    names: list[Value] = [_piece_name(first, last) for first, last in pieces]
    return Fact(
        leaf.name, leaf.path, (*names, UNKNOWN) if leaf.unknown else tuple(names), "number", pieces=tuple(pieces)
    )


def _piece_name(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}+" if last == _FAR else f"{first}-{last}"


def _relation(name: str, document: Mapping[str, Any]) -> str:
    subject, resource = document["subject"], document["resource"]
    if name == ORGANISATION:
        named = resource["organisations"]
        return "open" if not named else "named" if subject["organisation"] in named else "none"
    held, named = subject["departments"], resource["departments"]
    if not named:
        return "open" if held else "open-nobody"
    if not held:
        return NOBODY
    return "first" if held[0] in named else "later" if any(one in named for one in held) else "none"


_DEPARTMENT_LISTS: Final[Mapping[str, tuple[list[str], list[str]]]] = {
    "open": ([_ELSE], []),
    "open-nobody": ([], []),
    "first": ([_NAMED], [_NAMED]),
    "later": ([_ELSE, _NAMED], [_NAMED]),
    "none": ([_ELSE], [_NAMED]),
    NOBODY: ([], [_NAMED]),
}


def _write_relation(name: str, document: Document, value: str) -> None:
    if name == ORGANISATION:
        document["subject"]["organisation"] = _THEIR if value == "none" else _OUR
        document["resource"]["organisations"] = [] if value == "open" else [_OUR]
        return
    held, named = _DEPARTMENT_LISTS[value]
    document["subject"]["departments"] = list(held)
    document["resource"]["departments"] = list(named)


# --- documents


def blank_document(leaves: Mapping[Path, Leaf]) -> Document:
    """A document in which every place has a valid value; which one does not matter: its facts are written over it."""
    document: Document = {}
    for path, leaf in leaves.items():
        part = document
        for step in path[:-1]:
            part = part.setdefault(step, {})
        part[path[-1]] = _blank(leaf)
    return document


def _blank(leaf: Leaf) -> Any:
    if leaf.kind in ("words", "closed_words") or leaf.path[-1] in ("departments", "organisations"):
        return []
    if leaf.kind == "number":
        return leaf.least if leaf.least > -_FAR else 0
    if leaf.kind in ("text", "related"):
        return "none" if leaf.path in TIMES else OTHER
    return leaf.values[0]


_WORD: Final = re.compile(r"^(?P<place>[^∋]+)(∋(?P<word>.+))?$")


def split_name(name: str) -> tuple[str, str | None]:
    """`subject.roles∋data_user` to (`subject.roles`, `data_user`)."""
    found = _WORD.match(name)
    return (name, None) if found is None else (found["place"], found["word"])
