"""Calls written as text, leaked thinking and stop markers, over sockets: every dialect to every other, by the SDKs.

Also names of tools that have to change on their way: those of namespaces, and those too long for an upstream.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.parrot import repeating
from tests.e2e.wire import asked

from headgate.sim import SimThread

UPSTREAMS = ("chat", "responses", "claude")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = '{"name": "weather", "arguments": {"city": "Wien"}}'
CODE = 'Like so:\n```python\nprint({"name": "weather"})\n```\n<b>done</b>'
WRITTEN = {
    "bare": CALL,
    "fenced": f"```json\n{CALL}\n```",
    "tagged": f"<tool_call>{CALL}</tool_call>",
    "function": "<function=weather><parameter=city>Wien</parameter></function>",
    "python": "[{'name': 'weather', 'arguments': {'city': 'Wien',},}]",
}


class Said(NamedTuple):
    """What an SDK makes of an answer, whatever its dialect."""

    text: str
    calls: list[tuple[str, Any]]
    end: str
    output: int


@pytest.fixture(scope="module")
def shaping(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with repeating() as parrot:
        shape = f"price: {PRICE}, repair_tools: true, strip_thinking: true, strip_stop_markers: true"
        config = f"""
providers:
  chat: {{kind: openai, base_url: "{parrot}/v1", {shape}}}
  responses: {{kind: openai_responses, base_url: "{parrot}/v1", {shape}}}
  claude: {{kind: anthropic, base_url: "{parrot}/v1", {shape}}}
  sim-chat: {{kind: openai, base_url: "{sim.url}", price: {PRICE}}}
  sim-claude: {{kind: anthropic, base_url: "{sim.url}", price: {PRICE}}}
"""
        with Gateway(tmp_path_factory.mktemp("shaping"), sim, config) as gateway:
            yield gateway


@pytest.fixture
def oai(shaping: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{shaping.url}/v1", api_key=shaping.key, max_retries=0) as client:
        yield client


@pytest.fixture
def ant(shaping: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=shaping.url, api_key=shaping.key, max_retries=0) as client:
        yield client


def through_chat(oai: openai.OpenAI, model: str, text: str, *, stream: bool) -> Said:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    messages: Any = [{"role": "user", "content": text}]
    more: Any = {"model": model, "messages": messages, "tools": tools}
    if stream:
        with oai.chat.completions.stream(**more, stream_options={"include_usage": True}) as events:
            answer: Any = events.get_final_completion()
    else:
        answer = oai.chat.completions.create(**more)
    choice = answer.choices[0]
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()]
    end = {"tool_calls": "tools", "stop": "stop"}[choice.finish_reason]
    return Said(choice.message.content or "", calls, end, answer.usage.completion_tokens)


def through_responses(oai: openai.OpenAI, model: str, text: str, *, stream: bool) -> Said:
    tools: Any = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    more: Any = {"model": model, "input": text, "tools": tools}
    if stream:
        with oai.responses.stream(**more) as events:
            answer: Any = events.get_final_response()
    else:
        answer = oai.responses.create(**more)
    calls = [(item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"]
    assert answer.status == "completed"
    return Said(answer.output_text, calls, "tools" if calls else "stop", answer.usage.output_tokens)


def through_messages(ant: anthropic.Anthropic, model: str, text: str, *, stream: bool) -> Said:
    more: Any = {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}
    more |= {"tools": [{"name": "weather", "input_schema": SCHEMA}]}
    if stream:
        with ant.messages.stream(**more) as events:
            answer = events.get_final_message()
    else:
        answer = ant.messages.create(**more)
    said = "".join(block.text for block in answer.content if block.type == "text")
    calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
    end = {"tool_use": "tools", "end_turn": "stop"}[answer.stop_reason or ""]
    return Said(said, calls, end, answer.usage.output_tokens)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("client", ["chat", "responses", "messages"])
def test_what_a_model_leaks_is_mended_for_every_client_of_every_upstream(
    oai: openai.OpenAI, ant: anthropic.Anthropic, client: str, upstream: str, stream: bool
) -> None:
    def ask(text: str) -> Said:
        if client == "messages":
            return through_messages(ant, f"{upstream}/leaky", text, stream=stream)
        through = through_chat if client == "chat" else through_responses
        return through(oai, f"{upstream}/leaky", text, stream=stream)

    for form, written in WRITTEN.items():
        said = ask(f"<think>Which city?</think>I look.\n{written}</s>")
        assert said.calls == [("weather", {"city": "Wien"})], form
        assert said.text.strip() == "I look.", form
        assert (said.end, said.output) == ("tools", 7), form
    assert ask(f"{CODE}<|im_end|>") == Said(CODE, [], "stop", 7)
    unknown = '{"name": "rocket", "arguments": {}}'
    assert ask(unknown) == Said(unknown, [], "stop", 7)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("upstream", ["sim-chat", "sim-claude"])
def test_a_tool_in_a_namespace_is_called_by_both_names_on_a_foreign_upstream(
    sim: SimThread, oai: openai.OpenAI, upstream: str, stream: bool
) -> None:
    inner: Any = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}
    tools: Any = [{"type": "namespace", "name": "mcp__sky", "description": "The sky.", "tools": [inner]}]
    name = f"named-{stream}"
    more: Any = {"model": f"{upstream}/{name}", "tools": tools}
    question: Any = {"role": "user", "content": "[[sim tool=mcp__sky__weather]]"}
    if stream:
        with oai.responses.stream(input=[question], **more) as events:
            first: Any = events.get_final_response()
    else:
        first = oai.responses.create(input=[question], **more)
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.namespace, call.name) == ("mcp__sky", "weather")
    assert "city" in json.loads(call.arguments)
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    back = [item.to_dict(mode="json") for item in first.output]
    again = oai.responses.with_raw_response.create(input=[question, *back, result], **more)
    assert again.parse().output_text
    assert "x-headgate-dropped" not in again.headers
    assert b"mcp__sky__weather" in asked(sim, name)[-1].body
    assert b"namespace" not in asked(sim, name)[-1].body


@pytest.mark.parametrize("stream", [False, True])
def test_a_long_tool_name_of_claude_code_works_on_openais_dialect(
    sim: SimThread, ant: anthropic.Anthropic, stream: bool
) -> None:
    long = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__get_console_message"
    more: Any = {
        "model": f"sim-chat/long-{stream}",
        "max_tokens": 200,
        "tools": [{"name": long, "input_schema": SCHEMA}],
    }
    question: Any = [{"role": "user", "content": "[[sim tool=any]]"}]
    if stream:
        with ant.messages.stream(messages=question, **more) as events:
            message = events.get_final_message()
    else:
        message = ant.messages.create(messages=question, **more)
    assert [block.name for block in message.content if block.type == "tool_use"] == [long]
    body = json.loads(asked(sim, f"long-{stream}")[-1].body)
    assert len(body["tools"][0]["function"]["name"]) <= 64
