"""Every fault, seen over a raw socket."""

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from headgate.sim import TABLE, Fault, Outcome, SimServer
from headgate.sim.directive import Directive
from headgate.sim.faults import STATUS

Ask = Callable[..., Coroutine[Any, Any, Any]]
DIALECTS = ["chat", "responses", "messages"]
TEXT = "[[sim tokens=6 fault={} after=2]]"


def test_every_fault_stands_in_the_table_once() -> None:
    assert sorted(row.fault for row in TABLE) == sorted(Fault)


def test_the_docs_hold_the_table() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "sim.md").read_text()
    for row in TABLE:
        assert f"| `{row.fault}` | {row.stream} | {row.unary} | {row.options} |" in docs


def test_the_docs_hold_every_option() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "sim.md").read_text()
    for option in Directive.__struct_fields__:
        assert f"`{option}`" in docs


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", sorted(STATUS))
async def test_status_faults_answer_with_their_status_and_charge_nothing(
    sim: SimServer, ask: Ask, fault: Fault, dialect: str
) -> None:
    heard = await ask(dialect, f"[[sim fault={fault}]]")
    assert heard.status == STATUS[fault]
    assert heard.end == "complete"
    assert sim.requests[0].outcome is Outcome.FAILED
    assert sim.bill.usage.total_input == 0
    if fault in (Fault.S502, Fault.S504, Fault.S520):
        assert heard.headers["content-type"].startswith("text/html")
    else:
        assert "error" in heard.json


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ("fault=429", "1"),
        ("fault=429 retry_after=7", "7"),
        ("fault=429 retry_after=none", None),
        ("fault=503", None),
        ("fault=503 retry_after=3", "3"),
        ("fault=429-quota", None),
    ],
)
async def test_retry_after_is_as_chosen(ask: Ask, options: str, header: str | None) -> None:
    heard = await ask("chat", f"[[sim {options}]]")
    assert heard.headers.get("retry-after") == header


async def test_error_bodies_are_in_the_words_of_their_vendor(ask: Ask) -> None:
    assert (await ask("messages", "[[sim fault=529]]")).json["error"]["type"] == "overloaded_error"
    assert (await ask("chat", "[[sim fault=429-quota]]")).json["error"]["code"] == "insufficient_quota"
    assert (await ask("chat", "[[sim fault=400-context]]")).json["error"]["code"] == "context_length_exceeded"
    assert "requires more system memory" in (await ask("chat", "[[sim fault=oom-ollama]]")).json["error"]
    assert "CUDA out of memory" in (await ask("chat", "[[sim fault=oom-vllm]]")).json["error"]["message"]
    assert "failed to allocate" in (await ask("chat", "[[sim fault=oom-llamacpp]]")).json["error"]["message"]


async def test_refuse_resets_before_any_byte(sim: SimServer, ask: Ask) -> None:
    heard = await ask("chat", "[[sim fault=refuse]]")
    assert (heard.end, heard.status) == ("reset", 0)
    await sim.settled()
    assert sim.requests[0].outcome is Outcome.CUT


@pytest.mark.parametrize("stream", [True, False])
async def test_hang_headers_sends_nothing_until_the_client_leaves(sim: SimServer, wire: Ask, stream: bool) -> None:
    payload = {"model": "sim-hang-headers", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    task = asyncio.create_task(wire("POST", "/v1/chat/completions", payload))
    await sim.until(lambda: bool(sim.requests) and sim.requests[0].fault is Fault.HANG_HEADERS)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    await sim.settled()
    record = sim.requests[0]
    assert (record.status, record.answer, record.outcome) == (0, b"", Outcome.CANCELLED)
    assert record.usage.input > 0
    assert record.usage.output == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_hang_first_sends_the_head_alone(sim: SimServer, ask: Ask, stream: bool) -> None:
    heard = await ask("chat", "[[sim fault=hang-first]]", stream=stream, leave_after=0)
    assert heard.status == 200
    await sim.settled()
    assert sim.requests[0].answer == b""
    assert sim.requests[0].disconnected


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_hang_stands_still_after_its_frames(sim: SimServer, ask: Ask, dialect: str) -> None:
    frames = {"chat": 3, "responses": 6, "messages": 5}[dialect]  # preamble and two of content
    await ask(dialect, TEXT.format("hang"), leave_after=frames)
    await sim.settled()
    record = sim.requests[0]
    assert (record.frames, record.outcome) == (2, Outcome.CANCELLED)
    assert record.usage.output == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_hold_goes_on_when_released(sim: SimServer, ask: Ask, stream: bool) -> None:
    task = asyncio.create_task(ask("chat", TEXT.format("hold"), stream=stream))
    reached = 2 if stream else 0
    await sim.until(
        lambda: bool(sim.requests) and sim.requests[0].fault is Fault.HOLD and sim.requests[0].frames == reached
    )
    assert sim.requests[0].outcome is None
    await asyncio.sleep(0)
    sim.release()
    heard = await task
    assert heard.end == "complete"
    assert sim.requests[0].usage.output == 6


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("fault", "end"), [("cut", "closed"), ("cut-rst", "reset"), ("cut-mid", "closed")])
async def test_cuts_end_a_stream_after_their_frames(
    sim: SimServer, ask: Ask, dialect: str, fault: str, end: str
) -> None:
    heard = await ask(dialect, TEXT.format(fault))
    assert heard.end == end
    assert heard.body.endswith(b"\n\n") is (fault != "cut-mid")
    await sim.settled()
    record = sim.requests[0]
    assert (record.frames, record.usage.output, record.outcome) == (2, 2, Outcome.CUT)


@pytest.mark.parametrize(("fault", "end"), [("cut", "closed"), ("cut-rst", "reset"), ("cut-mid", "closed")])
async def test_cuts_halve_a_unary_body_that_is_charged_whole(sim: SimServer, ask: Ask, fault: str, end: str) -> None:
    heard = await ask("chat", TEXT.format(fault), stream=False)
    assert heard.end == end
    assert len(heard.body) == int(heard.headers["content-length"]) // 2
    await sim.settled()
    assert sim.requests[0].usage.output == 6


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("fault", "frames"), [("error-only", 0), ("error-first", 0), ("error-mid", 2)])
async def test_error_frames_come_inside_a_200(sim: SimServer, ask: Ask, dialect: str, fault: str, frames: int) -> None:
    heard = await ask(dialect, TEXT.format(fault))
    assert (heard.status, heard.end) == (200, "complete")
    last = heard.data[-1]
    assert "error" in (last, last["type"]) if dialect == "responses" else "error" in last
    assert (len(heard.data) == 1) is (fault == "error-only")
    assert b"[DONE]" not in heard.body
    assert sim.requests[0].frames == frames
    charged = sim.bill.usage.output
    assert charged == frames


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", ["error-only", "error-first", "error-mid", "failed"])
async def test_error_faults_make_a_unary_200_an_error_body(sim: SimServer, ask: Ask, dialect: str, fault: str) -> None:
    heard = await ask(dialect, TEXT.format(fault), stream=False)
    assert heard.status == 200
    assert "message" in heard.json["error"]
    assert sim.bill.usage.total_input == 0


async def test_failed_is_the_responses_own_terminal_event(ask: Ask) -> None:
    heard = await ask("responses", TEXT.format("failed"))
    assert heard.data[-1]["type"] == "response.failed"
    assert heard.data[-1]["sequence_number"] == len(heard.data) - 1
    assert heard.data[-1]["response"]["error"]["code"] == "server_error"


async def test_malformed_breaks_json_and_sse(sim: SimServer, ask: Ask) -> None:
    heard = await ask("chat", TEXT.format("malformed"))
    assert heard.end == "complete"
    assert heard.body.endswith(b'[{"del\n\nthis line is no SSE\n\n')
    unary = await ask("chat", TEXT.format("malformed"), stream=False)
    with pytest.raises(json.JSONDecodeError):
        json.loads(unary.body)
    assert [request.outcome for request in sim.requests] == [Outcome.CUT, Outcome.CUT]


async def test_html_empty_and_redirect(sim: SimServer, ask: Ask) -> None:
    html = await ask("chat", "[[sim fault=html]]")
    assert (html.status, html.body[:6]) == (200, b"<html>")
    empty = await ask("chat", "[[sim fault=empty]]")
    assert (empty.status, empty.body, empty.end) == (200, b"", "complete")
    redirect = await ask("chat", "[[sim fault=redirect to=http://other.test/x]]")
    assert (redirect.status, redirect.headers["location"]) == (307, "http://other.test/x")
    assert sim.bill.usage.total_input == 0


@pytest.mark.parametrize("stream", [True, False])
async def test_gzip_holds_the_same_answer(ask: Ask, stream: bool) -> None:
    text = "[[sim fault=gzip tokens=6]]"
    packed = await ask("chat", text, stream=stream)
    assert packed.headers["content-encoding"] == "gzip"
    opened = gzip.decompress(packed.body)
    assert (b"[DONE]" in opened) is stream
    assert b'"finish_reason":"stop"' in opened


async def test_no_usage_leaves_it_out_of_every_dialect(ask: Ask) -> None:
    for stream in (True, False):
        extra = {"stream_options": {"include_usage": True}} if stream else {}
        chat = await ask("chat", "[[sim fault=no-usage]]", stream=stream, **extra)
        assert b'"usage"' not in chat.body
        messages = await ask("messages", "[[sim fault=no-usage]]", stream=stream)
        assert b'"usage"' not in messages.body
        responses = await ask("responses", "[[sim fault=no-usage]]", stream=stream)
        assert b'"usage":{' not in responses.body


async def test_usage_on_last_rides_with_content_and_finish(ask: Ask) -> None:
    heard = await ask("chat", TEXT.format("usage-on-last"))
    last = heard.data[-1]
    assert last["choices"][0]["delta"]["content"] == "end."
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["completion_tokens"] == 6
    assert all("usage" not in chunk for chunk in heard.data[:-1])


async def test_usage_every_is_cumulative(ask: Ask) -> None:
    heard = await ask("chat", TEXT.format("usage-every"))
    assert [chunk["usage"]["completion_tokens"] for chunk in heard.data] == [0, 1, 2, 3, 4, 5, 6, 6]


@pytest.mark.parametrize(
    ("dialect", "mark"),
    [("chat", b"[DONE]"), ("responses", b"response.completed"), ("messages", b"message_stop")],
)
async def test_no_done_leaves_the_terminal_frame_out(ask: Ask, dialect: str, mark: bytes) -> None:
    heard = await ask(dialect, TEXT.format("no-done"))
    assert heard.end == "complete"
    assert mark not in heard.body
    assert mark in (await ask(dialect, "[[sim tokens=6]]")).body


async def test_drip_sends_one_byte_a_chunk(ask: Ask) -> None:
    heard = await ask("chat", "[[sim fault=drip tokens=2]]")
    assert {len(chunk) for chunk in heard.chunks} == {1}
    assert heard.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [True, False])
async def test_big_frame_is_as_big_as_asked(ask: Ask, stream: bool) -> None:
    heard = await ask("chat", "[[sim fault=big-frame tokens=2]]", stream=stream)
    assert len(heard.body) > 20_000_000
    assert heard.end == "complete"
    small = await ask("chat", "[[sim fault=big-frame size=1000 tokens=2]]", stream=stream)
    assert b"x" * 1000 in small.body
    assert b"x" * 1001 not in small.body


async def test_crlf_and_comments_change_the_framing_alone(ask: Ask) -> None:
    crlf = await ask("messages", TEXT.format("crlf"))
    assert b"\n" not in crlf.body.replace(b"\r\n", b"")
    comments = await ask("messages", TEXT.format("comments"))
    assert comments.body.count(b": sim\n\n") == len(comments.data)
    assert crlf.data[-1] == comments.data[-1]


@pytest.mark.parametrize("stream", [True, False])
async def test_long_length_promises_more_than_comes(ask: Ask, stream: bool) -> None:
    heard = await ask("chat", "[[sim fault=long-length]]", stream=stream)
    assert heard.end == "closed"
    assert int(heard.headers["content-length"]) == len(heard.body) + 100


async def test_a_model_name_asks_for_a_fault(ask: Ask) -> None:
    assert (await ask("chat", "hi", model="gpt-5-mini-sim-429")).status == 429
    assert (await ask("chat", "hi", model="sim-500")).status == 500
    assert (await ask("chat", "hi", model="sim-429-turbo")).status == 200


async def test_a_directive_applies_only_to_the_model_it_names(ask: Ask) -> None:
    text = "[[sim fault=500 on=big]]"
    assert (await ask("chat", text, model="big-1")).status == 500
    assert (await ask("chat", text, model="small-1")).status == 200


@pytest.mark.parametrize("text", ["[[sim fault=nope]]", "[[sim colour=red]]", "[[sim tokens=x]]", "[[sim ttft]]"])
async def test_a_directive_that_cannot_be_read_is_refused(ask: Ask, text: str) -> None:
    heard = await ask("messages", text)
    assert heard.status == 400
    assert heard.json["error"]["message"].startswith("sim: ")
