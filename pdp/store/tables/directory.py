"""The registers of the directory, its epochs, and who imported what."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, String, Table, Text

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
from pdp.store.tables.ground import ID_LENGTH, KEY_LENGTH, metadata, period, refers, row_id, words

users: Final = Table(
    "users",
    metadata,
    row_id(),
    Column("kind", String(32), nullable=False),
    Column("organisation", identifier(ID_LENGTH), nullable=False),
    Column("identity_source", String(32), nullable=False),
    Column("roles", TextTuple, nullable=False),
    *period(),
    Column("status", String(32), nullable=False),
    Column("name", Text, nullable=False),
    words("kind", SubjectKind),
    words("identity_source", IdentitySource),
    words("status", Employment),
)

posts: Final = Table(
    "posts",
    metadata,
    refers("user_id", "users.id", primary_key=True, owned=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),  # the first that is current is the main one
    Column("department", identifier(ID_LENGTH), nullable=False),
    *period(),
)

devices: Final = Table(
    "devices",
    metadata,
    row_id(),
    Column("class", String(32), nullable=False),
    refers("owner", "users.id", nullable=True),
    Column("department", identifier(ID_LENGTH)),
    Column("shared", Boolean, nullable=False),
    Column("state", String(32), nullable=False),
    Column("takeout", String(32), nullable=False),
    Column("returned_from_outside", Boolean, nullable=False),
    Column("certificate_sha256", String(64), unique=True),
    words("class", DeviceClass),
    words("state", DeviceState),
    words("takeout", Takeout),
    Index(None, "owner"),
)

posture_reports: Final = Table(
    "posture_reports",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    refers("device_id", "devices.id", owned=True),
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
    words("edr_risk", EdrRisk),
    CheckConstraint("patch_age_days >= 0", name="patch_age_days"),
    Index(None, "device_id"),
)

device_aliases: Final = Table(
    "device_aliases",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),  # `serial c02xyz`: what kind of name, and the name
    refers("device_id", "devices.id", owned=True),
    Column("source", identifier(ID_LENGTH), nullable=False),
    Index(None, "device_id"),
)

permits: Final = Table(
    "permits",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    refers("device_id", "devices.id"),
    refers("user_id", "users.id"),
    *period(),
    Column("held", Boolean, nullable=False),
    Index(None, "device_id"),
    Index(None, "user_id"),
)

loans: Final = Table(
    "loans",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    refers("device_id", "devices.id"),
    refers("user_id", "users.id"),
    *period(),
    Index(None, "device_id"),
    Index(None, "user_id"),
)

work_permits: Final = Table("work_permits", metadata, row_id(), *period())

work_permit_users: Final = Table(
    "work_permit_users",
    metadata,
    refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    refers("user_id", "users.id", primary_key=True),
    Index(None, "user_id"),
)

work_permit_devices: Final = Table(
    "work_permit_devices",
    metadata,
    refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    refers("device_id", "devices.id", primary_key=True),
    Index(None, "device_id"),
)

work_permit_resources: Final = Table(
    "work_permit_resources",
    metadata,
    refers("work_permit_id", "work_permits.id", primary_key=True, owned=True),
    row_id("resource_id"),  # no foreign key: most systems stand in the bundle's catalogue, not here
)

resources: Final = Table(
    "resources",
    metadata,
    row_id(),
    Column("group", String(32), nullable=False),
    *period(),
    Column("readonly_from", Instant),
    Column("departments", TextTuple, nullable=False),
    Column("organisations", TextTuple, nullable=False),
    Column("sensitivity", Integer, nullable=False),
    Column("title_ja", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    words("group", ResourceGroup),
    CheckConstraint("sensitivity >= 0", name="sensitivity"),
)

resource_segments: Final = Table(
    "resource_segments",
    metadata,
    refers("resource_id", "resources.id", primary_key=True, owned=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("segment", String(16), nullable=False),
    Column("starts", Instant),
    words("segment", Segment),
)

emergencies: Final = Table(
    "emergencies",
    metadata,
    Column("key", identifier(KEY_LENGTH), primary_key=True),
    *period(),
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
    words("posture_source", SourceState),
    words("identity_source", SourceState),
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
