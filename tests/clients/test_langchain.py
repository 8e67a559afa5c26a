"""LangChain with both vendors' packages, each against upstreams of other kinds."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from tests.clients.given import FOREIGN_TO, LOOP, Trip, agree, weather
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

pytestmark = pytest.mark.clients
PAIRS = [(dialect, provider) for dialect, providers in FOREIGN_TO.items() for provider in providers]


def chat_model(gateway: Gateway, dialect: str, model: str) -> Any:
    """Return LangChain's model for a dialect."""
    if dialect == "messages":
        return ChatAnthropic(
            model_name=model, base_url=gateway.url, api_key=gateway.key, max_retries=0, max_tokens_to_sample=400
        )
    return ChatOpenAI(
        model=model,
        base_url=f"{gateway.url}/v1",
        api_key=gateway.key,
        max_retries=0,
        max_tokens=400,
        use_responses_api=dialect == "responses",
        stream_usage=True,
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
def test_a_tool_loop(gateway: Gateway, sim: SimThread, dialect: str, provider: str, stream: bool) -> None:
    name = f"langchain-{dialect}-{provider}-{stream}"
    cities: list[str] = []

    def tell(city: str) -> str:
        """Tell the weather of a city."""
        cities.append(city)
        return weather(city)

    agent: Any = create_agent(chat_model(gateway, dialect, f"{provider}/{name}"), [tool("weather")(tell)])
    asked = {"messages": [{"role": "user", "content": LOOP}]}
    if stream:
        chunks = [chunk for chunk, _ in agent.stream(asked, stream_mode="messages")]
        assert any(isinstance(chunk, AIMessageChunk) for chunk in chunks)
        said = [chunk for chunk in chunks if isinstance(chunk, AIMessageChunk)]
        usages = [chunk.usage_metadata for chunk in said if chunk.usage_metadata]
        text = "".join(chunk.text for chunk in said)
    else:
        answers = [m for m in agent.invoke(asked)["messages"] if isinstance(m, AIMessage)]
        usages = [answer.usage_metadata for answer in answers]
        text = answers[-1].text
    assert text.endswith("end.")
    assert len(cities) == 4
    requests = agree(gateway, sim, name, calls=3)
    assert all(weather(city) in requests[-1].body.decode() for city in cities)
    assert sum(usage["input_tokens"] for usage in usages) == sum(one.usage.total_input for one in requests)
    assert sum(usage["output_tokens"] for usage in usages) == sum(one.usage.output for one in requests)


@pytest.mark.parametrize(("dialect", "provider"), PAIRS)
def test_structured_output(gateway: Gateway, sim: SimThread, dialect: str, provider: str) -> None:
    name = f"langchain-output-{dialect}-{provider}"
    model = chat_model(gateway, dialect, f"{provider}/{name}").with_structured_output(Trip, method="json_schema")
    assert isinstance(model.invoke("Plan a trip."), Trip)
    agree(gateway, sim, name, calls=1)
