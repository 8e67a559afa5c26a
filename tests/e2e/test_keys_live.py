"""Keys that are made, rotated and revoked on the command line while the gateway runs."""

import time

import anthropic
import msgspec
import openai
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.wire import CHAT, ask, body_of, headers_of, raised, send, until_status

SECOND_NS = 1_000_000_000


def made(gateway: Gateway, *args: str) -> dict[str, str]:
    """Run a command that prints a new secret; return what it says."""
    said: dict[str, str] = msgspec.json.decode(gateway.cli("keys", *args, "--json"))
    assert said["key"].startswith("hg_")
    return said


def test_a_key_lives_rotates_and_dies_while_the_gateway_runs(gateway: Gateway) -> None:
    first = made(gateway, "create", "live", "--account", "tests")
    until_status(gateway, first["key"], 200)
    second = made(gateway, "rotate", first["id"], "--grace", "1h")
    assert second["id"] == first["id"]
    until_status(gateway, second["key"], 200)
    assert send(gateway, "GET", "/v1/models", headers=headers_of(CHAT, first["key"])).status == 200
    rows = [
        gateway.call(ask(gateway, CHAT, body_of(CHAT, "gpt-sim"), key=said["key"]).call) for said in (first, second)
    ]
    assert {row["key"] for row in rows} == {first["id"]}
    third = made(gateway, "rotate", "live", "--grace", "0s")
    until_status(gateway, third["key"], 200)
    until_status(gateway, second["key"], 401)
    gateway.cli("keys", "revoke", "live")
    for said in (first, second, third):
        until_status(gateway, said["key"], 401)
    error = raised(CHAT, ask(gateway, CHAT, body_of(CHAT, "gpt-sim"), key=third["key"]))
    assert isinstance(error, openai.AuthenticationError)
    assert all(said["key"] not in gateway.stderr for said in (first, second, third))


def test_a_key_ends_when_it_expires(gateway: Gateway) -> None:
    expiring = gateway.new_key("expiring", expires_at=time.time_ns() + 2 * SECOND_NS)
    lasting = gateway.new_key("lasting", expires_at=time.time_ns() + 3600 * SECOND_NS)
    until_status(gateway, lasting, 200)
    until_status(gateway, expiring, 401)
    assert send(gateway, "GET", "/v1/models", headers=headers_of(CHAT, lasting)).status == 200


def test_a_key_may_use_its_models_alone(gateway: Gateway) -> None:
    secret = gateway.new_key("narrow", allowed_models=["claude-*"])
    until_status(gateway, secret, 200)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=secret, max_retries=0) as oai:
        assert [model.id for model in oai.models.list()] == ["claude-sim"]
        with pytest.raises(openai.PermissionDeniedError) as caught:
            oai.chat.completions.create(model="gpt-sim", messages=[{"role": "user", "content": "x"}])
        assert caught.value.code == "model_not_allowed"
        with pytest.raises(openai.NotFoundError):
            oai.models.retrieve("gpt-sim")
    with anthropic.Anthropic(base_url=gateway.url, api_key=secret, max_retries=0) as ant:
        answer = ant.messages.create(model="claude-sim", max_tokens=9, messages=[{"role": "user", "content": "x"}])
        assert answer.content
