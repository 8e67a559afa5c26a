"""What upstreams do wrong, in each dialect, streamed and unary, alone and with a good route behind.

For every fault: what the client gets, what its vendor's SDK makes of it, how the attempt failed, what it cost.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.gateway import Gateway
from tests.e2e.setting import FAULTS, GOOD, KINDS, bad, chain, upstream_name
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, Heard, ask, asked, billed, body_of, raised

from headgate.model.failure import FailureKind as Why
from headgate.policy.estimate import TOKENS_PER_BYTE
from headgate.sim import SimThread
from headgate.sim.record import SimRequest

DIALECTS = (CHAT, RESPONSES, MESSAGES)
NOTHING, HOLD, STREAMED, BILL = "nothing", "hold", "streamed", "bill"
"""What an attempt is charged: nothing, its hold, input and what was streamed, what the sim bills."""
BAD_GATEWAY, UNAVAILABLE, TIMEOUT = 502, 503, 504


@dataclass(frozen=True)
class Early:
    """A failure before any content: the next route answers, or the client gets an error of this status."""

    why: Why
    status: int = BAD_GATEWAY
    charge: str = NOTHING
    retry_after: str | None = None


REFUSED: dict[str, Early] = {
    "401": Early(Why.UPSTREAM_AUTH),
    "402": Early(Why.UPSTREAM_BILLING),
    "403": Early(Why.UPSTREAM_AUTH),
    "404": Early(Why.MODEL_UNAVAILABLE, 404),
    "408": Early(Why.UPSTREAM_TIMEOUT, TIMEOUT),
    "429": Early(Why.RATE_LIMITED, 429, retry_after="1"),
    "429-quota": Early(Why.RATE_LIMITED, 429, retry_after="5"),
    "500": Early(Why.UPSTREAM_ERROR),
    "502": Early(Why.UPSTREAM_ERROR),
    "503": Early(Why.OVERLOADED, UNAVAILABLE, retry_after="5"),
    "504": Early(Why.UPSTREAM_ERROR),
    "520": Early(Why.UPSTREAM_ERROR),
    "529": Early(Why.OVERLOADED, UNAVAILABLE, retry_after="5"),
    "oom-ollama": Early(Why.UPSTREAM_ERROR),
    "oom-llamacpp": Early(Why.UPSTREAM_ERROR),
    "oom-vllm": Early(Why.UPSTREAM_ERROR),
    "refuse": Early(Why.CUT, charge=HOLD),
    "html": Early(Why.BAD_RESPONSE, charge=HOLD),
    "redirect": Early(Why.BAD_RESPONSE),
    "hang-headers": Early(Why.FIRST_TOKEN_TIMEOUT, TIMEOUT, HOLD),
}
EARLY_STREAM = REFUSED | {
    "empty": Early(Why.CUT, charge=HOLD),
    "error-only": Early(Why.ERROR_EVENT, charge=HOLD),
    "error-first": Early(Why.ERROR_EVENT, charge=HOLD),
    "hang-first": Early(Why.FIRST_TOKEN_TIMEOUT, TIMEOUT, HOLD),
    "big-frame": Early(Why.BAD_RESPONSE, charge=HOLD),
}
EARLY_UNARY = REFUSED | {
    "empty": Early(Why.BAD_RESPONSE, charge=HOLD),
    "error-only": Early(Why.ERROR_EVENT, charge=HOLD),
    "malformed": Early(Why.BAD_RESPONSE, charge=HOLD),
    "hang-first": Early(Why.FIRST_TOKEN_TIMEOUT, TIMEOUT, HOLD),
    "hang": Early(Why.FIRST_TOKEN_TIMEOUT, TIMEOUT, HOLD),
    "cut": Early(Why.CUT, charge=HOLD),
    "cut-rst": Early(Why.CUT, charge=HOLD),
    "cut-mid": Early(Why.CUT, charge=HOLD),
    "long-length": Early(Why.CUT, charge=HOLD),
}
LATE = {
    "hang": Why.IDLE_TIMEOUT,
    "cut": Why.CUT,
    "cut-rst": Why.CUT,
    "cut-mid": Why.CUT,
    "error-mid": Why.ERROR_EVENT,
    "malformed": Why.CUT,
}
"""Failures of a stream after its content has begun: no other route can answer, the stream ends in an error event."""
JUDGED = ("400", "400-context", "413")
"""The client's own fault, as the upstream sees it: its answer goes through, no other route is tried."""
FINE = {
    True: ("gzip", "drip", "crlf", "comments", "usage-on-last", "usage-every", "no-usage", "long-length"),
    False: ("gzip", "drip", "no-usage", "big-frame"),
}
EARLY = {True: EARLY_STREAM, False: EARLY_UNARY}
EARLY_CASES = [(fault, stream) for stream, cases in EARLY.items() for fault in cases]


def place_of(fault: str) -> str:
    return "hasty" if fault in FAULTS["hasty"] else "plain"


def attempts(gateway: Gateway, heard: Heard, *failures: str | None) -> list[dict[str, Any]]:
    """Return a call's attempts after the checks that hold for every call: they failed so, and sum up to the call."""
    row = gateway.call(heard.call)
    tries: list[dict[str, Any]] = row["attempts"]
    assert [one["failure"] for one in tries] == list(failures)
    assert all(one["state"] == "settled" for one in tries)
    assert row["cost_nano"] == sum(one["cost_nano"] for one in tries)
    assert heard.headers["x-headgate-attempts"] == str(len(tries))
    return tries


def charged(attempt: dict[str, Any], charge: str, request: SimRequest | None = None) -> None:
    """Check what an attempt cost; never less than the upstream bills for what it has sent."""
    cost, basis = attempt["cost_nano"], attempt["basis"]
    if charge == NOTHING:
        assert (cost, basis) == (0, "computed")
    elif charge == HOLD:
        assert (cost, basis) == (attempt["hold_nano"], "estimated")
        assert cost > 0
    elif charge == BILL:
        assert request is not None
        assert (cost, basis) == (billed(request), "computed")
    if request is not None:
        assert cost >= billed(request)


def last(sim: SimThread, name: str) -> SimRequest:
    """Return the last request of this name, which the gateway must have let go."""
    request = asked(sim, name)[-1]
    sim.until(lambda: request.outcome is not None)
    return request


@pytest.mark.parametrize(("fault", "stream"), EARLY_CASES)
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_before_content_alone(gateway: Gateway, sim: SimThread, endpoint: str, fault: str, stream: bool) -> None:
    case = EARLY[stream][fault]
    if endpoint == MESSAGES and case.why is Why.ERROR_EVENT and stream:  # the frame says overloaded_error
        case = replace(case, status=UNAVAILABLE, retry_after="5")
    name = "alone-" + upstream_name(endpoint, fault, stream=stream)
    route = f"{place_of(fault)}-{KINDS[endpoint]}/{name}"
    heard = ask(gateway, endpoint, body_of(endpoint, route, stream=stream))
    assert heard.status == case.status, heard.body
    assert isinstance(raised(endpoint, heard), openai.APIStatusError | anthropic.APIStatusError)
    assert heard.headers.get("retry-after") == case.retry_after
    assert route in heard.json["error"]["message"]
    [attempt] = attempts(gateway, heard, case.why)
    charged(attempt, case.charge, last(sim, name))
    row = gateway.call(heard.call)
    assert (row["outcome"], row["status"]) == ("failed", case.status)


@pytest.mark.parametrize(("fault", "stream"), EARLY_CASES)
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_before_content_the_next_route_answers(
    gateway: Gateway, sim: SimThread, endpoint: str, fault: str, stream: bool
) -> None:
    case = EARLY[stream][fault]
    text = f"after {fault} {stream}"
    heard = ask(
        gateway,
        endpoint,
        body_of(endpoint, chain(place_of(fault), endpoint, fault, stream=stream), text, stream=stream),
    )
    assert heard.status == 200, heard.body
    assert heard.headers["x-headgate-route"] == GOOD[endpoint]
    answer = next(one for one in asked(sim, "good") if one.endpoint == endpoint and text.encode() in one.body)
    assert heard.body == answer.answer
    first, second = attempts(gateway, heard, case.why, None)
    charged(first, case.charge)
    charged(second, BILL, answer)
    assert gateway.call(heard.call)["outcome"] == "ok"


@pytest.mark.parametrize("place", ["dead", "full"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_a_connection_that_is_not_made_costs_nothing(gateway: Gateway, endpoint: str, place: str, stream: bool) -> None:
    why, status = (Why.CONNECT_FAILED, BAD_GATEWAY) if place == "dead" else (Why.CONNECT_TIMEOUT, TIMEOUT)
    heard = ask(gateway, endpoint, body_of(endpoint, bad(place, endpoint, "none", stream=stream), stream=stream))
    assert heard.status == status
    raised(endpoint, heard)
    charged(attempts(gateway, heard, why)[0], NOTHING)
    behind = ask(gateway, endpoint, body_of(endpoint, chain(place, endpoint, "none", stream=stream), stream=stream))
    assert behind.status == 200
    charged(attempts(gateway, behind, why, None)[0], NOTHING)


@pytest.mark.parametrize("fault", LATE)
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_after_content_a_break_ends_in_an_error_event(
    gateway: Gateway, sim: SimThread, endpoint: str, fault: str
) -> None:
    name = upstream_name(endpoint, fault, stream=True)
    heard = ask(gateway, endpoint, body_of(endpoint, chain(place_of(fault), endpoint, fault, stream=True), stream=True))
    assert heard.status == 200
    assert heard.whole
    request = last(sim, name)
    assert request.frames == 1
    if fault == "error-mid":
        assert heard.body == request.answer
    else:
        whole = request.answer[: request.answer.rindex(b"\n\n") + 2]
        assert heard.body.startswith(whole)
        # The SDK is given our frame alone: a broken one before it is an error of its own to some.
        error = raised(endpoint, replace(heard, body=heard.body[len(whole) :]))
        assert not isinstance(error, openai.APIConnectionError | anthropic.APIConnectionError)
        assert LATE[fault] in heard.data[-1]["error"]["message"]
    [attempt] = attempts(gateway, heard, LATE[fault])
    charged(attempt, HOLD, request)
    row = gateway.call(heard.call)
    assert (row["outcome"], row["status"]) == ("broken", 200)
    assert row["ttft"] > 0


@pytest.mark.parametrize("fault", [fault for fault in FAULTS["stops"] if fault != "malformed"])
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_a_vendor_that_stops_billing_is_owed_input_and_what_was_streamed(
    gateway: Gateway, sim: SimThread, endpoint: str, fault: str
) -> None:
    heard = ask(gateway, endpoint, body_of(endpoint, chain("stops", endpoint, fault, stream=True), stream=True))
    request = last(sim, upstream_name(endpoint, fault, stream=True))
    [attempt] = attempts(gateway, heard, LATE[fault])
    assert billed(request) <= attempt["cost_nano"] < attempt["hold_nano"]
    assert attempt["cost_nano"] == attempt["input"] * 2_000 + attempt["output"] * 8_000
    assert request.usage.output <= attempt["output"] <= ceil(len(request.answer) * TOKENS_PER_BYTE)
    if endpoint == MESSAGES:  # message_start has told the input
        assert attempt["input"] == request.usage.input


@pytest.mark.parametrize("fault", JUDGED)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_what_is_the_clients_fault_goes_through_and_nowhere_else(
    gateway: Gateway, sim: SimThread, endpoint: str, stream: bool, fault: str
) -> None:
    heard = ask(gateway, endpoint, body_of(endpoint, chain("plain", endpoint, fault, stream=stream), stream=stream))
    request = last(sim, upstream_name(endpoint, fault, stream=stream))
    assert (heard.status, heard.body) == (int(fault[:3]), request.answer)
    raised(endpoint, heard)
    [attempt] = attempts(gateway, heard, Why.REQUEST_REJECTED)
    charged(attempt, NOTHING, request)
    assert gateway.call(heard.call)["outcome"] == "rejected"


@pytest.mark.parametrize(("fault", "stream"), [(fault, stream) for stream, faults in FINE.items() for fault in faults])
@pytest.mark.parametrize("endpoint", DIALECTS)
def test_what_is_odd_but_whole_is_an_answer(
    gateway: Gateway, sim: SimThread, endpoint: str, fault: str, stream: bool
) -> None:
    text = "[[sim tokens=3]]"
    heard = ask(
        gateway, endpoint, body_of(endpoint, chain("plain", endpoint, fault, stream=stream), text, stream=stream)
    )
    assert heard.status == 200, heard.body[:500]
    assert heard.whole
    request = last(sim, upstream_name(endpoint, fault, stream=stream))
    [attempt] = attempts(gateway, heard, None)
    charged(attempt, HOLD if fault == "no-usage" else BILL, request)
    assert gateway.call(heard.call)["outcome"] == "ok"


@pytest.mark.parametrize("endpoint", DIALECTS)
def test_a_stream_without_its_last_frame_is_whole_only_if_it_said_so(
    gateway: Gateway, sim: SimThread, endpoint: str
) -> None:
    """Chat and messages name the reason of their end before it; responses have nothing but the last frame."""
    heard = ask(gateway, endpoint, body_of(endpoint, chain("plain", endpoint, "no-done", stream=True), stream=True))
    request = last(sim, upstream_name(endpoint, "no-done", stream=True))
    if endpoint == RESPONSES:
        [attempt] = attempts(gateway, heard, Why.CUT)
        charged(attempt, HOLD, request)
        raised(endpoint, heard)
        return
    assert heard.body == request.answer
    charged(attempts(gateway, heard, None)[0], BILL, request)


def test_a_response_that_failed_after_content_is_its_own_end(gateway: Gateway, sim: SimThread) -> None:
    heard = ask(gateway, RESPONSES, body_of(RESPONSES, chain("plain", RESPONSES, "failed", stream=True), stream=True))
    request = last(sim, upstream_name(RESPONSES, "failed", stream=True))
    assert heard.body == request.answer
    assert heard.data[-1]["type"] == "response.failed"
    [attempt] = attempts(gateway, heard, Why.ERROR_EVENT)
    charged(attempt, HOLD, request)
    assert gateway.call(heard.call)["outcome"] == "broken"


@pytest.mark.parametrize("endpoint", DIALECTS)
def test_a_refused_credential_takes_the_route_out(gateway: Gateway, sim: SimThread, endpoint: str) -> None:
    name = f"out-{KINDS[endpoint]}-sim-401"
    route = f"plain-{KINDS[endpoint]}/{name}"
    assert ask(gateway, endpoint, body_of(endpoint, route)).status == BAD_GATEWAY
    heard = ask(gateway, endpoint, body_of(endpoint, route))
    assert heard.status == UNAVAILABLE
    assert len(asked(sim, name)) == 1
    assert 1 < int(heard.headers["retry-after"]) <= 300
    assert "disabled: upstream_auth" in heard.json["error"]["message"]
    row = gateway.call(heard.call)
    assert (row["outcome"], row["error"], row["cost_nano"]) == ("rejected", "service_unavailable", 0)


def test_a_rate_limit_is_told_and_heeded(gateway: Gateway, sim: SimThread) -> None:
    sim.fault("429", model="limited", retry_after=77)
    for _ in range(2):
        heard = ask(gateway, CHAT, body_of(CHAT, "openai/limited"))
        assert heard.status == 429
        assert 0 < int(heard.headers["retry-after"]) <= 77
        error = raised(CHAT, heard)
        assert isinstance(error, openai.RateLimitError)
        assert error.code == "rate_limit_exceeded"
    assert len(asked(sim, "limited")) == 1
