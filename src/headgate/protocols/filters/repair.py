"""Tool calls found in text while it streams; everything else stays where it was."""

import re
from collections.abc import Sequence
from typing import Final

from headgate.protocols.filters.base import Call, Scrubber
from headgate.protocols.filters.calls import KEYS, Balance, read_calls
from headgate.protocols.filters.strip import held_tail

MAX_HELD: Final = 1024 * 1024
"""Characters held back for a call that may still become one; a longer one is text."""

_TAGGED: Final = {"<tool_call>": "</tool_call>", "<function_call>": "</function_call>", "<tool_use>": "</tool_use>"}
_FUNCTION: Final = "<function="
_FENCE: Final = "```"
_MARKS: Final = (*_TAGGED, _FUNCTION)
_START: Final = re.compile("|".join(map(re.escape, _MARKS)) + r"|^[ \t]*(?:```|[\[{])", re.MULTILINE)
_LINE: Final = re.compile(r"(?:^|\n)[ \t]*`{0,2}\Z")
_LANGUAGE: Final = re.compile(
    r"```[ \t]*(?:json5?|tool_calls?|tool_code|tool|function_call|xml)?[ \t]*\n", re.IGNORECASE
)
_CODE_END: Final = re.compile(r"^[ \t]*```", re.MULTILINE)
_FENCED_END: Final = re.compile(r"\n?[ \t]*```[ \t]*(?:\n|\Z)")
_KEY_START: Final = re.compile(r"[\[\s]*\{\s*(?:(['\"])([A-Za-z_]*)(\1)?|([A-Za-z_]*))")


class ToolRepair(Scrubber):
    """One block of text. It holds text back only while that may still become a call to a tool on offer."""

    def __init__(self, offered: frozenset[str]) -> None:
        self._offered = offered
        self._held = ""
        self._fresh = True  # the block's text so far ends in a line's beginning
        self._code = False  # in a fence that is no call
        self._after = False  # white space after a call is left out
        self._balance: Balance | None = None
        self._scanned = 0  # how far the candidate was read
        self._done = 0  # the end of the last whole value in a fence, or of the fence's first line
        self._value = 0  # where the value that is being read begins

    def feed(self, text: str) -> Sequence[str | Call]:
        self._held += text
        return self._decide(at_end=False)

    def end(self) -> Sequence[str | Call]:
        return self._decide(at_end=True)

    def _decide(self, *, at_end: bool) -> list[str | Call]:
        given: list[str | Call] = []
        while self._held:
            if self._after:
                self._held = self._held.lstrip()
                self._after = not self._held
                continue
            if self._code and self._past_code(given):
                continue
            start = None if self._code else self._start()
            if start is None:
                keep = 0 if at_end else self._may_begin()
                self._give(self._held[: len(self._held) - keep], given)
                break
            self._give(self._held[:start], given)
            end = self._end_of_candidate(at_end=at_end)
            if end is None:
                if at_end or len(self._held) > MAX_HELD:
                    self._refuse(given)
                    continue
                break
            self._take(end, given)
        return given

    def _start(self) -> int | None:
        """Return where a call may begin in what is held, None for nowhere."""
        at = 0
        while (found := _START.search(self._held, at)) is not None:
            begin = found.start() + len(found[0]) - len(found[0].lstrip())
            if found.start() > 0 or self._fresh or found[0] in _MARKS:
                return begin
            at = found.end()
        return None

    def _may_begin(self) -> int:
        """Return how many characters at the end may still turn out to begin a call."""
        line = _LINE.search(self._held)
        on_line = 0
        if line is not None and (self._held[line.start() : line.start() + 1] == "\n" or self._fresh):
            on_line = len(self._held) - line.start()
        return max(on_line, held_tail(self._held, _MARKS))

    def _end_of_candidate(self, *, at_end: bool) -> int | None:
        """Return where the candidate that `held` begins with ends: 0 if it is none, None while more must come."""
        held = self._held
        for mark, close in _TAGGED.items():
            if held.startswith(mark):
                return self._closed_by(close, at_end=at_end)
        if held.startswith(_FUNCTION):
            return self._closed_by("</function>", at_end=at_end)
        if held.startswith(_FENCE):
            return self._fenced(at_end=at_end)
        if held.startswith(("{", "[")):
            return self._bare()
        return 0 if not any(mark.startswith(held) for mark in (*_MARKS, _FENCE)) else None

    def _closed_by(self, close: str, *, at_end: bool) -> int | None:
        found = self._held.find(close, max(0, self._scanned - len(close)))
        self._scanned = len(self._held)
        if found >= 0:
            return found + len(close)
        # Some templates leave the closing tag to the stop sequence.
        return len(self._held) if at_end else None

    def _fenced(self, *, at_end: bool) -> int | None:
        head = _LANGUAGE.match(self._held)
        if head is None:
            waits = "\n" not in self._held and not at_end
            return None if waits and len(self._held) < 40 else 0
        if self._held.startswith(tuple(_MARKS), head.end()):
            found = _FENCED_END.search(self._held, head.end())
            return found.end() if found else None
        if not self._done:
            self._done = head.end()
        return self._fenced_values(head.end(), at_end=at_end)

    def _fenced_values(self, first: int, *, at_end: bool) -> int | None:
        while True:
            if self._balance is None:
                some = self._done > first
                closing = _FENCED_END.match(self._held, self._done) if some else None
                if closing is not None and (at_end or closing[0].endswith("\n")):
                    return closing.end()
                rest = self._held[self._done :].lstrip(" \t\r\n,")
                if _FENCE.startswith(rest):  # nothing yet, or the beginning of the closing fence
                    return len(self._held) if at_end and some else None
                if not rest.startswith(("{", "[")):
                    return 0
                self._value = len(self._held) - len(rest)
            if _may_be_call(self._held[self._value :]) is False:
                return 0
            end = self._balanced(self._value)
            if not end:
                return None
            self._done, self._balance = end, None

    def _bare(self) -> int | None:
        if _may_be_call(self._held) is False:
            return 0
        return self._balanced(0) or None

    def _balanced(self, begin: int) -> int:
        """Return the end of the value that begins at `begin`, 0 while it is open; each character is read once."""
        if self._balance is None:
            self._balance = Balance()
            self._scanned = begin
        end = self._balance.feed(self._held, self._scanned)
        self._scanned = end or len(self._held)
        return end

    def _take(self, end: int, given: list[str | Call]) -> None:
        """Give out the candidate: as calls where it is some, else as the text it is."""
        text = self._held[:end]
        calls = read_calls(_inside(text), self._offered) if end else None
        if calls is None:
            self._refuse(given)
            return
        given += calls
        self._held = self._held[end:]
        self._forget()
        self._fresh = self._after = True

    def _refuse(self, given: list[str | Call]) -> None:
        """Give out the beginning of a candidate that is none, so that the search goes on behind it."""
        mark = next((mark for mark in (*_MARKS, _FENCE) if self._held.startswith(mark)), self._held[:1])
        self._give(mark, given)
        self._code = mark == _FENCE

    def _past_code(self, given: list[str | Call]) -> bool:
        """Give out code to the end of its fence; False while that has not come. Nothing in it is a call."""
        closing = _CODE_END.search(self._held)
        while closing is not None and closing.start() == 0 and not self._fresh:
            closing = _CODE_END.search(self._held, closing.end())
        if closing is None:
            return False
        self._give(self._held[: closing.end()], given)
        self._code = False
        return True

    def _give(self, text: str, given: list[str | Call]) -> None:
        if not text:
            return
        self._held = self._held[len(text) :]
        self._fresh = not text.rpartition("\n")[2].strip(" \t") and (self._fresh or "\n" in text)
        self._forget()
        if given and isinstance(given[-1], str):
            given[-1] += text
        else:
            given.append(text)

    def _forget(self) -> None:
        self._balance = None
        self._scanned = self._done = 0


def _may_be_call(text: str) -> bool | None:
    """Tell from its beginning whether an object or array may be a call; None while too little has come."""
    stripped = text.lstrip()
    if not stripped or not stripped.strip("[ \t\r\n"):
        return None
    if not stripped.startswith(("{", "[")):
        return False
    found = _KEY_START.match(text)
    if found is None:
        return False
    key = found[2] if found[1] else found[4]
    whole = found[3] is not None if found[1] else found.end() < len(text)
    if not key and found.end() == len(text):
        return None
    if whole:
        return key in KEYS
    if found.end() < len(text):
        return False
    return None if any(known.startswith(key) for known in KEYS) else False


def _inside(text: str) -> str:
    """Return a candidate without its fence and tags."""
    head = _LANGUAGE.match(text)
    if head is not None:
        text = text[head.end() :]
        end = _FENCED_END.search(text, max(0, len(text.rstrip()) - 8))
        text = text[: end.start()] if end else text
    text = text.strip()
    for mark, close in _TAGGED.items():
        if text.startswith(mark):
            text = text.removeprefix(mark).removesuffix(close).strip()
    if text.startswith(_FUNCTION) and not text.endswith("</function>"):
        text += "</function>"
    return text
