from __future__ import annotations

from pathlib import Path

import pytest

from headgate.ledger.engine import open_ledger
from headgate.ledger.errors import LedgerUnusable
from headgate.ledger.url import parse_url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "headgate.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory",
        "sqlite://host/x.db",
        "mysql://root:hunter2@host/db",
        "postgresql://user:hunter2@host",
        "postgresql://user:hunter2@host:port/db",
        "sqlite+aiosqlite:///x.db",
    ],
)
def test_other_urls_are_refused_with_the_forms_that_work(text: str) -> None:
    with pytest.raises(LedgerUnusable, match="Write sqlite:///") as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


def test_sqlite_paths_are_absolute_and_locks_stand_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = parse_url("sqlite:///a/../l.db")
    assert relative.path == tmp_path / "l.db"
    assert relative == parse_url(f"sqlite:///{tmp_path}/l.db")
    assert relative.state_dir == tmp_path / "l.db-locks"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=user&password=hunter2",
        "postgresql+psycopg://user:hunter2@127.0.0.1:1/db",
    ],
)
def test_a_password_is_never_shown(text: str) -> None:
    url = parse_url(text)
    assert ("password", "hunter2") in url.connect
    with pytest.raises(LedgerUnusable, match="Is the server running") as caught:
        open_ledger(text).migrate()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hunter2" not in repr(chain)
        chain = chain.__cause__
    assert "hunter2" not in repr(url) + str(url) + url.shown
