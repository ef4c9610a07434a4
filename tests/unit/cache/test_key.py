"""A key tells apart whatever the policy can tell apart, and nothing else."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pdp.bundle.bundle import Bundle, make_bundle, read_bundle
from pdp.bundle.footprint import WHOLE, Footprint
from pdp.cache.key import KEY_BYTES, KeyMaker
from pdp.engine.footprint_check import bundle_footprint
from pdp.errors import BadRequestError
from pdp.model.input import InputV1, check_input
from pdp.settings import load_settings
from tests.oracle.documents import all_fact_paths, random_document, value_at, values_of, with_value


def plain_bundle(revision: str = "1", profile: str = "plain") -> Bundle:
    return make_bundle(
        manifest={"revision": revision, "metadata": {"profile": profile, "entrypoint": "x/allow"}},
        modules={"x.rego": "package x\n\nallow := true\n"},
        data={},
    )


PLAIN = plain_bundle()
SHIPPED = read_bundle(load_settings(environ={}).bundle_path)
SHIPPED_FOOTPRINT = bundle_footprint(SHIPPED)


def keys(*paths: tuple[str, ...]) -> KeyMaker:
    return KeyMaker(PLAIN, Footprint(paths), "regorus")


# Every kind of JSON value, and those that a careless comparison takes for one.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 0.0, 1.5, 2**53 - 1, float(2**53)),
    *("", "0", "1", "1.0", "true", "null", "None", "[]", "{}", "a", "A", "é", "e\u0301", "\x00"),
    *([], [None], [[]], [{}], [0], [1], [1, 2], [2, 1], ["1"], [1, [2]], [[1], 2], [1, 2, None], [1, None, None]),
    *({}, {"a": None}, {"a": 1}, {"a": True}, {"a": []}, {"a": {}}, {"a": {"b": 1}}, {"a": 1, "b": 1}, {"b": 1}),
)


@pytest.mark.parametrize("path", [(), ("x",), ("x", "y")])
def test_two_values_that_json_tells_apart_have_two_keys(path: tuple[str, ...]) -> None:
    made: dict[bytes, Any] = {}
    for value in VALUES:
        document = value
        for part in reversed(path):
            document = {part: document}
        key = keys(path).of_json(document)
        assert key not in made, (value, made[key])
        made[key] = value


def test_no_value_looks_like_the_lack_of_one() -> None:
    maker = keys(("a", "b", "c"))
    of_absent = [maker.of_json(document) for document in ({}, {"a": {}}, {"a": {"b": {}}})]
    assert len(set(of_absent)) == 3, "a policy may tell at which step the way ends"
    for value in VALUES:
        assert maker.of_json({"a": {"b": {"c": value}}}) not in of_absent, value


def test_the_order_of_members_does_not_matter_and_that_of_a_list_does() -> None:
    assert keys(()).of_json({"a": 1, "b": {"c": 2, "d": 3}}) == keys(()).of_json({"b": {"d": 3, "c": 2}, "a": 1})
    assert keys(("a",)).of_json({"a": ["x", "y"]}) != keys(("a",)).of_json({"a": ["y", "x"]})


def test_values_do_not_move_from_one_path_to_another() -> None:
    maker = keys(("a",), ("b",))
    documents = [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": 1}, {"b": 1}, {"a": [1, 2]}, {"a": [1], "b": [2]}, {}]
    assert len({maker.of_json(document) for document in documents}) == len(documents)


def test_what_lies_outside_the_footprint_does_not_matter() -> None:
    maker = keys(("a", "b"), ("c",))
    assert maker.of_json({"a": {"b": 1, "x": 2}, "y": 3}) == maker.of_json({"a": {"b": 1}, "z": [4]})
    assert keys().of_json({"a": 1}) == keys().of_json({}), "a policy that reads nothing says one thing"


def test_an_object_is_an_object_whatever_python_calls_it() -> None:
    """Attack: an object that is not taken for one ends every path at once, and all documents are one."""

    class Members(dict[str, Any]):
        pass

    for kind in (Members, OrderedDict):
        assert keys(("a", "b")).of_json(kind(a=kind(b=1))) == keys(("a", "b")).of_json({"a": {"b": 1}})


@pytest.mark.parametrize("value", [1, "text", [1], [{"b": 1}], None, True])
def test_a_way_that_ends_at_something_without_members_is_no_value(value: Any) -> None:
    maker = keys(("a", "b"))
    assert maker.of_json({"a": value}) not in {maker.of_json({"a": {"b": value}}), maker.of_json({"a": {"b": 1}})}
    assert maker.of_json({"a": value}) != maker.of_json({}), "there is something at `a`"


def test_everything_else_that_decides_is_in_the_key_too() -> None:
    document = {"a": 1}
    others = [
        KeyMaker(PLAIN, Footprint((("a",),)), "regorus"),
        KeyMaker(PLAIN, Footprint((("a",),)), "opa"),
        KeyMaker(plain_bundle("2"), Footprint((("a",),)), "regorus"),
        KeyMaker(replace(PLAIN, profile="zta"), Footprint((("a",),)), "regorus"),
        KeyMaker(PLAIN, Footprint((("a", "b"),)), "regorus"),
        KeyMaker(PLAIN, Footprint((("a",), ("b",))), "regorus"),
        KeyMaker(PLAIN, WHOLE, "regorus"),
        KeyMaker(PLAIN, Footprint(()), "regorus"),
    ]
    made = [maker.of_json(document) for maker in others]
    assert len(set(made)) == len(made)
    assert {len(key) for key in made} == {KEY_BYTES}


def test_the_form_of_a_key_is_the_one_that_other_hosts_have() -> None:
    """Redis is shared, also while a new version is rolled out: another form or another meaning is another version."""
    bundle = replace(PLAIN, digest="d" * 64)
    document = {"b": {"c": {"z": 1, "a": 2}}, "a": [1, 1.0, True, None, "é"]}
    key = KeyMaker(bundle, Footprint((("a",), ("b", "c"))), "regorus").of_json(document)
    assert key.hex() == "5f9e17a097566c19d299f6cfa336efdea5b9d3a2c1298ebca5456e81e95d0d33", (
        "raise `_VERSION` with the form, and then pin the new key here"
    )


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from((0.0, 1.0, 2.0))
    | st.text(max_size=3)
)
NAMES = st.sampled_from(("a", "b", "c", ""))
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
PATHS = st.lists(st.lists(NAMES, max_size=3).map(tuple), max_size=3, unique=True).map(
    lambda paths: tuple(sorted(paths))
)


def seen(document: Any, path: tuple[str, ...]) -> str:
    """What the contract of the footprint says that a policy can see at a path, as text: written apart from `key.py`."""
    for step, part in enumerate(path):
        if not isinstance(document, dict) or part not in document:
            return f"ends after {step}"
        document = document[part]
    return "is " + json.dumps(document, sort_keys=True)


@settings(max_examples=300)
@given(one=JSON, other=JSON, paths=PATHS)
def test_any_two_documents_have_one_key_exactly_where_the_footprint_shows_no_difference(
    one: Any, other: Any, paths: tuple[tuple[str, ...], ...]
) -> None:
    maker = keys(*paths)
    alike = [seen(one, path) for path in paths] == [seen(other, path) for path in paths]
    assert (maker.of_json(one) == maker.of_json(other)) is alike


@given(document=JSON, paths=PATHS)
def test_a_copy_through_json_has_the_same_key(document: Any, paths: tuple[tuple[str, ...], ...]) -> None:
    copied = json.loads(json.dumps(document))
    assert keys(*paths).of_json(document) == keys(*paths).of_json(copied)


# --- pdp.input/v1 -------------------------------------------------------------------------------------------------

SECTIONS = ((), ("subject",), ("device",), ("device", "posture"), ("resource",), ("action",), ("context",))
FACTS = tuple(all_fact_paths(random_document(random.Random(1))))
BELOW = (("subject", "departments", "0"), ("device", "class", "x"), ("context", "sources", "posture", "y"))
NOWHERE = (("nobody",), ("device", "colour"), ("device", "class_"))  # `class_` is Python's name and not the document's
FOOTPRINTS = st.lists(
    st.sampled_from((*FACTS, *SECTIONS[1:], *BELOW, *NOWHERE)) | st.just(()), max_size=6, unique=True
).map(lambda paths: Footprint(tuple(sorted(paths))))
DOCUMENTS = st.integers(0, 2**32).map(lambda seed: random_document(random.Random(seed)))


def changes_of(document: dict[str, Any]) -> list[tuple[tuple[str, ...], InputV1]]:
    """Every other document that is as valid and differs in one fact."""
    found = []
    for path in FACTS:
        if path == ("schema",):
            continue  # there is only one
        for value in values_of(path):
            now = value_at(document, path)
            if json.dumps(value) == json.dumps(now):
                continue
            try:
                found.append((path, check_input(with_value(document, path, value))))
            except BadRequestError:
                continue  # two facts lean on each other
    return found


@settings(max_examples=40)
@given(document=DOCUMENTS, footprint=FOOTPRINTS | st.sampled_from((WHOLE, SHIPPED_FOOTPRINT, Footprint(()))))
def test_a_fact_changes_the_key_exactly_where_the_policy_reads_it(
    document: dict[str, Any], footprint: Footprint
) -> None:
    maker = KeyMaker(SHIPPED, footprint, "regorus")
    key = maker.of_input(check_input(document))
    changes = changes_of(document)
    leaning = {("resource", "group")} if document["resource"]["segment"] == "unknown" else set()
    assert {path for path, _ in changes} >= {*FACTS} - {("schema",)} - leaning
    for path, changed in changes:
        assert (maker.of_input(changed) != key) is footprint.reads(path), path


@settings(max_examples=60)
@given(one=DOCUMENTS, other=DOCUMENTS, footprint=FOOTPRINTS)
def test_the_reading_of_structs_and_that_of_json_agree(
    one: dict[str, Any], other: dict[str, Any], footprint: Footprint
) -> None:
    maker = KeyMaker(SHIPPED, footprint, "regorus")
    assume(one != other)
    of_structs = maker.of_input(check_input(one)) == maker.of_input(check_input(other))
    of_json = [seen(one, path) for path in footprint.paths] == [seen(other, path) for path in footprint.paths]
    if of_structs != of_json:  # a path below a leaf sees the leaf: narrower than JSON's, never wider
        assert of_json and any(path in BELOW for path in footprint.paths)
    assert of_structs <= of_json


def test_the_shipped_policy_does_not_see_who_asks_from_which_terminal() -> None:
    """What makes one person's answer serve all who look alike; and what it must not."""
    for path in ("subject.id", "device.id", "resource.id", "subject.auth_age_min"):
        assert not SHIPPED_FOOTPRINT.reads(path)
    for path in ("device.posture.edr_running", "context.work_permit_until", "subject.roles", "device.class"):
        assert SHIPPED_FOOTPRINT.reads(path)


def test_every_field_of_the_document_can_be_found_by_its_own_name() -> None:
    """A field whose name the reader does not find would be in no key."""

    def fields(form: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        found = []
        for field in msgspec.structs.fields(form):
            inner = (*at, field.encode_name)
            closed = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            found += fields(field.type, inner) if closed else [inner]
        return found

    assert sorted(fields(InputV1)) == sorted(FACTS)
    document = random_document(random.Random(2))
    for path, changed in changes_of(document):
        maker = KeyMaker(SHIPPED, Footprint((path,)), "regorus")
        assert maker.of_input(changed) != maker.of_input(check_input(document)), path
