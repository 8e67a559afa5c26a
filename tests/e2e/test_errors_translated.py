"""Errors of upstreams through the vendors' SDKs, for each pair of dialects, before and after the first frame.

Whatever goes wrong at whichever upstream, the client's own SDK raises its own class; the ledger agrees.
"""

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.clients import CLASSES, Clients, ends, says_more
from tests.e2e.failing import (
    BEGUN,
    DIALECTS,
    EARLY,
    HOLD,
    JUDGED,
    NOTHING,
    Case,
    call_of,
    case_of,
    check_anthropic,
    check_error,
    check_openai,
    check_row,
    message_of,
    route_of,
    settled,
    unsaid,
)
from tests.e2e.gateway import Gateway
from tests.e2e.processes import poll
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, asked

from headgate.ledger.engine import open_ledger
from headgate.model.errors import STATUS, ErrorKind
from headgate.model.failure import FailureKind as Why
from headgate.sim import SimThread

Rows = Callable[[str], dict[str, Any]]
PAIRS = [(client, upstream) for client in DIALECTS for upstream in DIALECTS]
FOREIGN = [(client, upstream) for client, upstream in PAIRS if client != upstream]
PROMPT = {CHAT: "messages", RESPONSES: "input", MESSAGES: None}


@pytest.fixture(scope="module")
def clients(gateway: Gateway) -> Iterator[Clients]:
    with Clients.of(gateway) as made:
        yield made


@pytest.fixture(scope="module")
def rows(gateway: Gateway) -> Iterator[Rows]:
    """Reads the rows of calls; to open the ledger for each takes longer than the call."""
    ledger = open_ledger(gateway.ledger_url)

    def row(call: str) -> dict[str, Any]:
        # A client that cannot read on leaves before its row is there.
        found = poll(lambda: ledger.reader().call(call))
        assert found is not None
        return found

    try:
        yield row
    finally:
        ledger.close()


def param_of(client: str, kind: ErrorKind) -> str | None:
    """Return what an error names as the member at fault; Anthropic's envelope has no place for it."""
    if kind is ErrorKind.CONTEXT_LENGTH_EXCEEDED:
        return PROMPT[client]
    return "model" if kind is ErrorKind.MODEL_NOT_FOUND else None


# -- before the first frame, and answers without frames ----------------------------------------------


@pytest.mark.parametrize(("fault", "stream"), [(fault, stream) for stream, cases in EARLY.items() for fault in cases])
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_before_the_first_frame(
    rows: Rows, sim: SimThread, clients: Clients, client: str, upstream: str, fault: str, stream: bool
) -> None:
    case = case_of(fault, upstream, stream=stream)
    route = route_of(client, upstream, fault, stream=stream)
    with pytest.raises(CLASSES) as raised:
        clients.ask(client, route, stream=stream)
    error: Any = raised.value
    check_error(error, client, case.kind, param=param_of(client, case.kind))
    assert error.response.headers.get("retry-after") == case.retry_after
    assert f"{route}: {case.why}" in message_of(error)
    status = STATUS[case.kind]
    check_row(rows(call_of(error)), sim, case, outcome="failed", status=status, told=case.kind)


@pytest.mark.parametrize("place", ["dead", "full"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_connection_that_is_not_made(
    rows: Rows, sim: SimThread, clients: Clients, client: str, upstream: str, stream: bool, place: str
) -> None:
    case = Case(Why.CONNECT_FAILED, ErrorKind.UPSTREAM_ERROR)
    if place == "full":
        case = Case(Why.CONNECT_TIMEOUT, ErrorKind.UPSTREAM_TIMEOUT)
    route = route_of(client, upstream, "none", stream=stream, place=place)
    with pytest.raises(CLASSES) as raised:
        clients.ask(client, route, stream=stream)
    check_error(raised.value, client, case.kind)
    assert f"{route}: {case.why}" in message_of(raised.value)
    status = STATUS[case.kind]
    check_row(rows(call_of(raised.value)), sim, case, outcome="failed", status=status, told=case.kind)


@pytest.mark.parametrize("fault", JUDGED)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_what_a_foreign_upstream_holds_against_the_request(
    rows: Rows, sim: SimThread, clients: Clients, client: str, upstream: str, stream: bool, fault: str
) -> None:
    case = JUDGED[fault]
    route = route_of(client, upstream, fault, stream=stream)
    with pytest.raises(CLASSES) as raised:
        clients.ask(client, route, stream=stream)
    check_error(raised.value, client, case.kind, param=param_of(client, case.kind))
    said = message_of(raised.value)
    assert f"{route}: request_rejected" in said
    if fault == "400-context":  # what clients look for before they shorten a conversation
        assert "prompt is too long" in said
        assert "maximum context length" in said
    status = STATUS[case.kind]
    check_row(rows(call_of(raised.value)), sim, case, outcome="rejected", status=status, told=case.kind)


@pytest.mark.parametrize("fault", JUDGED)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("client", DIALECTS)
def test_what_an_upstream_of_the_same_dialect_holds_against_it_is_its_own_answer(
    rows: Rows, sim: SimThread, clients: Clients, client: str, stream: bool, fault: str
) -> None:
    route = route_of(client, client, fault, stream=stream)
    with pytest.raises(CLASSES) as raised:
        clients.ask(client, route, stream=stream)
    error: Any = raised.value
    [request] = asked(sim, route.partition("/")[2])
    assert error.response.content == request.answer
    assert (error.status_code, error.request_id) == (int(fault[:3]), error.response.headers["x-headgate-call"])
    told = Why.REQUEST_REJECTED
    check_row(rows(call_of(error)), sim, JUDGED[fault], outcome="rejected", status=int(fault[:3]), told=told)


# -- after the first frame ---------------------------------------------------------------------------


def broken(clients: Clients, client: str, route: str) -> tuple[str, Exception | None, list[Any]]:
    """Read a stream that breaks; return its call, what the SDK raised, and the events that came before."""
    raw = clients.raw(client, route, stream=True)
    events: list[Any] = []
    try:
        for event in raw.parse():
            events.append(event)  # noqa: PERF402  what came before the error counts
    except Exception as error:  # noqa: BLE001  whatever it is, the test judges it
        return raw.headers["x-headgate-call"], error, events
    return raw.headers["x-headgate-call"], None, events


@pytest.mark.parametrize("fault", BEGUN)
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_after_the_first_frame(
    rows: Rows, sim: SimThread, clients: Clients, client: str, upstream: str, fault: str
) -> None:
    case = BEGUN[fault]
    overloaded = case.why is Why.ERROR_EVENT and upstream == MESSAGES
    kind = ErrorKind.SERVICE_UNAVAILABLE if overloaded else case.kind
    route = route_of(client, upstream, fault, stream=True)
    call, error, events = broken(clients, client, route)
    assert any(says_more(client, event) for event in events)
    assert not any(ends(client, event) for event in events)
    assert error is not None
    if client == MESSAGES:
        assert type(error) is anthropic.APIStatusError
        check_anthropic(error, kind)
    else:
        assert type(error) is openai.APIError
        check_openai(error, kind, None)
    assert message_of(error).startswith(f"The answer broke off: {route}: {case.why}")
    check_row(rows(call), sim, case, outcome="broken", status=200, told=kind)


@pytest.mark.parametrize("fault", BEGUN)
@pytest.mark.parametrize("client", DIALECTS)
def test_after_the_first_frame_of_the_same_dialect(
    rows: Rows, sim: SimThread, clients: Clients, client: str, fault: str
) -> None:
    """The upstream's own frames go through, its own error too: responses' `error` and `response.failed` raise nothing
    in the SDK, they are its last event."""
    case = BEGUN[fault]
    call, error, events = broken(clients, client, route_of(client, client, fault, stream=True))
    assert any(says_more(client, event) for event in events)
    assert not any(ends(client, event) for event in events)
    if client == RESPONSES and case.why is Why.ERROR_EVENT:
        assert error is None
        assert events[-1].type == ("error" if fault == "error-mid" else "response.failed")
    elif fault == "malformed":  # the broken frame itself went through, and the SDK cannot read it
        assert error is not None
    else:
        assert isinstance(error, CLASSES)
        assert not isinstance(error, openai.APIConnectionError | anthropic.APIConnectionError)
        unsaid(error, {})
    row = rows(call)
    if fault == "malformed" and row["outcome"] == "client_gone":  # the SDK may leave before the upstream cuts
        assert (row["attempts"][0]["failure"], row["cost_nano"]) == (Why.CLIENT_GONE, row["attempts"][0]["hold_nano"])
        return
    overloaded = case.why is Why.ERROR_EVENT and client == MESSAGES
    told = ErrorKind.SERVICE_UNAVAILABLE if overloaded else case.kind
    check_row(row, sim, case, outcome="broken", status=200, told=told)


@pytest.mark.parametrize("fault", ["cut", "error-mid", "failed"])
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_no_helper_of_an_sdk_hands_out_a_broken_answer(
    clients: Clients, client: str, upstream: str, fault: str
) -> None:
    route = route_of(client, upstream, fault, stream=True, place="plain")
    # `get_final_response` says with a RuntimeError that no response was completed.
    with pytest.raises((*CLASSES, RuntimeError)):
        clients.finished(client, route)


@pytest.mark.parametrize("fault", ["cut", "error-mid"])
@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_a_broken_translation_is_owed_what_was_streamed_where_a_cut_ends_the_bill(
    rows: Rows, sim: SimThread, clients: Clients, client: str, upstream: str, fault: str
) -> None:
    route = route_of(client, upstream, fault, stream=True, place="stops")
    call, error, _ = broken(clients, client, route)
    assert error is not None
    [attempt] = rows(call)["attempts"]
    [request] = asked(sim, route.partition("/")[2])
    settled(sim, request)
    assert attempt["cost_nano"] == attempt["input"] * 2_000 + attempt["output"] * 8_000
    assert request.usage.output <= attempt["output"]
    assert 0 < attempt["cost_nano"] < attempt["hold_nano"]


# -- what the SDKs do about it -----------------------------------------------------------------------


@pytest.mark.parametrize(("client", "upstream"), [(CHAT, MESSAGES), (MESSAGES, RESPONSES)])
def test_an_sdk_waits_and_retries_what_can_be_mended(
    gateway: Gateway, sim: SimThread, client: str, upstream: str
) -> None:
    name = f"mended-{client[:4]}"
    sim.fault("429", times=1, model=name, retry_after=1)
    route = f"plain-{'anthropic' if upstream == MESSAGES else 'openai_responses'}/{name}"
    with Clients.of(gateway, retries=2) as patient:
        assert patient.ask(client, route)
    assert [request.status for request in asked(sim, name)] == [429, 200]


@pytest.mark.parametrize(("client", "upstream"), FOREIGN)
def test_an_sdk_does_not_repeat_what_is_futile(gateway: Gateway, sim: SimThread, client: str, upstream: str) -> None:
    for fault in ("404", "400"):
        route = route_of(client, upstream, fault, stream=False).replace("-sim-", "-futile-sim-")
        with Clients.of(gateway, retries=2) as patient, pytest.raises(CLASSES):
            patient.ask(client, route)
        assert len(asked(sim, route.partition("/")[2])) == 1


def test_every_failure_an_upstream_or_the_wire_can_cause_is_in_the_tables() -> None:
    seen = {case.why for cases in (*EARLY.values(), JUDGED, BEGUN) for case in cases.values()}
    elsewhere = {Why.CONNECT_FAILED, Why.CONNECT_TIMEOUT}
    ours = {Why.DEADLINE, Why.UNTRANSLATABLE, Why.LIMITED, Why.CAPPED, Why.CLIENT_GONE}
    ours |= {Why.STORE_UNAVAILABLE, Why.INTERNAL}
    assert seen | elsewhere | ours == set(Why)
    assert {HOLD, NOTHING} == {case.charge for cases in EARLY.values() for case in cases.values()}
