"""Cloudflare's own types of its documents, held strictly. Its SDK only describes them, and sends whatever it is given.

Every TypedDict of the SDK is built anew as one that refuses unknown keys and other types; `Iterable` becomes a list,
since pydantic looks into no iterable; keys get the names that they have on the wire (`azureAD`).
"""

from __future__ import annotations

import collections.abc
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import pydantic
from cloudflare._types import SequenceNotStr
from cloudflare._utils import PropertyInfo
from cloudflare.types.zero_trust.access.application_update_params import SelfHostedApplication
from cloudflare.types.zero_trust.access.policy_create_params import PolicyCreateParams
from cloudflare.types.zero_trust.devices.posture_create_params import PostureCreateParams
from cloudflare.types.zero_trust.gateway.rule_create_params import RuleCreateParams
from typing_extensions import TypedDict, is_typeddict

_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence, SequenceNotStr)
_WRAPPERS = (Required, NotRequired)


@cache
def policies() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(_strict(PolicyCreateParams))


@cache
def posture_rules() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(_strict(PostureCreateParams))


@cache
def gateway_rules() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(_strict(RuleCreateParams))


@cache
def applications() -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(_strict(SelfHostedApplication))


def accepts(adapter: pydantic.TypeAdapter[Any], document: dict[str, Any]) -> bool:
    """Whether a body of the API is one of this type; `account_id` stands in the path."""
    try:
        adapter.validate_python({"account_id": "699d98642c564d2e855e9661899b7252", **document})
    except pydantic.ValidationError:
        return False
    return True


@cache
def _rebuilt(held: Any) -> Any:
    fields: dict[str, Any] = {}
    for name, said in get_type_hints(held, include_extras=True).items():
        key, inner, needed = name, said, name in held.__required_keys__
        while get_origin(inner) in (*_WRAPPERS, Annotated):
            if get_origin(inner) in _WRAPPERS:
                needed = get_origin(inner) is Required
            for extra in getattr(inner, "__metadata__", ()):
                if isinstance(extra, PropertyInfo) and extra.alias:
                    key = extra.alias
            inner = get_args(inner)[0]
        fields[key] = (Required if needed else NotRequired)[_strict(inner)]
    made: Any = TypedDict(held.__name__, fields)  # type: ignore[operator]
    made.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", strict=True)
    return made


def _strict(held: Any) -> Any:
    if is_typeddict(held):
        return _rebuilt(held)
    origin, inner = get_origin(held), get_args(held)
    if origin is None or origin is Literal:
        return held
    if origin is Annotated:
        return _strict(inner[0])
    if origin in _LISTS:
        return list[_strict(inner[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _strict(inner[1])]  # type: ignore[misc]
    return Union[tuple(_strict(one) for one in inner)]  # noqa: UP007  # as many as there are
