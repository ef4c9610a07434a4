"""XML as a report needs it: elements, attributes and text, bounded before anything is built, and nothing else.

What a general parser lets through and this refuses, and the attack behind it:

- a document type declaration, and with it every entity of its own: entities that name one another grow a few
  lines to gigabytes, and external ones read files of the server or call other hosts;
- processing instructions: nothing of ours obeys them;
- more than the bounds of depth, elements, attributes and bytes: small texts that cost much.

The text is UTF-8 whatever its declaration says, so that no two readers decode it differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, TreeBuilder  # builds only; the parser is the one below
from xml.parsers import expat  # every handler through which it could reach outside refuses

from pdp.errors import BadRequestError, PayloadTooLargeError

if TYPE_CHECKING:
    from typing import NoReturn

_BOM: Final = b"\xef\xbb\xbf"
_MAX_ATTRIBUTES: Final = 64  # of one element; a `Prod` of a HIP report has ten


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one document."""

    bytes: int
    elements: int
    depth: int


def parse_xml(text: bytes, bounds: Bounds) -> Element:
    """The root element. Names keep their prefix as it is written; namespaces mean nothing here.

    Raises PayloadTooLargeError above `bounds.bytes`, and BadRequestError, with the line, for everything else.
    """
    if len(text) > bounds.bytes:
        raise PayloadTooLargeError(f"the document is larger than {bounds.bytes} bytes")
    if b"\0" in text:  # UTF-16 and UTF-32, which expat takes by their mark whatever it was told
        raise BadRequestError("line 1: the document is not well-formed XML in UTF-8")
    reader = _Reader(bounds)
    try:
        return reader.read(text.removeprefix(_BOM))
    except expat.ExpatError as fault:
        raise BadRequestError(f"line {fault.lineno}: the document is not well-formed XML in UTF-8") from None


class _Reader:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._builder = TreeBuilder()
        self._depth = 0
        self._elements = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._builder.data
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._doctype
        self._parser.ExternalEntityRefHandler = self._doctype
        self._parser.SkippedEntityHandler = self._doctype
        self._parser.ProcessingInstructionHandler = self._instruction

    def read(self, text: bytes) -> Element:
        self._parser.Parse(text, True)  # expat's own signature: this is all of it
        return self._builder.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > self._bounds.depth:
            self._refuse(f"nested deeper than {self._bounds.depth} elements")
        if self._elements > self._bounds.elements:
            self._refuse(f"more than {self._bounds.elements} elements")
        if len(attributes) > _MAX_ATTRIBUTES:
            self._refuse(f"an element with more than {_MAX_ATTRIBUTES} attributes")
        self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(name)

    def _doctype(self, *_: object) -> NoReturn:
        self._refuse("a document type or an entity is declared, which is not taken")

    def _instruction(self, *_: object) -> NoReturn:
        self._refuse("a processing instruction, which is not taken")

    def _refuse(self, message: str) -> NoReturn:
        raise BadRequestError(f"line {self._parser.CurrentLineNumber}: {message}")
