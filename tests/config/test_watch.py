import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

from headgate.config.watch import watch


def quick(path: Path) -> AsyncGenerator[bytes, None]:
    return watch(path, b"a: 1", period=0.02)


async def _next(changes: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(changes), 20)


async def _told(changes: AsyncIterator[bytes], change: Callable[[], object]) -> bytes:
    """Make a change once the watch is under way; it is told whether it comes before or after its start."""
    told = asyncio.ensure_future(_next(changes))
    await asyncio.to_thread(change)
    return await told


async def test_every_way_to_replace_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "headgate.yaml"
    path.write_bytes(b"a: 1")

    def rename() -> None:
        other = tmp_path / "headgate.yaml.tmp"
        other.write_bytes(b"a: 3")
        other.replace(path)

    def recreate() -> None:
        path.unlink()
        path.write_bytes(b"a: 4")

    async with aclosing(quick(path)) as changes:
        assert await _told(changes, lambda: path.write_bytes(b"a: 2")) == b"a: 2"
        assert await _told(changes, rename) == b"a: 3"
        assert await _told(changes, recreate) == b"a: 4"


async def test_a_change_before_the_watch_began_is_told(tmp_path: Path) -> None:
    path = tmp_path / "headgate.yaml"
    path.write_bytes(b"a: 2")
    async with aclosing(quick(path)) as changes:
        assert await _told(changes, (tmp_path / "..data").touch) == b"a: 2"


async def test_a_swapped_volume_link_is_told(tmp_path: Path) -> None:
    for name, content in [("..one", b"a: 1"), ("..two", b"a: 2")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "headgate.yaml").write_bytes(content)
    (tmp_path / "..data").symlink_to("..one")
    path = tmp_path / "headgate.yaml"
    path.symlink_to("..data/headgate.yaml")

    def swap() -> None:
        link = tmp_path / "..data_tmp"
        link.unlink(missing_ok=True)
        link.symlink_to("..two")
        link.replace(tmp_path / "..data")

    async with aclosing(quick(path)) as changes:
        assert await _told(changes, swap) == b"a: 2"


async def test_a_busy_neighbour_and_an_unchanged_file_are_not_told(tmp_path: Path) -> None:
    path = tmp_path / "headgate.yaml"
    path.write_bytes(b"a: 1")

    def change() -> None:
        for count in range(50):
            (tmp_path / "headgate.db-wal").write_bytes(b"x" * count)
            path.write_bytes(b"a: 1")
        path.write_bytes(b"a: 9")

    async with aclosing(quick(path)) as changes:
        assert await _told(changes, change) == b"a: 9"


async def test_an_emptied_file_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "headgate.yaml"
    path.write_bytes(b"")
    async with aclosing(quick(path)) as changes:
        assert await _told(changes, lambda: path.write_bytes(b"a: 2")) == b"a: 2"
