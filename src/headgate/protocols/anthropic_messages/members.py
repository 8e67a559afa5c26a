"""A JSON object of a client's request, taken apart member by member: what nobody takes is left over, never lost."""

from typing import Any, Final, NoReturn

import msgspec
from msgspec import Raw

from headgate.model.content import NO_EXTRA, Cache
from headgate.protocols.head_fields import invalid

_object: Final = msgspec.json.Decoder(dict[str, Raw])
_list: Final = msgspec.json.Decoder(list[Raw])
_text: Final = msgspec.json.Decoder(str)
_texts: Final = msgspec.json.Decoder(list[str])
_flag: Final = msgspec.json.Decoder(bool)
_int: Final = msgspec.json.Decoder(int)
_number: Final = msgspec.json.Decoder(int | float)
_null: Final = b"null"
_TTLS: Final = frozenset({"", "5m", "1h"})


class Members:
    """The members of one object at `path`. Taking one removes it; a null counts as missing, as the API has it.

    Every method raises HeadgateError (400) naming the member that is not what it must be.
    """

    __slots__ = ("_members", "path")

    def __init__(self, raw: Raw | dict[str, Raw], path: str) -> None:
        """`raw` may be members already decoded; they are taken out of it."""
        self.path = path
        self._members: dict[str, Raw] = raw if isinstance(raw, dict) else _decoded(_object, raw, path, "an object")

    def refuse(self, name: str, what: str) -> NoReturn:
        raise invalid(self._at(name), f"{self._at(name)} {what}")

    def take(self, name: str) -> Raw | None:
        raw = self._members.pop(name, None)
        return None if raw is None or bytes(raw) == _null else raw

    def peek_text(self, name: str) -> str | None:
        """Return a text without taking it, None for everything else."""
        raw = self._members.get(name)
        if raw is None:
            return None
        try:
            text: str = _text.decode(raw)
        except ValueError:
            return None
        return text

    def peek(self, name: str) -> Raw | None:
        return self._members.get(name)

    def text(self, name: str) -> str:
        value = self.maybe_text(name)
        if value is None:
            self.refuse(name, "is missing")
        return value

    def maybe_text(self, name: str) -> str | None:
        text: str | None = self._maybe(name, _text, "a string")
        return text

    def maybe_texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._maybe(name, _texts, "a list of strings") or ())

    def maybe_flag(self, name: str) -> bool | None:
        flag: bool | None = self._maybe(name, _flag, "true or false")
        return flag

    def maybe_int(self, name: str) -> int | None:
        number: int | None = self._maybe(name, _int, "an integer")
        return number

    def maybe_number(self, name: str) -> Raw | None:
        raw = self.take(name)
        if raw is not None:
            _decoded(_number, raw, self._at(name), "a number")
        return raw

    def maybe_list(self, name: str) -> list[Raw] | None:
        items: list[Raw] | None = self._maybe(name, _list, "a list")
        return items

    def maybe_object(self, name: str) -> "Members | None":
        raw = self.take(name)
        return None if raw is None else Members(raw, self._at(name))

    def object_text(self, name: str) -> str:
        """Return an object as the text it came as."""
        raw = self.take(name)
        if raw is None:
            self.refuse(name, "is missing")
        Members(raw, self._at(name))
        return _utf8(raw, self._at(name))

    def cache(self) -> Cache | None:
        """Take the prompt-cache breakpoint; one of a kind that nobody knows stays where it is."""
        raw = self._members.get("cache_control")
        if raw is None:
            return None
        if bytes(raw) == _null:
            del self._members["cache_control"]
            return None
        mark = Members(raw, self._at("cache_control"))
        kind, ttl = mark.maybe_text("type"), mark.maybe_text("ttl") or ""
        if kind != "ephemeral" or ttl not in _TTLS or mark.rest():
            return None
        del self._members["cache_control"]
        return Cache(ttl)

    def rest(self) -> dict[str, Raw]:
        """Return what was not taken."""
        return self._members or NO_EXTRA

    def _maybe(self, name: str, decoder: "msgspec.json.Decoder[Any]", what: str) -> Any:
        raw = self.take(name)
        return None if raw is None else _decoded(decoder, raw, self._at(name), what)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def text_or_list(raw: Raw, path: str) -> str | list[Raw]:
    """Return content that is a string or a list. Raises HeadgateError (400) for everything else."""
    if bytes(memoryview(raw)[:1]) == b'"':
        text: str = _decoded(_text, raw, path, "a string")
        return text
    items: list[Raw] = _decoded(_list, raw, path, "a string or a list")
    return items


def _decoded(decoder: "msgspec.json.Decoder[Any]", raw: Raw, path: str, what: str) -> Any:
    try:
        return decoder.decode(raw)
    except RecursionError:
        raise invalid(path, f"{path} is nested too deep") from None
    except ValueError:  # msgspec's errors and UnicodeDecodeError
        raise invalid(path, f"{path} must be {what}") from None


def _utf8(raw: Raw, path: str) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise invalid(path, f"{path} is not valid UTF-8") from None
