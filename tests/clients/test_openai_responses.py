"""The openai SDK's responses against an upstream of each kind."""

import json
from typing import Any

import openai
import pytest
from openai.lib._tools import pydantic_responses_function_tool
from tests.clients.given import CACHED, CITY, LONG, LOOP, PICTURE, PROVIDERS, Trip, agree, body, png, weather
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

pytestmark = pytest.mark.clients
TOOLS: Any = [{"type": "function", "name": "weather", "parameters": CITY, "strict": True}]
ENCRYPTED: Any = ["reasoning.encrypted_content"]


def whole(client: openai.OpenAI, stream: bool, **asked: Any) -> Any:
    """Return the response, streamed through the SDK's own helper or not."""
    if not stream:
        return client.responses.create(**asked)
    with client.responses.stream(**asked) as events:
        return events.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_status_and_usage(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"responses-text-{provider}-{stream}"
    said = whole(oai, stream, model=f"{provider}/{name}", instructions="Be brief.", input="hello")
    assert said.object == "response"
    assert said.output_text.endswith("end.")
    assert (said.status, said.error, said.incomplete_details) == ("completed", None, None)
    (request,) = agree(gateway, sim, name, calls=1)
    usage = request.usage
    assert (said.usage.input_tokens, said.usage.output_tokens) == (usage.input, usage.output)
    assert said.usage.total_tokens == usage.input + usage.output
    asked: Any = {"model": f"{provider}/{name}-cut", "input": "[[sim tokens=99]]", "max_output_tokens": 16}
    if stream:
        return  # what the SDK's helper makes of one: the test below
    cut = whole(oai, stream, **asked)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.usage.output_tokens == 16


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_says_everything_in_order_and_how_it_ended(oai: openai.OpenAI, provider: str) -> None:
    asked: Any = {"model": f"{provider}/responses-cut", "input": "[[sim tokens=99]]", "max_output_tokens": 16}
    events = list(oai.responses.create(**asked, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[1].type) == ("response.created", "response.in_progress")
    last: Any = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == last.response.output_text
    assert len(deltas) == last.response.usage.output_tokens == 16


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_async_client(gateway: Gateway, sim: SimThread, async_oai: openai.AsyncOpenAI, provider: str) -> None:
    name = f"responses-async-{provider}"
    asked: Any = {"model": f"{provider}/{name}", "input": [{"role": "user", "content": "hello"}]}
    said = (await async_oai.responses.create(**asked)).output_text
    events = [event async for event in await async_oai.responses.create(**asked, stream=True)]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == said
    async with async_oai.responses.stream(**asked) as stream:
        assert (await stream.get_final_response()).output_text == said
    agree(gateway, sim, name, calls=3)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_loop_of_three_turns(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"responses-loop-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "tools": TOOLS, "instructions": "Be brief."}
    items: list[Any] = [{"role": "user", "content": LOOP}]
    for _ in range(2):
        said = whole(oai, stream, input=items, **asked)
        assert said.status == "completed"
        calls = [item for item in said.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["weather", "weather"]
        assert len({call.call_id for call in calls}) == 2
        items += said.output
        for call in calls:
            found = weather(**json.loads(call.arguments))
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": found})
    last = whole(oai, stream, input=items, **asked)
    assert [item.type for item in last.output] == ["message"]
    assert last.output_text
    *_, request = agree(gateway, sim, name, calls=3)
    for item in items:
        if isinstance(item, dict) and "output" in item:
            assert item["output"] in request.body.decode(), "the model reads what the tool found"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_choice_of_tool_and_a_tool_the_sdk_parses(oai: openai.OpenAI, provider: str) -> None:
    tool = pydantic_responses_function_tool(Trip, name="plan")
    asked: Any = {"model": f"{provider}/responses-forced", "input": "hello", "tools": [*TOOLS, tool]}
    said: Any = oai.responses.parse(**asked, tool_choice={"type": "function", "name": "plan"})
    (call,) = [item for item in said.output if item.type == "function_call"]
    assert call.name == "plan"
    assert isinstance(call.parsed_arguments, Trip)
    assert oai.responses.create(**asked, tool_choice="none").output_text
    one = oai.responses.create(**asked, tool_choice="required", parallel_tool_calls=False)
    assert [item.type for item in one.output] == ["function_call"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_structured_output(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool) -> None:
    name = f"responses-parse-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "input": "hello"}
    if stream:
        with oai.responses.stream(**asked, text_format=Trip) as events:
            said = events.get_final_response()
    else:
        said = oai.responses.parse(**asked, text_format=Trip)
    assert isinstance(said.output_parsed, Trip)
    assert said.output_parsed.stops
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    plain = whole(oai, stream, **asked, text={"format": {"type": "json_schema", "name": "n", "schema": schema}})
    assert isinstance(json.loads(plain.output_text)["n"], int)
    assert plain.text.format.type == "json_schema"
    agree(gateway, sim, name, calls=2)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", CACHED)
def test_cached_tokens_stand_where_responses_have_them(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"responses-cached-{provider}-{stream}"
    asked: Any = {"model": f"{provider}/{name}", "instructions": LONG, "input": "hello"}
    said = [whole(oai, stream, **asked) for _ in range(2)]
    for one, request in zip(said, agree(gateway, sim, name, calls=2), strict=True):
        assert one.usage.input_tokens == request.usage.total_input
        assert one.usage.input_tokens_details.cached_tokens == request.usage.cache_read
    assert said[1].usage.input_tokens_details.cached_tokens > 1000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", ["responses", "anthropic"])
def test_reasoning_is_given_back_as_it_came(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str, stream: bool
) -> None:
    name = f"responses-reasoning-{provider}-{stream}"
    asked: Any = {
        "model": f"{provider}/{name}",
        "include": ENCRYPTED,
        "store": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "max_output_tokens": 8000,
    }
    items: list[Any] = [{"role": "user", "content": "hello"}]
    first = whole(oai, stream, input=items, **asked)
    thought = first.output[0]
    assert thought.type == "reasoning"
    assert thought.summary[0].text
    assert thought.encrypted_content
    assert first.usage.output_tokens_details.reasoning_tokens == 16
    items += [*first.output, {"role": "user", "content": "and then?"}]
    raw = oai.responses.with_raw_response.create(input=items, **asked)
    assert "reasoning" not in raw.headers.get("x-headgate-dropped", "")
    _, request = agree(gateway, sim, name, calls=2)
    made = json.loads(sim_signature(sim, name, stream))
    assert made in signatures(body(request)), "byte for byte what the upstream had made"
    other = "anthropic" if provider == "responses" else "openai"
    elsewhere = oai.responses.with_raw_response.create(input=items, **asked | {"model": f"{other}/{name}-2"})
    dropped = elsewhere.headers["x-headgate-dropped"]
    assert "input.reasoning" in dropped
    sent = body(agree(gateway, sim, f"{name}-2", calls=1)[0])
    assert made not in json.dumps(sent)
    assert elsewhere.parse().output_text


def sim_signature(sim: SimThread, model: str, stream: bool) -> str:
    """Return what the sim's first answer was signed with, as JSON."""
    request = next(request for request in list(sim.requests) if request.model == model)
    text = request.answer.decode()
    for word in ('"encrypted_content":', '"signature":'):
        for part in text.split(word)[1:]:
            value = json.JSONDecoder().raw_decode(part.lstrip())[0]
            if value:
                return json.dumps(value)
    raise AssertionError("nothing is signed")


def signatures(sent: dict[str, Any]) -> list[str]:
    """Return the signatures of a request to an upstream."""
    blocks = sent.get("input") or [
        block for message in sent["messages"] for block in message["content"] if isinstance(block, dict)
    ]
    return [block[word] for block in blocks for word in ("encrypted_content", "signature") if block.get(word)]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_state_that_an_upstream_lacks_is_refused(oai: openai.OpenAI, provider: str) -> None:
    for member in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
        with pytest.raises(openai.BadRequestError) as refused:
            oai.responses.create(model=f"{provider}/responses-state", input="hi", **member)
        assert refused.value.param == next(iter(member))


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_goes_on_where_it_was_made(
    gateway: Gateway, sim: SimThread, oai: openai.OpenAI, stream: bool
) -> None:
    name = f"responses-goes-on-{stream}"
    first = whole(oai, stream, model=f"responses/{name}", input="hi")
    again = whole(oai, stream, model=f"responses/{name}", input="and?", previous_response_id=first.id)
    assert again.previous_response_id == first.id
    assert body(agree(gateway, sim, name, calls=2)[1])["previous_response_id"] == first.id


@pytest.mark.parametrize("provider", ["openai", "responses"])
def test_log_probabilities_that_are_included(oai: openai.OpenAI, provider: str) -> None:
    said: Any = oai.responses.create(
        model=f"{provider}/responses-logprobs",
        input="hello",
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    part = said.output[0].content[0]
    assert "".join(entry.token for entry in part.logprobs) == part.text
    assert all(len(entry.top_logprobs) == 2 for entry in part.logprobs)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures(gateway: Gateway, sim: SimThread, oai: openai.OpenAI, provider: str) -> None:
    name = f"responses-pictures-{provider}"
    content: Any = [
        {"type": "input_text", "text": "what is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{png()}", "detail": "auto"},
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
    ]
    asked: Any = {"model": f"{provider}/{name}", "input": [{"role": "user", "content": content}]}
    assert oai.responses.create(**asked).output_text
    (request,) = agree(gateway, sim, name, calls=1)
    parts = body(request)["input" if provider == "responses" else "messages"][-1]["content"]
    assert len(parts) == 3
    assert png() in json.dumps(parts[1])
    assert PICTURE in json.dumps(parts[2])
