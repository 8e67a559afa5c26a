"""Names in an SQLite ledger for the shells' completion: the standard library alone, since a TAB must not wait.

Read-only, and never long: what a locked or foreign file would delay is an error at once. Newest or first names only.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

BUSY_SECONDS = 0.2
MOST = 200
"""Names at most; nobody chooses among more."""
RECENT = 2_000
"""Calls looked at, newest first, for the models they asked for."""

_KEYS = """
SELECT name, account FROM keys
WHERE (:account IS NULL OR account = :account) AND (:all OR revoked_at IS NULL)
ORDER BY name, account LIMIT :most
"""
_ACCOUNTS = "SELECT name, '' FROM accounts ORDER BY name LIMIT :most"
_LIMITS = """
SELECT id, scope || ' ' || name || ', ' || unit || ' per ' || per FROM limits
WHERE removed_at IS NULL AND source = 'store' ORDER BY id DESC LIMIT :most
"""
_MODELS = """
SELECT DISTINCT name, '' FROM (
    SELECT model AS name FROM (SELECT model FROM calls ORDER BY started_at DESC LIMIT :recent)
    UNION SELECT model_asked FROM (SELECT model_asked FROM calls ORDER BY started_at DESC LIMIT :recent)
) ORDER BY name LIMIT :most
"""
_CALLS = "SELECT id, model_asked FROM calls ORDER BY started_at DESC LIMIT :most"


class Names:
    """Each answer is a list of names, each beside what tells it apart. All raise sqlite3.Error or OSError."""

    def __init__(self, path: Path) -> None:
        """`path` is the ledger's file; it is opened only to be asked, and never made."""
        self._path = path

    def keys(self, account: str | None = None, *, revoked: bool = True) -> list[tuple[str, str]]:
        """Return the names of keys with their accounts, of one `account` or all; with or without `revoked` ones."""
        return list(self._ask(_KEYS, account=account, all=revoked))

    def accounts(self) -> list[tuple[str, str]]:
        """Return the names of accounts."""
        return list(self._ask(_ACCOUNTS))

    def limits(self) -> list[tuple[str, str]]:
        """Return the ids of the store's limits, newest first, with what they are."""
        return list(self._ask(_LIMITS))

    def models(self) -> list[tuple[str, str]]:
        """Return the models that recent calls asked for or were answered by."""
        return list(self._ask(_MODELS))

    def calls(self) -> list[tuple[str, str]]:
        """Return the ids of recent calls with their models, newest first."""
        return list(self._ask(_CALLS))

    def _ask(self, query: str, **words: object) -> Iterator[tuple[str, str]]:
        known = {"most": MOST, "recent": RECENT, **words}
        url = f"{self._path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=BUSY_SECONDS)) as connection:
            rows: Sequence[tuple[object, object]] = connection.execute(query, known).fetchall()
        for name, beside in rows:
            yield str(name), str(beside)
