"""How long a revision warns before it refuses, and approvals that are signed for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policy_revisions", sa.Column("warn_days", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("policy_approvals", sa.Column("seal", sa.Text(), nullable=True))
