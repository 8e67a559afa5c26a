"""Tool calls that a model wrote as text, read leniently: single quotes, trailing commas, Python's constants."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import pyjson5

from headgate.protocols.filters.base import Call

_NAMES: Final = ("name", "tool", "tool_name", "function", "function_name", "action")
_ARGUMENTS: Final = ("arguments", "parameters", "input", "args", "action_input", "tool_input")
KEYS: Final = (*_NAMES, *_ARGUMENTS, "tool_calls", "type", "id")
"""With which keys an object begins that may be a call."""

_FUNCTION: Final = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)
_PARAMETER: Final = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_PYTHON: Final = {"True": True, "False": False, "None": None}


def read_calls(text: str, offered: frozenset[str]) -> list[Call] | None:
    """Return the calls that `text` is, None where it is anything else: every one must name a tool on offer.

    `text` is one JSON value or several after each other, or `<function=NAME>` with JSON or parameters in it.
    """
    if "<function=" in text:
        return _functions(text, offered)
    values = _values(text)
    if not values:
        return None
    calls: list[Call] = []
    for value in values:
        found = _calls_in(value, offered)
        if not found:
            return None
        calls += found
    return calls


def _functions(text: str, offered: frozenset[str]) -> list[Call] | None:
    calls: list[Call] = []
    at = 0
    while at < len(text):
        found = _FUNCTION.match(text, at)
        if found is None or found[1] not in offered:
            return None
        inner = found[2].strip()
        if inner.startswith("<parameter="):
            parts = {name: _loose(value) for name, value in _PARAMETER.findall(inner)}
            calls.append(Call(found[1], msgspec.json.encode(parts).decode()))
        else:
            arguments = _values(inner or "{}")
            if arguments is None or len(arguments) != 1 or not isinstance(arguments[0], dict):
                return None
            calls.append(Call(found[1], _text_of(arguments[0])))
        at = found.end()
    return calls or None


def _calls_in(value: Any, offered: frozenset[str]) -> list[Call] | None:
    if isinstance(value, list):
        calls: list[Call] = []
        for item in value:
            found = _calls_in(item, offered)
            if not found:
                return None
            calls += found
        return calls
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("tool_calls"), list):
        return _calls_in(value["tool_calls"], offered)
    inner = value.get("function")
    if isinstance(inner, dict):
        return _calls_in(inner, offered)
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    key = next((key for key in _ARGUMENTS if key in value), None)
    if name not in offered or key is None:
        return None
    arguments = value[key]
    if isinstance(arguments, str):
        read = _values(arguments)
        if read is None or len(read) != 1 or not isinstance(read[0], dict):
            return None
        arguments = read[0]
    return [Call(name, _text_of(arguments))] if isinstance(arguments, dict) else None


def _values(text: str) -> list[Any] | None:
    """Return the JSON values that follow each other in `text`, with commas or without; None where it is no JSON."""
    values: list[Any] = []
    for part in pieces(text):
        value = _value(part)
        if value is _NOTHING:
            return None
        values.append(value)
    return values or None


_NOTHING: Final = object()


def _value(text: str) -> Any:
    for decode in (msgspec.json.decode, _json5):
        try:
            return decode(text)
        except (ValueError, RecursionError):
            continue
    return _NOTHING


def _json5(text: str) -> Any:
    """Read JSON5, with Python's constants outside of strings. Raises ValueError."""
    try:
        return pyjson5.decode(_without_python(text), maxdepth=200)
    except pyjson5.Json5Exception as error:
        raise ValueError(str(error)) from None


_TOKEN: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\b(?:True|False|None)\b""", re.DOTALL)
_JSON_WORD: Final = {"True": "true", "False": "false", "None": "null"}


def _without_python(text: str) -> str:
    return _TOKEN.sub(lambda found: _JSON_WORD.get(found[0], found[0]), text)


def _loose(text: str) -> Any:
    """Return what a parameter's bare text says: JSON where it is, else the text."""
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text


def _text_of(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode()


def pieces(text: str) -> Iterable[str]:
    """Yield the objects and arrays that follow each other in `text`; then what is none, if there is any."""
    at = 0
    while at < len(text):
        if text[at] in "{[":
            end = Balance().feed(text, at)
            yield text[at : end or len(text)]
            at = end or len(text)
        elif text[at] in " \t\r\n,;":
            at += 1
        else:
            yield text[at:]
            return


class Balance:
    """Finds the end of an object or array, quotes of both kinds heeded; may be fed in parts."""

    __slots__ = ("_depth", "_escaped", "_quote")

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._escaped = False

    def feed(self, text: str, at: int = 0) -> int:
        """Return the index after the closing bracket, 0 while it has not come; `at` is where reading goes on."""
        for index in range(at, len(text)):
            char = text[index]
            if self._quote:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == self._quote:
                    self._quote = ""
            elif char in "\"'":
                self._quote = char
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return index + 1
        return 0
