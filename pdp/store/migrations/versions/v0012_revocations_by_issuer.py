"""A mark knows whose subject, session or token it ends. Marks from before count for every issuer, as they did."""

import sqlalchemy as sa
from alembic import op

from pdp.store.columns import identifier

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("revocations") as table:
        table.add_column(sa.Column("issuer", identifier(256), nullable=False, server_default=""))
        table.drop_constraint("pk_revocations", type_="primary")
        table.create_primary_key("pk_revocations", ["kind", "id", "issuer"])
    with op.batch_alter_table("revocations") as table:
        table.alter_column("issuer", server_default=None)
