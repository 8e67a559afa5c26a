"""Rows to write, with plain values in every column; and a way to wait for a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from headgate.ledger.batch import Work
from headgate.model.records import AttemptRow, CallRow

DAY = 86_400_000_000_000
NOW = 20_000 * DAY + 5_000_000_000


def call_row(number: int | str, **changes: Any) -> CallRow:
    values: dict[str, Any] = {
        "id": f"call-{number}",
        "incarnation": 0,
        "account": "acme",
        "key": "key_ci",
        "session": None,
        "endpoint": "chat/completions",
        "model_asked": "fast",
        "model": "gpt-5-mini",
        "route": "openai/gpt-5-mini",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "error": None,
        "attempts": 1,
        "started_at": NOW,
        "duration": 1_500_000_000,
        "ttft": 300_000_000,
        "input": 100,
        "cache_read": 20,
        "cache_write_5m": 3,
        "cache_write_1h": 4,
        "output": 50,
        "reasoning": 10,
        "input_audio": 0,
        "cache_read_audio": 0,
        "output_audio": 0,
        "cost_nano": 1_000,
        "basis": "computed",
        "savings_nano": 7,
        "dropped": None,
        "facts": b'{"size":1}',
    }
    values.update(changes)
    return CallRow(**values)


def attempt_row(number: int | str, no: int = 1, **changes: Any) -> AttemptRow:
    values: dict[str, Any] = {
        "call": f"call-{number}",
        "no": no,
        "incarnation": 0,
        "provider": "openai",
        "upstream_name": "gpt-5-mini",
        "backend": "",
        "model": "gpt-5-mini",
        "state": "settled",
        "status": 200,
        "failure": None,
        "message": None,
        "started_at": NOW,
        "duration": 1_400_000_000,
        "ttft": 300_000_000,
        "input": 100,
        "cache_read": 20,
        "cache_write_5m": 3,
        "cache_write_1h": 4,
        "output": 50,
        "reasoning": 10,
        "input_audio": 0,
        "cache_read_audio": 0,
        "output_audio": 0,
        "hold_nano": 5_000,
        "cost_nano": 1_000,
        "basis": "computed",
        "savings_nano": 7,
    }
    values.update(changes)
    return AttemptRow(**values)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that another thread or process makes true without telling."""
    while not condition():  # noqa: ASYNC110  there is no event to wait for
        await asyncio.sleep(0.005)


def work_of(
    call: CallRow, attempts: Sequence[AttemptRow] = (), waiter: asyncio.Future[Any] | None = None, **changes: Any
) -> Work:
    """A call whose rows are to be written."""
    return Work(call.account, call.key, attempts, call=call, waiter=waiter, **changes)
