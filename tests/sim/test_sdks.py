"""The official SDKs, sync and async, straight against the sim."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from headgate.sim import SimThread

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
RESPONSE_TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
ANTHROPIC_TOOL: Any = {"name": "weather", "input_schema": PARAMETERS}
HELLO: Any = [{"role": "user", "content": "hello"}]
CALL: Any = [{"role": "user", "content": "[[sim tool=weather calls=2]]"}]


@pytest.fixture
def sim() -> Iterator[SimThread]:
    with SimThread(seed=1) as running:
        yield running


@pytest.fixture
def oai(sim: SimThread) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sim.url + "/v1", api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def ant(sim: SimThread) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=sim.url, api_key="sk-test", max_retries=0) as client:
        yield client


def test_openai_chat(sim: SimThread, oai: openai.OpenAI) -> None:
    answer = oai.chat.completions.create(model="m", messages=HELLO)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    record = sim.requests[0]
    assert (record.usage.input, record.usage.output) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert record.header("authorization") == "Bearer sk-test"
    assert "sk-test" not in repr(record)


def test_openai_chat_stream_accumulates(oai: openai.OpenAI) -> None:
    whole = oai.chat.completions.create(model="m", messages=HELLO).choices[0].message.content
    with oai.chat.completions.stream(model="m", messages=HELLO, stream_options={"include_usage": True}) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole
    assert final.usage is not None


def test_openai_chat_streams_tool_calls_in_pieces(oai: openai.OpenAI) -> None:
    unary = oai.chat.completions.create(model="m", messages=CALL, tools=[CHAT_TOOL]).choices[0].message
    with oai.chat.completions.stream(model="m", messages=CALL, tools=[CHAT_TOOL]) as stream:
        pieces = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert len(pieces) > 4
    assert final.message.tool_calls is not None
    assert unary.tool_calls is not None
    streamed: Any = final.message.tool_calls
    whole: Any = unary.tool_calls
    assert [call.function.arguments for call in streamed] == [call.function.arguments for call in whole]


def test_openai_responses(oai: openai.OpenAI) -> None:
    answer = oai.responses.create(model="m", input="hello", reasoning={"effort": "low", "summary": "auto"})
    assert answer.output_text.endswith("end.")
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens == 16
    assert answer.output[0].type == "reasoning"
    with oai.responses.stream(model="m", input="hello", reasoning={"effort": "low", "summary": "auto"}) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == answer.output_text
    assert final.usage == answer.usage


def test_openai_responses_tool_calls(oai: openai.OpenAI) -> None:
    with oai.responses.stream(model="m", input="[[sim tool=weather]]", tools=[RESPONSE_TOOL]) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_response()
    assert events.count("response.function_call_arguments.delta") > 1
    assert final.output[0].type == "function_call"


def test_openai_responses_incomplete(oai: openai.OpenAI) -> None:
    events = list(oai.responses.create(model="m", input="hi", max_output_tokens=3, stream=True))
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


def test_openai_others(oai: openai.OpenAI) -> None:
    text = oai.completions.create(model="m", prompt="hello", max_tokens=5)
    assert text.choices[0].finish_reason == "length"
    chunks = list(oai.completions.create(model="m", prompt="hello", max_tokens=5, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == text.choices[0].text
    packed = oai.embeddings.create(model="m", input=["a", "b"], dimensions=8)
    plain = oai.embeddings.create(model="m", input=["a", "b"], dimensions=8, encoding_format="float")
    assert [list(item.embedding) for item in packed.data] == [item.embedding for item in plain.data]
    assert oai.models.retrieve("sim-small").id == "sim-small"
    assert "sim-429" in [model.id for model in oai.models.list()]


def test_openai_errors_are_typed(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        oai.chat.completions.create(model="sim-429", messages=HELLO)
    assert caught.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.APIError):
        list(oai.chat.completions.create(model="sim-error-mid", messages=HELLO, stream=True))


def test_anthropic_messages(sim: SimThread, ant: anthropic.Anthropic) -> None:
    answer = ant.messages.create(model="m", max_tokens=100, messages=HELLO)
    assert answer.stop_reason == "end_turn"
    assert sim.requests[0].usage.input == answer.usage.input_tokens
    counted = ant.messages.count_tokens(model="m", messages=HELLO)
    assert counted.input_tokens == answer.usage.input_tokens
    sim.settled()
    assert len(sim.bill.lines) == 2
    assert sim.bill.usage.output == answer.usage.output_tokens


def test_anthropic_stream_with_thinking_and_tools(ant: anthropic.Anthropic) -> None:
    asked: Any = {
        "model": "m",
        "max_tokens": 2000,
        "messages": CALL,
        "tools": [ANTHROPIC_TOOL],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    whole = ant.messages.create(**asked)
    with ant.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "tool_use", "tool_use"]
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
    assert final.stop_reason == "tool_use"
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.output_tokens_details == whole.usage.output_tokens_details
    assert whole.usage.output_tokens_details is not None
    assert whole.usage.output_tokens_details.thinking_tokens == 16
    assert final.content[0].signature  # type: ignore[union-attr]  # its type is asserted above


def test_anthropic_errors_are_typed(ant: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        ant.messages.create(model="sim-529", max_tokens=10, messages=HELLO)
    assert caught.value.status_code == 529
    with pytest.raises(anthropic.APIStatusError):
        list(ant.messages.create(model="sim-error-mid", max_tokens=10, messages=HELLO, stream=True))


async def test_async_sdks(sim: SimThread) -> None:
    async with openai.AsyncOpenAI(base_url=sim.url + "/v1", api_key="k", max_retries=0) as oai:
        whole = (await oai.chat.completions.create(model="m", messages=HELLO)).choices[0].message.content
        parts = [
            chunk.choices[0].delta.content or ""
            async for chunk in await oai.chat.completions.create(model="m", messages=HELLO, stream=True)
        ]
        assert "".join(parts) == whole
        async with oai.responses.stream(model="m", input="hi") as responses:
            response = await responses.get_final_response()
        assert response.output_text == (await oai.responses.create(model="m", input="hi")).output_text
    async with anthropic.AsyncAnthropic(base_url=sim.url, api_key="k", max_retries=0) as ant:
        message = await ant.messages.create(model="m", max_tokens=99, messages=HELLO)
        async with ant.messages.stream(model="m", max_tokens=99, messages=HELLO) as stream:
            streamed = (await stream.get_final_message()).content[0]
        assert (streamed.type, message.content[0].type) == ("text", "text")
        assert getattr(streamed, "text", 1) == getattr(message.content[0], "text", 2)


def test_a_required_key_is_checked_in_both_spellings() -> None:
    with SimThread(api_key="right") as sim:
        for key in ("right", "wrong"):
            oai = openai.OpenAI(base_url=sim.url + "/v1", api_key=key, max_retries=0)
            ant = anthropic.Anthropic(base_url=sim.url, api_key=key, max_retries=0)
            with oai, ant:
                if key == "right":
                    oai.chat.completions.create(model="m", messages=HELLO)
                    ant.messages.create(model="m", max_tokens=9, messages=HELLO)
                    continue
                with pytest.raises(openai.AuthenticationError):
                    oai.chat.completions.create(model="m", messages=HELLO)
                with pytest.raises(anthropic.AuthenticationError):
                    ant.messages.create(model="m", max_tokens=9, messages=HELLO)
