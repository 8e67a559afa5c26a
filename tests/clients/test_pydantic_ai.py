"""pydantic-ai's OpenAI chat, OpenAI responses and Anthropic models, each against upstreams of other kinds."""

from typing import Any

import anthropic
import openai
import pytest
from pydantic_ai import Agent, NativeOutput, Tool
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from tests.clients.given import FOREIGN_TO, LOOP, Trip, agree, weather
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

pytestmark = pytest.mark.clients
PAIRS = [(dialect, provider) for dialect, providers in FOREIGN_TO.items() for provider in providers]


@pytest.fixture
def models(async_oai: openai.AsyncOpenAI, async_ant: anthropic.AsyncAnthropic) -> Any:
    """Return a function that makes the model of a dialect."""

    def model(dialect: str, name: str) -> Any:
        if dialect == "messages":
            # By its name it would not be taken for a model that has structured outputs.
            able: Any = {"supports_json_schema_output": True}
            return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=async_ant), profile=able)
        kind = OpenAIChatModel if dialect == "chat" else OpenAIResponsesModel
        return kind(name, provider=OpenAIProvider(openai_client=async_oai))

    return model


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
async def test_a_tool_loop(
    gateway: Gateway, sim: SimThread, models: Any, dialect: str, provider: str, stream: bool
) -> None:
    name = f"pydantic-{dialect}-{provider}-{stream}"
    cities: list[str] = []

    def tell(city: str) -> str:
        """Tell the weather of a city."""
        cities.append(city)
        return weather(city)

    agent = Agent(
        models(dialect, f"{provider}/{name}"),
        instructions="Be brief.",
        tools=[Tool(tell, name="weather")],
        model_settings={"max_tokens": 400},
    )
    if stream:
        async with agent.run_stream(LOOP) as run:
            output = await run.get_output()
            used: Any = run.usage
    else:
        result = await agent.run(LOOP)
        output, used = result.output, result.usage
    assert output.endswith("end.")
    assert len(cities) == 4
    requests = agree(gateway, sim, name, calls=3)
    assert all(weather(city) in requests[-1].body.decode() for city in cities)
    assert used.requests == 3
    assert used.input_tokens == sum(request.usage.total_input for request in requests)
    assert used.output_tokens == sum(request.usage.output for request in requests)
    assert used.cache_read_tokens == sum(request.usage.cache_read for request in requests)


@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
@pytest.mark.parametrize("native", [True, False])
async def test_structured_output_by_schema_and_by_tool(
    gateway: Gateway, sim: SimThread, models: Any, dialect: str, provider: str, native: bool
) -> None:
    name = f"pydantic-output-{dialect}-{provider}-{native}"
    agent: Any = Agent(models(dialect, f"{provider}/{name}"), output_type=NativeOutput(Trip) if native else Trip)
    result = await agent.run("Plan a trip.")
    assert isinstance(result.output, Trip)
    agree(gateway, sim, name, calls=1)
