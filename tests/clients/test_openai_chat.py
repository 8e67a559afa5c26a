"""The openai SDK's chat completions against an upstream of each kind."""

import json
from typing import Any

import openai
import pytest
from tests.clients.given import CACHED, CITY, LONG, LOOP, PICTURE, PROVIDERS, Trip, agree, body, png, weather
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

pytestmark = pytest.mark.clients
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": CITY, "strict": True}}]
SYSTEM: Any = {"role": "system", "content": "Be brief."}
HELLO: Any = [SYSTEM, {"role": "user", "content": "hello"}]
LENGTHY: Any = [SYSTEM, {"role": "user", "content": "[[sim tokens=99]]"}]
USAGE: Any = {"include_usage": True}


def whole(client: openai.OpenAI, stream: bool, **asked: Any) -> Any:
    """Return the completion, streamed through the SDK's own helper or not."""
    if not stream:
        return client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked, stream_options=USAGE) as chunks:
        return chunks.get_final_completion()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_finish_and_usage(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"chat-text-{provider}-{stream}"
    said = whole(oai, stream, model=f"{provider}/{name}", messages=HELLO, max_tokens=200)
    assert said.object == "chat.completion"
    assert said.choices[0].message.role == "assistant"
    assert said.choices[0].message.content.endswith("end.")
    assert said.choices[0].finish_reason == "stop"
    (request,) = agree(gateway, sim, name, calls=1)
    usage = request.usage
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (usage.input, usage.output)
    assert said.usage.total_tokens == usage.input + usage.output
    cut = oai.chat.completions.create(model=f"{provider}/{name}-cut", messages=LENGTHY, max_completion_tokens=16)
    assert cut.usage is not None
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 16)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_async_client(gateway: Gateway, sim: SimThread, async_oai: openai.AsyncOpenAI, provider: str) -> None:
    name = f"chat-async-{provider}"
    asked: Any = {"model": f"{provider}/{name}", "messages": HELLO, "max_tokens": 200}
    said = (await async_oai.chat.completions.create(**asked)).choices[0].message.content
    chunks = [chunk async for chunk in await async_oai.chat.completions.create(**asked, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == said
    assert all(chunk.usage is None for chunk in chunks), "nobody asked for it"
    async with async_oai.chat.completions.stream(**asked, stream_options=USAGE) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == said
    agree(gateway, sim, name, calls=3)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_loop_of_three_turns(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"chat-loop-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "tools": TOOLS, "max_tokens": 400}
    messages: list[Any] = [SYSTEM, {"role": "user", "content": LOOP}]
    for _ in range(2):
        choice = whole(oai, stream, messages=messages, **asked).choices[0]
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls
        assert [call.function.name for call in calls] == ["weather", "weather"]
        assert len({call.id for call in calls}) == 2
        messages.append(choice.message)
        for call in calls:
            found = weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
    last = whole(oai, stream, messages=messages, **asked).choices[0]
    assert last.finish_reason == "stop"
    assert last.message.content
    assert not last.message.tool_calls
    *_, request = agree(gateway, sim, name, calls=3)
    for message in messages:
        if isinstance(message, dict) and message["role"] == "tool":
            assert message["content"] in request.body.decode(), "the model reads what the tool found"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_choice_of_tool_and_a_tool_the_sdk_parses(oai: openai.OpenAI, provider: str) -> None:
    asked: Any = {"model": f"{provider}/chat-forced", "messages": HELLO, "max_tokens": 400}
    tool = openai.pydantic_function_tool(Trip, name="plan")
    forced: Any = {"type": "function", "function": {"name": "plan"}}
    completion: Any = oai.chat.completions.parse(**asked, tools=[*TOOLS, tool], tool_choice=forced)
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name == "plan"
    assert isinstance(call.function.parsed_arguments, Trip)
    none = oai.chat.completions.create(**asked, tools=TOOLS, tool_choice="none")
    assert none.choices[0].message.content
    one: Any = oai.chat.completions.create(**asked, tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
    assert len(one.choices[0].message.tool_calls) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool) -> None:
    name = f"chat-parse-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "messages": HELLO, "max_tokens": 400, "response_format": Trip}
    if stream:
        with oai.chat.completions.stream(**asked) as events:
            parsed: Any = events.get_final_completion().choices[0].message.parsed
    else:
        parsed = oai.chat.completions.parse(**asked).choices[0].message.parsed
    assert isinstance(parsed, Trip)
    assert parsed.stops
    agree(gateway, sim, name, calls=1)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output_that_was_cut_raises_the_sdks_own_error(oai: openai.OpenAI, provider: str) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        oai.chat.completions.parse(
            model=f"{provider}/chat-parse-cut", messages=HELLO, max_tokens=2, response_format=Trip
        )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", CACHED)
def test_cached_tokens_stand_where_chat_has_them(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"chat-cached-{provider}-{stream}"
    messages: Any = [{"role": "system", "content": LONG}, {"role": "user", "content": "hello"}]
    said = [whole(oai, stream, model=f"{provider}/{name}", messages=messages, max_tokens=50) for _ in range(2)]
    for one, request in zip(said, agree(gateway, sim, name, calls=2), strict=True):
        usage = request.usage
        assert one.usage.prompt_tokens == usage.total_input
        assert (one.usage.prompt_tokens_details.cached_tokens or 0) == usage.cache_read
    assert said[1].usage.prompt_tokens_details.cached_tokens > 1000


@pytest.mark.parametrize("stream", [False, True])
def test_two_choices_where_the_upstream_has_them(oai: openai.OpenAI, stream: bool) -> None:
    said = whole(oai, stream, model=f"openai/chat-n-{stream}", messages=HELLO, max_tokens=50, n=2)
    assert [choice.index for choice in said.choices] == [0, 1]
    assert all(choice.message.content and choice.finish_reason == "stop" for choice in said.choices)


@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_two_choices_of_a_foreign_upstream(gateway: Gateway, oai: openai.OpenAI, provider: str) -> None:
    raw = oai.chat.completions.with_raw_response.create(model=f"{provider}/chat-n", messages=HELLO, max_tokens=50, n=2)
    assert raw.headers["x-headgate-dropped"] == "n"
    assert len(raw.parse().choices) == 1
    assert gateway.call(raw.headers["x-headgate-call"])["dropped"] == "n"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["openai", "responses"])
def test_log_probabilities_where_the_upstream_has_them(oai: openai.OpenAI, provider: str, stream: bool) -> None:
    asked: Any = {"model": f"{provider}/chat-logprobs", "messages": HELLO, "logprobs": True, "top_logprobs": 2}
    choice = whole(oai, stream, **asked).choices[0]
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    assert all(len(entry.top_logprobs) == 2 and entry.logprob < 0 for entry in choice.logprobs.content)


def test_log_probabilities_that_no_upstream_tells_are_named(oai: openai.OpenAI) -> None:
    raw = oai.chat.completions.with_raw_response.create(
        model="anthropic/chat-logprobs", messages=HELLO, logprobs=True, top_logprobs=2, max_tokens=50
    )
    assert raw.headers["x-headgate-dropped"] == "logprobs, top_logprobs"
    assert raw.parse().choices[0].logprobs is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str) -> None:
    name = f"chat-pictures-{provider}"
    content: Any = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png()}"}},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ]
    raw = oai.chat.completions.with_raw_response.create(
        model=f"{provider}/{name}", messages=[{"role": "user", "content": content}], max_tokens=50
    )
    assert "x-headgate-dropped" not in raw.headers
    assert raw.parse().choices[0].message.content
    (request,) = agree(gateway, sim, name, calls=1)
    parts = body(request)["input" if provider == "responses" else "messages"][-1]["content"]
    assert len(parts) == 3
    if provider == "anthropic":
        assert parts[1]["source"] == {"type": "base64", "media_type": "image/png", "data": png()}
        assert parts[2]["source"] == {"type": "url", "url": PICTURE}
    else:
        assert png() in json.dumps(parts[1])
        assert PICTURE in json.dumps(parts[2])


@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_a_sound_that_cannot_be_carried_is_named(oai: openai.OpenAI, provider: str) -> None:
    content: Any = [
        {"type": "text", "text": "what is this?"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    raw = oai.chat.completions.with_raw_response.create(
        model=f"{provider}/chat-sound", messages=[{"role": "user", "content": content}], max_tokens=50
    )
    assert raw.headers["x-headgate-dropped"] == "messages.content.input_audio"
    assert raw.parse().choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_reasoning_is_charged_and_told(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"chat-reasoning-{provider}-{stream}"
    said = whole(
        oai, stream, model=f"{provider}/{name}", messages=HELLO, reasoning_effort="low", max_completion_tokens=4000
    )
    assert said.choices[0].message.content
    (request,) = agree(gateway, sim, name, calls=1)
    assert request.usage.reasoning > 0
    assert said.usage.completion_tokens_details.reasoning_tokens == request.usage.reasoning
