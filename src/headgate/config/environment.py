"""`${NAME}`, `${NAME:-default}` and `$$` in the strings of a configuration."""

import re
from collections.abc import Mapping

_PART = re.compile(r"\$(?:(\$)|\{([^{}]*)\}|())", re.ASCII)
_NAME = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$", re.ASCII | re.DOTALL)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Return `text` with its variables filled in; `$$` stands for one `$`.

    A default counts where the variable is unset or empty, as in a shell.
    Raises ValueError naming the variable, never its value.
    """
    if "$" not in text:
        return text

    def fill(found: re.Match[str]) -> str:
        if found[1]:
            return "$"
        named = _NAME.match(found[2]) if found[2] is not None else None
        if named is None:
            raise ValueError("a '$' stands before no {NAME}; write $$ for a plain dollar sign")
        name, default = named.groups()
        value = env.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise ValueError(f"environment variable {name} is not set; export it, or write ${{{name}:-default}}")
        return value

    return _PART.sub(fill, text)
