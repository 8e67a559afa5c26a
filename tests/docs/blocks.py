"""The blocks of a Markdown text that stand for what a reader types: commands with their output, and files.

A fenced block ```console is a session: `$ ` begins a command; `> `, a line after `\\` or one inside a heredoc continues
it; other lines are its output. An HTML comment directly before a block says what a test does with it:

    <!-- run -->                        run it, and compare what it prints (see compare.py)
    <!-- run: no output compared -->    run it; it must succeed
    <!-- run: exit 1 -->                run it; its last command must exit with 1, the others with 0
    <!-- shown: why it cannot run -->   leave it alone; a reason is required
    <!-- file: headgate.yaml -->        write the block, of whatever kind, into this file
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt

SHELLS = frozenset({"console", "sh", "bash", "zsh", "fish", "shell", "shell-session", "shellsession"})
_MARKER = re.compile(r"<!--\s*(run|shown|file)\b\s*(?::\s*(.*?))?\s*-->\s*\Z", re.DOTALL)
_EXIT = re.compile(r"exit (\d{1,3})")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


class BadBlock(AssertionError):
    """A block that is not written as tests need it; the message names its line."""


class Command(NamedTuple):
    """What is typed, lines joined as in a shell, and the lines that it prints. `line` counts from 1."""

    line: int
    text: str
    expected: list[str]


class Session(NamedTuple):
    """Commands to run. `compared`: their output counts. `status` is the last command's exit status."""

    line: int
    commands: list[Command]
    compared: bool
    status: int


class File(NamedTuple):
    """A file to write."""

    line: int
    name: str
    text: str


def steps(text: str) -> list[Session | File]:
    """Return what is to be done, in order. Raises BadBlock for an unmarked block of commands, or a wrong one."""
    return list(_steps(text))


def _steps(text: str) -> Iterator[Session | File]:
    before = ""
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "fence":
            kind = token.info.split()[0] if token.info.split() else ""
            line = (token.map or [0])[0] + 1
            step = _step(kind, before, token.content, line)
            if step is not None:
                yield step
        before = token.content if token.type == "html_block" else ""


def _step(kind: str, before: str, content: str, line: int) -> Session | File | None:
    marker = _MARKER.search(before)
    word, more = (marker[1], (marker[2] or "").strip()) if marker else ("", "")
    if word == "file":
        if not more or more.startswith("/") or ".." in more.split("/"):
            raise BadBlock(f"line {line}: '<!-- file: NAME -->' needs a name below the folder")
        return File(line, more, content)
    if kind not in SHELLS:
        if word:
            raise BadBlock(f"line {line}: a block of {kind or 'no kind'} cannot be '{word}'")
        return None
    if word == "shown":
        if not more:
            raise BadBlock(f"line {line}: '<!-- shown: REASON -->' needs a reason")
        return None
    if word != "run":
        raise BadBlock(f"line {line}: commands without '<!-- run -->' or '<!-- shown: REASON -->' before them")
    if kind != "console":
        raise BadBlock(f"line {line}: what is run stands in a ```console block, each command after '$ '")
    status = _EXIT.fullmatch(more)
    if more not in {"", "no output compared"} and status is None:
        raise BadBlock(f"line {line}: 'run: {more}' is not known")
    compared = more != "no output compared"
    return Session(line, list(_commands(content, line + 1)), compared, int(status[1]) if status else 0)


def _commands(content: str, first: int) -> Iterator[Command]:
    command: Command | None = None
    for number, line in enumerate(content.splitlines(), first):
        if command is not None and (not command.expected and _continues(command.text, line)):
            command = command._replace(text=f"{command.text}\n{line.removeprefix('> ')}")
        elif line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(number, line.removeprefix("$ "), [])
        elif command is not None:
            command.expected.append(line)
        elif line.strip():
            raise BadBlock(f"line {number}: output before any command")
    if command is None:
        raise BadBlock(f"line {first - 1}: no command; one begins with '$ '")
    yield command


def _continues(text: str, line: str) -> bool:
    """Say whether the shell that has read `text` still waits for more."""
    heredoc = _HEREDOC.search(text)
    if heredoc is not None:
        return not any(one.strip() == heredoc[2] for one in text.splitlines()[1:])
    return text.endswith("\\") or line.startswith("> ")
