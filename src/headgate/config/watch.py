"""Tells when the configuration file has changed, however an editor or a deployment replaces it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, awatch

DEBOUNCE_MS = 200


async def watch(
    path: Path,
    stop: asyncio.Event | None = None,
    *,
    debounce_ms: int = DEBOUNCE_MS,
    force_polling: bool | None = None,
) -> AsyncIterator[bytes]:
    """Yield the file's new content after every change of it, until `stop` is set.

    The folder is watched, not the file, so that a file put in its place by an editor is seen as well.
    A change that leaves the content as it was is not told; a file that is gone for now is waited for.
    What the content is worth is for the caller to say.
    """
    known, target = await asyncio.to_thread(_look, path)
    changes = awatch(
        *{path.parent, target.parent},
        watch_filter=_Names(path.name, target.name),
        debounce=debounce_ms,
        stop_event=stop,
        recursive=False,
        force_polling=force_polling,
    )
    async for _ in changes:
        content, _target = await asyncio.to_thread(_look, path)
        if content is not None and content != known:
            known = content
            yield content


class _Names:
    """Passes the file itself, and names that begin with `..`: the link that a mounted volume swaps.

    A ledger in the same folder changes many times a second and is of no interest.
    """

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)

    def __call__(self, _change: Change, path: str) -> bool:
        name = Path(path).name
        return name in self.names or name.startswith("..")


def _look(path: Path) -> tuple[bytes | None, Path]:
    try:
        content: bytes | None = path.read_bytes()
    except OSError:
        content = None
    return content, path.resolve()
