"""Filters over an answer's events, by what a route's configuration asks for; the same for every dialect."""

from headgate.model.conversation import Request, Tool
from headgate.model.route import Shaping
from headgate.protocols.filters.base import Chain, Filter, TextFilter
from headgate.protocols.filters.repair import ToolRepair
from headgate.protocols.filters.strip import StopMarkers, ThinkingBlocks, ThinkTags

__all__ = ["Filter", "filters_for"]


def filters_for(shaping: Shaping, request: Request, call: str) -> Filter | None:
    """Return the filters that a route wants for the answer to a request, None for none.

    `call` is the call's id, of which the ids of repaired tool calls are made.
    """
    wanted: list[Filter] = []
    if shaping.strip_thinking:
        wanted += [ThinkingBlocks(), TextFilter(ThinkTags, call)]
    if shaping.strip_stop_markers:
        wanted.append(TextFilter(StopMarkers, call))
    names = frozenset(tool.name for tool in request.tools if isinstance(tool, Tool))
    if shaping.repair_tools and names:
        wanted.append(TextFilter(lambda: ToolRepair(names), call))
    return Chain(wanted) if wanted else None
