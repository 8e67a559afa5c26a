"""What is wrong with a configuration, said in lines that can be acted on."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec

Where = tuple[str | int, ...]
"""A place in the document: keys of mappings and indexes of lists, from the top."""


class Problem(msgspec.Struct, frozen=True):
    """One fault. `line` counts from 1; None: none can be named. `where` is a dotted path, "" for the file."""

    file: str
    line: int | None
    where: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` holds all that was found, in order of their lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line or 0, p.where, p.message)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(where: Where) -> str:
    """Return a place as people write it: `models.fast.routes[1]`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is most likely a misspelling of, if any is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    """Return "unknown key; did you mean 'kind'?", or the list of what is known where nothing is near."""
    near = nearest(name, known)
    if near is not None:
        return f"unknown {what}; did you mean '{near}'?"
    if not known:
        return f"unknown {what}"
    return f"unknown {what}; known: {', '.join(sorted(known))}"
