"""Whether a command printed what a text shows: the same, but for what differs by run and what `…` stands for.

`…` in a line stands for any text, alone on a line for any lines. Keys, ids, times, durations, ports of five digits,
hashes and names in /tmp are compared by their shape. Amounts of money, counts, names and statuses must be the same.
Runs of blanks are one.
"""

import difflib
import re
from collections.abc import Iterator, Sequence

ANY = "…"

_TOKEN = r"(?:hg_[0-9A-Za-z]{6,}|call_[0-9a-f]{8,}|key_[0-9a-f]{8,})"
TOKEN = re.compile(rf"\b{_TOKEN}\b")
"""Keys and ids that a later command may name."""

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("key", r"\bhg_(?:[0-9A-Za-z]{6,}(?:…|\.\.\.)?|…)"),
        ("call", r"\bcall_(?:[0-9a-f]{8,}…?|…)"),
        ("key-id", r"\bkey_(?:[0-9a-f]{8,}…?|…)"),
        ("answer-id", r"\b(?:chatcmpl|msg|resp|toolu|fc|call|rs)[-_](?:sim[-_])?[0-9A-Za-z]{8,}\b"),
        ("temporary", r"(?<![\w/])/tmp/[\w.-]+"),
        ("hash", r"\b[0-9a-f]{64}\b"),
        ("time", r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"),
        ("time", r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        ("date", r"\b\d{4}-\d\d-\d\d\b"),
        ("time", r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"),
        ("seconds", r'(?<="created": )\d{10}\b|(?<="created":)\d{10}\b|(?<="created_at":)\d{10}\b'),
        ("duration", r"(?<![\w.$-])(?:\d+m ?)?\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s)\b"),
        ("duration", r'(?<=_ms": )\d+(?:\.\d+)?|(?<=_ms":)\d+(?:\.\d+)?'),
        ("speed", r'(?<=_tok_s": )\d+(?:\.\d+)?|\b\d+(?:\.\d+)?(?= tok/s)'),
        ("pid", r"(?<=\bpid[ =])\d+"),
        ("port", r"(?<=[a-z0-9.]:)\d{5}\b"),
    )
)


class Mismatch(AssertionError):
    """A command did something else than the text shows; the message holds the difference."""


def matches(expected: Sequence[str], printed: str) -> bool:
    """Say whether `printed` is what the lines show."""
    return bool(_whole(expected).fullmatch(_joined(printed.splitlines())))


def difference(expected: Sequence[str], printed: str) -> str:
    """Return a unified diff from what is shown to what was printed; lines that agree but for shapes are as shown."""
    shown = _trimmed(expected)
    patterns = [(line, re.compile(_line(line))) for line in shown if line.strip() != ANY]
    seen = []
    for line in _trimmed(printed.splitlines()):
        same = (text for text, pattern in patterns if pattern.fullmatch(canonical(line)))
        seen.append(next(same, line))
    return "\n".join(difflib.unified_diff(shown, seen, "shown", "printed", lineterm=""))


def renamed(expected: Sequence[str], printed: str) -> Iterator[tuple[str, str]]:
    """Yield each key and id that is shown beside the one that was printed in its place."""
    lines = printed.splitlines()
    for shown in expected:
        names = TOKEN.findall(shown)
        pattern = re.compile(_line(shown))
        at = next((at for at, line in enumerate(lines) if pattern.fullmatch(canonical(line))), None)
        if not names or at is None:
            continue
        found = TOKEN.findall(lines[at])
        if len(found) == len(names):
            yield from zip(names, found, strict=True)
        del lines[: at + 1]


def canonical(line: str) -> str:
    """Return a line with blanks folded and all that has a shape replaced by the shape's name."""
    line = " ".join(line.split())
    for name, pattern in SHAPES:
        line = pattern.sub(f"<{name}>", line)
    return line


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Return the lines without blank ones at either end."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").splitlines()


def _joined(lines: Sequence[str]) -> str:
    return "".join(canonical(line) + "\n" for line in _trimmed(lines))


def _whole(expected: Sequence[str]) -> re.Pattern[str]:
    return re.compile(
        "".join(r"(?:.*\n)*?" if line.strip() == ANY else _line(line) + r"\n" for line in _trimmed(expected))
    )


def _line(shown: str) -> str:
    return ".*?".join(re.escape(part) for part in canonical(shown).split(ANY))
