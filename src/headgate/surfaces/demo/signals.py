"""How a signal ends the demo, wherever it stands. Light to import: it comes before all the rest."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, Self

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the demo to end."""


class Signals:
    """Within the block the first signal raises Interrupted where Python stands, or cancels the task that attends to it.

    What is `guarded` is done to its end; signals take effect after it.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._asked = False
        self._busy = False

    def __enter__(self) -> Self:
        # A hang-up that is ignored (nohup) stays so.
        numbers = [one for one in _SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
        self._before = {number: signal.getsignal(number) for number in numbers}
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            raise Interrupted from None

    def install(self) -> None:
        """Let signals raise Interrupted from now on. Raises Interrupted."""
        self._take()
        self._check()

    @contextlib.contextmanager
    def attend(self) -> Iterator[None]:
        """Within the block, in a loop, let signals cancel the task that is running. Raises Interrupted."""
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in self._before:
            loop.add_signal_handler(number, self._cancel)
        try:
            self._check()
            yield
        finally:
            # Before the loop closes, which would have signals written to what is closed already.
            for number in self._before:
                loop.remove_signal_handler(number)
            self._take()

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work to its end, whatever signals come."""
        asked, self._busy = self._asked, True
        try:
            await work
        finally:
            self._busy = False
        if self._asked and not asked and self._task is not None:
            self._task.cancel()

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block nothing is interrupted. Raises Interrupted at its end if a signal came."""
        self._busy = True
        self._take()
        try:
            yield
        finally:
            self._busy = False
        self._check()

    def _take(self) -> None:
        for number in self._before:
            signal.signal(number, self._raise)

    def _raise(self, *_: object) -> None:
        first, self._asked = not self._asked, True
        if first and not self._busy:
            raise Interrupted

    def _cancel(self) -> None:
        first, self._asked = not self._asked, True
        if first and not self._busy and self._task is not None:
            self._task.cancel()

    def _check(self) -> None:
        """What a signal raises inside a destructor is lost; it is not forgotten."""
        if self._asked:
            raise Interrupted
