"""Requests made of the goldens' pieces: any of their turns in any order, with any of their members."""

from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st
from tests.goldens.files import CLIENT, load, request_files
from tests.goldens.matrix import NAMES, Json

Path = tuple[str | int, ...]

TURNS: Final = {"chat": "messages", "responses": "input", "messages": "messages"}
"""The member that holds a request's turns, by dialect."""

_NEWER: Final = {"max_tokens": "max_completion_tokens", "function_call": "tool_choice"}
_UNTYPED: Final = frozenset({"unknown_blocks", "unknown_members", "empty"})
"""Cases with what no SDK has a type for."""


def _requests(name: str, *, typed: bool) -> list[Json]:
    paths = [path for path in request_files() if path.stem == name]
    return [load(path)[CLIENT] for path in paths if not (typed and path.parent.name in _UNTYPED)]


def _turns(name: str, request: Json) -> list[Json]:
    turns = request.get(TURNS[name], [])
    return [{"role": "user", "content": turns}] if isinstance(turns, str) else list(turns)


def _others(name: str, request: Json) -> list[tuple[str, Any]]:
    return [(member, value) for member, value in request.items() if member not in ("model", TURNS[name])]


def composed(name: str, *, typed: bool = False) -> st.SearchStrategy[Json]:
    """Return requests of a dialect; `typed`: of what its SDK has types for, and nothing else."""
    requests = _requests(name, typed=typed)
    turns = [turn for request in requests for turn in _turns(name, request)]
    others = [other for request in requests for other in _others(name, request)]
    least: Json = {"model": "m", "max_tokens": 1000} if name == "messages" else {"model": "m"}
    return st.builds(
        lambda members, said: _named_once({**least, **dict(members), TURNS[name]: said}),
        st.lists(st.sampled_from(others), max_size=5),
        st.lists(st.sampled_from(turns), min_size=1, max_size=5),
    )


def _named_once(request: Json) -> Json:
    """Return a request without the older of two names where it has both."""
    return {name: value for name, value in request.items() if _NEWER.get(name) not in request}


def any_composed(*, typed: bool = False) -> st.SearchStrategy[tuple[str, Json]]:
    """Return requests of all dialects, each with its dialect's name."""
    return st.one_of([st.tuples(st.just(name), composed(name, typed=typed)) for name in NAMES])


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values that are neither objects nor lists nor null."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from leaves(each, (*path, at))
    elif value is not None:
        yield path


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def altered(value: Any, path: Path) -> Any:
    """Return a value with another leaf at `path`."""
    if not path:
        return _another(value)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = altered(value[path[0]], path[1:])
    return copy


def _another(leaf: bool | float | str) -> bool | float | str:
    if isinstance(leaf, bool):
        return not leaf
    return leaf + "Z" if isinstance(leaf, str) else leaf * 2 + 1
