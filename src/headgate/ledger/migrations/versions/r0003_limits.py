"""Limits, their balances, holds; what an attempt was held at, reported and settled, side by side."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _limits()
    op.create_table(
        "limit_balances",
        _int("limit_id"),
        _text("subject"),
        _int("bucket_start"),
        _int("spent"),
        _int("held"),
        sa.PrimaryKeyConstraint("limit_id", "subject", "bucket_start", name="limit_balances_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "holds",
        _text("call"),
        _int("no"),
        _int("incarnation"),
        _int("at"),
        _text("facts"),
        sa.PrimaryKeyConstraint("call", "no", name="holds_pk"),
        sqlite_with_rowid=False,
    )
    op.add_column("attempts", _int("hold_tokens", server_default="0"))
    op.add_column("attempts", _int("reported_nano", nullable=True))
    op.add_column("attempts", _int("over_nano", server_default="0"))
    op.add_column("adjustments", _int("delta_tokens", server_default="0"))


def _limits() -> None:
    op.create_table(
        "limits",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=True),
        *(_text(name) for name in ("scope", "account", "name", "pattern", "unit", "per", "zone")),
        _int("cap"),
        sa.Column("clamp", sa.Boolean(), nullable=False),
        _text("source"),
        _int("created_at"),
        _int("removed_at", nullable=True),
        sa.UniqueConstraint("scope", "account", "name", "pattern", "unit", "per", "zone", name="limits_identity"),
        sa.CheckConstraint("source IN ('file', 'store')", name="limits_source"),
        sa.CheckConstraint("cap >= 0", name="limits_cap"),
        sqlite_autoincrement=True,
    )


def _int(name: str, *, nullable: bool = False, server_default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=server_default)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
