"""The blocks of the guides that programs can read."""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "docs" / "guides"
CLIENTS = ("README", "sdks", "claude-code", "codex", "opencode", "aider", "langchain", "ollama-and-paid")
SIM = "http://127.0.0.1:4190"
"""Where the guides' simulated upstream listens."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


def blocks(guide: str, language: str | None = None) -> list[Block]:
    """Return the blocks of a guide in their order; all, or those of one language."""
    text = (FOLDER / f"{guide}.md").read_text(encoding="utf-8")
    found = [Block(*match) for match in _BLOCK.findall(text)]
    return [block for block in found if language in (None, block.language)]


def rehearsal() -> str:
    """Return the configuration with which the guides were tried."""
    [found] = [block.text for block in blocks("README", "yaml") if SIM in block.text]
    return found


def printed(guide: str, command: str) -> list[str]:
    """Return the lines that a guide shows after a command, up to the next command."""
    for block in blocks(guide, "console"):
        _, found, after = block.text.partition(f"$ {command}\n")
        if found:
            return after.partition("\n$ ")[0].splitlines()
    raise AssertionError(f"{guide}.md shows no '{command}'")
