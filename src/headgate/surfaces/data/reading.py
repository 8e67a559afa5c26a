"""Questions of clients to the ledger, asked in one thread: however many there are, calls have the interpreter too."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_thread = ThreadPoolExecutor(1, "headgate-questions")


async def in_turn(ask: Callable[..., T], *about: object) -> T:
    """Return what `ask` answers; questions wait for each other. Raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_thread, ask, *about)
