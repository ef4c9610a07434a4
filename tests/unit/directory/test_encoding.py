from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.files.encoding import decode
from pdp.directory.files.faults import Fault, Faults

TEXT = "利用者ID,氏名\r\nu-1,三重 花子\r\nu-2,髙橋 﨑\r\n"


def read(content: bytes) -> tuple[str | None, tuple[Fault, ...]]:
    faults = Faults()
    return decode(content, "users.csv", faults), faults.kept


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_utf8_and_cp932_give_the_same_text(encoding: str) -> None:
    assert read(TEXT.encode(encoding)) == (TEXT, ())


def test_the_characters_that_only_microsofts_shift_jis_has_are_read() -> None:
    assert read("①㈱髙﨑～".encode("cp932"))[0] == "①㈱髙﨑～"


def test_a_gaiji_of_a_name_is_kept() -> None:
    assert read("氏名,\ue000".encode("cp932"))[0] == "氏名,\ue000"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (TEXT.encode("cp932") + "u-3,津 太郎\n".encode(), [4]),
        ("利用者ID\n".encode() + "u-1,三重\n".encode("cp932") + "u-2,津\n".encode(), [1, 3]),
        ("氏名\n".encode("cp932") + b"\xff\xfe\n" + "津\n".encode("cp932") + b"\x80\n", [2, 4]),
        (codecs.BOM_UTF8 + "氏名\n".encode() + "津\n".encode("cp932"), [2]),
        ("氏名\n".encode("cp932") + b"ok\n\x82\n", [3]),
        ("氏名\n".encode("cp932") + b"\xa0\n", [2]),
    ],
)
def test_mixed_or_damaged_bytes_are_refused_with_every_line(content: bytes, lines: list[int]) -> None:
    text, faults = read(content)
    assert text is None
    assert [fault.line for fault in faults] == lines


@pytest.mark.parametrize("codec", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_unicode_text_of_a_spreadsheet_is_refused_with_what_to_do(codec: bytes) -> None:
    text, (fault,) = read(codec + "id".encode("utf-16-le"))
    assert text is None
    assert "UTF-8" in fault.next_step


def test_half_width_kana_that_could_be_latin_letters_are_not_guessed() -> None:
    kana = "id,name\nu-1,ﾃｽ\n".encode("cp932")
    assert kana.decode("utf-8")  # it is both
    text, (fault,) = read(kana)
    assert (text, fault.line) == (None, 2)
    assert read(codecs.BOM_UTF8 + "id,name\nu-1,José\n".encode())[0] == "id,name\nu-1,José\n"


def test_half_width_kana_beside_kanji_settle_nothing_wrong() -> None:
    text = "氏名,ﾃｽ\nﾃｽ\n"  # the second line alone would be Latin letters in UTF-8
    assert read(text.encode("cp932"))[0] == text


@given(st.text(st.characters(codec="cp932", exclude_categories=["Cc", "Co"], exclude_characters="¢£¬‖−〜"), min_size=1))
def test_whatever_cp932_can_write_is_read_as_written_or_refused(text: str) -> None:
    found, faults = read(("氏名,あいうえお、" + text).encode("cp932"))
    assert faults or found == "氏名,あいうえお、" + text


@given(st.binary())
def test_any_bytes_are_text_or_a_fault(content: bytes) -> None:
    text, faults = read(content)
    assert (text is None) == bool(faults)
