"""What this service is, as it tells on its discovery endpoints (RFC 7643 sections 5 to 7)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Pagination,
    Patch,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
)
from scim2_server.utils import load_default_resource_types, load_default_schemas

from pdp.scim import limits
from pdp.scim.names import comparison_key

if TYPE_CHECKING:
    from scim2_models import Resource

# Unknown attributes are refused: an attribute that is silently dropped is one that somebody relies on.
POLICY: Final = ScimPolicy(
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
# For searches. Not the policy of everything, because the library then looks at each text of each resource that it
# reads, whether it can be compared, which takes a third of all the time; ours can compare every text.
COMPARING: Final = ScimPolicy(comparison_key=comparison_key)


@cache
def provider() -> ScimProvider:
    """The schemas of RFC 7643 (User with the enterprise extension, Group), and what of RFC 7644 there is.

    Made of the published schemas and not of the library's own classes, which check `emails.value` by the rules of
    public mail: addresses inside LGWAN do not follow them.
    """
    return ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=_config(), policy=POLICY
    )


def model_of(type_: str) -> type[Resource[Any]]:
    """The model of a resource type (User or Group), with its extensions."""
    return cast("type[Resource[Any]]", provider().model_for(type_))


def _config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=limits.BULK_OPERATIONS, max_payload_size=limits.BODY_BYTES),
        filter=Filter(supported=True, max_results=limits.RESULTS),
        change_password=ChangePassword(supported=False),  # nobody logs in with a password of ours
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=limits.PAGE,
            max_page_size=limits.RESULTS,
            cursor_timeout=limits.CURSOR_S,
        ),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="The API key of a caller with the permission `provision`, as `Authorization: Bearer KEY`",
                primary=True,
            )
        ],
    )
