"""Deltas as different servers write them, all of a text's frames alike but for what varies."""

import json
from collections.abc import Callable

from tests.protocols.transcripts import chat, frame, named

from headgate.model.dialect import Endpoint

Wire = Callable[[str, int], bytes]
"""Returns the frame of a delta with this text, the how-many-th of its stream."""


def padding(number: int) -> str:
    return "aB3" * (number % 5)


def openai(text: str, number: int) -> bytes:
    return chat({"content": text}, obfuscation=padding(number))


def together(text: str, number: int) -> bytes:
    delta = {"token_id": number * 7, "role": "assistant", "content": text, "tool_calls": None}
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": None, "seed": None, "delta": delta}
    return frame({"id": "x", "object": "chat.completion.chunk", "created": 1, "choices": [choice], "usage": None})


def counting(text: str, number: int) -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9, "prompt_tokens_details": {"audio": number}}
    return chat({"content": text}, usage=usage)


def arguments(text: str, number: int) -> bytes:
    call = {"index": number // 40, "function": {"arguments": text}}
    return chat({"tool_calls": [call]})


def thinking_twice(text: str, number: int) -> bytes:
    return chat({"reasoning": text, "reasoning_content": text})


def ticking(text: str, number: int) -> bytes:
    return chat({"content": text}, created=1_700_000_000 + number // 20)


def choices(text: str, number: int) -> bytes:
    return chat({"content": text}, index=number % 3)


def ascii_only(text: str, number: int) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n".encode()


def crlf(text: str, number: int) -> bytes:
    return openai(text, number).replace(b"\n", b"\r\n")


def legacy(text: str, number: int) -> bytes:
    return frame({"id": "c", "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": None}]})


def anthropic(text: str, number: int) -> bytes:
    return named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def anthropic_input(text: str, number: int) -> bytes:
    return named(
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": text}}
    )


def responses(text: str, number: int) -> bytes:
    head = {"type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_1", "output_index": 0}
    return named({**head, "content_index": 0, "delta": text, "logprobs": [], "obfuscation": padding(number)})


def alphabetical(text: str, number: int) -> bytes:
    head = {"type": "response.output_text.delta", "content_index": 0, "delta": text, "item_id": "msg_1"}
    tail = {"logprobs": [], "obfuscation": padding(number), "output_index": 0, "sequence_number": number}
    return named({**head, **tail})


def call_input(text: str, number: int) -> bytes:
    kind = "response.function_call_arguments.delta"
    return named({"type": kind, "sequence_number": number, "item_id": "fc_1", "output_index": 1, "delta": text})


WIRES = [
    *((Endpoint.CHAT, wire) for wire in (openai, together, counting, arguments, thinking_twice, ticking, ascii_only)),
    *((Endpoint.CHAT, wire) for wire in (crlf, choices)),
    (Endpoint.COMPLETIONS, legacy),
    (Endpoint.MESSAGES, anthropic),
    (Endpoint.MESSAGES, anthropic_input),
    (Endpoint.RESPONSES, responses),
    (Endpoint.RESPONSES, alphabetical),
    (Endpoint.RESPONSES, call_input),
]
