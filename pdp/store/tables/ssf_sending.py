"""Security events that are sent: streams, what waits in them, what was told already, and who sends."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pdp.store.columns import Instant, TextTuple, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata, refers

# A receiver's stream (`pdp.ssf.sending.streams`). `caller`: whose it is, and nobody else's.
ssf_streams: Final = Table(
    "ssf_streams",
    metadata,
    Column("id", identifier(ID_LENGTH), primary_key=True),
    Column("caller", identifier(2 * ID_LENGTH), nullable=False),
    Column("audience", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("method", String(8), nullable=False),
    Column("endpoint_url", Text, nullable=False),  # empty: it polls
    Column("authorization_header", Text, nullable=False),  # the receiver's secret, shown to nobody
    Column("subject_format", String(16), nullable=False),
    Column("events_requested", TextTuple),  # NULL: all that are supported
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("held", Boolean, nullable=False),  # by an operator: only an operator lets it go on
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("verified_at", Instant),
    Column("delivered", BigInteger, nullable=False),
    Column("delivered_at", Instant),
    Column("refused", BigInteger, nullable=False),  # by the receiver, for good
    Column("dropped", BigInteger, nullable=False),  # let go, because more waited than may
    Column("failures", Integer, nullable=False),  # one after another, up to now
    Column("failing_since", Instant),
    Column("fault", Text, nullable=False),
    CheckConstraint("\"method\" IN ('push', 'poll')", name="method"),
    CheckConstraint("\"status\" IN ('enabled', 'paused', 'disabled')", name="status"),
    CheckConstraint("subject_format IN ('email', 'iss_sub', 'opaque')", name="subject_format"),
    Index(None, "caller"),
)

# Events that wait. `claims`: JSON, all of the SET but `iss` and `aud`; it is signed when it is sent.
ssf_outbox: Final = Table(
    "ssf_outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    refers("stream_id", "ssf_streams.id", owned=True),
    Column("jti", String(36), nullable=False),
    Column("type", Text, nullable=False),
    Column("claims", Text, nullable=False),
    Column("framework", Boolean, nullable=False),  # of the stream itself: sent in a paused stream too
    Column("created_at", Instant, nullable=False),
    Column("put_off_until", Instant),  # its receiver could not take it, and may later
    UniqueConstraint("stream_id", "jti"),
    Index(None, "stream_id", "seq"),
)

ssf_removed_subjects: Final = Table(
    "ssf_removed_subjects",
    metadata,
    refers("stream_id", "ssf_streams.id", primary_key=True, owned=True),
    Column("subject_sha256", String(64), primary_key=True),
    Column("subject", Text, nullable=False),  # JSON, canonical
    Column("created_at", Instant, nullable=False),
)

# How a person, a device or a mark stood when it was last told of (`pdp.ssf.sending.watching`).
ssf_told: Final = Table(
    "ssf_told",
    metadata,
    Column("register", String(16), primary_key=True),
    Column("key", identifier(ID_LENGTH), primary_key=True),
    Column("state", Text, nullable=False),
)

ssf_sender: Final = Table(
    "ssf_sender",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),  # of the directory that was told of last
    Column("begun_at", Instant),  # NULL: nobody has looked at the registers yet
    Column("holder", String(128), nullable=False),
    Column("lease_until", Instant),
    CheckConstraint("id = 1", name="one_row"),
)
