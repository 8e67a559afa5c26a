"""Which call made a response that a later call goes on from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("response_id", sa.Text(), nullable=True))
    kept = sa.text("response_id IS NOT NULL")
    op.create_index("calls_response_id", "calls", ["response_id"], sqlite_where=kept, postgresql_where=kept)
