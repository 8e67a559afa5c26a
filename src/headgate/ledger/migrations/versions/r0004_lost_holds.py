"""What lost attempts were charged to, so that a correction goes to the same balances."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lost_holds",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call", "no", name="lost_holds_pk"),
        sqlite_with_rowid=False,
    )
