"""Questions to the decision log that auditors and operators keep under a name."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import Instant, identifier

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_queries",
        sa.Column("owner", identifier(128), nullable=False),
        sa.Column("name", identifier(64), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint(
            "\"kind\" IN ('decisions', 'count', 'groups', 'report', 'sql')", name=op.f("ck_audit_queries_kind")
        ),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_audit_queries")),
    )
