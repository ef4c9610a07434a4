"""The errors of this service that the SCIM library does not have, as it wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from scim2_models import SCIMException

if TYPE_CHECKING:
    from pdp.errors import SekishoError


class RefusedError(SCIMException):
    """A fault of ours that the client is told in SCIM's form (RFC 7644 section 3.12), with our status."""

    def __init__(self, fault: SekishoError, status: int | None = None) -> None:
        super().__init__(detail=fault.message)
        self.status = status or fault.status


class NotAnsweringError(SCIMException):
    """The store does not answer, or there is no room for another request. Nothing was changed."""

    status = 503
    retry_after_s: ClassVar[int] = 5
    _default_detail = "the service cannot do this now; nothing was changed"


class HeldBackError(SCIMException):
    """A deletion beyond the bound: the person is disabled and kept. What was changed is to be committed."""

    status = 429

    def __init__(self, removed: int, of: int, retry_after_s: int) -> None:
        super().__init__(
            detail=f"{removed} of {of} people were deleted in the last 24 hours, which is the most that is allowed; "
            "this one is now inactive and is kept: send the deletion again later, or ask the operator of the service"
        )
        self.retry_after_s = retry_after_s
