"""The OpenAI Agents SDK, over chat completions and over responses, each against upstreams of other kinds."""

from typing import Any

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
)
from tests.clients.given import FOREIGN_TO, LOOP, Trip, agree, body, weather
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

pytestmark = pytest.mark.clients
MODELS: Any = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}
PAIRS = [(dialect, provider) for dialect in MODELS for provider in FOREIGN_TO[dialect]]
QUIET = RunConfig(tracing_disabled=True)


def agent(client: openai.AsyncOpenAI, dialect: str, model: str, cities: list[str], **more: Any) -> Agent[Any]:
    """Return an agent with one tool that writes down what it was asked."""

    def tell(city: str) -> str:
        cities.append(city)
        return weather(city)

    return Agent(
        name="forecaster",
        instructions="Be brief.",
        model=MODELS[dialect](model=model, openai_client=client),
        model_settings=ModelSettings(max_tokens=400, include_usage=True),
        tools=[function_tool(tell, name_override="weather", description_override="The weather of a city.")],
        **more,
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
async def test_a_tool_loop(
    gateway: Gateway, sim: SimThread, async_oai: openai.AsyncOpenAI, dialect: str, provider: str, stream: bool
) -> None:
    name = f"agents-{dialect}-{provider}-{stream}"
    cities: list[str] = []
    forecaster = agent(async_oai, dialect, f"{provider}/{name}", cities)
    if stream:
        result: Any = Runner.run_streamed(forecaster, LOOP, run_config=QUIET)
        assert [event async for event in result.stream_events()]
    else:
        result = await Runner.run(forecaster, LOOP, run_config=QUIET)
    assert result.final_output.endswith("end.")
    assert len(cities) == 4
    requests = agree(gateway, sim, name, calls=3)
    assert all(weather(city) in requests[-1].body.decode() for city in cities)
    used = result.context_wrapper.usage
    assert used.requests == 3
    assert used.input_tokens == sum(request.usage.total_input for request in requests)
    assert used.output_tokens == sum(request.usage.output for request in requests)
    assert used.input_tokens_details.cached_tokens == sum(request.usage.cache_read for request in requests)


@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
async def test_an_output_type(
    gateway: Gateway, sim: SimThread, async_oai: openai.AsyncOpenAI, dialect: str, provider: str
) -> None:
    name = f"agents-output-{dialect}-{provider}"
    planner = agent(async_oai, dialect, f"{provider}/{name}", [], output_type=Trip)
    result = await Runner.run(planner, "Plan a trip.", run_config=QUIET)
    assert isinstance(result.final_output, Trip)
    (request,) = agree(gateway, sim, name, calls=1)
    sent = body(request)
    assert "stops" in str(sent.get("output_config") or sent.get("text") or sent.get("response_format"))
