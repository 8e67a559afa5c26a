from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from headgate.ledger.engine import Ledger, open_ledger
from headgate.ledger.tables import attempts, calls
from headgate.model.records import AttemptRow, CallRow
from headgate.surfaces.cli.main import app

Run = Callable[..., Result]

HOUR = 3_600_000_000_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without what Headgate would find in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HEADGATE_ADMIN_TOKEN", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    def invoke(*args: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(app, list(args), env=env, prog_name="headgate")

    return invoke


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    """The ledger that commands in `folder` use, made and empty."""
    made = open_ledger(f"sqlite:///{folder}/headgate.db")
    made.migrate()
    return made


def a_call(number: int, at: int, **changes: object) -> CallRow:
    row = CallRow(
        id=f"call-{number}",
        incarnation=1,
        account="acme",
        key="key_1",
        session=None,
        endpoint="chat/completions",
        model_asked="fast",
        model="gpt-5-mini",
        route="openai/gpt-5-mini",
        stream=False,
        status=200,
        outcome="ok",
        error=None,
        attempts=1,
        started_at=at,
        duration=1_234_567_890,
        ttft=456_000_000,
        input=100,
        cache_read=20,
        cache_write_5m=0,
        cache_write_1h=0,
        output=50,
        reasoning=10,
        input_audio=0,
        cache_read_audio=0,
        output_audio=0,
        cost_nano=125_500,
        basis="computed",
        savings_nano=4_500,
        dropped=None,
        facts=b'{"endpoint":"chat/completions"}',
    )
    return msgspec.structs.replace(row, **changes)


def an_attempt(call: CallRow, no: int = 1, **changes: object) -> AttemptRow:
    shared = {name: getattr(call, name) for name in AttemptRow.__struct_fields__ if name in CallRow.__struct_fields__}
    own = {
        "call": call.id,
        "no": no,
        "provider": "openai",
        "upstream_name": "gpt-5-mini",
        "backend": "",
        "state": "settled",
        "failure": None,
        "message": None,
        "hold_nano": 900_000,
    }
    return AttemptRow(**{**shared, **own, **changes})


def record(ledger: Ledger, rows: Sequence[CallRow], tries: Sequence[AttemptRow] = ()) -> None:
    with ledger.write() as connection:
        connection.execute(calls.insert(), [msgspec.structs.asdict(row) for row in rows])
        if tries:
            connection.execute(attempts.insert(), [msgspec.structs.asdict(row) for row in tries])
