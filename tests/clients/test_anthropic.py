"""The anthropic SDK against an upstream of each kind."""

import json
from typing import Any

import anthropic
import pytest
from tests.clients.given import CITY, FOREIGN_TO, LONG, LOOP, PICTURE, PROVIDERS, Trip, agree, body, png, weather
from tests.e2e.gateway import Gateway

from headgate.ledger.views import Filter
from headgate.sim import SimThread

pytestmark = pytest.mark.clients
TOOLS: Any = [{"name": "weather", "description": "The weather.", "input_schema": CITY}]
HELLO: Any = [{"role": "user", "content": "hello"}]
BRIEF: Any = {"system": "Be brief.", "max_tokens": 400}
MARK: Any = {"cache_control": {"type": "ephemeral"}}


def whole(client: anthropic.Anthropic, stream: bool, **asked: Any) -> Any:
    """Return the message, streamed through the SDK's own helper or not."""
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_stop_reason_and_usage(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str, stream: bool
) -> None:
    name = f"messages-text-{provider}-{stream}"
    said = whole(ant, stream, model=f"{provider}/{name}", messages=HELLO, **BRIEF)
    assert (said.type, said.role, said.stop_reason) == ("message", "assistant", "end_turn")
    (block,) = said.content
    assert block.text.endswith("end.")
    (request,) = agree(gateway, sim, name, calls=1)
    assert (said.usage.input_tokens, said.usage.output_tokens) == (request.usage.input, request.usage.output)
    lengthy: Any = [{"role": "user", "content": "[[sim tokens=99]]"}]
    cut = whole(ant, stream, model=f"{provider}/{name}-cut", messages=lengthy, max_tokens=16)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 16)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_async_client(
    gateway: Gateway, sim: SimThread, async_ant: anthropic.AsyncAnthropic, provider: str
) -> None:
    name = f"messages-async-{provider}"
    asked: Any = {"model": f"{provider}/{name}", "messages": HELLO, **BRIEF}
    said: Any = await async_ant.messages.create(**asked)
    events = [event async for event in await async_ant.messages.create(**asked, stream=True)]
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
    deltas: list[Any] = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in deltas) == said.content[0].text
    async with async_ant.messages.stream(**asked) as stream:
        assert "".join([text async for text in stream.text_stream]) == said.content[0].text
    agree(gateway, sim, name, calls=3)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_loop_of_three_turns(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str, stream: bool
) -> None:
    name = f"messages-loop-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "tools": TOOLS, **BRIEF}
    messages: list[Any] = [{"role": "user", "content": LOOP}]
    found = []
    for _ in range(2):
        said = whole(ant, stream, messages=messages, **asked)
        assert said.stop_reason == "tool_use"
        uses = [block for block in said.content if block.type == "tool_use"]
        assert [use.name for use in uses] == ["weather", "weather"]
        assert len({use.id for use in uses}) == 2
        found += [weather(**use.input) for use in uses]
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": uses[0].id, "content": [{"type": "text", "text": found[-2]}]},
            {"type": "tool_result", "tool_use_id": uses[1].id, "content": found[-1]},
        ]
        messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
    last = whole(ant, stream, messages=messages, **asked)
    assert last.stop_reason == "end_turn"
    assert last.content[0].text
    *_, request = agree(gateway, sim, name, calls=3)
    assert all(text in json.dumps(body(request), ensure_ascii=False) for text in found)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_results_with_pictures_and_errors(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str
) -> None:
    name = f"messages-results-{provider}"
    uses: Any = [{"type": "tool_use", "id": f"toolu_{at}", "name": "weather", "input": {"city": "Wien"}} for at in "ab"]
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}}
    texts = [{"type": "text", "text": "a map:"}, picture]
    results: Any = [
        {"type": "tool_result", "tool_use_id": "toolu_a", "content": texts},
        {"type": "tool_result", "tool_use_id": "toolu_b", "content": "no such city", "is_error": True},
    ]
    messages = [*HELLO, {"role": "assistant", "content": uses}, {"role": "user", "content": results}]
    raw = ant.messages.with_raw_response.create(model=f"{provider}/{name}", messages=messages, tools=TOOLS, **BRIEF)
    assert raw.parse().stop_reason == "end_turn"
    (request,) = agree(gateway, sim, name, calls=1)
    sent = request.body.decode()
    assert png() in sent
    assert "no such city" in sent
    lost = raw.headers.get("x-headgate-dropped")
    assert lost == (None if provider == "anthropic" else "messages.content.tool_result.is_error")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures_and_documents(gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str) -> None:
    name = f"messages-pictures-{provider}"
    content: Any = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}},
        {"type": "image", "source": {"type": "url", "url": PICTURE}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
        {"type": "text", "text": "what is this?"},
    ]
    messages: Any = [{"role": "user", "content": content}]
    assert ant.messages.create(model=f"{provider}/{name}", messages=messages, **BRIEF).content
    sent = agree(gateway, sim, name, calls=1)[0].body.decode()
    assert all(data in sent for data in (png(), PICTURE, "JVBERi0="))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output(gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str) -> None:
    name = f"messages-parse-{provider}"
    asked: Any = {"model": f"{provider}/{name}", "messages": HELLO, **BRIEF, "output_format": Trip}
    parsed: Any = ant.messages.parse(**asked).parsed_output
    assert isinstance(parsed, Trip)
    with ant.messages.stream(**asked) as events:
        streamed: Any = events.get_final_message()
    assert streamed.parsed_output == parsed
    agree(gateway, sim, name, calls=2)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_cached_tokens_stand_where_messages_have_them(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str, stream: bool
) -> None:
    name = f"messages-cached-{provider}-{stream}"
    system: Any = [{"type": "text", "text": LONG, **MARK}]
    asked: Any = {"model": f"{provider}/{name}", "messages": HELLO, "max_tokens": 400, "system": system}
    said = [whole(ant, stream, **asked) for _ in range(2)]
    for one, request in zip(said, agree(gateway, sim, name, calls=2), strict=True):
        assert one.usage.input_tokens == request.usage.input
        assert (one.usage.cache_read_input_tokens or 0) == request.usage.cache_read
        assert (one.usage.cache_creation_input_tokens or 0) == request.usage.cache_write_5m
    assert said[1].usage.cache_read_input_tokens > 1000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_thinking_is_given_back_as_it_came_and_named_where_it_cannot_go(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str, stream: bool
) -> None:
    name = f"messages-thinking-{provider}-{stream}"
    asked: Any = {
        "model": f"{provider}/{name}",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    }
    first = whole(ant, stream, messages=HELLO, **asked)
    thought = first.content[0]
    assert (thought.type, [block.type for block in first.content]) == ("thinking", ["thinking", "text"])
    assert thought.thinking
    assert thought.signature
    messages: Any = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": "and then?"}]
    raw = ant.messages.with_raw_response.create(messages=messages, **asked)
    assert "messages.content.thinking" not in raw.headers.get("x-headgate-dropped", "")
    made, request = agree(gateway, sim, name, calls=2)
    word = "signature" if provider == "anthropic" else "encrypted_content"
    sent = body(request)["messages" if provider == "anthropic" else "input"]
    blocks = sent[1]["content"] if provider == "anthropic" else sent
    (signed,) = [block[word] for block in blocks if block.get(word)]
    assert json.dumps(signed).encode() in made.answer
    for other in PROVIDERS:
        if other == provider:
            continue
        elsewhere = ant.messages.with_raw_response.create(
            messages=messages, **asked | {"model": f"{other}/{name}-{other}"}
        )
        assert "messages.content.thinking" in elsewhere.headers["x-headgate-dropped"]
        (strange,) = agree(gateway, sim, f"{name}-{other}", calls=1)
        assert signed not in strange.body.decode()
    back = ant.messages.create(messages=messages, **asked)
    assert back.content[-1].type == "text"
    assert signed in agree(gateway, sim, name, calls=3)[2].body.decode(), "the conversation still holds it"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_sdks_tool_runner(
    gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str, stream: bool
) -> None:
    name = f"messages-runner-{provider}-{stream}"
    asked: list[str] = []

    def tell(city: str) -> str:
        asked.append(city)
        return weather(city)

    tool = anthropic.beta_tool(tell, name="weather", description="The weather of a city.")
    runner: Any = ant.beta.messages.tool_runner(
        model=f"{provider}/{name}",
        max_tokens=400,
        messages=[{"role": "user", "content": LOOP}],
        tools=[tool],
        stream=stream,
    )
    last: Any = runner.until_done()
    assert last.stop_reason == "end_turn"
    assert last.content[0].text
    assert len(asked) == 4
    *_, request = agree(gateway, sim, name, calls=3)
    outcomes = [row["outcome"] for row in gateway.read(lambda reader: reader.calls(Filter(model=f"{provider}/{name}")))]
    # The runner continues a message thread. Where none is held it sends all, the second time for good.
    assert outcomes.count("rejected") == (0 if provider == "anthropic" else 2)
    known = asked[2:] if provider == "anthropic" else asked
    assert all(weather(city) in json.dumps(body(request), ensure_ascii=False) for city in known)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_are_counted_or_estimated(ant: anthropic.Anthropic, provider: str) -> None:
    raw = ant.messages.with_raw_response.count_tokens(
        model=f"{provider}/messages-counted", messages=[{"role": "user", "content": LONG}], tools=TOOLS
    )
    assert len(LONG) / 6 < raw.parse().input_tokens < len(LONG) / 2
    assert raw.headers.get("x-headgate-estimated") == ("true" if provider in FOREIGN_TO["messages"] else None)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_choice_of_tool(ant: anthropic.Anthropic, provider: str) -> None:
    asked: Any = {"model": f"{provider}/messages-forced", "messages": HELLO, "tools": TOOLS, **BRIEF}
    choices: Any = [{"type": "any"}, {"type": "tool", "name": "weather", "disable_parallel_tool_use": True}]
    for choice in choices:
        said = ant.messages.create(**asked, tool_choice=choice)
        assert [block.type for block in said.content] == ["tool_use"]
    none = ant.messages.create(**asked, tool_choice={"type": "none"})
    assert [block.type for block in none.content] == ["text"]
