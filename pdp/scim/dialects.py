"""What real identity providers send, turned into what RFC 7644 says, before anything is validated.

Two more dialects need nothing here, because the library's policy reads them (`pdp.scim.provider.POLICY`): an `Add`
to `emails[type eq "work"].value` where there is no such element creates it, and a `Remove` may list the values to
remove (both Microsoft Entra). Upper-case operations, `"False"` for false, dotted and URN-qualified keys of a
path-less replace (Okta, Entra) are read by the library as they are.
"""

from __future__ import annotations

from typing import Any, Final

from scim2_models import InvalidSyntaxException

from pdp.model.provisioning import ENTERPRISE

_OPERATION: Final = frozenset({"op", "path", "value"})  # RFC 7644 section 3.5.2: there is nothing else
_MEMBER: Final = {"value": "value", "$ref": "$ref", "type": "type", "display": "display", "displayname": "display"}
_EXTENSION: Final = ENTERPRISE.casefold()
_MANAGER: Final = f"{_EXTENSION}:manager"
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_CORE_GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:group:"


def normalised(body: Any) -> Any:
    """The body in the form of the RFC; anything that is not one of the known dialects stays as it is.

    Raises InvalidSyntaxException where two names of one object differ in case only: SCIM reads them as one
    attribute (RFC 7643 section 2.1), and two readers could take two values.
    """
    _refuse_doubles(body)
    if not isinstance(body, dict):
        return body
    names = {name.casefold(): name for name in body}
    if "operations" not in names:
        return _resource(body)
    operations = body[names["operations"]]
    if not isinstance(operations, list):
        return body
    bulk = any(isinstance(operation, dict) and _has(operation, "method") for operation in operations)
    read = _bulk_operation if bulk else _patch_operation
    return {**body, names["operations"]: [read(operation) for operation in operations]}


def _bulk_operation(operation: Any) -> Any:
    """The `data` of an operation is a body of its own."""
    if not isinstance(operation, dict):
        return operation
    read = dict(operation)
    for name, value in operation.items():
        if name.casefold() == "data":
            # RFC 7644 section 3.7.3 itself writes the operations of a PATCH without the message around them.
            bare = isinstance(value, list) and any(_has(one, "op") for one in value if isinstance(one, dict))
            read[name] = normalised({"schemas": [_PATCH], "Operations": value} if bare else value)
    return read


def _patch_operation(operation: Any) -> Any:
    """Without members that are none (`"name": "addMember"` in Microsoft's own collection of requests)."""
    if not isinstance(operation, dict) or not _has(operation, "op"):
        return operation
    known = {name: value for name, value in operation.items() if name.casefold() in _OPERATION}
    path = next((value for name, value in known.items() if name.casefold() == "path"), None)
    for name, value in known.items():
        if name.casefold() == "value":
            known[name] = _written(path, value)
    return known


def _written(path: Any, value: Any) -> Any:
    if not isinstance(path, str):
        return _resource(value) if path is None else value
    target = path.casefold()
    if target == _MANAGER:
        return _manager(value)
    if target == _EXTENSION and isinstance(value, dict):
        return _enterprise(value)
    return _members(value) if target.removeprefix(_CORE_GROUP) == "members" else value


def _resource(value: Any) -> Any:
    """A resource, or the value of an operation without a path: the manager may stand in it in three places."""
    if not isinstance(value, dict):
        return value
    read = dict(value)
    for name, member in value.items():
        known = name.casefold()
        if known == _MANAGER:
            read[name] = _manager(member)
        elif known == _EXTENSION and isinstance(member, dict):
            read[name] = _enterprise(member)
        elif known.removeprefix(_CORE_GROUP) == "members":
            read[name] = _members(member)
    return read


def _enterprise(extension: dict[str, Any]) -> dict[str, Any]:
    return {name: _manager(value) if name.casefold() == "manager" else value for name, value in extension.items()}


def _manager(value: Any) -> Any:
    """Entra sends the manager's id as plain text."""
    return {"value": value} if isinstance(value, str) else value


def _members(value: Any) -> Any:
    """Members with the sub-attributes that the schema has; `displayName` is Microsoft's word for `display`."""
    if isinstance(value, list):
        return [_members(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    read = {_MEMBER.get(name.casefold(), name): entry for name, entry in value.items()}
    return read if "display" not in value else {**read, "display": value["display"]}


def _has(body: dict[str, Any], wanted: str) -> bool:
    return any(name.casefold() == wanted for name in body)


def _refuse_doubles(body: Any) -> None:
    """Without recursion: the depth is bounded before, but the stack is not ours to spend."""
    open_: list[Any] = [body]
    while open_:
        value = open_.pop()
        if isinstance(value, dict):
            if len({name.casefold() for name in value}) != len(value):
                raise InvalidSyntaxException(detail="two names of one object differ in case only")
            open_.extend(value.values())
        elif isinstance(value, list):
            open_.extend(value)
