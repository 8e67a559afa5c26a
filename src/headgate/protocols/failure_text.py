"""What an upstream's error body says, in one short line."""

import re
from typing import Any, Final

import msgspec

MAX_LENGTH: Final = 300
_READ: Final = 8192
_TAG: Final = re.compile(r"<[^<>]{0,500}>")
_TITLE: Final = re.compile(r"<title[^<>]{0,200}>([^<]{1,300})</title", re.IGNORECASE)
_decoder: Final = msgspec.json.Decoder()


def failure_text(body: bytes) -> str:
    """Return the message in an error body: JSON in any vendor's form, HTML or plain text.

    One line of at most 300 printable characters, "" where nothing is said. Keys in it are not looked for.
    """
    try:
        said = _said(_decoder.decode(body), 3)
    except (ValueError, RecursionError):
        said = _plain(body[:_READ].decode("utf-8", "replace"))
    return clean(said or "")


def clean(text: str) -> str:
    """Return one line of at most 300 printable characters."""
    head = text[: 4 * MAX_LENGTH]
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def _said(value: Any, depth: int) -> str | None:
    if isinstance(value, str):
        return value
    if depth == 0:
        return None
    if isinstance(value, list):
        return _said(value[0], depth - 1) if value else None
    if isinstance(value, dict):
        for name in ("error", "message", "msg", "detail"):
            if value.get(name):
                said = _said(value[name], depth - 1)
                if said:
                    return said
    return None


def _plain(text: str) -> str:
    start = text.lstrip("\ufeff \t\r\n")
    if not start.startswith("<"):
        return start
    title = _TITLE.search(start)
    return title[1] if title else _TAG.sub(" ", start)
