"""Moving a bundle below its own name, so that nobody ever sees half of it."""

from __future__ import annotations

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.bundle.rules import RuleBook
from pdp.engine.opa_namespace import namespace_of
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError


def moved(modules, **data):
    bundle = make_bundle(
        manifest={"revision": "1", "metadata": {"entrypoint": "a/x"}},
        modules=modules if isinstance(modules, dict) else {"a.rego": modules},
        data=data,
    )
    parsed, broken = parse_modules(bundle.modules)
    assert not broken
    return namespace_of(bundle, RuleBook(parsed))


def text_of(modules, **data):
    """The only module, without the new name and without the part's mark."""
    namespace = moved(modules, **data)
    (module,) = namespace.modules.values()
    return module.text.replace(f"sekisho.b{namespace.short}", "HERE").rpartition("\n\nsekisho_part_0")[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x := data.b.c", "x := data.HERE.b.c"),
        ('x := data["b"]', 'x := data.HERE["b"]'),
        ("x := data[input.k].c", "x := data.HERE[input.k].c"),
        ("x := count(data)", "x := count(data.HERE)"),
        ("x := 1 if input.q with data.b as 2", "x := 1 if input.q with data.HERE.b as 2"),
        ("x := input.data.b", "x := input.data.b"),
        ('x := {"data": "data.b"}', 'x := {"data": "data.b"}'),
        ('x := "a \\" data.b"', 'x := "a \\" data.b"'),
        ("x := `data.b \\`", "x := `data.b \\`"),
        ("x := 1 # data.b", "x := 1 # data.b"),
        ("x := metadata", "x := metadata"),
        ("x := data_b", "x := data_b"),
        ("x := input.package.data", "x := input.package.data"),
        ("x := input.package[data.b]", "x := input.package[data.HERE.b]"),
        ("x := [data.b,data.c]", "x := [data.HERE.b,data.HERE.c]"),
    ],
)
def test_each_reference_to_data_moves_and_nothing_else_does(line, expected):
    assert text_of(f"package a\n\n{line}\n") == f"package HERE.a\n\n{expected}\n"


def test_packages_and_imports_move(subtests=None):
    before = "# data\npackage a.package_data\n\nimport data.b\nimport data.c as d\nimport input.data as e\n\nx := 1"
    after = "# data\npackage HERE.a.package_data\n\nimport data.HERE.b\nimport data.HERE.c as d\nimport input.data as e\n\nx := 1"
    assert text_of(before) == after


def test_lines_keep_their_numbers_and_columns_can_be_read_back():
    namespace = moved("package a\n\n  x := [data.b, data.c, 1/0]\n")
    (module,) = namespace.modules.values()
    moved_line = module.text.split("\n")[2]
    where = namespace.where({"file": module.id, "row": 3, "col": moved_line.index("1/0") + 1})
    assert where == f"a.rego:3:{'  x := [data.b, data.c, 1/0]'.index('1/0') + 1}"
    where = namespace.where({"file": module.id, "row": 3, "col": moved_line.index("data.sekisho") + 1})
    assert where == f"a.rego:3:{'  x := [data.b'.index('data') + 1}"
    assert namespace.where({"file": "another tenant's", "row": 1, "col": 1}) is None


def test_string_interpolation_is_refused_because_what_stands_in_it_would_not_move():
    bundle = make_bundle(
        manifest={"revision": "1", "metadata": {"entrypoint": "a/x"}},
        modules={"a.rego": 'package a\n\nx := $"{data.b}"\n'},
        data={},
    )
    with pytest.raises(BundleError) as refusal:
        namespace_of(bundle, RuleBook([]))
    assert refusal.value.where == "a.rego:3"


def test_the_gate_asks_for_every_part():
    namespace = moved({"a.rego": "package a\n\nx := 1\n", "b/c.rego": "package b.c\n\ny := 1\n"}, k=1)
    for number, module in enumerate(namespace.modules.values()):
        assert f"sekisho_part_{number} := true" in module.text
    for part in ("sekisho_data", "a.sekisho_part_0", "b.c.sekisho_part_1"):
        assert f"\tdata.sekisho.b{namespace.short}.{part}\n" in namespace.gate
    assert namespace.data == {"k": 1, "sekisho_data": True}
    assert namespace.digest in namespace.gate
    assert namespace.ids[0] == namespace.gate_id


def test_bundles_that_differ_in_one_character_have_nothing_in_common():
    one, other = moved("package a\n\nx := 1\n"), moved("package a\n\nx := 2\n")
    assert not set(one.ids) & set(other.ids)
    assert one.data_path != other.data_path
    assert one.question != other.question


def reference(*steps):
    return {
        "type": "ref",
        "value": [{"type": "var", "value": "data"}, *({"type": "string", "value": s} for s in steps)],
    }


def test_a_reference_that_stayed_behind_is_found_in_opas_tree():
    namespace = moved("package a\n\nx := 1\n")
    place = ("sekisho", f"b{namespace.short}")
    assert not namespace.strays({"rules": [{"body": [reference(*place, "a"), {"terms": reference(*place)}]}]})
    for stray in (
        reference("a", "x"),
        reference(),
        reference("sekisho", "b0", "x"),
        {"type": "var", "value": "data"},
        {"terms": [{"type": "string", "value": "x"}, {"type": "var", "value": "data"}]},
        {"value": [{"type": "var", "value": "data"}, {"type": "var", "value": "sekisho"}]},
        {"value": [{"type": "var", "value": "data"}, {"type": "string", "value": "sekisho"}, reference("a")]},
    ):
        assert namespace.strays({"rules": [{"body": [reference(*place), stray]}]}), stray


def test_the_data_must_not_bring_the_mark_of_wholeness_along():
    with pytest.raises(BundleError):
        moved("package a\n\nx := 1\n", sekisho_data=True)


def test_a_message_reads_as_if_nothing_had_moved():
    namespace = moved({"a b.rego": "package a\n\nx := 1\n"})
    (id_,) = namespace.modules
    message = f"rule data.sekisho.b{namespace.short}.a.x conflicts at {id_}:3"
    assert namespace.readable(message) == "rule data.a.x conflicts at a b.rego:3"
