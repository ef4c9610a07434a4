from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.wire.raw_path import _FAULTS, _PLAIN, MAX_PATH, ambiguity


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/groupware/",
        "/a/b.c/d..e/...x",
        "/files/report.v1.pdf",
        "/~user/.profile",
        "/commit/HEAD~1",
        "/files/REPORT~1.PDF",
        "/v1/items:search",
        "/fhir/$export",
        "/a%20b/%24a%3Ab",
        "/a-b_c~d!$&'()*+,=:@",
        "/%E6%96%87%E6%9B%B8/%20x",
        "/%e3%81%82",
        "/100%25",
        "/a%3Db%40c",
    ],
)
def test_a_path_with_one_reading_passes(path: str) -> None:
    assert ambiguity(path) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "begin"),
        ("*", "begin"),
        ("groupware", "begin"),
        ("http://apps.example.jp/x", "begin"),
        ("/public/../admin", "dot segment"),
        ("/public/./admin", "dot segment"),
        ("/public/..", "dot segment"),
        ("/.", "dot segment"),
        ("/public/%2e%2e/admin", "dot segment"),
        ("/public/%2E./admin", "dot segment"),
        ("/public/..%2fadmin", "encoded slash"),
        ("/public/%2Fadmin", "encoded slash"),
        ("/public/..;/admin", "semicolon"),
        ("/public;a=b/admin", "semicolon"),
        ("/public%3Bx", "semicolon"),
        ("/public//admin", "empty segment"),
        ("//public", "empty segment"),
        ("/public\\admin", "backslash"),
        ("/public/%5C..%5cadmin", "backslash"),
        ("/public/%00", "control"),
        ("/public/%0d%0aX", "control"),
        ("/public/%7F", "control"),
        ("/public/\x00", "percent-encoded"),
        ("/public/a b", "percent-encoded"),
        ("/public/\u3042", "percent-encoded"),
        ("/public/\xe3\x81\x82", "percent-encoded"),
        ("/public/%252e%252e/admin", "twice"),
        ("/public/%zz", "begins no escape"),
        ("/public/%", "begins no escape"),
        ("/public/%u002e", "begins no escape"),
        ("/public/%c0%ae%c0%ae/admin", "UTF-8"),
        ("/public/%ff", "UTF-8"),
        ("/public/a?b", "another part"),
        ("/public/a%3Fb", "another part"),
        ("/public/a%23b", "another part"),
        ("/files/download./x", "ends in a dot"),
        ("/files/download...", "ends in a dot"),
        ("/files/...", "ends in a dot"),
        ("/files/download%20/x", "ends in a dot"),
        ("/files/download%20", "ends in a dot"),
        ("/files/download.%20.%20/x", "ends in a dot"),
        ("/%E6%97%A5./x", "ends in a dot"),
        ("/files/%20/x", "ends in a dot"),
        ("/files/x.asp::$DATA", "stream"),
        ("/files/x.asp::$data", "stream"),
        ("/files/x.asp%3a%3A%24DATA", "stream"),
        ("/files/x.asp:%3A$DATA", "stream"),
        ("/files/download:$i30:$INDEX_ALLOCATION/x", "stream"),
        ("/files/%64ownload", "plain character"),
        ("/files/a%2ephp", "plain character"),
        ("/files/%7e", "plain character"),
        ("/" + "a" * MAX_PATH, "too long"),
    ],
)
def test_a_path_with_two_readings_is_named(path: str, kind: str) -> None:
    reason = ambiguity(path)
    assert reason is not None
    assert kind in reason


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\;#?/"), min_size=1), min_size=1
    )
)
def test_what_a_client_encodes_properly_passes_unless_windows_reads_it_otherwise_or_it_looks_encoded(
    segments: list[str],
) -> None:
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    looks_twice = "%25" in path
    otherwise = any(segment[-1] in ". " or ":$" in segment for segment in segments)
    if otherwise:
        assert ambiguity(path) is not None
    else:
        assert ambiguity(path) is None or looks_twice or len(path) > MAX_PATH


@given(st.text(st.sampled_from("/.%2eEfF5cC;\\ab\x00"), max_size=12))
def test_what_passes_reads_the_same_however_often_it_is_decoded(tail: str) -> None:
    path = "/" + tail
    if ambiguity(path) is not None:
        return
    once = unquote(path)
    assert unquote(once) == once
    assert ".." not in once.split("/")
    assert "." not in once.split("/")
    assert not any(segment.endswith(".") for segment in once.split("/"))
    assert path.count("/") == once.count("/")


@given(st.text(st.sampled_from("/.%250aAfF2;?#~é\\ -_,=:$") | st.characters(max_codepoint=0x7F), max_size=12))
def test_what_passes_at_first_sight_passes_every_single_look(text: str) -> None:
    path = "/" + text
    if _PLAIN.fullmatch(path) is not None:
        assert not any(fault.search(path) for fault, _ in _FAULTS)
        assert unquote(path) == path
