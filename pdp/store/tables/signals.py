"""Security events of other houses, and what they hold."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, String, Table, Text

from pdp.store.columns import Instant, identifier
from pdp.store.tables.ground import ID_LENGTH, metadata, row_id

# A SET that was taken (`pdp.ssf.receiving.inbox`). It is acknowledged once it stands here, and counts once.
# `state`: taken (nothing was done yet), acted (its effects stand in the same database), done (and in the trail).
ssf_events: Final = Table(
    "ssf_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("stream", identifier(ID_LENGTH), nullable=False),
    Column("issuer", identifier(2 * ID_LENGTH), nullable=False),
    Column("jti", identifier(2 * ID_LENGTH), nullable=False),
    Column("txn", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),  # JSON, canonical
    Column("members", Text, nullable=False),  # JSON: the event
    Column("happened_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("state", String(8), nullable=False),
    Column("outcome", String(32), nullable=False),  # a word of `pdp.ssf.receiving.acting`; empty while taken
    Column("effects", Text, nullable=False),  # JSON: what was done, in words
    Column("tell_after", Instant),  # acted: from then on another worker may write it into the trail
    CheckConstraint("state IN ('taken', 'acted', 'done')", name="state"),
    Index("uq_ssf_events_stream_issuer_jti", "stream", "issuer", "jti", unique=True),
    Index(None, "state"),
    Index(None, "received_at"),
)

# How each stream that is received is (`pdp.ssf.receiving.register`).
ssf_receptions: Final = Table(
    "ssf_receptions",
    metadata,
    row_id("stream"),
    Column("lease_holder", String(64)),
    Column("lease_until", Instant),
    Column("begun_at", Instant, nullable=False),  # when it was first configured: silence is counted from here
    Column("received_at", Instant),
    Column("polled_at", Instant),  # the last poll that was answered
    Column("poll_after", Instant),  # after faults
    Column("failures", Integer, nullable=False),  # of polls, one after another, up to now
    Column("fault", String(64), nullable=False),
    Column("status", String(16), nullable=False),  # as the transmitter says: enabled, paused, disabled
    Column("status_reason", Text, nullable=False),
    Column("asked_state", String(64)),  # of the verification that was asked for and has not come
    Column("asked_at", Instant),
    Column("verified_at", Instant),
    Column("refused", BigInteger, nullable=False),
    Column("refused_at", Instant),
    Column("refusal", String(64), nullable=False),  # why the last one was
)

# What a signal holds in the directory (`pdp.directory.holds`): a person as suspended, a device as quarantined.
# A row stays when its hold is lifted: `at` is the instant of the event that decided last.
directory_holds: Final = Table(
    "directory_holds",
    metadata,
    Column("register", String(16), primary_key=True),
    Column("id", identifier(ID_LENGTH), primary_key=True),
    Column("source", identifier(ID_LENGTH), primary_key=True),
    Column("cause", String(16), primary_key=True),
    Column("held", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    CheckConstraint("\"register\" IN ('users', 'devices')", name="register"),
    Index(None, "held"),
)
