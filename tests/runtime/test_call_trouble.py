"""What a hostile upstream or a client's bad timing may do to a call."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.runtime.desk import Desk

from headgate.model.dialect import Kind
from headgate.model.failure import Failure, FailureKind
from headgate.model.records import Outcome
from headgate.upstream.fake import FakeAnswer, Hang, Scripted

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
CUT = Scripted((ROLE, Failure(FailureKind.CUT, "cut")))
REFUSED = Scripted((b'{"error":"no"}',), 500)
KEY = "secret-of-p1"


def body(*, stream: bool) -> bytes:
    return msgspec.json.encode({"model": "chain", "messages": [], "stream": stream})


@pytest.mark.parametrize("drains", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_between_two_attempts_pays_for_what_was_sent(*, stream: bool, drains: bool) -> None:
    """A unary call is watched from its second attempt on."""
    first = CUT if stream else REFUSED
    desk = Desk([first], [first], [Scripted((HELLO, Hang()))], drain_on_disconnect=drains)
    call, transport = desk.call(body(stream=stream))
    last = desk.clients["p1" if stream else "p2"]
    post = last.post

    async def leaving(*args: Any, **more: Any) -> FakeAnswer:
        answer = await post(*args, **more)

        async def close() -> None:
            transport.leave()
            for _ in range(5):
                await asyncio.sleep(0)

        answer.close = close  # type: ignore[method-assign]
        return answer

    last.post = leaving  # type: ignore[method-assign]
    await call.serve(transport.body())
    sent = sum(len(client.requests) for client in desk.clients.values())
    assert [row.no for row in desk.rows.attempts] == list(range(1, sent + 1))
    assert desk.rows.calls[0].outcome is Outcome.CLIENT_GONE
    assert desk.rows.calls[0].cost_nano == sum(row.cost_nano or 0 for row in desk.rows.attempts)


async def test_a_client_that_leaves_closes_its_stream_at_once() -> None:
    desk = Desk([Scripted((ROLE, HELLO, Hang(), Hang()))])
    call, transport = desk.call(body(stream=True))
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(transport.sent))
    transport.leave()
    await desk.until(lambda: desk.clients["p1"].answers[0].closed)
    await task


async def test_an_answer_that_cannot_be_closed_is_settled_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: FakeAnswer) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(FakeAnswer, "close", broken)
    desk = Desk([CUT])
    transport = await desk.answer(body(stream=True))
    assert transport.status == 502
    assert [row.no for row in desk.rows.attempts] == [1]
    assert desk.rows.calls[0].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("said", "stream"),
    [
        (f'{{"error":{{"message":"Bad key {KEY}"}}}}', True),
        (f"<html>Bad key {KEY}</html>", True),
        (f'{{"error":{{"message":"Bad key {KEY}"}}}}', False),
    ],
)
async def test_a_key_in_an_answer_that_is_none_is_not_repeated(said: str, *, stream: bool) -> None:
    desk = Desk([Scripted((said.encode(),))])
    transport = await desk.answer(body(stream=stream))
    assert transport.status == 502
    assert b"Bad key [key]" in transport.whole
    assert KEY not in repr(desk.rows.attempts)


async def test_a_key_in_the_error_that_ends_a_stream_is_not_repeated() -> None:
    error = f'data: {{"error":{{"message":"Bad key {KEY}"}}}}\n\n'.encode()
    desk = Desk([Scripted((ROLE, HELLO, error))])
    transport = await desk.answer(body(stream=True))
    assert transport.whole.startswith(ROLE + HELLO)
    assert b"Bad key [key]" in transport.whole


async def test_a_key_in_a_response_that_failed_after_content_is_not_repeated() -> None:
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
    failed = f'{{"type":"response.failed","response":{{"error":{{"message":"Bad key {KEY}"}}}}}}'
    desk = Desk([Scripted((delta, f"event: response.failed\ndata: {failed}\n\n".encode()))], kind=Kind.OPENAI_RESPONSES)
    transport = await desk.answer(b'{"model":"chain","input":"hi","stream":true}')
    assert transport.whole.startswith(delta)
    assert b"Bad key [key]" in transport.whole


@pytest.mark.parametrize("stream", [True, False])
async def test_a_key_that_is_a_common_word_changes_no_good_answer(*, stream: bool) -> None:
    """Servers of one's own take any key, and `ollama` is the usual one."""
    whole = b'{"system_fingerprint":"fp_ollama","choices":[{"index":0,"message":{"content":"I am ollama"}}]}'
    pieces = [HELLO.replace(b"hello", b"ollama"), b": ollama\n\ndata: [DONE]\n\n"] if stream else [whole]
    desk = Desk([Scripted(tuple(pieces))], api_key="ollama")
    transport = await desk.answer(body(stream=stream))
    assert transport.whole == b"".join(pieces)
