"""The first schema: accounts, keys, incarnations, calls, attempts, adjustments, balances."""

import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _accounts_and_keys()
    _incarnations()
    _calls()
    _attempts()
    _money()
    _state()


def _int(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _accounts_and_keys() -> None:
    op.create_table(
        "accounts",
        _text("name"),
        _text("source"),
        _int("created_at"),
        sa.CheckConstraint("source IN ('file', 'store')", name="accounts_source"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "keys",
        _text("id"),
        _text("account"),
        _text("name"),
        _text("source"),
        sa.Column("allowed_models", sa.JSON(none_as_null=True)),
        _int("created_at"),
        _int("expires_at", nullable=True),
        _int("revoked_at", nullable=True),
        sa.CheckConstraint("source IN ('file', 'store')", name="keys_source"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", "name", name="keys_account_name"),
    )
    op.create_table(
        "key_secrets",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        _text("key"),
        _text("prefix"),
        _int("created_at"),
        _int("expires_at", nullable=True),
        _int("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["key"], ["keys.id"]),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("key_secrets_key", "key_secrets", ["key"])


def _incarnations() -> None:
    op.create_table(
        "incarnations",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        _text("host"),
        _int("pid"),
        _text("lock_dir"),
        _int("counter"),
        _int("started_at"),
        _int("seen_at"),
        _int("dead_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _calls() -> None:
    op.create_table(
        "calls",
        _text("id"),
        _int("incarnation"),
        _text("account"),
        _text("key"),
        _text("session", nullable=True),
        _text("endpoint"),
        _text("model_asked"),
        _text("model"),
        _text("route"),
        sa.Column("stream", sa.Boolean(), nullable=False),
        _int("status"),
        _text("outcome"),
        _text("error", nullable=True),
        _int("attempts"),
        _int("started_at"),
        _int("duration"),
        _int("ttft", nullable=True),
        _int("input"),
        _int("cache_read"),
        _int("cache_write_5m"),
        _int("cache_write_1h"),
        _int("output"),
        _int("reasoning"),
        _int("input_audio"),
        _int("cache_read_audio"),
        _int("output_audio"),
        _int("cost_nano", nullable=True),
        _text("basis"),
        _int("savings_nano"),
        _text("dropped", nullable=True),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("calls_started_at", "calls", ["started_at"])


def _attempts() -> None:
    op.create_table(
        "attempts",
        _text("call"),
        _int("no"),
        _int("incarnation"),
        _text("provider"),
        _text("upstream_name"),
        _text("backend"),
        _text("model"),
        _text("state"),
        _int("status"),
        _text("failure", nullable=True),
        _text("message", nullable=True),
        _int("started_at"),
        _int("duration"),
        _int("ttft", nullable=True),
        _int("input"),
        _int("cache_read"),
        _int("cache_write_5m"),
        _int("cache_write_1h"),
        _int("output"),
        _int("reasoning"),
        _int("input_audio"),
        _int("cache_read_audio"),
        _int("output_audio"),
        _int("hold_nano", nullable=True),
        _int("cost_nano", nullable=True),
        _text("basis"),
        _int("savings_nano"),
        sa.PrimaryKeyConstraint("call", "no", name="attempts_pk"),
        sqlite_with_rowid=False,
    )


def _money() -> None:
    op.create_table(
        "adjustments",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        _text("call"),
        _int("no"),
        _int("at"),
        _int("delta_nano"),
        _int("target_nano"),
        _text("reason"),
        _text("author"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("adjustments_call", "adjustments", ["call", "no"])
    op.create_table(
        "balances",
        _text("scope"),
        _text("scope_id"),
        _text("unit"),
        _int("bucket_start"),
        _int("spent"),
        _int("held"),
        sa.PrimaryKeyConstraint("scope", "scope_id", "unit", "bucket_start", name="balances_pk"),
        sqlite_with_rowid=False,
    )


def _state() -> None:
    op.create_table(
        "ledger_state",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        _text("ledger_id"),
        _int("epoch"),
        _int("created_at"),
        sa.CheckConstraint("one = 1", name="ledger_state_one"),
        sa.PrimaryKeyConstraint("one"),
    )
    state = sa.table("ledger_state", *(sa.column(name) for name in ("one", "ledger_id", "epoch", "created_at")))
    op.execute(state.insert().values(one=1, ledger_id=secrets.token_hex(16), epoch=1, created_at=time.time_ns()))
