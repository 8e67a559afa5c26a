"""Tells when the configuration file has changed, however an editor or a deployment replaces it."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import Change, awatch

DEBOUNCE_MS = 200
LOOK_AGAIN_MS = 5_000
"""Some file systems tell of nothing, and a link further up can be swapped: the file is read anyhow."""


async def watch(
    path: Path,
    known: bytes | None = None,
    stop: asyncio.Event | None = None,
    *,
    debounce_ms: int = DEBOUNCE_MS,
    look_again_ms: int = LOOK_AGAIN_MS,
) -> AsyncGenerator[bytes, None]:
    """Yield the file's new content after every change of it, until `stop` is set.

    `known` is the content that runs already, so that no change before the watch began is lost.
    The folder is watched, not the file, so that a file put in its place by an editor is seen as well.
    A change that leaves the content as it was is not told. A file that is gone or empty for now is being
    written, and is waited for: an empty one would be a valid configuration without any provider.
    What the content is worth is for the caller to say.
    """
    content, target = await asyncio.to_thread(_look, path)
    if known is None:
        known = content
    changes = awatch(
        *{path.parent, target.parent},
        watch_filter=_Names(path.name, target.name),
        debounce=debounce_ms,
        stop_event=stop,
        recursive=False,
        rust_timeout=look_again_ms,
        yield_on_timeout=True,
    )
    async for _ in changes:
        content, _target = await asyncio.to_thread(_look, path)
        if content and content.strip() and content != known:
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
