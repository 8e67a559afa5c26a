"""Upstreams that say something else than they should, and refusals of our own, through the SDKs of other dialects."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.clients import CLASSES, Clients, ends
from tests.e2e.failing import DIALECTS, check_error, message_of
from tests.e2e.gateway import PRICE, SECRET_MARK, Gateway
from tests.e2e.scripted import Said, frames, scripted
from tests.e2e.setting import KINDS
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES

from headgate.model.errors import STATUS, ErrorKind
from headgate.sim import SimThread

FOREIGN = [(client, upstream) for client in DIALECTS for upstream in DIALECTS if client != upstream]
NAMES = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "claude"}
"""Providers, by what they say that they speak."""

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
COMPLETION = CHUNK | {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
TEXT = {"type": "output_text", "text": "hi", "annotations": []}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [TEXT]}],
    "usage": {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
}
FILTERED = RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
CREATED = {"type": "response.created", "sequence_number": 0, "response": RESPONSE | {"output": [], "status": "queued"}}
CHOICE = {"index": 0, "delta": {"role": "assistant", "content": "hi"}}
STOPPED = {"index": 0, "delta": {}, "finish_reason": "stop"}
TOO_LONG = {"code": "context_length_exceeded", "message": "too much", "type": "invalid_request_error", "param": "input"}
SLOW = {"code": "rate_limit_exceeded", "type": "rate_limit_error", "message": "slow down"}


def failed(error: dict[str, Any]) -> Said:
    """Return an error inside a 200, as each dialect says it: all of them read it."""
    response = RESPONSE | {"status": "failed", "output": None, "error": error}
    return Said(response, frames({"type": "error", "error": error}))


SCRIPT = {
    "message": Said(MESSAGE, frames({"type": "message_start", "message": MESSAGE}, {"type": "message_stop"})),
    "completion": Said(COMPLETION, frames(CHUNK | {"choices": [CHOICE]}, CHUNK | {"choices": [STOPPED]}, done=True)),
    "response": Said(RESPONSE, frames(CREATED, {"type": "response.completed", "response": RESPONSE})),
    "object": Said({"ok": True}, frames({"ok": True}, done=True)),
    "nothing": Said({"choices": [], "content": None, "output": None}, frames(CHUNK | {"choices": []}, done=True)),
    "beside": Said({"choices": [], "error": {"code": 502, "message": "gone"}}, frames({"error": {"message": "gone"}})),
    "slow": failed(SLOW),
    "long": failed(TOO_LONG),
    "filtered": Said(FILTERED, frames(CREATED, {"type": "response.incomplete", "response": FILTERED})),
    "temperature": Said(
        {"error": {"message": "no", "type": "invalid_request_error", "param": "temperature"}}, status=400
    ),
    "broke": Said(
        {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low."}},
        status=400,
    ),
    "plain": Said(COMPLETION | MESSAGE | RESPONSE, kind="text/plain"),
}
SPOKEN = {"message": MESSAGES, "completion": CHAT, "response": RESPONSES}

NARROW: list[str] = []
"""The key that may use nothing; made before the start, so that it is known at once."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with scripted(SCRIPT) as url:
        lines = ["providers:"]
        for endpoint, name in NAMES.items():
            lines.append(f'  {name}: {{kind: {KINDS[endpoint]}, base_url: "{url}", price: {PRICE}}}')
            lines.append(f'  sim-{name}: {{kind: {KINDS[endpoint]}, base_url: "{sim.url}", price: {PRICE}}}')
        lines += [
            "models:",
            "  strict: {routes: [claude/strict-message], strict: true}",
            "  strict-or-limited: {routes: [sim-chat/limited-sim-429, claude/strict-message], strict: true}",
            "  broke-then-fine: {routes: [claude/first-broke, sim-chat/fine]}",
        ]
        made = Gateway(tmp_path_factory.mktemp("odd"), sim, "\n".join(lines) + "\n")
        made.key = made.new_key("tests")
        NARROW.append(made.new_key("narrow", allowed_models=["other"]))
        with made as running:
            yield running


@pytest.fixture(scope="module")
def clients(odd: Gateway) -> Iterator[Clients]:
    with Clients.of(odd) as made:
        yield made


def refused(clients: Clients, client: str, model: str, kind: ErrorKind, *, stream: bool = False, **more: Any) -> Any:
    """Ask for what must fail; return the error, which is its vendor's own."""
    param = more.pop("param", None)
    with pytest.raises(CLASSES) as raised:
        clients.ask(client, model, stream=stream, **more)
    check_error(raised.value, client, kind, param=param)
    return raised.value


# -- answers that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize("said", [*SPOKEN, "object", "nothing", "beside"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_an_upstream_that_speaks_another_dialect_than_it_says_is_no_empty_answer(
    odd: Gateway, clients: Clients, client: str, upstream: str, said: str, stream: bool
) -> None:
    if SPOKEN.get(said) == upstream:
        assert clients.ask(client, f"{NAMES[upstream]}/{client[:4]}-{said}", stream=stream)
        return
    error = refused(clients, client, f"{NAMES[upstream]}/{client[:4]}-{said}", ErrorKind.UPSTREAM_ERROR, stream=stream)
    row = odd.call(error.response.headers["x-headgate-call"])
    assert row["outcome"] == "failed"
    assert row["attempts"][0]["failure"] in ("bad_response", "error_event", "cut")
    # Usage that can be read all the same is the truth: two dialects share its names.
    assert 0 < row["cost_nano"] <= row["attempts"][0]["hold_nano"]


@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_translated_answer_is_of_the_clients_type(clients: Clients, client: str, upstream: str) -> None:
    raw = clients.raw(client, f"{NAMES[upstream]}/{client[:4]}-plain")
    assert raw.headers["content-type"] == "application/json"
    named = "request-id" if client == MESSAGES else "x-request-id"
    assert raw.headers[named] == raw.headers["x-headgate-call"]
    assert raw.parse().id


# -- errors inside a 200 -----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_an_error_inside_a_200_says_what_its_status_should_have(
    clients: Clients, client: str, upstream: str, stream: bool
) -> None:
    slow = refused(
        clients, client, f"{NAMES[upstream]}/{client[:4]}-slow", ErrorKind.RATE_LIMIT_EXCEEDED, stream=stream
    )
    assert slow.response.headers["retry-after"] == "5"
    prompt = {CHAT: "messages", RESPONSES: "input", MESSAGES: None}[client]
    kind = ErrorKind.CONTEXT_LENGTH_EXCEEDED
    refused(clients, client, f"{NAMES[upstream]}/{client[:4]}-long", kind, stream=stream, param=prompt)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", [CHAT, MESSAGES])
def test_a_content_filter_is_an_answer(odd: Gateway, clients: Clients, client: str, stream: bool) -> None:
    raw = clients.raw(client, f"responses/{client[:4]}-filtered", stream=stream)
    said: Any = raw.parse()
    if stream:
        said = next(event for event in said if ends(client, event))
    if client == MESSAGES:
        reason = said.delta.stop_reason if stream else said.stop_reason
    else:
        reason = said.choices[0].finish_reason
    assert reason == ("refusal" if client == MESSAGES else "content_filter")
    assert odd.call(raw.headers["x-headgate-call"])["outcome"] == "ok"


# -- what upstreams hold against us ------------------------------------------------------------------


def test_a_member_that_both_sides_know_is_named(clients: Clients) -> None:
    for client, upstream in FOREIGN:
        kind, model = ErrorKind.INVALID_REQUEST, f"{NAMES[upstream]}/{client[:4]}-temperature"
        known = None if client == MESSAGES else "temperature"
        refused(clients, client, model, kind, param=known, extra_body={"temperature": 0.5})
        refused(clients, client, model, kind)


@pytest.mark.parametrize("client", DIALECTS)
def test_an_empty_account_of_ours_is_not_the_clients_fault(odd: Gateway, clients: Clients, client: str) -> None:
    error = refused(clients, client, f"claude/{client[:4]}-broke", ErrorKind.UPSTREAM_ERROR)
    assert "not yours" in message_of(error)
    [attempt] = odd.call(error.response.headers["x-headgate-call"])["attempts"]
    assert attempt["failure"] == "upstream_billing"


def test_an_empty_account_of_ours_leaves_the_call_to_the_next_route(clients: Clients) -> None:
    raw = clients.raw(MESSAGES, "broke-then-fine")
    assert raw.headers["x-headgate-route"] == "sim-chat/fine"


@pytest.mark.parametrize("how", ["400", "401", "500", "200", "first", "mid"])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_credential_that_a_foreign_upstream_repeats_stays_here(
    gateway: Gateway, client: str, upstream: str, how: str
) -> None:
    stream = how in ("first", "mid")
    with Clients.of(gateway) as asking, pytest.raises(CLASSES) as raised:
        asking.ask(client, f"echo-{KINDS[upstream]}/{client[:4]}-{how}", stream=stream)
    error: Any = raised.value
    shown = f"{error!r} {error.body} {error.response.headers if hasattr(error, 'response') else ''}"
    assert SECRET_MARK not in shown
    assert "[key]" in shown


# -- refusals of our own -----------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", DIALECTS)
def test_what_headgate_itself_refuses_is_the_vendors_own_error(
    odd: Gateway, clients: Clients, client: str, stream: bool
) -> None:
    named = None if client == MESSAGES else "model"
    for upstream in DIALECTS:
        model = f"{NAMES[upstream]}/refused-message"
        with Clients.of(odd, key=NARROW[-1]) as narrow:
            refused(narrow, client, model, ErrorKind.MODEL_NOT_ALLOWED, stream=stream, param=named)
        with Clients.of(odd, key="hg_wrong") as strangers, pytest.raises(CLASSES) as raised:
            strangers.ask(client, model, stream=stream)
        assert isinstance(raised.value, openai.AuthenticationError | anthropic.AuthenticationError)
        assert raised.value.response.headers["x-should-retry"] == "false"
    refused(clients, client, "nobody/knows-it", ErrorKind.MODEL_NOT_FOUND, stream=stream, param=named)


def test_a_member_of_the_wrong_type_is_named_before_anything_is_sent(odd: Gateway, clients: Clients) -> None:
    for client, upstream in FOREIGN:
        member = "input" if client == RESPONSES else "messages"
        error = refused(
            clients,
            client,
            f"{NAMES[upstream]}/{client[:4]}-object",
            ErrorKind.INVALID_REQUEST,
            extra_body={member: 5},
            param=None if client == MESSAGES else member,
        )
        row = odd.call(error.response.headers["x-headgate-call"])
        assert (row["outcome"], row["attempts"], row["cost_nano"]) == ("rejected", [], 0)


def test_what_strict_refuses_says_so_unless_another_route_said_more(odd: Gateway, clients: Clients) -> None:
    refused(clients, CHAT, "strict", ErrorKind.UNTRANSLATABLE, seed=7)
    error = refused(clients, CHAT, "strict-or-limited", ErrorKind.RATE_LIMIT_EXCEEDED, seed=7)
    assert error.response.headers["retry-after"] == "1"
    assert "seed" in message_of(error)
    row = odd.call(error.response.headers["x-headgate-call"])
    assert (row["outcome"], row["status"]) == ("failed", STATUS[ErrorKind.RATE_LIMIT_EXCEEDED])


def test_state_that_a_foreign_upstream_cannot_have(clients: Clients) -> None:
    for more in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"background": True}):
        kind, model = ErrorKind.DIALECT_UNAVAILABLE, "chat/resp-completion"
        refused(clients, RESPONSES, model, kind, param=next(iter(more)), **more)
