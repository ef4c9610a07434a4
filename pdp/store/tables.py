"""The tables, as the newest migration leaves them (a test holds the two together).

Identifiers are those of the registers themselves. `key` names a row that has no id of its own: a permit
or loan by device, user and start, an emergency by its start. Foreign keys are checked at commit, so that
one import may bring rows in any order.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from pdp.model.input import (
    DeviceClass,
    DeviceState,
    EdrRisk,
    Employment,
    IdentitySource,
    ResourceGroup,
    Segment,
    SourceState,
    SubjectKind,
    Takeout,
)
from pdp.store.columns import Instant, TextTuple, identifier

ID_LENGTH: Final = 128
KEY_LENGTH: Final = 2 * ID_LENGTH + 40  # device/user/start

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _words(column: str, literal: Any) -> CheckConstraint:
    """The column holds one of the words of the input document: no other writer can put in a word nobody judges."""
    listed = ", ".join(f"'{word}'" for word in get_args(literal))
    return CheckConstraint(f'"{column}" IN ({listed})', name=column)


def _id(name: str = "id") -> Column[str]:
    return Column(name, identifier(ID_LENGTH), primary_key=True)


def _refers(
    name: str, to: str, *, primary_key: bool = False, nullable: bool = False, owned: bool = False
) -> Column[str]:
    reference = ForeignKey(to, deferrable=True, initially="DEFERRED", ondelete="CASCADE" if owned else None)
    return Column(name, identifier(ID_LENGTH), reference, primary_key=primary_key, nullable=nullable)


def _period() -> tuple[Column[Any], Column[Any]]:
    """[starts, ends), either open where it is NULL."""
    return Column("starts", Instant), Column("ends", Instant)


users: Final = Table(
    "users",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),
    Column("organisation", identifier(ID_LENGTH), nullable=False),
    Column("identity_source", String(32), nullable=False),
    Column("roles", TextTuple, nullable=False),
    *_period(),
    Column("status", String(32), nullable=False),
    Column("name", Text, nullable=False),
    _words("kind", SubjectKind),
    _words("identity_source", IdentitySource),
    _words("status", Employment),
)

posts: Final = Table(
    "posts",
    metadata,
    _refers("user_id", "users.id", primary_key=True, owned=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),  # the first that is current is the main one
    Column("department", identifier(ID_LENGTH), nullable=False),
    *_period(),
)

devices: Final = Table(
    "devices",
    metadata,
    _id(),
    Column("class", String(32), nullable=False),
    _refers("owner", "users.id", nullable=True),
    Column("department", identifier(ID_LENGTH)),
    Column("shared", Boolean, nullable=False),
    Column("state", String(32), nullable=False),
    Column("takeout", String(32), nullable=False),
    Column("returned_from_outside", Boolean, nullable=False),
    Column("certificate_sha256", String(64), unique=True),
    _words("class", DeviceClass),
    _words("state", DeviceState),
    _words("takeout", Takeout),
    Index(None, "owner"),
)

posture_reports: Final = Table(
    "posture_reports",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    _refers("device_id", "devices.id", owned=True),
    *(
        Column(fact, Boolean)  # NULL is unknown
        for fact in ("certificate", "disk_encrypted", "av_current", "firewall", "screen_lock", "tampered")
    ),
    Column("edr_running", String(16), nullable=False),
    Column("edr_risk", String(16), nullable=False),
    Column("patch_age_days", Integer),
    Column("observed_at", Instant),
    Column("source", identifier(ID_LENGTH), nullable=False),
    CheckConstraint("edr_running IN ('true', 'false', 'unknown', 'not_managed')", name="edr_running"),
    _words("edr_risk", EdrRisk),
    CheckConstraint("patch_age_days >= 0", name="patch_age_days"),
    Index(None, "device_id"),
)

device_aliases: Final = Table(
    "device_aliases",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),  # `serial c02xyz`: what kind of name, and the name
    _refers("device_id", "devices.id", owned=True),
    Column("source", identifier(ID_LENGTH), nullable=False),
    Index(None, "device_id"),
)

permits: Final = Table(
    "permits",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    _refers("device_id", "devices.id"),
    _refers("user_id", "users.id"),
    *_period(),
    Column("held", Boolean, nullable=False),
    Index(None, "device_id"),
    Index(None, "user_id"),
)

loans: Final = Table(
    "loans",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    _refers("device_id", "devices.id"),
    _refers("user_id", "users.id"),
    *_period(),
    Index(None, "device_id"),
    Index(None, "user_id"),
)

work_permits: Final = Table("work_permits", metadata, _id(), *_period())

work_permit_users: Final = Table(
    "work_permit_users",
    metadata,
    _refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    _refers("user_id", "users.id", primary_key=True),
    Index(None, "user_id"),
)

work_permit_devices: Final = Table(
    "work_permit_devices",
    metadata,
    _refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    _refers("device_id", "devices.id", primary_key=True),
    Index(None, "device_id"),
)

work_permit_resources: Final = Table(
    "work_permit_resources",
    metadata,
    _refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    _id("resource_id"),  # no foreign key: most systems stand in the bundle's catalogue, not here
)

resources: Final = Table(
    "resources",
    metadata,
    _id(),
    Column("group", String(32), nullable=False),
    *_period(),
    Column("readonly_from", Instant),
    Column("departments", TextTuple, nullable=False),
    Column("organisations", TextTuple, nullable=False),
    Column("sensitivity", Integer, nullable=False),
    Column("title_ja", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    _words("group", ResourceGroup),
    CheckConstraint("sensitivity >= 0", name="sensitivity"),
)

resource_segments: Final = Table(
    "resource_segments",
    metadata,
    _refers("resource_id", "resources.id", primary_key=True, owned=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("segment", String(16), nullable=False),
    Column("starts", Instant),
    _words("segment", Segment),
)

emergencies: Final = Table(
    "emergencies",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    *_period(),
    Column("reason", Text, nullable=False),
)

directory_meta: Final = Table(
    "directory_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("kept_from", BigInteger, nullable=False),  # directory_changes is whole for every epoch after this one
    Column("changed_at", Instant),
    Column("posture_source", String(16), nullable=False),
    Column("identity_source", String(16), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    _words("posture_source", SourceState),
    _words("identity_source", SourceState),
)

directory_changes: Final = Table(
    "directory_changes",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("register", String(32), primary_key=True),
    Column("key", identifier(ID_LENGTH), primary_key=True),
)

import_runs: Final = Table(
    "import_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("mode", String(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("files", Text, nullable=False),  # JSON: [{"name", "sha256", "bytes"}]
    Column("counts", Text, nullable=False),  # JSON: {register: {"added", "changed", "removed"}}
)

sources: Final = Table(
    "sources",
    metadata,
    _id("name"),
    Column("kind", String(32), nullable=False),
    Column("brings", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),  # it is configured; one that no longer is says nothing of the present
    Column("required", Boolean, nullable=False),
    Column("stale_after_s", Integer, nullable=False),
    Column("down_after_s", Integer, nullable=False),
    Column("settings_digest", String(64), nullable=False),  # a cursor belongs to the settings that it was made with
    Column("cursor", Text),
    Column("last_attempt_at", Instant),
    Column("last_success_at", Instant),
    Column("last_full_at", Instant),
    Column("full_tried_at", Instant),
    Column("next_run_at", Instant),
    Column("failures", Integer, nullable=False),  # one after another, up to now
    Column("fault", String(32)),
    Column("fault_text", Text, nullable=False),
    Column("faults", Text, nullable=False),  # JSON: {code: failed runs}
    Column("seen", Text, nullable=False),  # JSON: what the last good run found (counts and samples)
    Column("rows", Integer, nullable=False),
    Column("unmatched", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("lease_holder", String(64)),
    Column("lease_until", Instant),
    Column("plan", Text),  # JSON: removals that wait for approval (counts and samples)
    Column("plan_digest", String(64)),
    Column("plan_state", String(16), nullable=False),
    Column("plan_until", Instant),
    Column("plan_by", Text, nullable=False),
    CheckConstraint("\"brings\" IN ('identity', 'posture')", name="brings"),
    CheckConstraint("plan_state IN ('none', 'pending', 'approved', 'rejected')", name="plan_state"),
)

source_users: Final = Table(
    "source_users",
    metadata,
    _refers("user_id", "users.id", primary_key=True, owned=True),
    Column("source", identifier(ID_LENGTH), nullable=False),  # no foreign key: SCIM callers own people too
    Index(None, "source"),
)

source_runs: Final = Table(
    "source_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", identifier(ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("fault", String(32)),
    Column("epoch", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),  # JSON: {what: number}
    Index(None, "source"),
)

callers: Final = Table(
    "callers",
    metadata,
    _id(),
    Column("permissions", TextTuple, nullable=False),
    Column("created_at", Instant, nullable=False),
)

caller_keys: Final = Table(
    "caller_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    _refers("caller_id", "callers.id", owned=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "caller_id"),
)

# What narrows a caller; without a row, or where a column is NULL, the defaults of `pdp.callers.budget` hold.
caller_bounds: Final = Table(
    "caller_bounds",
    metadata,
    _refers("caller_id", "callers.id", primary_key=True, owned=True),
    Column("profile", String(16)),
    Column("networks", TextTuple, nullable=False),
    Column("requests_per_s", Integer),
    Column("burst", Integer),
    Column("body_bytes", Integer),
    Column("batch", Integer),
    CheckConstraint("requests_per_s > 0", name="requests_per_s"),
    CheckConstraint("burst > 0", name="burst"),
    CheckConstraint("body_bytes > 0", name="body_bytes"),
    CheckConstraint("batch > 0", name="batch"),
)

# What narrows one key further than its caller.
caller_key_bounds: Final = Table(
    "caller_key_bounds",
    metadata,
    Column(
        "key_id",
        String(32),
        ForeignKey("caller_keys.key_id", deferrable=True, initially="DEFERRED", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("permissions", TextTuple),  # NULL: all that the caller has
    Column("profile", String(16)),
    Column("networks", TextTuple, nullable=False),
)

# Certificates and OAuth clients that are a caller. `issuer` is the fingerprint of an authority, or a token's `iss`.
caller_bindings: Final = Table(
    "caller_bindings",
    metadata,
    Column("binding_id", String(32), primary_key=True),
    _refers("caller_id", "callers.id", owned=True),
    Column("kind", String(16), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    CheckConstraint("kind IN ('certificate', 'name', 'client')", name="kind"),
    Index(None, "caller_id"),
)

caller_meta: Final = Table(
    "caller_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# What SCIM tenants brought, as they sent it (without passwords); the directory's rows are made of it by `pdp.scim`.
# Keys of names are folded forms (`pdp.scim.names`): equal keys, equal names.
scim_users: Final = Table(
    "scim_users",
    metadata,
    _id(),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("user_name_key", Text(), nullable=False),
    Column("external_id", Text()),
    Column("user_id", identifier(ID_LENGTH), nullable=False, unique=True),  # of the directory, where it has a row
    Column("granted", TextTuple, nullable=False),  # the roles that this tenant's groups gave
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index("uq_scim_users_tenant_user_name_key", "tenant", "user_name_key", unique=True),
    Index(None, "external_id"),
)

scim_groups: Final = Table(
    "scim_groups",
    metadata,
    _id(),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("display_name_key", Text(), nullable=False),
    Column("external_id", Text()),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "tenant"),
)

scim_members: Final = Table(
    "scim_members",
    metadata,
    _refers("group_id", "scim_groups.id", primary_key=True, owned=True),
    _id("member_id"),  # of scim_users or scim_groups, as `type` says
    Column("type", String(8), nullable=False),
    Column("display", Text),
    CheckConstraint("type IN ('User', 'Group')", name="type"),
    Index(None, "member_id"),
)

scim_removals: Final = Table(
    "scim_removals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", identifier(ID_LENGTH), nullable=False),
    Column("at", Instant, nullable=False),
    Index(None, "tenant", "at"),
)

scim_tenants: Final = Table(
    "scim_tenants",
    metadata,
    _id("tenant"),
    Column("settings_digest", String(64), nullable=False),  # the settings by which its people were last mapped
)

# What does not count any more (`pdp.identity.revocations`): issued, or logged in, at or before `not_before`.
revocations: Final = Table(
    "revocations",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", identifier(2 * ID_LENGTH), primary_key=True),
    Column("not_before", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("\"kind\" IN ('subject', 'session', 'token')", name="kind"),
)

revocation_meta: Final = Table(
    "revocation_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# Questions to the decision log under a name (`pdp.audit.saved`); `document` is JSON, checked before it is kept.
audit_queries: Final = Table(
    "audit_queries",
    metadata,
    Column("owner", identifier(ID_LENGTH), primary_key=True),
    Column("name", identifier(64), primary_key=True),
    Column("shared", Boolean, nullable=False),
    Column("title", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    CheckConstraint("\"kind\" IN ('decisions', 'count', 'groups', 'report', 'sql')", name="kind"),
)

# Texts of policies by their SHA-256 (`pdp.revisions`): what decides (canonical), and all files of a bundle's directory.
policy_texts: Final = Table(
    "policy_texts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

policy_revisions: Final = Table(
    "policy_revisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("profile", String(16), nullable=False),
    Column("digest", String(64), ForeignKey("policy_texts.digest"), nullable=False),
    Column("source_digest", String(64), ForeignKey("policy_texts.digest"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("author", identifier(2 * ID_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("parent", Integer, ForeignKey("policy_revisions.number")),
    Column("round", Integer, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("scheduled_at", Instant),
    Column("scheduled", Text),  # JSON: who scheduled it, why, and a statement that was signed for it in advance
    CheckConstraint(
        "state IN ('draft', 'checked', 'in_review', 'approved', 'scheduled', 'active', 'retired', 'discarded')",
        name="state",
    ),
    Index(None, "state"),
)

# Rows are added and never changed.
policy_history: Final = Table(
    "policy_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("step", String(16), nullable=False),
    Column("before", String(16)),
    Column("after", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON
    Index(None, "number"),
)

policy_approvals: Final = Table(
    "policy_approvals",
    metadata,
    Column("number", Integer, ForeignKey("policy_revisions.number"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("by", identifier(2 * ID_LENGTH), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_digest", String(64), nullable=False),
    CheckConstraint("\"kind\" IN ('approve', 'endorse')", name="kind"),
)

policy_gates: Final = Table(
    "policy_gates",
    metadata,
    Column("number", Integer, ForeignKey("policy_revisions.number"), primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("source_digest", String(64), nullable=False),  # of the contents that it looked at
    Column("result", String(16), nullable=False),
    Column("summary", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON
    Column("at", Instant, nullable=False),
    CheckConstraint("\"result\" IN ('passed', 'failed', 'not_run')", name="result"),
)

# Rows are added and never changed: the one of the highest epoch is the revision of record.
policy_activations: Final = Table(
    "policy_activations",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", identifier(2 * ID_LENGTH), nullable=False),
    Column("reason", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("signatures", Text, nullable=False),  # JSON
    CheckConstraint("\"kind\" IN ('activate', 'rollback', 'scheduled', 'emergency')", name="kind"),
)

policy_meta: Final = Table(
    "policy_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # of the revision of record; 0: none was ever activated
    Column("version", BigInteger, nullable=False),  # moves with every change of a revision
    CheckConstraint("id = 1", name="one_row"),
)

policy_instances: Final = Table(
    "policy_instances",
    metadata,
    _id(),
    Column("epoch", BigInteger, nullable=False),
    Column("number", Integer),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("fault", Text),
    Column("lapsed", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

policy_reviews: Final = Table(
    "policy_reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", Integer, ForeignKey("policy_revisions.number"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", identifier(2 * ID_LENGTH)),
    Column("note", Text, nullable=False),
)

# 例外措置 and 災害時運用 (`pdp.revisions.exceptions`): asked for, decided on; then a row of the directory does it.
policy_exceptions: Final = Table(
    "policy_exceptions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scope", Text, nullable=False),  # JSON: users, devices, resources
    Column("starts", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", identifier(2 * ID_LENGTH), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("decided_by", identifier(2 * ID_LENGTH)),
    Column("decided_at", Instant),
    Column("note", Text, nullable=False),
    Column("row_key", identifier(KEY_LENGTH)),  # of the directory's row
    Column("ended_by", identifier(2 * ID_LENGTH)),
    Column("ended_at", Instant),
    CheckConstraint("\"kind\" IN ('disaster', 'work', 'device')", name="kind"),
    CheckConstraint("state IN ('asked', 'granted', 'refused', 'withdrawn', 'ended')", name="state"),
    Index(None, "state"),
)

# Who is logged in to the console (`pdp.console.sessions`). `id_sha256` is of what the browser holds.
console_sessions: Final = Table(
    "console_sessions",
    metadata,
    Column("id_sha256", String(64), primary_key=True),
    Column("number", String(36), nullable=False, unique=True),  # by which people speak of it: it opens nothing
    Column("person", identifier(2 * ID_LENGTH), nullable=False),
    Column("name", Text, nullable=False),
    Column("roles", TextTuple, nullable=False),
    Column("method", String(16), nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("provider_session", Text),  # `sid` of the ID token
    Column("id_token", Text),  # for the logout at the provider; gone when the session ends
    Column("peer", Text),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", Text),
    CheckConstraint("\"method\" IN ('oidc', 'account')", name="method"),
    Index(None, "person"),
)
