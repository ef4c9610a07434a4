"""YAML whose scalars mean what they look like: the YAML 1.2 core schema, and no key twice.

PyYAML follows YAML 1.1, where `off` is false, `8:30` is 510 and `2023-04-01` is a date object. People
who write policies and scenarios mean the words, the text and the text. Anchors and aliases are refused
but in scenarios, where long stories repeat themselves: they make small files expand without bound.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from pdp.errors import BadRequestError

_MAX_DEPTH: Final = 64
_MAX_NODES: Final = 2_000_000  # a prefecture's whole directory has a quarter of it
_MAX_DIGITS: Final = 100  # int() itself raises beyond 4,300; nobody counts that far


class _Loader(yaml.CSafeLoader):
    """Safe, as its base: builds plain values only."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.yaml_implicit_resolvers.setdefault("", []).extend(_Loader.yaml_implicit_resolvers.pop("\0"))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    if len(text) > _MAX_DIGITS:
        mark = node.start_mark
        raise BadRequestError(
            f"line {mark.line + 1}, column {mark.column + 1}: a number of more than {_MAX_DIGITS} digits"
        )
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)  # `007` is seven, not octal


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def _construct_map(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        mark = key_node.start_mark
        if not isinstance(key, str):
            raise BadRequestError(f"line {mark.line + 1}, column {mark.column + 1}: a key must be a text")
        if key in seen:
            raise BadRequestError(f"line {mark.line + 1}, column {mark.column + 1}: the key `{key}` stands twice")
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)


class _SharingLoader(_Loader):
    """With anchors and aliases, and `<<: *base` to merge a mapping into another."""


def _construct_merged(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    merges = [value for key, value in node.value if key.value == "<<"]
    own = yaml.MappingNode(node.tag, [pair for pair in node.value if pair[0].value != "<<"], node.start_mark)
    values = _construct_map(loader, own)
    for base in [part for merge in merges for part in (merge.value if _is_list(merge) else [merge])]:
        if not isinstance(base, yaml.MappingNode):
            mark = base.start_mark
            raise BadRequestError(f"line {mark.line + 1}, column {mark.column + 1}: only a mapping can be merged")
        values = {**_construct_merged(loader, base), **values}  # what stands nearer goes before
    return values


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode)


_SharingLoader.add_constructor("tag:yaml.org,2002:map", _construct_merged)


def load_documents(text: str, *, aliases: bool = False) -> list[Any]:
    """Every document of a YAML stream. Raises BadRequestError with line and column."""
    loader = _SharingLoader if aliases else _Loader
    try:
        return [_construct(root, loader) for root in _compose(text, aliases=aliases)]
    except yaml.YAMLError as fault:
        raise BadRequestError(_one_line(fault)) from None


def load_one(text: str) -> Any:
    """The one document of a YAML text; None for an empty text. Raises BadRequestError."""
    documents = load_documents(text)
    if len(documents) > 1:
        raise BadRequestError("one YAML document is expected, not several")
    return documents[0] if documents else None


def compose_one(text: str) -> yaml.Node | None:
    """The one document as nodes, which know their line and column. Raises BadRequestError."""
    try:
        roots = _compose(text)
    except yaml.YAMLError as fault:
        raise BadRequestError(_one_line(fault)) from None
    if len(roots) > 1:
        raise BadRequestError("one YAML document is expected, not several")
    return roots[0] if roots else None


def construct(node: yaml.Node) -> Any:
    """The plain value of a composed node. Raises BadRequestError."""
    return _construct(node)


_OPENS: Final = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSES: Final = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def _compose(text: str, *, aliases: bool = False) -> list[yaml.Node]:
    depth = 0
    refused: tuple[type[yaml.Token], ...] = (yaml.TagToken, *(() if aliases else (yaml.AliasToken, yaml.AnchorToken)))
    for token in yaml.scan(text, Loader=_Loader):
        mark = token.start_mark
        if isinstance(token, refused):
            raise BadRequestError(
                f"line {mark.line + 1}, column {mark.column + 1}: anchors, aliases and tags are not used here"
            )
        depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
        if depth > _MAX_DEPTH:  # before composing: the C composer recurses without a limit and ends the process
            raise BadRequestError(f"line {mark.line + 1}: nested deeper than {_MAX_DEPTH}")
    roots = list(yaml.compose_all(text, Loader=_Loader))
    for root in roots:
        _check_size(root)
    return roots


def _check_size(root: yaml.Node) -> None:
    """Depth, and how many nodes there are when every alias is written out: nine lines can mean a billion."""
    level, nodes = [root], 1
    for _ in range(_MAX_DEPTH):
        nodes += sum(len(_children(node)) for node in level)
        if nodes > _MAX_NODES:
            raise BadRequestError(f"more than {_MAX_NODES} values")
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    mark = level[0].start_mark
    raise BadRequestError(f"line {mark.line + 1}: nested deeper than {_MAX_DEPTH}")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _construct(root: yaml.Node, make: type[_Loader] = _Loader) -> Any:
    loader = make("")
    try:
        return loader.construct_document(root)
    except yaml.YAMLError as fault:
        raise BadRequestError(_one_line(fault)) from None
    finally:
        loader.dispose()


def _one_line(fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None)
    problem = getattr(fault, "problem", None) or str(fault)
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return place + " ".join(str(problem).split())
