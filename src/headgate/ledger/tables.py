"""The schema. Times in ns since the Unix epoch (UTC), durations in ns, money in nano-USD, tokens as counts.

`calls` and `attempts` have the columns of model/records.py, in their order. They have no foreign keys:
both are written in one transaction, and every key would cost a lookup per row. On SQLite they are stored in their
primary key: ids grow with time, so a row is one append.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

_ROW_ID = BigInteger().with_variant(Integer, "sqlite")
TOKEN_CLASSES = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "output",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
)
"""The token classes; all are disjoint, but `reasoning`, which is part of `output`."""

DAY_NS = 86_400_000_000_000
TOTAL_BUCKET = 0
"""`balances.bucket_start` of the sum over all time."""


def _tokens() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in TOKEN_CLASSES]


accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("source IN ('file', 'store')", name="accounts_source"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("allowed_models", JSON(none_as_null=True)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    UniqueConstraint("account", "name", name="keys_account_name"),
    CheckConstraint("source IN ('file', 'store')", name="keys_source"),
)

key_secrets = Table(
    "key_secrets",
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("key", Text, ForeignKey("keys.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("key_secrets_key", "key"),
)

incarnations = Table(
    "incarnations",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("lock_dir", Text, nullable=False),
    Column("counter", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("dead_at", BigInteger),
    sqlite_autoincrement=True,
)

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("incarnation", BigInteger, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("session", Text),
    Column("endpoint", Text, nullable=False),
    Column("model_asked", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error", Text),
    Column("attempts", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("ttft", BigInteger),
    *_tokens(),
    Column("cost_nano", BigInteger),
    Column("basis", Text, nullable=False),
    Column("savings_nano", BigInteger, nullable=False),
    Column("dropped", Text),
    Column("facts", LargeBinary, nullable=False),
    Column("response_id", Text),
    Index("calls_started_at", "started_at"),
    Index(
        "calls_response_id",
        "response_id",
        sqlite_where=text("response_id IS NOT NULL"),
        postgresql_where=text("response_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("call", Text, nullable=False),
    Column("no", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("provider", Text, nullable=False),
    Column("upstream_name", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("failure", Text),
    Column("message", Text),
    Column("started_at", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("ttft", BigInteger),
    *_tokens(),
    Column("hold_nano", BigInteger),
    Column("cost_nano", BigInteger),
    Column("basis", Text, nullable=False),
    Column("savings_nano", BigInteger, nullable=False),
    Column("hold_tokens", BigInteger, nullable=False, server_default="0"),
    Column("reported_nano", BigInteger),
    Column("over_nano", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("call", "no", name="attempts_pk"),
    sqlite_with_rowid=False,
)

limits = Table(
    "limits",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("scope", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("per", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("cap", BigInteger, nullable=False),
    Column("clamp", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
    UniqueConstraint("scope", "account", "name", "pattern", "unit", "per", "zone", name="limits_identity"),
    CheckConstraint("source IN ('file', 'store')", name="limits_source"),
    CheckConstraint("cap >= 0", name="limits_cap"),
    sqlite_autoincrement=True,
)
"""A limit that was removed keeps its row, and so its balances: it comes back with what it has counted."""

limit_balances = Table(
    "limit_balances",
    metadata,
    Column("limit_id", BigInteger, nullable=False),
    Column("subject", Text, nullable=False),
    Column("bucket_start", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    PrimaryKeyConstraint("limit_id", "subject", "bucket_start", name="limit_balances_pk"),
    sqlite_with_rowid=False,
)
"""What counts against limits, by window: written only by who has locked the limit's row."""

holds = Table(
    "holds",
    metadata,
    Column("call", Text, nullable=False),
    Column("no", BigInteger, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("call", "no", name="holds_pk"),
    sqlite_with_rowid=False,
)
"""Attempts in flight; `no` 0 is what the call itself holds. `facts` is a model/limit.py HoldFacts as JSON."""

lost_holds = Table(
    "lost_holds",
    metadata,
    Column("call", Text, nullable=False),
    Column("no", BigInteger, nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("call", "no", name="lost_holds_pk"),
    sqlite_with_rowid=False,
)
"""Holds of lost attempts as they were: a correction goes to the very balances that the loss was charged to."""

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("call", Text, nullable=False),
    Column("no", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("delta_nano", BigInteger, nullable=False),
    Column("target_nano", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("delta_tokens", BigInteger, nullable=False, server_default="0"),
    Index("adjustments_call", "call", "no"),
    sqlite_autoincrement=True,
)

balances = Table(
    "balances",
    metadata,
    Column("scope", Text, nullable=False),
    Column("scope_id", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("bucket_start", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    PrimaryKeyConstraint("scope", "scope_id", "unit", "bucket_start", name="balances_pk"),
    sqlite_with_rowid=False,
)

ledger_state = Table(
    "ledger_state",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("ledger_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="ledger_state_one"),
)
"""One row: the random id of this ledger, and the epoch that every change of keys or accounts advances."""
