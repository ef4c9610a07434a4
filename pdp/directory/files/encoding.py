"""The text of a file: UTF-8 (with or without a byte order mark) or CP932 (Excel's CSV in Japan), never a guess.

A file that is neither as a whole, or that could be both, is refused with the line: half of the names of a
register read wrongly is worse than no import.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from pdp.directory.files.faults import Fault

if TYPE_CHECKING:
    from pdp.directory.files.faults import Faults

_SAVE_AS: Final = "save the file as CSV UTF-8 (コンマ区切り、UTF-8)"
# What Python's cp932 reads out of bytes that are no characters of it.
_NOT_CP932: Final = frozenset("\x80\xa0\uf8f0\uf8f1\uf8f2\uf8f3")
_CJK: Final = "\u2000"  # from here on UTF-8 takes three bytes: kana and kanji do, Latin and Greek do not


def decode(content: bytes, file: str, faults: Faults) -> str | None:
    """The file's text, or None with its faults added."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        faults.add(Fault(file, None, None, "the file is UTF-16 (Unicode text)", _SAVE_AS))
        return None
    if content.startswith(codecs.BOM_UTF8):
        return _utf8(content[len(codecs.BOM_UTF8) :], file, faults)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return _cp932(content, file, faults)
    return None if _ambiguous(content, text, file, faults) else text


def _utf8(content: bytes, file: str, faults: Faults) -> str | None:
    found = 0
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not _is_utf8(line):
            faults.add(Fault(file, number, None, "the line is not UTF-8, though the file begins as such", _SAVE_AS))
            found += 1
    return None if found else content.decode("utf-8")


def _cp932(content: bytes, file: str, faults: Faults) -> str | None:
    """CP932 line by line. A line that is good UTF-8 of Japanese beside lines that are not: the file is mixed."""
    good = True
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.isascii():
            continue
        if _is_utf8(line) and max(line.decode("utf-8")) >= _CJK:
            message = "the line is UTF-8, while other lines are not"
        elif not _is_cp932(line):
            message = f"the line is neither UTF-8 nor CP932 (Shift_JIS) from byte {_first_bad(line)} on"
        else:
            continue
        faults.add(Fault(file, number, None, message, _SAVE_AS))
        good = False
    return content.decode("cp932") if good else None


def _ambiguous(content: bytes, text: str, file: str, faults: Faults) -> bool:
    """Bytes that are Latin letters in UTF-8 and half-width kana in CP932, and nothing that settles it."""
    if text.isascii() or max(text) >= _CJK or not _is_cp932(content):
        return False
    line = next(n for n, row in enumerate(text.split("\n"), start=1) if not row.isascii())
    faults.add(Fault(file, line, None, "the text could be UTF-8 or CP932", "save it as UTF-8 with a byte order mark"))
    return True


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_cp932(line: bytes) -> bool:
    try:
        return _NOT_CP932.isdisjoint(line.decode("cp932"))
    except UnicodeDecodeError:
        return False


def _first_bad(line: bytes) -> int:
    try:
        line.decode("cp932")
    except UnicodeDecodeError as fault:
        return fault.start + 1
    return 1
