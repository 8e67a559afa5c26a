"""Thinking in a chat's assistant messages: `reasoning_content`, `reasoning` and `reasoning_details`.

OpenAI's own API has none of them. `reasoning_content` is DeepSeek's (api-docs.deepseek.com, Reasoning Model) and
vLLM's, `reasoning` vLLM's newer name and OpenRouter's; `reasoning_details` OpenRouter's ("Reasoning Tokens",
Preserving Reasoning Blocks): objects with type (reasoning.text, reasoning.summary, reasoning.encrypted), text, summary,
data, signature, id, format, index. `extra_content` on a tool call holds Gemini's thought signature
(ai.google.dev, Thought Signatures, OpenAI compatibility).

What an upstream of this dialect signed is kept as the JSON object it came as, without its text: that is the
signature of its canonical block, and written back as the very object.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw

from headgate.model.content import RedactedThinking, Thinking
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.members import Members
from headgate.protocols.signatures import goes_to, unwrap

TEXT: Final = "reasoning.text"
SUMMARY: Final = "reasoning.summary"
ENCRYPTED: Final = "reasoning.encrypted"
MEMBER_OF: Final = {TEXT: "text", SUMMARY: "summary"}
EXTRA_CONTENT: Final = "extra_content"
TOOL_CALL: Final = "tool_call"
BETWEEN: Final = "\n\n"
"""Between the parts of a summary and between blocks, where a dialect has one text for all."""

_STRINGS: Final = ("reasoning_content", "reasoning")
_type: Final = msgspec.json.Decoder(str)
_entry: Final = msgspec.json.Decoder(dict[str, Any])
_encode: Final = msgspec.json.Encoder().encode


def read_thinking(message: Members) -> list[Thinking | RedactedThinking]:
    """Take the thinking of an assistant message. A text that the details hold too is read once."""
    details = message.objects("reasoning_details") or []
    blocks = [_read_detail(members) for _, members in details]
    seen = "".join("".join(block.parts) for block in blocks if isinstance(block, Thinking))
    for name in _STRINGS:
        text = message.text(name)
        if text and _squeezed(text) != _squeezed(seen):
            seen = text
            mark = {} if name == _STRINGS[0] else {"member": Raw(_encode(name))}
            blocks.insert(0, Thinking((text,), extra=mark))
    return blocks


def _read_detail(members: Members) -> Thinking | RedactedThinking:
    kind = members.needed("type")
    data = members.text("data") if kind == ENCRYPTED else None
    signature = members.text("signature")
    text = members.text(MEMBER_OF[kind]) if kind in MEMBER_OF else None
    signed = unwrap(data or signature or "")
    if signed is not None and data is not None:
        return RedactedThinking(signed.signature, signed.signer)
    if signed is not None:
        return Thinking((text or "",), signed.signature or None, signed.signer, signed.item)
    extra = {"type": Raw(_encode(kind)), **members.rest()}
    if data is not None:
        return RedactedThinking(data, extra=extra)
    return Thinking(() if text is None else (text,), signature, extra=extra)


class ThinkingWriter:
    """Gathers the thinking of one assistant message for an upstream of this dialect."""

    def __init__(self, own: Dialect, provider: str, lost: set[Lost]) -> None:
        self._own = own
        self._provider = provider
        self._lost = lost
        self._texts: dict[str, list[str]] = {}
        self._details: list[object] = []
        self._tool_signatures: list[dict[str, Any]] = []

    def add(self, block: Thinking | RedactedThinking) -> None:
        """Take a block, or name it as lost where the upstream must not have it."""
        if not goes_to(block.signer, self._own, self._provider, Dialect.OPENAI_CHAT):
            self._lost.add(Lost.THINKING if isinstance(block, Thinking) else Lost.REDACTED_THINKING)
        elif isinstance(block, RedactedThinking):
            self._add_redacted(block)
        elif "type" in block.extra:
            self._details.append(_own_detail(block))
        else:
            self._add_text(block)

    def members(self) -> dict[str, object]:
        """Return the message's members."""
        members: dict[str, object] = {name: BETWEEN.join(texts) for name, texts in self._texts.items()}
        if self._details:
            members["reasoning_details"] = self._details
        return members

    def tool_members(self, call_id: str) -> dict[str, object]:
        """Return what a tool call carries of its thinking: its own, else what names no call that is left."""
        for at, signature in enumerate(self._tool_signatures):
            if signature.get(TOOL_CALL) in (call_id, None, ""):
                return {EXTRA_CONTENT: self._tool_signatures.pop(at)[EXTRA_CONTENT]}
        return {}

    def _add_redacted(self, block: RedactedThinking) -> None:
        entry = _decoded(block.data) if block.signer is not None else None
        self._details.append(entry or {"type": ENCRYPTED, **block.extra, "data": block.data})

    def _add_text(self, block: Thinking) -> None:
        text = BETWEEN.join(block.parts)
        entry = _decoded(block.signature) if block.signer is not None and block.signature else None
        if entry is not None and EXTRA_CONTENT in entry:
            self._tool_signatures.append(entry)
        elif entry is not None:
            self._details.append(_with_text(entry, text))
        elif text:
            name = _type.decode(block.extra["member"]) if "member" in block.extra else _STRINGS[0]
            self._texts.setdefault(name, []).append(text)


def _own_detail(block: Thinking) -> dict[str, object]:
    kind = _type.decode(block.extra["type"])
    entry: dict[str, object] = dict(block.extra)
    if block.parts and kind in MEMBER_OF:
        entry[MEMBER_OF[kind]] = BETWEEN.join(block.parts)
    if block.signature is not None:
        entry["signature"] = block.signature
    return entry


def _with_text(entry: dict[str, Any], text: str) -> dict[str, Any]:
    name = MEMBER_OF.get(str(entry.get("type")))
    return {"type": entry["type"], name: text, **entry} if name is not None else entry


def _decoded(text: str) -> dict[str, Any] | None:
    """Return a JSON object, None for everything else: what another gateway or an older form has signed."""
    try:
        return _entry.decode(text)
    except (ValueError, RecursionError):
        return None


def _squeezed(text: str) -> str:
    return "".join(text.split())
