"""Citations of any dialect as a chat's `url_citation` annotations (openai.types.chat.chat_completion_message)."""

from typing import Any, Final

import msgspec
from msgspec import Raw

_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_CITATION: Final = "url_citation"
_WEB: Final = "web_search_result_location"


def annotation_of(citation: Raw, start: int, end: int) -> dict[str, object] | None:
    """Return the annotation; `start` and `end` are those of the citing text in the whole content, in characters.

    Known: this dialect's own, Responses' `url_citation`, whose indexes are those of its text, and Anthropic's
    `web_search_result_location`, which cites for all of its text. None for what has no URL: files and documents.
    """
    try:
        said = _decoder.decode(citation)
    except (ValueError, RecursionError):
        return None
    own = said.get(_CITATION)
    if isinstance(own, dict):
        return said
    url, title = said.get("url"), said.get("title")
    if not isinstance(url, str) or said.get("type") not in (_CITATION, _WEB):
        return None
    first, last = said.get("start_index"), said.get("end_index")
    if isinstance(first, int) and isinstance(last, int):
        start, end = start + first, start + last
    cited = {"start_index": start, "end_index": end, "title": title if isinstance(title, str) else "", "url": url}
    return {"type": _CITATION, _CITATION: cited}
