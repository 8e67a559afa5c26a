"""Tools in namespaces (Codex groups those of each MCP server so) as single tools that every upstream takes.

Forms: openai.types.responses.namespace_tool; a call has `namespace` beside its `name`, and a client knows it by both.
Elsewhere a tool has one name, `namespace__name`; the table of the request's own tools turns it back.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw

from headgate.model.conversation import ServerTool, Tool
from headgate.protocols.members import Members, is_string, string_of
from headgate.protocols.tool_names import MAX_NAME, fitted

NAMESPACE: Final = "namespace"
_BETWEEN: Final = "__"
_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")

Offered = Tool | ServerTool
Origin = tuple[str, str]


def one_name(namespace: str, name: str) -> str:
    """Return the one name of a tool, which every API takes."""
    between = "" if namespace.endswith(_BETWEEN) else _BETWEEN
    return fitted(_ODD.sub("_", f"{namespace}{between}{name}"))


def grouped(name: str, group: Members, inner: Iterable[Offered]) -> list[Offered]:
    """Return the tools of a namespace: its description stands before that of its first tool."""
    description = group.text("description")
    rest = group.rest()
    tools: list[Offered] = []
    for tool in inner:
        if isinstance(tool, Tool):
            texts = [text for text in (description, tool.description) if text]
            said = "\n\n".join(texts) or None
            origin = (name, tool.name)
            one, extra = one_name(*origin), {**tool.extra, **rest}
            tools.append(msgspec.structs.replace(tool, name=one, description=said, extra=extra, origin=origin))
            description, rest = None, {}
        else:
            tools.append(tool)
    return tools


def told_apart(tools: Sequence[Offered]) -> list[Offered]:
    """Return tools no two of which have one name because of their namespaces."""
    taken = {tool.name for tool in tools if isinstance(tool, Tool) and tool.origin is None}
    apart: list[Offered] = []
    for tool in tools:
        if isinstance(tool, Tool) and tool.origin is not None:
            name = tool.name
            if name in taken:
                mark = sha256("\0".join(tool.origin).encode()).hexdigest()[:8]
                name = f"{name[: MAX_NAME - 9]}_{mark}"
            taken.add(name)
            apart.append(msgspec.structs.replace(tool, name=name))
        else:
            apart.append(tool)
    return apart


class Namespaces:
    """What the tools of a request are called in their namespaces, and elsewhere."""

    __slots__ = ("_names", "_origins", "_plain")

    def __init__(self, tools: Iterable[Offered]) -> None:
        offered = [tool for tool in tools if isinstance(tool, Tool)]
        self._origins = {tool.name: tool.origin for tool in offered if tool.origin is not None}
        self._plain = {tool.name for tool in offered if tool.origin is None}
        self._names = {origin: name for name, origin in self._origins.items()}

    def name(self, namespace: str, name: str) -> str:
        """Return the one name of a tool; also of one that the request offers in no namespace, or no longer."""
        found = self._names.get((namespace, name))
        return found or (name if name in self._plain else one_name(namespace, name))

    def origin(self, name: str) -> Origin | None:
        """Return a tool's namespace and its name there, None for one that stands in none."""
        return self._origins.get(name)


def namespace_of(call: Mapping[str, Raw]) -> str | None:
    """Return the namespace of a call by the members of its item; None for none, and for one that is no string."""
    raw = call.get(NAMESPACE)
    return string_of(raw, NAMESPACE) if raw is not None and is_string(raw) else None
