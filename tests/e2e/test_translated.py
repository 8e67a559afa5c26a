"""Any client on any upstream, over sockets: what the SDKs see, what the ledger says, what the upstream charged."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.wire import asked, billed

from headgate.ledger.views import Filter
from headgate.sim import SimThread

PROVIDERS = ("openai", "responses", "anthropic")
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
LONG = "a story of many words, told again and again. " * 150


@pytest.fixture
def oai(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def ant(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


def agrees(gateway: Gateway, sim: SimThread, model: str, calls: int) -> list[dict[str, Any]]:
    """Return the rows, oldest first: every nano-dollar as the sim has charged it."""
    requests = asked(sim, model)
    rows: list[dict[str, Any]] = gateway.read(lambda reader: reader.calls(Filter(model=model)))
    rows.sort(key=lambda row: row["id"])
    assert len(rows) == len(requests) == calls
    for row, request in zip(rows, requests, strict=True):
        assert (row["outcome"], row["basis"]) == ("ok", "computed")
        assert row["cost_nano"] == billed(request)
        assert row["input"] + row["cache_read"] == request.usage.input + request.usage.cache_read
    return rows


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_chat_client(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str) -> None:
    name = f"chat-through-{provider}"
    model = f"{provider}/{name}"
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    whole = oai.chat.completions.create(model=model, messages=messages, max_tokens=200)
    with oai.chat.completions.stream(
        model=model, messages=messages, max_tokens=200, stream_options={"include_usage": True}
    ) as stream:
        streamed = stream.get_final_completion()
    said = whole.choices[0].message.content
    assert said
    assert streamed.choices[0].message.content == said
    assert whole.choices[0].finish_reason == streamed.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert streamed.usage is not None
    assert whole.usage.completion_tokens == streamed.usage.completion_tokens > 0
    first, second = agrees(gateway, sim, name, calls=2)
    assert (first["stream"], second["stream"]) == (False, True)
    assert whole.usage.prompt_tokens == first["input"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_messages_client(gateway: Gateway, sim: SimThread, ant: anthropic.Anthropic, provider: str) -> None:
    asked_for: Any = {
        "model": f"{provider}/messages-through",
        "max_tokens": 200,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "hello"}],
    }
    whole = ant.messages.create(**asked_for)
    with ant.messages.stream(**asked_for) as stream:
        streamed = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert whole.content[0].text
    assert streamed.content[0].type == "text"
    assert streamed.content[0].text == whole.content[0].text
    assert whole.stop_reason == streamed.stop_reason == "end_turn"
    assert whole.usage.output_tokens == streamed.usage.output_tokens > 0
    assert whole.usage.input_tokens == streamed.usage.input_tokens


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_responses_client(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str) -> None:
    asked_for: Any = {"model": f"{provider}/responses-through", "instructions": "Be brief.", "input": "hello"}
    whole = oai.responses.create(**asked_for)
    with oai.responses.stream(**asked_for) as stream:
        streamed = stream.get_final_response()
    assert whole.output_text
    assert streamed.output_text == whole.output_text
    assert whole.status == streamed.status == "completed"
    assert whole.usage is not None
    assert streamed.usage is not None
    assert whole.usage.output_tokens == streamed.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools_of_a_chat_client(oai: openai.OpenAI, provider: str, stream: bool) -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
    messages: list[Any] = [{"role": "user", "content": "[[sim tool=weather calls=2]]"}]
    more: Any = {"model": f"{provider}/chat-tools", "tools": tools, "max_tokens": 400}
    if stream:
        with oai.chat.completions.stream(messages=messages, **more) as chunks:
            message: Any = chunks.get_final_completion().choices[0].message
    else:
        message = oai.chat.completions.create(messages=messages, **more).choices[0].message
    calls = message.tool_calls
    assert [call.function.name for call in calls] == ["weather", "weather"]
    messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in calls]})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    after = oai.chat.completions.create(messages=messages, **more)
    assert after.choices[0].finish_reason == "stop"
    assert after.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools_of_a_messages_client(ant: anthropic.Anthropic, provider: str, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "[[sim tool=weather calls=2]]"}]
    more: Any = {
        "model": f"{provider}/messages-tools",
        "tools": [{"name": "weather", "input_schema": PARAMETERS}],
        "max_tokens": 400,
    }
    if stream:
        with ant.messages.stream(messages=messages, **more) as events:
            message = events.get_final_message()
    else:
        message = ant.messages.create(messages=messages, **more)
    uses = [block for block in message.content if block.type == "tool_use"]
    assert [use.name for use in uses] == ["weather", "weather"]
    assert all("city" in use.input for use in uses)
    assert message.stop_reason == "tool_use"
    messages.append({"role": "assistant", "content": [block.model_dump() for block in message.content]})
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"} for use in uses]
    messages.append({"role": "user", "content": results})
    after = ant.messages.create(messages=messages, **more)
    assert after.stop_reason == "end_turn"


def test_what_was_lost_is_named_in_header_and_ledger(gateway: Gateway, oai: openai.OpenAI) -> None:
    raw = oai.chat.completions.with_raw_response.create(
        model="anthropic/lossy", messages=[{"role": "user", "content": "hi", "name": "ann"}], seed=7, max_tokens=50
    )
    assert raw.headers["x-headgate-dropped"] == "messages.name, seed"
    row = gateway.call(raw.headers["x-headgate-call"])
    assert row["dropped"] == "messages.name, seed"


def test_an_error_of_a_foreign_upstream_raises_the_clients_own_class(
    sim: SimThread, oai: openai.OpenAI, ant: anthropic.Anthropic
) -> None:
    for fault, theirs, ours in (
        ("400", openai.BadRequestError, anthropic.BadRequestError),
        ("429", openai.RateLimitError, anthropic.RateLimitError),
        ("500", openai.InternalServerError, anthropic.InternalServerError),
    ):
        with pytest.raises(theirs):
            oai.chat.completions.create(
                model=f"anthropic/foreign-{fault}-sim-{fault}", messages=[{"role": "user", "content": "x"}]
            )
        with pytest.raises(ours):
            ant.messages.create(
                model=f"openai/foreign-{fault}-sim-{fault}", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )


def test_tokens_that_nobody_counts_are_estimated_and_said_to_be_so(ant: anthropic.Anthropic) -> None:
    raw = ant.messages.with_raw_response.count_tokens(
        model="openai/counted", messages=[{"role": "user", "content": LONG}]
    )
    assert raw.headers["x-headgate-estimated"] == "true"
    assert len(LONG) / 6 < raw.parse().input_tokens < len(LONG) / 2
    native = ant.messages.with_raw_response.count_tokens(
        model="anthropic/counted", messages=[{"role": "user", "content": LONG}]
    )
    assert "x-headgate-estimated" not in native.headers
