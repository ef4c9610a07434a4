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
    _refers("device_id", "devices.id", primary_key=True, owned=True),
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

caller_meta: Final = Table(
    "caller_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
