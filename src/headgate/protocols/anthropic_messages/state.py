"""Message threads: the upstream holds what came before, so that a request brings only what is new.

platform.claude.com/docs/en/build-with-claude/message-threads: a request that creates a thread holds the whole
conversation, and nobody promises to keep it; one that continues it holds no system prompt, no tools and no history, and
must be sent whole once more after a 404 `thread_not_found`.
"""

from typing import Any, Final

import msgspec

from headgate.model.request import RequestHead
from headgate.protocols.head_fields import given


class _Thread(msgspec.Struct):
    type: Any = None
    previous_message_id: Any = None


_decode: Final = msgspec.json.Decoder(_Thread).decode
_NONE: Final = _Thread("create")


def needs_state(head: RequestHead) -> str | None:
    """Return `thread` where the request goes on from what an upstream holds; None where all of it is here."""
    return None if _thread(head).type == "create" else "thread"


def previous(head: RequestHead) -> str | None:
    """Return the id of the message that the request goes on from, None where it names none."""
    found = _thread(head).previous_message_id
    return found if isinstance(found, str) else None


def keeps_state(head: RequestHead) -> bool:
    """Tell whether a later request may go on from the answer to this one."""
    return given(head.fields, "thread")


def _thread(head: RequestHead) -> _Thread:
    if not given(head.fields, "thread"):
        return _NONE
    try:
        return _decode(head.fields["thread"])
    except (ValueError, RecursionError):
        return _Thread()
