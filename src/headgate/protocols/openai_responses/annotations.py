"""Citations of any dialect as annotations of an output_text (openai.types.responses.response_output_text)."""

from typing import Any, Final

import msgspec
from msgspec import Raw

_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_URL: Final = "url_citation"
_WEB: Final = "web_search_result_location"
_OWN: Final = frozenset({"file_citation", "container_file_citation", "file_path"})


def annotation_of(citation: Raw, length: int) -> dict[str, object] | None:
    """Return the annotation of a text of `length` characters.

    Known: this dialect's own, chat's `url_citation`, whose members are in an object of their own, and Anthropic's
    `web_search_result_location`, which cites for all of its text. None for what has no URL: places in documents.
    """
    try:
        said = _decoder.decode(citation)
    except (ValueError, RecursionError):
        return None
    kind = said.get("type")
    if kind in _OWN:
        return said
    inner = said.get(_URL)
    if isinstance(inner, dict):
        said = inner
    url, title = said.get("url"), said.get("title")
    if not isinstance(url, str) or kind not in (_URL, _WEB):
        return None
    start, end = said.get("start_index"), said.get("end_index")
    if not (isinstance(start, int) and isinstance(end, int)):
        start, end = 0, length
    return {
        "type": _URL,
        "start_index": start,
        "end_index": end,
        "url": url,
        "title": title if isinstance(title, str) else "",
    }
