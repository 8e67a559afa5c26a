"""Questions to the ledger wait for each other, and not calls for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headgate.surfaces.data.reading import in_turn


async def test_one_question_is_asked_at_a_time_and_other_threads_stay_free() -> None:
    asked = threading.Event()
    answer = threading.Event()
    running: list[int] = []

    def ask(number: int) -> int:
        running.append(number)
        asked.set()
        assert answer.wait(30)
        return number

    questions = [asyncio.create_task(in_turn(ask, number)) for number in range(50)]
    await asyncio.to_thread(asked.wait, 30)
    assert running == [0]
    answer.set()
    assert await asyncio.gather(*questions) == list(range(50))


async def test_what_a_question_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="none"):
        await in_turn(int, "none")
