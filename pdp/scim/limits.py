"""How much one SCIM request may ask for. Every number is finite, and says why it is that one."""

from __future__ import annotations

from typing import Final

BODY_BYTES: Final = 1024 * 1024  # `bulk.maxPayloadSize`; a group of 6,000 members that is sent whole has 0.6 MiB
READ_BYTES: Final = 2 * BODY_BYTES  # so that a body that is a little too large is refused in SCIM's own form
BODY_S: Final = 10.0
JSON_VALUES: Final = 80_000  # that group with type and display for each member: 24,000
URL_CHARACTERS: Final = 4_096  # path and query; a filter of 1,000 characters triples when it is escaped
FILTER_CHARACTERS: Final = 1_000  # Entra's and Okta's filters stay below 200
FILTER_TERMS: Final = 32  # comparisons in one filter: each is evaluated for each resource that is looked through
BULK_OPERATIONS: Final = 1_000  # `bulk.maxOperations`
WALKED: Final = 20_000  # values (members, emails, …) that the operations of one PATCH may walk through, all together
REQUEST_S: Final = 30.0  # after this, the operations of a bulk request that have not begun are refused
PATCH_OPERATIONS: Final = 2_000  # Entra sends one member an operation
PATCH_OTHER_OPERATIONS: Final = 200  # of them, those that are no plain change of members
PATH_CHARACTERS: Final = 8_000  # a path that removes 100 members by their ids has 5,000
DOCUMENT_BYTES: Final = 64 * 1024  # one person or group, without members; the fullest RFC sample has 4,000
ID_CHARACTERS: Final = 128  # of an id in a path: ours have 36
NAME_CHARACTERS: Final = 256  # userName, externalId, displayName of a group
MEMBERS: Final = 20_000  # of one group; the prefecture with all municipalities has 13,000 people
RESULTS: Final = 500  # `filter.maxResults`
PAGE: Final = 100  # results where the client does not say how many
MEMBERS_IN_ANSWER: Final = 20_000  # an answer that would hold more ends with fewer groups, but with one at least
RESOURCES: Final = 50_000  # people and groups of one tenant, each
AT_ONCE: Final = 2  # requests that one worker works on: SCIM must not take the processor from decisions
WAIT_S: Final = 20.0  # how long a request waits for its turn; then 503 with Retry-After
DETAIL_CHARACTERS: Final = 500  # of an error: some repeat a part of what was sent
CURSOR_S: Final = 3_600  # how long a cursor may be used
