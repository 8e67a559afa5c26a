"""The official SDKs, sync and async, through the gateway: what they see, what the ledger says, what the sim charged."""

from collections.abc import Iterator
from typing import Any

import anthropic
import msgspec
import openai
import pytest
from tests.e2e.gateway import SECRETS, Gateway
from tests.e2e.wire import asked, billed

from headgate.ledger.views import Filter
from headgate.model.money import format_usd
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
TOOLS: Any = [{"role": "user", "content": "[[sim tool=weather calls=2]]"}]
LONG = "a story of many words, told again and again. " * 150
CACHED: Any = [{"role": "user", "content": LONG}]


@pytest.fixture
def oai(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def ant(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


class Ledger:
    """Compares the ledger's rows with the sim's own bill, for all calls of one model."""

    def __init__(self, gateway: Gateway, sim: SimThread) -> None:
        self._gateway = gateway
        self._sim = sim

    def agrees(self, model: str, *, calls: int) -> list[dict[str, Any]]:
        """Return the rows, oldest first: every token and nano-dollar as the sim has charged it."""
        requests = asked(self._sim, model)
        rows = self._gateway.read(lambda reader: reader.calls(Filter(model=model)))
        rows.sort(key=lambda row: row["id"])
        assert len(rows) == len(requests) == calls
        for row, request in zip(rows, requests, strict=True):
            assert row["outcome"] == "ok"
            assert row["basis"] == "computed"
            assert row["cost_nano"] == billed(request)
            assert row["endpoint"] == request.endpoint
            assert {name: row[name] for name in request.usage.__struct_fields__} == msgspec.structs.asdict(
                request.usage
            )
        return list(rows)


@pytest.fixture
def ledger(gateway: Gateway, sim: SimThread) -> Ledger:
    return Ledger(gateway, sim)


def test_openai_chat(ledger: Ledger, oai: openai.OpenAI, sim: SimThread) -> None:
    raw = oai.chat.completions.with_raw_response.create(model="openai/sdk-chat", messages=HELLO)
    whole = raw.parse()
    chunks = list(oai.chat.completions.create(model="openai/sdk-chat", messages=HELLO, stream=True))
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks)
    first, second = ledger.agrees("sdk-chat", calls=2)
    assert (first["input"], first["output"]) == (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    assert (first["stream"], second["stream"]) == (False, True)
    assert second["ttft"] > 0
    assert raw.headers["x-headgate-call"] == first["id"]
    assert raw.headers["x-headgate-cost-usd"] == format_usd(first["cost_nano"])
    assert {request.header("authorization") for request in asked(sim, "sdk-chat")} == {f"Bearer {SECRETS['openai']}"}


def test_openai_chat_accumulates_with_usage_tools_and_choices(ledger: Ledger, oai: openai.OpenAI) -> None:
    asks: dict[str, Any] = {"model": "openai/sdk-tools", "messages": TOOLS, "tools": [CHAT_TOOL]}
    unary: Any = oai.chat.completions.create(**asks).choices[0].message.tool_calls
    with oai.chat.completions.stream(**asks, stream_options={"include_usage": True}) as stream:
        final: Any = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    assert [call.function.arguments for call in final.choices[0].message.tool_calls] == [
        call.function.arguments for call in unary
    ]
    several = oai.chat.completions.create(model="openai/sdk-tools", messages=HELLO, n=3, reasoning_effort="low")
    assert len(several.choices) == 3
    rows = ledger.agrees("sdk-tools", calls=3)
    assert rows[1]["output"] == final.usage.completion_tokens
    assert rows[2]["reasoning"] == 48


def test_openai_prompt_cache_is_priced_as_read(ledger: Ledger, oai: openai.OpenAI) -> None:
    for _ in range(2):
        oai.chat.completions.create(model="openai/sdk-cache", messages=CACHED)
    first, second = ledger.agrees("sdk-cache", calls=2)
    assert first["cache_read"] == 0
    assert second["cache_read"] >= 1024
    assert second["savings_nano"] == second["cache_read"] * 3 // 2 * 1000  # 2 against 0.5 USD per million tokens


def test_openai_responses(ledger: Ledger, oai: openai.OpenAI) -> None:
    asks: dict[str, Any] = {
        "model": "responses/sdk-responses",
        "input": "hello",
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    whole = oai.responses.create(**asks)
    with oai.responses.stream(**asks) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == whole.output_text != ""
    assert final.usage == whole.usage
    assert whole.usage is not None
    with oai.responses.stream(
        model="responses/sdk-responses", input="[[sim tool=weather]]", tools=[RESPONSE_TOOL]
    ) as stream:
        assert stream.get_final_response().output[0].type == "function_call"
    short = list(oai.responses.create(model="responses/sdk-responses", input="hi", max_output_tokens=3, stream=True))
    assert short[-1].type == "response.incomplete"
    rows = ledger.agrees("sdk-responses", calls=4)
    assert rows[0]["output"] == rows[1]["output"] == whole.usage.output_tokens
    assert rows[1]["reasoning"] == 16
    assert rows[3]["output"] == 3


def test_openai_completions_and_embeddings(ledger: Ledger, oai: openai.OpenAI) -> None:
    text = oai.completions.create(model="openai/sdk-text", prompt="hello", max_tokens=5)
    chunks = list(oai.completions.create(model="openai/sdk-text", prompt="hello", max_tokens=5, stream=True))
    assert text.choices[0].finish_reason == "length"
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == text.choices[0].text
    assert len(ledger.agrees("sdk-text", calls=2)) == 2
    packed = oai.embeddings.create(model="openai/sdk-embed", input=["a", "b"], dimensions=8)
    plain = oai.embeddings.create(model="responses/sdk-embed", input=["a", "b"], dimensions=8, encoding_format="float")
    assert [list(item.embedding) for item in packed.data] == [item.embedding for item in plain.data]
    assert [row["output"] for row in ledger.agrees("sdk-embed", calls=2)] == [0, 0]


def test_models_are_listed_for_both_vendors(oai: openai.OpenAI, ant: anthropic.Anthropic) -> None:
    assert {"gpt-sim", "claude-sim"} <= {model.id for model in oai.models.list()}
    assert oai.models.retrieve("gpt-sim").object == "model"
    assert {"gpt-sim", "claude-sim"} <= {model.id for model in ant.models.list()}
    assert ant.models.retrieve("claude-sim").id == "claude-sim"
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("gpt-none")


def test_anthropic_messages(ledger: Ledger, ant: anthropic.Anthropic, sim: SimThread) -> None:
    asks: dict[str, Any] = {"model": "anthropic/sdk-messages", "max_tokens": 100, "messages": HELLO}
    raw = ant.messages.with_raw_response.create(**asks)
    whole = raw.parse()
    with ant.messages.stream(**asks) as stream:
        final = stream.get_final_message()
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
    assert final.stop_reason == whole.stop_reason == "end_turn"
    first, second = ledger.agrees("sdk-messages", calls=2)
    assert (first["input"], first["output"]) == (whole.usage.input_tokens, whole.usage.output_tokens)
    assert second["output"] == final.usage.output_tokens
    assert raw.headers["x-headgate-cost-usd"] == format_usd(first["cost_nano"])
    assert {request.header("x-api-key") for request in asked(sim, "sdk-messages")} == {SECRETS["anthropic"]}
    counted = ant.messages.count_tokens(model="anthropic/sdk-count", messages=HELLO)
    assert counted.input_tokens == whole.usage.input_tokens


def test_counting_tokens_costs_nothing(gateway: Gateway, ant: anthropic.Anthropic) -> None:
    raw = ant.messages.with_raw_response.count_tokens(model="anthropic/sdk-free", messages=HELLO)
    assert raw.parse().input_tokens > 0
    assert gateway.call(raw.headers["x-headgate-call"])["cost_nano"] == 0


def test_anthropic_thinking_and_tools_accumulate(ledger: Ledger, ant: anthropic.Anthropic) -> None:
    asks: dict[str, Any] = {
        "model": "anthropic/sdk-thinking",
        "max_tokens": 2000,
        "messages": TOOLS,
        "tools": [ANTHROPIC_TOOL],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    whole = ant.messages.create(**asks)
    with ant.messages.stream(**asks) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "tool_use", "tool_use"]
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
    assert len(ledger.agrees("sdk-thinking", calls=2)) == 2


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_anthropic_cache_writes_and_reads_are_priced(ledger: Ledger, ant: anthropic.Anthropic, ttl: Any) -> None:
    model = f"sdk-cache-{ttl}"
    block: Any = {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": ttl}}
    asks: dict[str, Any] = {"model": f"anthropic/{model}", "max_tokens": 50, "system": [block], "messages": HELLO}
    ant.messages.create(**asks)
    with ant.messages.stream(**asks) as stream:
        final = stream.get_final_message()
    written, read = ledger.agrees(model, calls=2)
    assert written[f"cache_write_{ttl}"] >= 1024
    assert read["cache_read"] == final.usage.cache_read_input_tokens == written[f"cache_write_{ttl}"]


async def test_async_openai(gateway: Gateway, ledger: Ledger) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        whole = await client.chat.completions.create(model="openai/sdk-async", messages=HELLO)
        stream = await client.chat.completions.create(model="openai/sdk-async", messages=HELLO, stream=True)
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(parts) == whole.choices[0].message.content
        one = await client.responses.create(model="responses/sdk-async-r", input="hi")
        async with client.responses.stream(model="responses/sdk-async-r", input="hi") as responses:
            final = await responses.get_final_response()
        assert final.output_text == one.output_text
        text = await client.completions.create(model="openai/sdk-async", prompt="hello")
        assert text.choices[0].text
        embedded = await client.embeddings.create(model="openai/sdk-async", input="hello")
        assert len(embedded.data) == 1
        assert "gpt-sim" in [model.id async for model in client.models.list()]
    assert len(ledger.agrees("sdk-async", calls=4)) == 4
    assert len(ledger.agrees("sdk-async-r", calls=2)) == 2


async def test_async_anthropic(gateway: Gateway, ledger: Ledger) -> None:
    asks: dict[str, Any] = {"model": "anthropic/sdk-async-a", "max_tokens": 99, "messages": HELLO}
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        whole = await client.messages.create(**asks)
        async with client.messages.stream(**asks) as stream:
            final = await stream.get_final_message()
        assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
        counted = await client.messages.count_tokens(model="anthropic/sdk-async-c", messages=HELLO)
        assert counted.input_tokens == whole.usage.input_tokens
        assert "claude-sim" in [model.id async for model in client.models.list()]
    assert len(ledger.agrees("sdk-async-a", calls=2)) == 2


def test_the_command_line_tells_the_same_to_the_nano_dollar(
    gateway: Gateway, ledger: Ledger, oai: openai.OpenAI
) -> None:
    for number in range(3):
        oai.chat.completions.create(model="openai/sdk-cli", messages=[{"role": "user", "content": "a" * number}])
    rows = ledger.agrees("sdk-cli", calls=3)
    told = [msgspec.json.decode(line) for line in gateway.cli("calls", "--model", "sdk-cli", "--json").splitlines()]
    assert {call["id"]: call["cost_usd"] for call in told} == {row["id"]: format_usd(row["cost_nano"]) for row in rows}
    [usage] = gateway.cli("usage", "--model", "sdk-cli", "--json").splitlines()
    assert msgspec.json.decode(usage)["cost_usd"] == format_usd(sum(row["cost_nano"] for row in rows))
