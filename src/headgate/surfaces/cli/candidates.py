"""What may stand at the cursor of a line: commands, options, and values, of which some are names in the ledger.

Nothing heavy is imported, nothing is made, and what cannot be read offers nothing.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from os import environ
from pathlib import Path
from typing import Any, NamedTuple

from headgate.ledger.names import Names
from headgate.model.records import Outcome
from headgate.surfaces.cli.serve import LOG_LEVELS
from headgate.surfaces.cli.usage import GROUPS

SHELLS = ("bash", "zsh", "fish")
MAX_CONFIG = 256 << 10
"""Bytes of a configuration that is still read at a TAB."""

Candidate = tuple[str, str]
"""A value and its help, which may be empty."""

_SAFE = re.compile(r"\w[\w./:@+,=-]{0,199}")
"""Names that mean the same in every shell, quoted or not; others are not offered."""
_SQLITE = "sqlite:///"


class _Place(NamedTuple):
    """Where on a line the cursor stands: in which command, after which option, behind how many arguments."""

    command: Any
    pending: Any
    arguments: int
    only_arguments: bool
    given: Mapping[str, str]


def candidates(root: Any, words: Iterable[str], incomplete: str) -> list[Candidate] | None:
    """Return what may stand for the unfinished word after `words`; None: the name of a file."""
    place = _walk(root, words)
    if place.pending is not None:
        return _values(place.pending, place, incomplete)
    if incomplete.startswith("-") and not place.only_arguments:
        name, equals, value = incomplete.partition("=")
        option = _option(place.command, name)
        if not equals or option is None:
            return [one for one in _options(place) if one[0].startswith(incomplete)]
        found = _values(option, place, value)
        return None if found is None else [(f"{name}={one}", told) for one, told in found]
    names = [] if place.arguments else list(_children(place.command).items())
    found = [(name, child.get_short_help_str()) for name, child in names if name.startswith(incomplete)]
    takers = [param for param in place.command.params if param.param_type_name == "argument"]
    if place.arguments < len(takers):
        more = _values(takers[place.arguments], place, incomplete)
        return found or None if more is None else found + more
    return found


def _walk(root: Any, words: Iterable[str]) -> _Place:
    command, pending, arguments, only_arguments = root, None, 0, False
    given: dict[str, str] = {}
    for word in words:
        if pending is not None:
            given[pending.name] = word
            pending = None
        elif word == "--" and not only_arguments:
            only_arguments = True
        elif word.startswith("-") and word != "-" and not only_arguments:
            name, equals, value = word.partition("=")
            option = _option(command, name)
            if option is not None and (equals or option.is_flag):
                given[option.name] = value
            else:
                pending = option
        elif word in _children(command):
            command, arguments, given = _children(command)[word], 0, {}
        else:
            arguments += 1
    return _Place(command, pending, arguments, only_arguments, given)


def _children(command: Any) -> dict[str, Any]:
    children: dict[str, Any] = getattr(command, "commands", {})
    return {name: child for name, child in children.items() if not child.hidden}


def _option(command: Any, name: str) -> Any:
    options = (param for param in command.params if param.param_type_name == "option")
    return next((option for option in options if name in (*option.opts, *option.secondary_opts)), None)


def _options(place: _Place) -> list[Candidate]:
    found = [
        (spelling, option.help or "")
        for option in place.command.params
        if option.param_type_name == "option" and not option.hidden
        if option.multiple or option.name not in place.given
        for spelling in (*option.opts, *option.secondary_opts)
        if spelling.startswith("--")
    ]
    return [*found, ("--help", "Show this message and exit.")]


def _values(param: Any, place: _Place, incomplete: str) -> list[Candidate] | None:
    """Return the values of an option or argument that begin with `incomplete`; None: any file."""
    if param.metavar == "FILE":
        return None
    source = _SOURCES.get(param.name)
    found = source(place) if source is not None else []
    return [one for one in found if one[0].startswith(incomplete) and _SAFE.fullmatch(one[0])]


def _fixed(*values: str) -> Callable[[_Place], list[Candidate]]:
    return lambda _: [(value, "") for value in values]


class _Setting:
    """What the configuration says of models and ledger, as it stands there: at a TAB nobody checks it."""

    def __init__(self, place: _Place) -> None:
        file = Path(place.given.get("config") or environ.get("HEADGATE_CONFIG") or "headgate.yaml").expanduser()
        self._folder = file.absolute().parent
        self._data: Any = {}
        if file.is_file() and file.stat().st_size <= MAX_CONFIG:
            from headgate.config.envfile import read_env_file
            from headgate.config.tree import read_tree

            env = read_env_file(self._folder).under(environ)
            self._data = read_tree(file.read_text(encoding="utf-8-sig"), str(file), env).data

    def virtual(self) -> list[Candidate]:
        return [(str(name), "virtual model") for name in self._section("models")]

    def providers(self) -> list[Candidate]:
        return [(str(name), "") for name in self._section("providers")]

    def ask(self, question: Callable[[Names], list[Candidate]]) -> list[Candidate]:
        """Return what the ledger answers; nothing where there is none, or one that is no SQLite file."""
        url = str(self._section("ledger").get("url", f"{_SQLITE}headgate.db"))
        if not url.startswith(_SQLITE):
            return []
        file = self._folder / Path(url.removeprefix(_SQLITE)).expanduser()
        # A pipe would be waited for.
        if not file.is_file():
            return []
        try:
            return question(Names(file))
        except (sqlite3.Error, OSError):
            return []

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self._data.get(name) if isinstance(self._data, dict) else None
        return section if isinstance(section, dict) else {}


def _keys(place: _Place) -> list[Candidate]:
    revoked = place.command.name not in {"rotate", "revoke", "update", "set"}
    return _Setting(place).ask(lambda names: names.keys(place.given.get("account"), revoked=revoked))


def _models(place: _Place) -> list[Candidate]:
    setting = _Setting(place)
    virtual = setting.virtual()
    known = {name for name, _ in virtual}
    return [*virtual, *(one for one in setting.ask(Names.models) if one[0] not in known)]


_SOURCES: dict[str, Callable[[_Place], list[Candidate]]] = {
    "account": lambda place: _Setting(place).ask(Names.accounts),
    "by": _fixed(*GROUPS),
    "call_id": lambda place: _Setting(place).ask(Names.calls),
    "expires": _fixed("30d", "90d", "365d"),
    "grace": _fixed("0s", "1h", "24h", "7d"),
    "key": _keys,
    "log_level": _fixed(*LOG_LEVELS),
    "model": _models,
    "limit_id": lambda place: _Setting(place).ask(Names.limits),
    "models": _models,
    "outcome": _fixed(*Outcome),
    "per": _fixed("total", "day", "week", "month", "1h", "24h", "7d"),
    "provider": lambda place: _Setting(place).providers(),
    "session": _fixed("each"),
    "shell": _fixed(*SHELLS),
    "since": _fixed("1h", "24h", "7d", "30d", "all"),
}
"""By the name of the option or argument, in whichever command it stands."""
