"""One call on scripted upstreams: what the client sees, what the ledger keeps."""

import asyncio
import json

import pytest
from tests.runtime.desk import Desk

from headgate.model.dialect import Kind
from headgate.model.failure import Failure, FailureKind
from headgate.upstream.fake import Hang, Scripted

UNARY = b'{"model":"chain","messages":[]}'
STREAM = b'{"model":"chain","messages":[],"stream":true}'
ANSWER = b'{"id":"x","x_new":1.50,"usage":{"prompt_tokens":10,"completion_tokens":5}}'
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
SSE = {"content-type": "text/event-stream"}
REFUSED = Scripted(refused=Failure(FailureKind.CONNECT_FAILED, "connection refused"))


def stream(*steps: bytes | Failure | Hang) -> Scripted:
    return Scripted(steps, headers=SSE)


def unary(*steps: bytes | Failure | Hang, status: int = 200, **headers: str) -> Scripted:
    return Scripted(steps, status, {"content-type": "application/json", **headers})


async def test_a_unary_answer_passes_byte_for_byte_and_is_charged() -> None:
    desk = Desk([unary(ANSWER)])
    got = await desk.answer(UNARY)
    assert (got.status, got.whole) == (200, ANSWER)
    assert got.answered("x-headgate-route") == "p1/m"
    assert got.answered("x-headgate-cost-usd") == "0.00002"  # 10 × 1,000 + 5 × 2,000 nano-USD
    [row] = desk.rows.calls
    assert (row.outcome, row.input, row.output, row.cost_nano, row.basis) == ("ok", 10, 5, 20_000, "computed")
    assert got.answered("x-headgate-call") == row.id
    assert [a.no for a in desk.rows.attempts] == [1]


async def test_a_stream_passes_frame_by_frame_without_the_usage_nobody_asked_for() -> None:
    desk = Desk([stream(ROLE, TEXT, TEXT, STOP, USAGE, DONE)])
    got = await desk.answer(STREAM)
    assert got.sent == [ROLE + TEXT, TEXT, STOP, DONE]
    [row] = desk.rows.calls
    assert (row.input, row.output, row.cost_nano) == (10, 5, 20_000)
    assert json.loads(desk.clients["p1"].requests[0][2])["stream_options"] == {"include_usage": True}


async def test_the_terminal_frame_waits_for_the_commit() -> None:
    desk = Desk([stream(ROLE, TEXT, STOP, USAGE, DONE)])
    desk.rows.held_back = True
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(desk.rows.calls))
    for _ in range(50):
        await asyncio.sleep(0)
    assert DONE not in transport.whole
    desk.rows.commit()
    await task
    assert transport.whole.endswith(DONE)


async def test_a_store_that_does_not_commit_ends_the_stream_in_an_error() -> None:
    desk = Desk([stream(ROLE, TEXT, STOP, USAGE, DONE)])
    desk.rows.held_back = True
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(desk.rows.calls))
    call.expire(desk.time.now + 4_000_000_000)
    assert not task.done()
    call.expire(desk.time.now + 6_000_000_000)
    await task
    assert DONE not in transport.whole
    assert b'"error"' in transport.sent[-1]


@pytest.mark.parametrize(
    ("first", "failure", "cost"),
    [
        (REFUSED, "connect_failed", 0),
        (unary(b'{"error":{"message":"slow down"}}', status=429), "rate_limited", 0),
        (unary(b"oops", status=500), "upstream_error", 0),
        (unary(b"", status=529), "overloaded", 0),
        (stream(ROLE, ERROR), "error_event", None),
        (stream(ROLE, Failure(FailureKind.CUT, "cut")), "cut", None),
        (stream(b"<html>"), "bad_response", None),
        (stream(), "cut", None),
    ],
)
async def test_what_breaks_before_content_falls_over(first: Scripted, failure: str, cost: int | None) -> None:
    desk = Desk([first], [stream(ROLE, TEXT, STOP, USAGE, DONE)])
    got = await desk.answer(STREAM)
    assert got.whole == ROLE + TEXT + STOP + DONE
    assert got.answered("x-headgate-attempts") == "2"
    broken, good = desk.rows.attempts
    assert (broken.failure, good.failure) == (failure, None)
    if cost is not None:
        assert broken.cost_nano == cost
    else:
        assert broken.cost_nano == broken.hold_nano
    [row] = desk.rows.calls
    assert (row.route, row.outcome, row.error) == ("p2/m", "ok", None)
    assert row.cost_nano == (broken.cost_nano or 0) + 20_000


async def test_a_rejected_request_is_the_clients_and_never_falls_over() -> None:
    said = b'{"error":{"message":"bad tool","code":"x"}}'
    desk = Desk([unary(said, status=400)], [unary(ANSWER)])
    got = await desk.answer(UNARY)
    assert (got.status, got.whole) == (400, said)
    assert desk.clients["p2"].requests == []
    [row] = desk.rows.calls
    assert (row.outcome, row.status, row.cost_nano) == ("rejected", 400, 0)


async def test_a_break_after_content_ends_in_the_dialects_error_event() -> None:
    desk = Desk([stream(ROLE, TEXT, Failure(FailureKind.CUT, "cut"))], [stream(ROLE, TEXT, STOP, DONE)])
    got = await desk.answer(STREAM)
    assert got.sent[0] == ROLE + TEXT
    assert b'"error"' in got.sent[-1]
    assert desk.clients["p2"].requests == []
    assert desk.rows.calls[0].outcome == "broken"


async def test_all_failed_says_what_each_attempt_said_and_no_key() -> None:
    leak = unary(b'{"error":{"message":"bad key secret-of-p1 given"}}', status=401)
    desk = Desk([leak], [REFUSED])
    got = await desk.answer(UNARY)
    assert got.status == 502
    message = json.loads(got.whole)["error"]["message"]
    assert "p1/m" in message
    assert "connection refused" in message
    assert "secret-of" not in got.whole.decode()
    assert all("secret-of" not in (row.message or "") for row in desk.rows.attempts)


async def test_an_auth_error_disables_the_route() -> None:
    desk = Desk([unary(b"{}", status=401)], [unary(ANSWER), unary(ANSWER)])
    await desk.answer(UNARY)
    got = await desk.answer(UNARY)
    assert got.answered("x-headgate-attempts") == "1"
    assert len(desk.clients["p1"].requests) == 1


@pytest.mark.parametrize("answering", [(Hang(),), (ROLE, Hang()), (ROLE, TEXT, Hang())])
async def test_a_client_that_leaves_a_stream_closes_it_and_is_charged(answering: tuple[bytes | Hang, ...]) -> None:
    desk = Desk([stream(*answering)], [stream(ROLE, TEXT, STOP, DONE)])
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(desk.clients["p1"].answers))
    for _ in range(20):
        await asyncio.sleep(0)
    transport.leave()
    await task
    [row] = desk.rows.calls
    assert (row.outcome, row.basis) == ("client_gone", "estimated")
    assert row.cost_nano == desk.rows.attempts[0].hold_nano
    assert desk.clients["p1"].answers[0].closed
    assert desk.clients["p2"].requests == []


async def test_a_vendor_that_stops_billing_charges_only_what_was_streamed() -> None:
    desk = Desk([stream(ROLE, TEXT, Hang())], cut_stops_billing=True)
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(transport.sent))
    transport.leave()
    await task
    [row] = desk.rows.attempts
    assert row.hold_nano is not None
    assert row.cost_nano is not None
    assert 0 < row.cost_nano < row.hold_nano


async def test_a_drained_stream_is_read_to_its_end_after_the_client_left() -> None:
    desk = Desk([stream(ROLE, TEXT, TEXT, STOP, USAGE, DONE)], drain_on_disconnect=True)
    call, transport = desk.call(STREAM)
    transport.leave()
    await call.serve(transport.body())
    [row] = desk.rows.calls
    assert (row.outcome, row.cost_nano, row.basis) == ("client_gone", 20_000, "computed")


@pytest.mark.parametrize(
    ("steps", "passed", "kind"),
    [
        ((Hang(),), 61, "first_token_timeout"),
        ((ROLE, Hang()), 61, "first_token_timeout"),
        ((ROLE, TEXT, Hang()), 61, "idle_timeout"),
        ((ROLE, Hang()), 700, "deadline"),
    ],
)
async def test_timeouts(steps: tuple[bytes | Hang, ...], passed: int, kind: str) -> None:
    desk = Desk([stream(*steps)])
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(desk.clients["p1"].answers))
    for _ in range(20):
        await asyncio.sleep(0)
    desk.time.now += passed * 1_000_000_000
    call.expire(desk.time.now)
    await task
    assert desk.rows.attempts[0].failure == kind
    assert desk.rows.attempts[0].cost_nano == desk.rows.attempts[0].hold_nano


async def test_a_request_that_cannot_be_read_leaves_a_row() -> None:
    desk = Desk([unary(ANSWER)])
    got = await desk.answer(b'{"model":"chain","model":"other"}')
    assert got.status == 400
    [row] = desk.rows.calls
    assert (row.outcome, row.error, row.attempts) == ("rejected", "invalid_request", 0)


async def test_anthropic_streams_end_in_their_own_way() -> None:
    start = (
        b'event: message_start\ndata: {"type":"message_start",'
        b'"message":{"usage":{"input_tokens":10,"output_tokens":1}}}\n\n'
    )
    delta = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta",'
        b'"index":0,"delta":{"type":"text_delta","text":"Hi"}}\n\n'
    )
    last = (
        b'event: message_delta\ndata: {"type":"message_delta",'
        b'"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}\n\n'
    )
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    desk = Desk([stream(start, delta, last, stop)], kind=Kind.ANTHROPIC)
    got = await desk.answer(b'{"model":"chain","max_tokens":9,"messages":[],"stream":true}', {"anthropic-beta": "b1"})
    assert got.whole == start + delta + last + stop
    [row] = desk.rows.calls
    assert (row.input, row.output, row.cost_nano) == (10, 5, 20_000)
    assert row.ttft is not None
    sent = dict(desk.clients["p1"].requests[0][1])
    assert sent["anthropic-beta"] == "b1"
    assert sent["anthropic-version"] == "2023-06-01"


async def test_a_unary_client_that_has_left_pays_for_no_other_attempt() -> None:
    desk = Desk([unary(b"oops", status=500)], [unary(ANSWER)])
    call, transport = desk.call(UNARY)
    transport.leave()
    await call.serve(transport.body())
    assert desk.clients["p2"].requests == []
    [row] = desk.rows.calls
    assert (row.outcome, row.attempts, row.cost_nano) == ("client_gone", 1, 0)


async def test_a_stream_without_end_is_ended() -> None:
    long = TEXT.replace(b"Hello", b"x" * 1_000_000)
    desk = Desk([stream(ROLE, *[long] * 70)])
    got = await desk.answer(STREAM)
    assert b"longer than 64 MiB" in got.sent[-1]
    [row] = desk.rows.calls
    assert (row.outcome, row.error) == ("broken", "upstream_error")
