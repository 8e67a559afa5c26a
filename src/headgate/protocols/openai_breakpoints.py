"""`prompt_cache_breakpoint` of a content part: OpenAI's mark after what its prompt cache shall keep.

Form: PromptCacheBreakpoint in openai.types.chat.chat_completion_content_part_text_param, the same in Responses. Models
before GPT-5.6 and other servers refuse it, so marks of other dialects do not become one.
"""

from typing import Final, Literal

import msgspec

from headgate.model.content import Cache
from headgate.protocols.members import Members

BREAKPOINT: Final = "prompt_cache_breakpoint"

TTL: Final = {"": "", "30m": "1h", "12h": "1h"}
"""A lifetime in Anthropic's words: what lives as long at least, or the longest that there is."""


class _Mark(msgspec.Struct, forbid_unknown_fields=True):
    mode: Literal["explicit"]
    ttl: Literal["", "30m", "12h"] = ""


_decoder: Final = msgspec.json.Decoder(_Mark)


def take_breakpoint(part: Members) -> Cache | None:
    """Take the mark of a part; one of another form stays."""
    raw = part.raw(BREAKPOINT)
    if raw is None:
        return None
    try:
        ttl = TTL[_decoder.decode(raw).ttl]
    except ValueError:
        part.put_back(BREAKPOINT, raw)
        return None
    return Cache(ttl, raw)
