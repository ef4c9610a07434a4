"""A table says what the engine says, word for word, or nothing: also of what nobody should ever ask it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from pdp.errors import EngineError, SpaceError
from pdp.model.input import InputV1, check_input
from pdp.space.facts import (
    DEPARTMENTS,
    ORGANISATION,
    Fact,
    fact_of,
    related_fact,
    schema_leaves,
    set_at,
    value_at,
    word_fact,
)
from pdp.table.proof import proof_documents
from pdp.table.readers import reader_of
from tests.unit.table.policies import (
    VALUES,
    documents,
    encoded,
    engine_answers,
    every_kind,
    fine,
    policy,
    same,
    space,
    table,
)

HUGE = b"1" + b"0" * 400  # no engine reads it: it is no float


def every_fact() -> list[Fact]:
    """Each place of the schema as the fact of some policy, and the relations."""
    texts = ["JP", "日本", "unknown", "か\u3099", "", "2026-11-23T21:00:00Z", "none"]
    found = [related_fact(DEPARTMENTS), related_fact(ORGANISATION)]
    for leaf in schema_leaves().values():
        if leaf.kind in ("words", "closed_words"):
            found += [word_fact(leaf, word) for word in ("server_admin", "malware_alert", "x", "")]
        elif leaf.kind == "number":
            found += [fact_of(leaf, cuts) for cuts in ((), (0,), (14, 30, 1439.5), (-3, -1_000, 999_999))]
        elif leaf.kind == "text":
            found += [fact_of(leaf, texts), fact_of(leaf)]
        elif leaf.kind != "related":
            found.append(fact_of(leaf))
    return found


@pytest.mark.parametrize("fact", every_fact(), ids=lambda fact: f"{fact.name}-{len(fact.values)}")
def test_a_reader_gives_the_number_that_the_fact_gives(fact: Fact) -> None:
    rng, read = random.Random(5), reader_of(fact)
    met = set()
    for document in documents(rng, 120):
        checked = check_input(document)
        try:
            number = read(checked)
        except KeyError:  # below a number that has no least one
            with pytest.raises(StopIteration):
                fact.number_of(document)
            continue
        assert number == fact.number_of(document), document
        met.add(number)
    assert len(met) > 1 or leaf_is_dull(fact), met


def leaf_is_dull(fact: Fact) -> bool:
    """Whether these documents have one value there."""
    return len(fact.values) == 1 or fact.word is not None or fact.path[-1] in ("id", "auth_age_min", "source")


def test_a_reader_knows_both_ends_of_each_piece_and_all_that_lies_beyond() -> None:
    leaf = schema_leaves()["device", "posture", "patch_age_days"]
    fact = fact_of(leaf, (0, 14, 30))
    assert fact.pieces == ((0, 0), (1, 13), (14, 14), (15, 29), (30, 30), (31, 1_000_000))
    read, document = reader_of(fact), fine()
    for number, piece in enumerate((*fact.pieces, ("unknown",), (1_000_001, 2**70))):
        for value in piece:
            set_at(document, leaf.path, value)
            assert read(check_input(document)) == [0, 1, 2, 3, 4, 5, 6, 5][number]


def test_there_is_no_reader_of_a_place_that_the_schema_does_not_have() -> None:
    with pytest.raises(SpaceError, match=r"device\.colour"):
        reader_of(Fact("device.colour", ("device", "colour"), ("red", "blue")))


# --- Against the engine -----------------------------------------------------------------------------------------------


def hold_against_the_engine(asked: list[bytes], known: Callable[[bytes], bytes | None]) -> int:
    """How many of them the table knows; each of these as the engine."""
    answered = 0
    for document, said in zip(asked, engine_answers(every_kind(), asked), strict=True):
        answer = known(document)
        if answer is not None:
            answered += 1
            assert same(answer, said), (document[:2_000], answer, said)
    return answered


def test_the_table_gives_the_answers_of_the_engine_and_of_the_space() -> None:
    asked = documents(random.Random(6), 700)
    for document in asked:
        answer = table().answer(encoded(document))
        assert answer is None or json.loads(answer) == space().judge(document)
    answered = hold_against_the_engine([encoded(document) for document in asked], table().answer)
    assert answered > 600
    kinds = {str(json.loads(table().answer(encoded(document)) or b"null")) for document in asked}
    assert len(kinds) > 20, "too little was met to prove anything"


def test_each_value_alone_beside_all_that_is_fine_gives_the_answer_of_the_engine() -> None:
    asked = []
    for path, values in VALUES.items():
        for value in values:
            document = fine()
            set_at(document, path, value)
            asked.append(encoded(document))
    unread = [document for document in asked if table().answer(document) is None]
    assert [value_at(json.loads(one), ("resource", "sensitivity")) for one in unread] == [-(2**62), -1_000_001]
    assert hold_against_the_engine(asked, table().answer) == len(asked) - 2


def test_the_number_of_a_bool_is_no_number_and_that_of_a_number_no_bool() -> None:
    """The trap: in Python True is 1, and a dictionary finds one by the other."""
    document = json.dumps(fine()).encode()
    asked = [
        document.replace(b'"auth_level": 2', b'"auth_level": %s' % value)
        for value in (b"0", b"1", b"2", b"3", b"-0", b"true", b"false", b"2.0", b"20e-1", b'"2"', b"null", b"4", b"-1")
    ]
    asked += [
        document.replace(b'"%s": true' % name, b'"%s": %s' % (name, value))
        for name in (b"registered", b"edr_running", b"certificate", b"business_day")
        for value in (b"1", b"0", b"1.0", b'"true"', b"false", b"null", b'"unknown"')
    ]
    known = [one for one in asked if table().answer(one) is not None]
    assert hold_against_the_engine(asked, table().answer) == len(known)
    assert len(known) == 5 + 4 + 1 + 1, "the levels and -0; false; and `unknown` where it is a value"


def test_a_time_is_handed_on_as_it_was_written() -> None:
    document = fine()
    for until in VALUES["context", "work_permit_until"][1:]:
        for work_permit in VALUES["context", "work_permit"]:  # also where it is the end of no valid permit
            document["context"] |= {"work_permit_until": until, "work_permit": work_permit}
            answer = json.loads(table().answer(encoded(document)) or b"null")
            assert answer["obligations"] == {"end_at": until}
    document["context"] |= {"work_permit_until": "none", "work_permit": "valid"}
    assert json.loads(table().answer(encoded(document)) or b"null")["obligations"] == {}


def test_a_table_has_no_state_that_an_answer_could_leave_behind() -> None:
    asked = [encoded(document) for document in documents(random.Random(7), 300)]
    first = [table().answer(document) for document in asked]
    order = random.Random(8).sample(range(300), 300)
    again = {number: table().answer(asked[number]) for number in order}
    assert first == [again[number] for number in range(300)]
    other = bytes(table().answer(asked[0]) or b"")
    assert other is not asked[0]
    assert (table().digest, table().facts, table().answers) == (every_kind().digest, 12, 129)


# --- What is no document, or one that nobody would write --------------------------------------------------------------


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _instead(old: bytes, new: bytes) -> bytes:
    text = _text(fine())
    assert text.count(old) == 1, old
    return text.replace(old, new)


ID = b'"id": "u-0001"'
STRANGE: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"pdp.input/v1"',
    "half": _text(fine())[:-1],
    "another text behind it": _text(fine()) + b"{}",
    "NUL behind it": _text(fine()) + b"\x00",
    "a mark of byte order": b"\xef\xbb\xbf" + _text(fine()),
    "two bytes a character": _text(fine()).decode().encode("utf-16"),
    "space around it": b" \n\t\r" + _text(fine()) + b"\n ",
    "another white space": b"\x0c" + _text(fine()),
    "a missing key": _instead(ID + b", ", b""),
    "a missing part": msgspec.json.encode({key: value for key, value in fine().items() if key != "action"}),
    "an extra key": _instead(ID, ID + b', "name": "x"'),
    "a key twice, alike": _instead(ID, ID + b", " + ID),
    "a key twice": _instead(b'"auth_level": 2', b'"auth_level": 2, "auth_level": 0'),
    "a key twice, the other way": _instead(b'"auth_level": 2', b'"auth_level": 0, "auth_level": 2'),
    "a key twice, once in disguise": _instead(b'"auth_level": 2', b'"auth_level": 2, "auth_leve\\u006c": 0'),
    "a key twice, once wrong": _instead(b'"auth_level": 2', b'"auth_level": "x", "auth_level": 2'),
    "a part twice": _text(fine())[:-1] + b', "device": ' + msgspec.json.encode(fine()["device"] | {"registered": False}) + b"}",
    "a list twice": _instead(b'"roles": ["server_admin"]', b'"roles": ["server_admin"], "roles": []'),
    "letters as numbers": _instead(b'"JP"', b'"\\u004aP"'),
    "a control character": _instead(ID, b'"id": "\x01"'),
    "a line in a text": _instead(ID, b'"id": "\n"'),
    "no UTF-8": _instead(ID, b'"id": "\xff"'),
    "overlong UTF-8": _instead(ID, b'"id": "\xc0\xaf"'),
    "half a character": _instead(ID, b'"id": "\xe3\x81"'),
    "a surrogate in UTF-8": _instead(ID, b'"id": "\xed\xa0\x80"'),
    "a lone high surrogate": _instead(ID, b'"id": "\\ud800"'),
    "a lone low surrogate": _instead(ID, b'"id": "\\udc00"'),
    "a high surrogate and a letter": _instead(ID, b'"id": "\\ud800x"'),
    "a pair of surrogates": _instead(ID, b'"id": "\\ud83d\\ude00"'),
    "a written NUL": _instead(ID, b'"id": "\\u0000"'),
    "no escape": _instead(ID, b'"id": "\\x41"'),
    "an extra comma": _instead(ID, ID + b","),
    "a comma at the end": _text(fine())[:-1] + b",}",
    "a remark": _text(fine()) + b"// x",
    "an unknown segment of a known group": _instead(
        b'"segment": "%s"' % fine()["resource"]["segment"].encode(), b'"segment": "unknown"'
    ),
    "an unlisted word": _instead(b'"risk": []', b'"risk": ["bad_mood"]'),
    "a list for a text": _instead(b'"JP"', b'["JP"]'),
    "a text for a list": _instead(b'["server_admin"]', b'"server_admin"'),
    "something else in a list": _instead(b'["server_admin"]', b'["server_admin", 1]'),
    "another schema": _instead(b"pdp.input/v1", b"pdp.input/v2"),
    "a time without its zone": _instead(b'"work_permit_until": "none"', b'"work_permit_until": "2026-11-23T21:00:00"'),
    "a day that does not exist": _instead(b'"work_permit_until": "none"', b'"work_permit_until": "2026-02-30T21:00:00Z"'),
    "an object that is deep": _instead(ID, b'"id": ' + b"[" * 5_000 + b"]" * 5_000),
    "an object that has no end": _instead(ID, b'"id": ' + b'{"a":' * 100_000),
    "a document within the engine's measure": _instead(ID, b'"id": "%s"' % (b"x" * 990_000)),
    "a document beyond it": _instead(ID, b'"id": "%s"' % (b"x" * 1_000_000)),
    "white space beyond it": _text(fine()) + b" " * 1_000_000,
    "a list of 100,000 words": _instead(b'["server_admin"]', b'["server_admin"%s]' % (b', "x"' * 100_000)),
    "a key 10,000 times": _instead(b'"auth_level": 2', b", ".join([b'"auth_level": 2'] * 10_000)),
}  # fmt: skip
NUMBERS = {
    "auth_age_min": b'"auth_age_min": 0',
    "patch_age_days": b'"patch_age_days": 14',
    "sensitivity": b'"sensitivity": -3',
    "age_hours": b'"age_hours": %d' % fine()["device"]["posture"]["age_hours"],
}
WRITTEN = (
    b"0", b"-0", b"-0.0", b"00", b"014", b"+14", b"14.0", b"14.5", b"1.4e1", b"140e-1", b"1e2", b"0e-400", b"-1", b".5",
    b"5.", b"-", b"1e400", b"1e1000000", b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b'"14"', b'"unknown"', b"[14]",
    b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616",
    b"1" + b"0" * 30, b"1" + b"0" * 308, b"1" + b"0" * 309, HUGE, b"-" + HUGE, b"1" + b"0" * 5_000,
)  # fmt: skip
ANSWERED = {
    "space around it", "a key twice, alike", "a key twice", "a key twice, the other way", "a key twice, once in disguise",
    "a part twice", "a list twice", "letters as numbers", "a pair of surrogates", "a written NUL",
    "a document within the engine's measure", "a list of 100,000 words", "a key 10,000 times",
}  # fmt: skip


def test_what_is_no_document_gets_no_answer_or_that_of_the_engine() -> None:
    names, asked = list(STRANGE), list(STRANGE.values())
    known = {name for name, document in STRANGE.items() if table().answer(document) is not None}
    assert known == ANSWERED
    for name, document, said in zip(names, asked, engine_answers(every_kind(), asked), strict=True):
        answer = table().answer(document)
        assert answer is None or same(answer, said), (name, answer, said)


def test_a_number_however_it_is_written_gets_no_answer_or_that_of_the_engine() -> None:
    """The trap: what is no float ends an engine's reading of the whole document, and Python has no such bound."""
    asked = [_instead(held, b'"%s": %s' % (name.encode(), text)) for name, held in NUMBERS.items() for text in WRITTEN]
    assert hold_against_the_engine(asked, table().answer) > 10
    refused = [one for one, said in zip(asked, engine_answers(every_kind(), asked), strict=True) if is_error(said)]
    assert len(refused) > 30
    assert [one for one in refused if table().answer(one) is not None] == []


def is_error(said: object) -> bool:
    return isinstance(said, EngineError)


def test_no_place_of_the_schema_takes_a_number_that_the_engine_would_not() -> None:
    """Also a place that this policy does not read: the engine reads the whole document before it asks the policy."""
    met = 0
    for leaf in schema_leaves().values():
        for sign in (1, -1):
            document = fine()
            set_at(document, leaf.path, sign * 10**400)
            text = msgspec.json.encode(document) if leaf.kind != "number" else json.dumps(document).encode()
            assert table().answer(text) is None, leaf.name
            met += leaf.kind == "number"
    assert met == 2 * len(NUMBERS)
    (other,) = {get_args(field.type) for field in msgspec.structs.fields(InputV1) if field.name == "schema"}
    assert other == ("pdp.input/v1",)


# --- The documents of the proof ---------------------------------------------------------------------------------------


def test_the_proof_has_two_documents_for_each_answer_and_asks_for_another_time_than_stands_in_the_table() -> None:
    asked = proof_documents(space())
    plain, dressed = asked[: table().answers], asked[table().answers :]
    assert len(plain) == len(dressed) == len({table().answer(document) for document in plain})
    assert [table().answer(one) for one in plain] == [table().answer(one) for one in dressed]
    assert all(b"9999-12-31" not in document for document in asked)
    assert hold_against_the_engine(asked, table().answer) == len(asked)


HEAD = 'package pdp\n\ndefault decision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}}\n\n'
ALLOWS = 'decision := {"outcome": "allow", "reasons": ["OK"], "obligations": {}} if '


@pytest.mark.parametrize(
    "condition",
    [
        "input.subject.auth_age_min > 2000",  # an input has 1,440 at most
        'input.context.work_permit_until == "2026-13-45T00:00:00Z"',  # no such day
        '{\n\tinput.resource.group == "data"\n\tinput.resource.segment == "unknown"\n}',  # a known group has a known one
    ],
)
def test_the_proof_asks_nothing_that_no_document_can_ask(condition: str) -> None:
    """The trap: the table has no answer to such a document, the engine has, and that would look like a difference."""
    from tests.unit.space.policy import build

    assert len(proof_documents(build(policy(HEAD + ALLOWS + condition)))) == 2, "of one answer"
