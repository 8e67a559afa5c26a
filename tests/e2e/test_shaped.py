"""Requests and answers changed on their way, fallback across dialects, and state that stays with its upstream."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.gateway import PRICE, Gateway
from tests.e2e.wire import asked

from headgate.sim import SimThread

CALL = '{"name": "weather", "arguments": {"city": "Wien"}}'
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    config = f"""
providers:
  gone: {{kind: openai, base_url: "http://127.0.0.1:9/v1", price: free}}
  chat: {{kind: openai, base_url: "{sim.url}", price: {PRICE}, extra_body: {{top_k: 40, seed: 1}}}}
  responses: {{kind: openai_responses, base_url: "{sim.url}", price: {PRICE}}}
  other: {{kind: openai_responses, base_url: "{sim.url}", price: {PRICE}}}
  away: {{kind: anthropic, base_url: "http://127.0.0.1:9", price: free}}
  vendor: {{kind: anthropic, base_url: "{sim.url.replace("127.0.0.1", "localhost")}", price: {PRICE}}}
  claude:
    {{kind: anthropic, base_url: "{sim.url}", price: {PRICE}, cache: auto, append_system_prompt: "Answer in verse."}}
models:
  across: {{routes: [gone/across, claude/across]}}
  strict: {{routes: [claude/strict], strict: true}}
  strict-then-chat: {{routes: [claude/strict, chat/loose], strict: true}}
  stateful: {{routes: [chat/stateful, responses/stateful, other/stateful]}}
  foreign: {{routes: [chat/foreign]}}
  two-vendors: {{routes: [away/signed, claude/signed]}}
  one-is-out: {{routes: [vendor/out-sim-401, claude/alone]}}
"""
    folder: Path = tmp_path_factory.mktemp("shaped")
    with Gateway(folder, sim, config) as gateway:
        yield gateway


@pytest.fixture
def oai(shaped: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{shaped.url}/v1", api_key=shaped.key, max_retries=0) as client:
        yield client


@pytest.fixture
def ant(shaped: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=shaped.url, api_key=shaped.key, max_retries=0) as client:
        yield client


def sent(sim: SimThread, model: str) -> dict[str, Any]:
    """Return the last body that the sim got for a model."""
    body: dict[str, Any] = json.loads(asked(sim, model)[-1].body)
    return body


def test_parameters_are_added_unless_the_request_has_them(sim: SimThread, oai: openai.OpenAI) -> None:
    oai.chat.completions.create(model="chat/defaults", messages=[{"role": "user", "content": "hi"}], seed=5)
    body = sent(sim, "defaults")
    assert (body["top_k"], body["seed"]) == (40, 5)


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_falls_over_to_another_dialects_upstream(shaped: Gateway, oai: openai.OpenAI, stream: bool) -> None:
    answer = oai.chat.completions.with_raw_response.create(
        model="across", messages=[{"role": "user", "content": "hi"}], stream=stream, max_tokens=60
    )
    assert answer.headers["x-headgate-route"] == "claude/across"
    assert answer.headers["x-headgate-attempts"] == "2"
    parsed: Any = answer.parse()
    said = "".join(c.choices[0].delta.content or "" for c in parsed) if stream else parsed.choices[0].message.content
    assert said
    assert [one["failure"] for one in shaped.call(answer.headers["x-headgate-call"])["attempts"]] == [
        "connect_failed",
        None,
    ]


def test_system_text_and_cache_marks_reach_an_anthropic_upstream_from_any_client(
    sim: SimThread, oai: openai.OpenAI, ant: anthropic.Anthropic
) -> None:
    oai.chat.completions.create(model="claude/marked-1", messages=[{"role": "user", "content": "hi"}], max_tokens=9)
    ant.messages.create(
        model="claude/marked-2", messages=[{"role": "user", "content": "hi"}], max_tokens=9, system="Be brief."
    )
    for model in ("marked-1", "marked-2"):
        body = sent(sim, model)
        system = body["system"] if isinstance(body["system"], str) else body["system"][-1]["text"]
        assert "Answer in verse." in system
        assert "cache_control" in json.dumps(body)


def test_what_strict_would_lose_is_refused_or_goes_to_who_can_carry_it(oai: openai.OpenAI, shaped: Gateway) -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.BadRequestError) as refused:
        oai.chat.completions.create(model="strict", messages=messages, seed=7, max_tokens=9)
    assert "seed" in refused.value.message
    assert refused.value.code == "untranslatable"
    assert shaped.call(refused.value.response.headers["x-headgate-call"])["outcome"] == "rejected"
    raw = oai.chat.completions.with_raw_response.create(
        model="strict-then-chat", messages=messages, seed=7, max_tokens=9
    )
    assert raw.headers["x-headgate-route"] == "chat/loose"
    assert oai.chat.completions.create(model="strict", messages=messages, max_tokens=9).choices


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_goes_on_where_it_was_made(oai: openai.OpenAI, sim: SimThread, stream: bool) -> None:
    first = oai.responses.with_raw_response.create(model="other/stateful", input="hi")
    made = first.parse()
    again: Any = oai.responses.with_raw_response.create(
        model="stateful", input="and?", previous_response_id=made.id, stream=stream
    )
    assert again.headers["x-headgate-route"] == "other/stateful"
    if stream:
        assert list(again.parse())
    assert sent(sim, "stateful")["previous_response_id"] == made.id


def test_state_that_nobody_knows_of_goes_to_one_upstream_of_the_dialect_alone(oai: openai.OpenAI) -> None:
    raw = oai.responses.with_raw_response.create(model="stateful", input="hi", previous_response_id="resp_elsewhere")
    assert raw.headers["x-headgate-route"] == "responses/stateful"


def test_state_on_a_foreign_upstream_is_a_clear_refusal(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        oai.responses.create(model="foreign", input="hi", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"
    assert "whole conversation" in refused.value.message


def test_another_accounts_response_pins_nothing(shaped: Gateway, oai: openai.OpenAI) -> None:
    made = oai.responses.create(model="other/stateful", input="hi")
    found = shaped.read(lambda reader: reader.route_of_response("tests", made.id))
    assert found == "other/stateful"
    assert shaped.read(lambda reader: reader.route_of_response("strangers", made.id)) is None


THOUGHT: Any = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}


def test_signed_thinking_stays_with_who_signed_it(sim: SimThread, ant: anthropic.Anthropic) -> None:
    said: Any = [THOUGHT, {"type": "text", "text": "Yes."}]
    talk: Any = [
        {"role": "user", "content": "Is it?"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "Sure?"},
    ]
    own = ant.messages.with_raw_response.create(model="claude/kept", max_tokens=9, messages=talk)
    assert "x-headgate-dropped" not in own.headers
    assert sent(sim, "kept")["messages"][1]["content"][0] == THOUGHT
    other = ant.messages.with_raw_response.create(model="two-vendors", max_tokens=9, messages=talk)
    assert other.headers["x-headgate-route"] == "claude/signed"
    assert other.headers["x-headgate-dropped"] == "messages.content.thinking"
    assert "c2lnbmVk" not in json.dumps(sent(sim, "signed"))
    for attempts in ("2", "1"):  # the plan leaves out whose key was refused, and still knows whose thinking it is
        alone = ant.messages.with_raw_response.create(model="one-is-out", max_tokens=9, messages=talk)
        assert alone.headers["x-headgate-attempts"] == attempts
        assert alone.headers["x-headgate-dropped"] == "messages.content.thinking"
        assert "c2lnbmVk" not in json.dumps(sent(sim, "alone"))


@pytest.mark.parametrize("fault", ["cut", "error-mid", "error-first", "malformed", "no-done"])
@pytest.mark.parametrize("provider", ["chat", "responses", "claude"])
def test_a_broken_foreign_stream_raises_in_the_client(
    sim: SimThread, ant: anthropic.Anthropic, oai: openai.OpenAI, provider: str, fault: str
) -> None:
    name = f"{provider}/broken-sim-{fault}"

    def through_messages() -> None:
        with ant.messages.stream(model=name, max_tokens=90, messages=[{"role": "user", "content": "hi"}]) as events:
            events.get_final_message()

    def through_chat() -> None:
        chunks = oai.chat.completions.create(model=name, messages=[{"role": "user", "content": "hi"}], stream=True)
        assert [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]

    for call, own, error in (
        (through_messages, "claude", anthropic.APIError),
        (through_chat, "chat", openai.APIError),
    ):
        if provider == own:
            continue
        if fault == "no-done" and provider != "responses":
            call()  # it said why it ended, so the answer is whole
            continue
        with pytest.raises(error):
            call()
