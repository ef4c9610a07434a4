"""The library's steps that are changed: our limits, our dialects, members that are changed in the store, our errors."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from scim2_models import (
    Error,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
    PatchOp,
    Path,
    SCIMException,
    TooManyException,
)
from scim2_models.path import Comparison, LogicalExpr, Not, Present, ValuePath
from scim2_server.handler import ScimHandler
from scim2_server.service import ScimService

from pdp.errors import BadRequestError, PayloadTooLargeError, SekishoError
from pdp.logs import get_log
from pdp.scim import limits
from pdp.scim.dialects import normalised
from pdp.scim.faults import HeldBackError, NotAnsweringError, RefusedError
from pdp.scim.membership import split
from pdp.scim.provider import provider
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scim2_models import BulkOperation, Context, PatchOperation, Resource, ResourceType, SearchRequest
    from scim2_models.path import FilterNode
    from scim2_server.conditions import Conditions
    from scim2_server.requests import ScimRequest
    from scim2_server.responses import ScimResponse

    from pdp.scim.storage import TenantStorage

_log = get_log("pdp.scim")
_FOR_PROGRAMMERS: Final = re.compile(
    r"\[type=[^\]]*\]|For further information visit \S+|\d+ validation errors? for \S+"
)
_OF_MEMBERS: Final = "members"


class Protocol(ScimService):
    """SCIM without input or output (`scim2_server.service.ScimService`)."""

    def __init__(self, secret: bytes) -> None:
        """`secret` seals the cursors of pages; every worker has the same."""
        super().__init__(provider(), secret=secret)

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        """The body as one strict JSON value, in the words of the RFC. Raises InvalidSyntaxException."""
        self.ensure_json(content_type)
        try:
            value = parse_json(body, max_bytes=limits.BODY_BYTES, max_nodes=limits.JSON_VALUES)
        except PayloadTooLargeError as fault:
            raise RefusedError(fault) from None
        except BadRequestError as fault:
            place = f", at `{fault.pointer}`" if fault.pointer else ""
            raise InvalidSyntaxException(detail=fault.message + place) from None
        return normalised(value)

    def read_body(self, model: Any, body: bytes, content_type: str | None, scim_ctx: Context) -> Any:
        """As the library's, of a body that is read strictly and once."""
        from pydantic import ValidationError
        from scim2_server.service import scim_exception_of

        value = self.decode_body(body, content_type)
        if not isinstance(value, dict):
            raise InvalidSyntaxException(detail="the body must be a JSON object")
        try:
            return model.model_validate(value, scim_ctx=scim_ctx)
        except ValidationError as fault:
            raise scim_exception_of(fault) from None

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> PatchOp[Any]:
        patch = super().read_patch(resource_type, body, content_type)
        check_patch(patch)
        return patch

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> tuple[SearchRequest[Any], Any]:
        """As the library's. Raises InvalidFilterException for a filter that is too long or has too many terms."""
        if isinstance(payload, dict):
            _check_filter_text(payload)
        asked, position = super().read_search(resource_types, payload)
        if asked.filter is not None and sum(1 for _ in _terms(asked.filter.ast)) > limits.FILTER_TERMS:
            raise InvalidFilterException(detail=f"the filter has more than {limits.FILTER_TERMS} comparisons")
        return asked, position

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """As the library's; a PUT that does not speak of `active` must not enable whom somebody has disabled."""
        if "active" in type(replacement).model_fields and replacement["active"] is None:
            replacement["active"] = current["active"]
        return super().apply_replacement(current, replacement, conditions)

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """A fault of the store, or a bug, is not told; it is in the log."""
        if isinstance(exception, SCIMException):
            error = exception.to_error()
            return error.model_copy(update={"detail": _told(error.detail or "")})
        if isinstance(exception, SekishoError):
            _log.warning("a SCIM request was not served", code=exception.code, reason=exception.message)
            return NotAnsweringError().to_error()
        _log.error("a SCIM request failed unexpectedly", exc_info=exception)
        return Error(status=500, detail="the request could not be served")

    def error_response(self, exception: Exception) -> ScimResponse:
        response = super().error_response(exception)
        if isinstance(exception, HeldBackError):
            response.headers["Retry-After"] = str(exception.retry_after_s)
        elif response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(NotAnsweringError.retry_after_s)
        return response


class Handler(ScimHandler):
    """Serves one request of one tenant."""

    service: Protocol
    storage: TenantStorage

    def __init__(self, service: Protocol, storage: TenantStorage, is_late: Callable[[], bool]) -> None:
        """`is_late`: whether the time for one request is over."""
        super().__init__(service, storage)
        self._is_late = is_late

    def apply_bulk_operation(
        self, resource_type: ResourceType, operation: BulkOperation[Resource[Any]]
    ) -> Resource[Any] | None:
        """As the library's. Raises NotAnsweringError for what stands behind too much work."""
        if self._is_late():
            raise NotAnsweringError(detail="this request took too long; send this operation again")
        return super().apply_bulk_operation(resource_type, operation)

    def patch(self, request: ScimRequest) -> ScimResponse:
        """As the library's. Whoever asks for attributes in the answer is shown a group with its members."""
        shown = {"attributes", "excludedAttributes"} & set(request.query)
        response = super().patch(request)
        if not shown or response.status != HTTPStatus.OK:
            return response
        with self.service.provider:
            target = self.service.match(request)
            resource_type = self.service.resource_type_at(str(target.endpoint))
            parameters = self.service.read_response_parameters(resource_type, request.query)
            resource = self.storage.get(resource_type, str(target.resource_id), response_parameters=parameters)
            return self.service.patch_response(request.base_url, resource, parameters)

    def patch_resource(
        self, resource_type: ResourceType, resource_id: str, patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any]:
        check_patch(patch_op)  # of a bulk request too
        if resource_type.name != "Group":
            operations = patch_op.operations or []
            if len(operations) > 1:
                held = self.storage.get_without_members(resource_type, resource_id)
                _check_cost(operations, _listed(held.model_dump()))
            return super().patch_resource(resource_type, resource_id, patch_op, conditions)
        model = self.service.get_model(resource_type)
        parts = split(patch_op, Path[model])  # type: ignore[valid-type]
        if parts.walks_members:
            _check_cost(parts.others, self.storage.size(resource_id))
            return super().patch_resource(resource_type, resource_id, patch_op, conditions)
        _check_cost(parts.others, 0)
        current = self.storage.get_without_members(resource_type, resource_id)
        assert current.meta is not None
        version = current.meta.version
        self.service.check_preconditions(current, "PATCH", conditions)
        if parts.others:
            PatchOp[model](Operations=list(parts.others)).patch(current)  # type: ignore[valid-type]
        return self.storage.update_with(resource_type, current, parts.members, expected_version=version)

    def delete_resource(self, resource_type: ResourceType, resource_id: str, conditions: Conditions) -> None:
        """As the library's, without loading the members of a group."""
        current = self.storage.get_without_members(resource_type, resource_id)
        self.service.check_deletion(current, conditions)
        assert current.meta is not None
        self.storage.delete(resource_type, resource_id, expected_version=current.meta.version)


def _told(detail: str) -> str:
    """One line of ordinary length, without what a library says to its programmer."""
    return " ".join(_FOR_PROGRAMMERS.sub("", detail).split())[: limits.DETAIL_CHARACTERS]


def check_patch(patch: PatchOp[Any]) -> None:
    """Raises InvalidValueException for more operations, or longer paths, than anybody needs."""
    operations = patch.operations or []
    if len(operations) > limits.PATCH_OPERATIONS:
        raise InvalidValueException(detail=f"a PATCH has at most {limits.PATCH_OPERATIONS} operations")
    if any(len(str(operation.path or "")) > limits.PATH_CHARACTERS for operation in operations):
        raise InvalidValueException(detail=f"a path has at most {limits.PATH_CHARACTERS} characters")


def _check_cost(operations: Sequence[PatchOperation[Any]], held: int) -> None:
    """Each operation copies and compares what it may change: many of them on many values would take minutes."""
    if len(operations) > limits.PATCH_OTHER_OPERATIONS:
        raise TooManyException(detail=f"more than {limits.PATCH_OTHER_OPERATIONS} operations on attributes")
    values = held + sum(_listed(operation.value) for operation in operations)
    if len(operations) > 1 and len(operations) * values > limits.WALKED:
        raise TooManyException(detail="too many operations on attributes with many values; send fewer at once")


def _listed(value: Any) -> int:
    """How many values stand in lists."""
    if isinstance(value, dict):
        return sum(_listed(member) for member in value.values())
    return len(value) + sum(map(_listed, value)) if isinstance(value, list) else 0


def _check_filter_text(payload: Mapping[str, Any]) -> None:
    for name, value in payload.items():
        if isinstance(value, str) and len(value) > limits.FILTER_CHARACTERS and name.casefold() != "cursor":
            detail = f"`{name[:32]}` is longer than {limits.FILTER_CHARACTERS} characters"
            raise (
                InvalidFilterException(detail=detail)
                if name.casefold() == "filter"
                else InvalidValueException(detail=detail)
            )


def _terms(node: FilterNode) -> Iterator[FilterNode]:
    """Every comparison in a filter; its depth is bounded by the library."""
    if isinstance(node, LogicalExpr):
        for term in node.terms:
            yield from _terms(term)
    elif isinstance(node, Not):
        yield from _terms(node.expr)
    elif isinstance(node, ValuePath):
        yield from _terms(node.val_filter)
    elif isinstance(node, Comparison | Present):
        yield node
