"""Facts of holds as arrays, half as long; corrections no longer have tokens, which none ever had."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for name in ("holds", "lost_holds"):
        table = sa.table(name, sa.column("call"), sa.column("no"), sa.column("facts"))
        for call, no, facts in connection.execute(sa.select(table)).all():
            # Members were written in the order of the array.
            array = json.dumps(list(json.loads(facts).values()), separators=(",", ":"), ensure_ascii=False)
            this = sa.and_(table.c.call == call, table.c.no == no)
            connection.execute(table.update().where(this).values(facts=array))
    op.drop_column("adjustments", "delta_tokens")
