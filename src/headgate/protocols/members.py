"""An object of a client's request, taken apart member by member; what nobody takes stays as it came, null too."""

from typing import Final

import msgspec
from msgspec import Raw

from headgate.protocols.head_fields import invalid

MAX_INTEGER: Final = 10**15 - 1

_text: Final = msgspec.json.Decoder(str)
_flag: Final = msgspec.json.Decoder(bool)
_whole: Final = msgspec.json.Decoder(int)
_object: Final = msgspec.json.Decoder(dict[str, Raw])
_items: Final = msgspec.json.Decoder(list[Raw])
_NUMBER: Final = frozenset(b"-0123456789")
_QUOTE: Final = ord('"')
_BRACKET: Final = ord("[")
_BRACE: Final = ord("{")


class Members:
    """The members not yet taken. `path` names the object in errors (`messages.0`), "" the request itself.

    A null counts as absent and stays. Every taker raises HeadgateError (400, `param` the member's path) for a value of
    the wrong type.
    """

    __slots__ = ("_fields", "path")

    def __init__(self, fields: dict[str, Raw], path: str = "") -> None:
        self._fields = dict(fields)
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a member."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Tell that a member is there and not null."""
        value = self._fields.get(name)
        return value is not None and not is_null(value)

    def raw(self, name: str) -> Raw | None:
        """Take a value of any type."""
        value = self._fields.get(name)
        if value is None or is_null(value):
            return None
        del self._fields[name]
        return value

    def put_back(self, name: str, value: Raw) -> None:
        """Return what was taken: this dialect has it, nothing else does."""
        self._fields[name] = value

    def text(self, name: str) -> str | None:
        value = self.raw(name)
        if value is None:
            return None
        try:
            return _text.decode(value)
        except ValueError:
            raise invalid(self.at(name), f"{self.at(name)} must be a string") from None

    def needed(self, name: str) -> str:
        """Take a string that must be there."""
        value = self.text(name)
        if value is None:
            raise invalid(self.at(name), f"{self.at(name)} is missing: a string is expected")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.raw(name)
        if value is None:
            return None
        try:
            return _flag.decode(value)
        except ValueError:
            raise invalid(self.at(name), f"{self.at(name)} must be true or false") from None

    def whole(self, name: str, least: int = 0) -> int | None:
        """Take an integer of at least `least`."""
        value = self.raw(name)
        if value is None:
            return None
        try:
            number = _whole.decode(value)
        except ValueError:
            number = -1
        if not least <= number <= MAX_INTEGER:
            raise invalid(self.at(name), f"{self.at(name)} must be an integer from {least} to {MAX_INTEGER}")
        return number

    def number(self, name: str) -> Raw | None:
        """Take a number, as it was written."""
        value = self.raw(name)
        if value is not None and first(value) not in _NUMBER:
            raise invalid(self.at(name), f"{self.at(name)} must be a number")
        return value

    def json_object(self, name: str) -> Raw | None:
        """Take an object as it was written."""
        value = self.raw(name)
        if value is not None and not is_object(value):
            raise invalid(self.at(name), f"{self.at(name)} must be an object")
        return value

    def members(self, name: str) -> "Members | None":
        """Take an object to take apart."""
        value = self.json_object(name)
        return None if value is None else members_of(value, self.at(name))

    def needed_members(self, name: str) -> "Members":
        """Take an object that must be there."""
        taken = self.members(name)
        if taken is None:
            raise invalid(self.at(name), f"{self.at(name)} is missing: an object is expected")
        return taken

    def items(self, name: str) -> list[Raw] | None:
        """Take an array."""
        value = self.raw(name)
        return None if value is None else items_of(value, self.at(name))

    def objects(self, name: str) -> "list[tuple[Raw, Members]] | None":
        """Take an array of objects, each whole and to take apart."""
        value = self.raw(name)
        return None if value is None else objects_of(value, self.at(name))

    def rest(self, prefix: str = "") -> dict[str, Raw]:
        """Return what nobody took, its names with `prefix` before them."""
        return {prefix + name: value for name, value in self._fields.items()} if self._fields else {}


def members_of(value: Raw, path: str) -> Members:
    """Return an object to take apart. Raises HeadgateError (400)."""
    try:
        return Members(_object.decode(value), path)
    except (ValueError, RecursionError):
        raise invalid(path, f"{path} must be an object") from None


def items_of(value: Raw, path: str) -> list[Raw]:
    """Return the items of an array. Raises HeadgateError (400)."""
    try:
        return _items.decode(value)
    except (ValueError, RecursionError):
        raise invalid(path, f"{path} must be an array") from None


def objects_of(value: Raw, path: str) -> list[tuple[Raw, Members]]:
    """Return the objects of an array, each whole and to take apart. Raises HeadgateError (400)."""
    return [(each, members_of(each, f"{path}.{at}")) for at, each in enumerate(items_of(value, path))]


def string_of(value: Raw, path: str) -> str:
    """Return a string. Raises HeadgateError (400)."""
    try:
        return _text.decode(value)
    except ValueError:
        raise invalid(path, f"{path} must be a string") from None


def first(value: Raw) -> int:
    """Return the first byte of a value, which tells its type."""
    return memoryview(value)[0]


def is_null(value: Raw) -> bool:
    """Tell that a value is null; the others below tell its type alike."""
    return memoryview(value).nbytes == 4 and bytes(value) == b"null"


def is_string(value: Raw) -> bool:  # noqa: D103 - as is_null
    return first(value) == _QUOTE


def is_array(value: Raw) -> bool:  # noqa: D103 - as is_null
    return first(value) == _BRACKET


def is_object(value: Raw) -> bool:  # noqa: D103 - as is_null
    return first(value) == _BRACE
