"""Signed notes and checkpoints, against the example of the Go implementation (golang.org/x/mod/sumdb/note)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.note import note_key, parse_note, signed
from pdp.transparency.signer import FileSigner
from tests.unit.transparency.notaries import signer

KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT + "\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
OTHER_KEYS = [
    "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
    "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",  # with a plus in the base64
]


def test_our_signature_is_the_one_of_the_other_implementation():
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    made = signed(TEXT, [FileSigner(private, "PeterNeumann")])
    assert str(made) == NOTE
    assert str(FileSigner(private, "PeterNeumann").key) == KEY


def test_a_note_of_another_implementation_is_taken():
    key, note = note_key(KEY), parse_note(NOTE)
    assert key is not None and note is not None
    assert note.text == TEXT
    assert note.signers([key]) == (key,)


@pytest.mark.parametrize("text", [KEY, *OTHER_KEYS])
def test_keys_of_other_implementations_are_taken_and_written_back(text: str):
    assert str(note_key(text)) == text


def test_no_changed_letter_of_a_key_is_a_key():
    for at in range(len(KEY)):
        assert note_key(KEY[:at] + chr(ord(KEY[at]) ^ 1) + KEY[at + 1 :]) is None
        assert note_key(KEY[:at]) is None


def test_signatures_of_unknown_keys_are_passed_over_and_false_ones_of_known_keys_are_not():
    key = note_key(KEY)
    assert key is not None
    witnessed = parse_note(NOTE + str(signed(TEXT, [signer(9, "witness")])).rpartition("\n\n")[2])
    assert witnessed is not None and witnessed.signers([key]) == (key,)
    assert witnessed.signers([]) == ()
    forged = parse_note(NOTE.replace("answer", "Answer"))
    assert forged is not None and forged.signers([key]) is None


@pytest.mark.parametrize(
    "raw",
    [
        "", "\n\n", TEXT, TEXT + "\n", NOTE[:-1], NOTE.replace("— ", "- "), NOTE.replace("\n\n", "\n"), "a\tb\n" + NOTE,
        NOTE.replace("AM=\n", "AN=\n"), NOTE + NOTE.splitlines()[-1] * 20, TEXT + "\n— two words AAAAAAA=\n", TEXT + "\n— a AAAA\n",
    ],
)  # fmt: skip
def test_what_is_no_note_in_its_one_form_is_not_taken(raw: str):
    assert parse_note(raw) is None


def test_a_text_that_no_note_can_hold_is_not_signed():
    for text in ("no newline", "tab\t\n"):
        with pytest.raises(ValueError, match="note"):
            signed(text, [signer()])


def test_the_checkpoint_of_the_specification_is_read():
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    head = parse_checkpoint(text)
    assert head is not None and (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.text == text
    note = parse_note(
        text + "\n— example.com/behind-the-sofa "
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    assert note is not None and note.text == text


@pytest.mark.parametrize("size", ["", "01", "-1", "+1", "1_0", "１", " 1", "9" * 19])
def test_a_size_in_another_form_is_no_checkpoint(size: str):
    good = Checkpoint("a", 7, bytes(32)).text
    assert parse_checkpoint(good) is not None
    assert parse_checkpoint(good.replace("\n7\n", f"\n{size}\n")) is None


def test_a_checkpoint_with_more_or_fewer_lines_or_another_root_is_none():
    good = Checkpoint("a", 7, bytes(32)).text
    root = good.splitlines()[2]
    for text in (
        good + "more\n",
        good[:-1],
        "\n".join(good.splitlines()[:2]) + "\n",
        good.replace(root, root[4:]),
        "\n7\n" + root + "\n",
        good.replace("A=\n", "B=\n"),
    ):
        assert parse_checkpoint(text) is None
