"""What the name of an account, of a key or in a limit may be. Whatever else stands in it is only a name."""

import unicodedata

MAX_NAME = 200
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def name_fault(name: str) -> str | None:
    """Return what is wrong with a name, None for one of 1 to 200 printable characters without a blank at either end."""
    if not name or name != name.strip():
        return "must not be empty or begin or end with a blank"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if any(unicodedata.category(character) in _UNSEEN for character in name):
        return "holds a control character"
    return None
