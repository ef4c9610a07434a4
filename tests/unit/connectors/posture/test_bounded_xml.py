from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.posture.bounded_xml import Bounds, parse_xml
from pdp.errors import BadRequestError, PayloadTooLargeError

BOUNDS = Bounds(bytes=10_000, elements=50, depth=8)
_ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY l0 "ha">' + _ENTITIES + "]><x>&l9;</x>",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><x/>',
        "<!DOCTYPE x><x/>",
        "<x>&undeclared;</x>",
        "<?php echo 1 ?><x/>",
        "<x><?target data?></x>",
        "<x>" * 9 + "</x>" * 9,
        "<x>" + "<y/>" * 50 + "</x>",
        "<x " + " ".join(f'a{n}=""' for n in range(65)) + "/>",
        '<x a="1" a="2"/>',
        "<x><y></x></y>",
        "<x/><x/>",
        "<x/>text",
        "<x",
        "",
        "text",
        "\x00",
    ],
)
def test_what_is_not_bounded_plain_xml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"^line \d+: "):
        parse_xml(text.encode(), BOUNDS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "shift_jis"])
def test_another_encoding_than_utf_8_is_refused(encoding: str) -> None:
    with pytest.raises(BadRequestError):
        parse_xml("<x>端末</x>".encode(encoding), BOUNDS)


def test_the_declaration_does_not_choose_the_encoding() -> None:
    text = '<?xml version="1.0" encoding="shift_jis"?><x>端末</x>'.encode()
    assert parse_xml(text, BOUNDS).text == "端末"


def test_a_document_above_its_bytes_is_too_large() -> None:
    with pytest.raises(PayloadTooLargeError):
        parse_xml(b"<x>" + b" " * 10_000 + b"</x>", BOUNDS)


def test_elements_attributes_and_text_are_there() -> None:
    root = parse_xml(b'\xef\xbb\xbf<x><y a="1">t<![CDATA[<&]]></y><!-- comment --></x>', BOUNDS)
    assert (root.tag, root[0].get("a"), root[0].text, len(root)) == ("x", "1", "t<&", 1)


@given(st.binary(max_size=300) | st.text(alphabet="<>/&;x y='\"!?[]-#%", max_size=300).map(str.encode))
def test_whatever_the_bytes_are_they_are_read_or_refused(text: bytes) -> None:
    try:
        root = parse_xml(text, BOUNDS)
    except BadRequestError:
        return
    assert sum(1 for _ in root.iter()) <= BOUNDS.elements
