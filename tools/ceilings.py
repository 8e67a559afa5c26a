"""Ceilings on size, and no broad except without its reason.

Fails on a file over 500 lines, a function over 50 lines, or `except Exception`, `except BaseException` or a
bare `except` whose line carries no comment. Warns on a file over 300 lines. Arguments: folders to search.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_FAIL = 500
FILE_WARN = 300
FUNCTION_FAIL = 50
BROAD = frozenset({"Exception", "BaseException"})


def main(roots: list[str]) -> int:
    """Print every finding; return 1 if one of them is a failure."""
    failures = [message for path in _sources(roots) for message in check(path, path.read_text(encoding="utf-8"))]
    for message in failures:
        print(message)
    return 1 if failures else 0


def check(path: Path, source: str) -> Iterator[str]:
    """Yield one message for each ceiling that `source` breaks; warnings go to stderr."""
    lines = source.splitlines()
    if len(lines) > FILE_FAIL:
        yield f"{path}: {len(lines)} lines, at most {FILE_FAIL}"
    elif len(lines) > FILE_WARN:
        print(f"{path}: {len(lines)} lines, {FILE_WARN} are plenty", file=sys.stderr)
    for node in ast.walk(ast.parse(source, str(path))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_FAIL:
                    yield f"{path}:{node.lineno}: {node.name}: {length} lines, at most {FUNCTION_FAIL}"
            case ast.ExceptHandler() if _is_broad(node.type) and not _has_reason(lines[node.lineno - 1]):
                yield f"{path}:{node.lineno}: broad except without a reason on its line"
            case _:
                pass


def _sources(roots: list[str]) -> list[Path]:
    return sorted(path for root in roots for path in Path(root).rglob("*.py"))


def _is_broad(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Name(name):
            return name in BROAD
        case ast.Tuple(elements):
            return any(_is_broad(element) for element in elements)
        case _:
            return False


def _has_reason(line: str) -> bool:
    """A reason is words in a comment beyond a noqa and its codes."""
    comments = [part.strip() for part in line.split("#")[1:]]
    return any(not comment.startswith("noqa") or len(comment.split(None, 2)) > 2 for comment in comments if comment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
