"""Answers that fit a schema, tools called several turns long, log probabilities."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from headgate.sim import SimServer, SimThread
from headgate.sim.examples import example
from headgate.sim.words import Dice, count, split

Ask = Callable[..., Coroutine[Any, Any, Any]]
NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", "b"]},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/Stop"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "end": {"type": ["integer", "null"]},
    },
    "required": ["kind", "stops", "note", "end"],
    "additionalProperties": False,
    "$defs": {
        "Stop": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Stop"}, {"type": "null"}]}},
            "required": ["city"],
        }
    },
}
FORMATS: dict[str, Any] = {
    "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "trip", "schema": NESTED}}},
    "responses": {"text": {"format": {"type": "json_schema", "name": "trip", "schema": NESTED}}},
    "messages": {"output_config": {"format": {"type": "json_schema", "schema": NESTED}}},
}


def said(dialect: str, body: Any) -> str:
    text = {
        "chat": lambda: body["choices"][0]["message"]["content"],
        "responses": lambda: body["output"][0]["content"][0]["text"],
        "messages": lambda: body["content"][0]["text"],
    }[dialect]()
    return str(text)


@pytest.mark.parametrize("dialect", FORMATS)
async def test_a_schema_is_fitted(ask: Ask, sim: SimServer, dialect: str) -> None:
    heard = await ask(dialect, "hello", stream=False, **FORMATS[dialect])
    text = said(dialect, heard.json)
    Draft202012Validator(NESTED).validate(json.loads(text))
    assert count(text) <= sim.requests[0].usage.output <= len(text)


@given(st.integers())
def test_every_seed_fits_the_schema(seed: int) -> None:
    Draft202012Validator(NESTED).validate(example(Dice(seed), NESTED))


def test_a_schema_that_holds_itself_has_an_end() -> None:
    loop = {"$ref": "#/$defs/Loop", "$defs": {"Loop": {"$ref": "#/$defs/Loop"}}}
    deep = {"type": "object", "properties": {"child": {"$ref": "#"}}, "required": ["child"]}
    assert isinstance(example(Dice(1), loop), str)
    assert json.dumps(example(Dice(1), deep)).count("child") < 20


@given(st.text())
def test_a_split_text_is_whole_and_no_piece_more_than_a_token(text: str) -> None:
    parts = split(text)
    assert "".join(parts) == text
    assert all(count(part) == 1 for part in parts)


async def test_a_schema_ends_at_the_maximum(ask: Ask) -> None:
    heard = await ask("chat", "hello", stream=False, max_tokens=2, **FORMATS["chat"])
    choice = heard.json["choices"][0]
    assert choice["finish_reason"] == "length"
    assert heard.json["usage"]["completion_tokens"] == 2


async def test_a_format_without_its_schema_is_refused(ask: Ask) -> None:
    heard = await ask("responses", "hello", text={"format": {"type": "json_schema", "name": "x"}})
    assert heard.status == 400


def test_tools_are_called_as_many_turns_as_a_directive_says() -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": NESTED}}]
    messages: list[Any] = [{"role": "user", "content": "[[sim tool=weather calls=2 turns=3]]"}]
    turns: list[int] = []
    with SimThread(seed=1) as sim, openai.OpenAI(base_url=f"{sim.url}/v1", api_key="k", max_retries=0) as client:
        while len(turns) < 6:
            message = client.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
            turns.append(len(message.tool_calls or ()))
            if not message.tool_calls:
                break
            messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in message.tool_calls]})
            messages += [{"role": "tool", "tool_call_id": call.id, "content": "x"} for call in message.tool_calls]
    assert turns == [2, 2, 2, 0]


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probabilities_are_of_the_text(ask: Ask, stream: bool) -> None:
    heard = await ask("chat", "hello", stream=stream, logprobs=True, top_logprobs=2)
    chunks = heard.data if stream else [heard.json]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    entries = [entry for choice in choices if choice["logprobs"] for entry in choice["logprobs"]["content"]]
    texts = [choice["delta"].get("content") if stream else choice["message"]["content"] for choice in choices]
    assert "".join(entry["token"] for entry in entries) == "".join(text or "" for text in texts)
    assert all(len(entry["top_logprobs"]) == 2 and entry["logprob"] < 0 for entry in entries)
