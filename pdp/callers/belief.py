"""What of a request a caller may say at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import NotPermittedError
from pdp.model.request import Network

if TYPE_CHECKING:
    from pdp.callers.caller import Caller
    from pdp.model.request import AccessRequest

_NO_WORD_ON_THE_NETWORK: Final = Network()


def believable(request: AccessRequest, caller: Caller) -> AccessRequest:
    """The request without what this caller may not say (profile `zta`; a `plain` policy judges the document).

    Wire formats refuse such a request with 403; here it is taken out once more, because a wire format
    that forgets must not open the door. A certificate that the gateway saw is part of the network.
    Raises NotPermittedError for a caller that may not ask at all.
    """
    if not caller.may("decide"):
        raise NotPermittedError("this caller may not ask for decisions")
    if request.fresh and not caller.may("bypass_cache"):
        request = msgspec.structs.replace(request, fresh=False)
    if not caller.may("assert_network"):
        request = msgspec.structs.replace(
            request, network=_NO_WORD_ON_THE_NETWORK, certificate_sha256=None, client_request=None
        )
    return request
