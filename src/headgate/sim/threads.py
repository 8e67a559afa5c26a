"""Anthropic's message threads: the vendor holds a conversation under the id of its last answer.

platform.claude.com/docs/en/build-with-claude/message-threads; errors as in anthropic/types/thread_*_error_details.py.
"""

from typing import Any

from headgate.sim.ask import Json, Refusal

BETA = "message-threads-2026-08-12"
_KEPT = 1000


class Threads:
    """Conversations by the id of the answer that they ended with; the oldest are forgotten."""

    def __init__(self) -> None:
        self._held: dict[str, Json] = {}

    def clear(self) -> None:
        """Forget all, as the vendor does after five minutes."""
        self._held.clear()

    def whole(self, body: Json, betas: str) -> Json:
        """Return a request with all of its conversation. Raises Refusal."""
        thread = body.get("thread")
        if thread is None:
            return body
        if BETA not in betas:
            raise Refusal("thread: Extra inputs are not permitted", param="thread")
        kind = thread.get("type") if isinstance(thread, dict) else None
        if kind == "create":
            return body
        if kind != "continue":
            raise Refusal("thread: Input should be 'create' or 'continue'", param="thread")
        held = self._held.get(str(thread.get("previous_message_id")))
        if held is None:
            details = {"error_code": "thread_not_found"}
            raise Refusal("No usable Thread state was found.", status=404, details=details)
        if body.get("system") is not None or body.get("tools") is not None:
            raise Refusal("thread: system and tools are those of the Thread", param="thread")
        return {**body, **held, "messages": [*held["messages"], *_messages(body)]}

    def remember(self, body: Json, answer: Json) -> None:
        """Hold the conversation that a request with all of its messages and its answer make."""
        held = {name: body[name] for name in ("system", "tools") if name in body}
        said = {"role": "assistant", "content": answer["content"]}
        self._held[answer["id"]] = held | {"messages": [*_messages(body), said]}
        while len(self._held) > _KEPT:
            del self._held[next(iter(self._held))]


def _messages(body: Json) -> list[Any]:
    found = body.get("messages")
    return found if isinstance(found, list) else []
