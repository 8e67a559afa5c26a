"""The server itself: HTTP, the control API, disconnects, its life."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import h11
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.conftest import PATHS, body, talk

import headgate
from headgate.model.dialect import Endpoint
from headgate.sim import Outcome, SimServer, SimThread
from headgate.sim.brain import Brain
from headgate.sim.script import Pause, Send

Ask = Callable[..., Coroutine[Any, Any, Any]]
FIELDS = [
    "model", "messages", "input", "tools", "tool_choice", "stream", "stream_options", "n", "max_tokens", "system",
    "thinking", "reasoning", "reasoning_effort", "role", "content", "type", "text", "function", "name", "parameters",
    "input_schema", "enum", "properties", "cache_control", "include", "instructions", "dimensions", "prompt", "user",
]  # fmt: skip
HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_bad_requests_get_the_vendors_400(wire: Ask) -> None:
    chat, messages = "/v1/chat/completions", "/v1/messages"
    for path, payload in [
        (chat, b"{"),
        (chat, b"[]"),
        (chat, {"model": "m"}),
        (chat, HELLO | {"model": ""}),
        (chat, HELLO | {"max_tokens": 0}),
        (chat, {"model": "m", "messages": ["x"]}),
        (messages, HELLO),
        ("/v1/responses", {"model": "m"}),
        ("/v1/embeddings", {"model": "m", "input": []}),
        ("/v1/completions", {"model": "m"}),
    ]:
        heard = await wire("POST", path, payload)
        assert heard.status == 400, payload
        assert heard.json["error"]["type"] == "invalid_request_error"
    assert (await wire("POST", "/v1/nothing", {})).status == 404
    assert (await wire("GET", chat)).status == 405
    assert (await wire("PUT", chat, HELLO)).status == 405


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=6,
)


@given(st.sampled_from(list(Endpoint)), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6), st.booleans())
def test_no_body_breaks_the_sim(endpoint: Endpoint, extra: dict[str, Any], whole: bool) -> None:
    base = HELLO | {"input": "x", "prompt": "x", "max_tokens": 9} if whole else {}
    brain = Brain(seed=1, api_key=None, clock=lambda: 0)
    record = brain.received_head("POST", f"/v1/{endpoint}", [("anthropic-version", "2023-06-01")])
    record.body = msgspec.json.encode(base | extra)
    reply, charge = brain.reply(record)
    assert reply.status in (200, 400)
    assert charge is None or reply.status == 200


async def test_paths_work_without_v1_and_head_has_no_body(wire: Ask) -> None:
    assert (await wire("POST", "/chat/completions", HELLO)).status == 200
    heard = await wire("HEAD", "/v1/models")
    assert (heard.status, heard.body) == (200, b"")
    assert int(heard.headers["content-length"]) > 0


async def test_a_big_body_is_read_whole(sim: SimServer, wire: Ask) -> None:
    payload = {"model": "m", "input": "x" * 8_000_000}
    assert (await wire("POST", "/v1/responses", payload)).status == 200
    assert len(sim.requests[0].body) > 8_000_000


async def test_a_body_over_the_limit_is_refused() -> None:
    async with SimServer(max_body=10) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        writer.write(b"POST /v1/responses HTTP/1.1\r\nhost: s\r\ncontent-length: 11\r\n\r\n12345678901")
        assert b" 413 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_keep_alive_pipelining_chunked_requests_and_100_continue(sim: SimServer) -> None:
    data = msgspec.json.encode(HELLO)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\ntransfer-encoding: chunked\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:9], data[9:])) + b"0\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(head + b"expect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
    writer.write(chunks + head + b"\r\n" + chunks)
    reading = h11.Connection(h11.CLIENT)
    answers = 0
    while answers < 2:
        reading.send(h11.Request(method="GET", target="/", headers=[("host", "s")]))
        reading.send(h11.EndOfMessage())
        event = reading.next_event()
        while not isinstance(event, h11.EndOfMessage):
            if event is h11.NEED_DATA:
                reading.receive_data(await reader.read(65_536))
            event = reading.next_event()
        answers += 1
        reading.start_next_cycle()
    writer.close()
    await writer.wait_closed()
    assert [request.body for request in sim.requests] == [data, data]


async def test_garbage_gets_a_400_and_the_server_lives(sim: SimServer, wire: Ask) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(b"this is not HTTP\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
    await writer.wait_closed()
    assert (await wire("GET", "/v1/models")).status == 200


async def test_a_client_that_leaves_in_its_request_is_recorded(sim: SimServer) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(b"POST /v1/responses HTTP/1.1\r\nhost: s\r\ncontent-length: 100\r\n\r\nhalf")
    await sim.until(lambda: len(sim.requests) == 1)
    writer.close()
    await writer.wait_closed()
    await sim.settled()
    assert sim.requests[0].disconnected


async def test_a_cancelled_stream_is_charged_for_what_was_sent(sim: SimServer, ask: Ask) -> None:
    await ask("messages", "[[sim tokens=50 fault=hold after=7]]", leave_after=10)
    await sim.settled()
    line = sim.bill.lines[0]
    assert (line.outcome, line.usage.output) == (Outcome.CANCELLED, 7)
    assert line.usage.input > 0


async def test_a_cancelled_unary_call_is_charged_whole(sim: SimServer, wire: Ask) -> None:
    payload = {"model": "m", "messages": [{"role": "user", "content": "[[sim tokens=50 fault=hold]]"}]}
    task = asyncio.create_task(wire("POST", "/v1/chat/completions", payload))
    await sim.until(lambda: bool(sim.requests) and sim.requests[0].fault is not None)
    task.cancel()
    await asyncio.wait([task])
    await sim.settled()
    assert (sim.bill.lines[0].outcome, sim.bill.usage.output) == (Outcome.CANCELLED, 50)


async def test_the_control_api_queues_faults_by_model_and_times(sim: SimServer, wire: Ask) -> None:
    queued = {"fault": "429", "times": 2, "retry_after": 9, "match": {"model": "gpt"}}
    assert (await wire("POST", "/_sim/faults", queued)).status == 200
    path = "/v1/chat/completions"
    assert (await wire("POST", path, HELLO)).status == 200
    first = await wire("POST", path, HELLO | {"model": "gpt-5"})
    assert (first.status, first.headers["retry-after"]) == (429, "9")
    assert len((await wire("GET", "/_sim/faults")).json["waiting"]) == 1
    assert (await wire("POST", path, HELLO | {"model": "gpt-5"})).status == 429
    assert (await wire("POST", path, HELLO | {"model": "gpt-5"})).status == 200
    sim.fault("500", endpoint="messages")
    assert (await wire("DELETE", "/_sim/faults")).json == {"waiting": []}
    bill = (await wire("GET", "/_sim/bill")).json
    assert bill["models"]["gpt-5"]["requests"] == {"completed": 1, "cut": 0, "cancelled": 0, "failed": 2}
    for wrong in ({"fault": "x"}, {"times": 0}, {"match": {"colour": 1}}, [1], {"fault": "429", "size": "x"}):
        assert (await wire("POST", "/_sim/faults", wrong)).status == 400
    assert (await wire("GET", "/_sim/nothing")).status == 404


def test_the_control_api_shows_requests_without_credentials() -> None:
    with SimThread() as sim:
        client = http.client.HTTPConnection("127.0.0.1", sim.port)
        client.request("GET", "/v1/models", headers={"Authorization": "Bearer sk-secret"})
        client.getresponse().read()
        client.request("GET", "/_sim/requests")
        shown = client.getresponse().read()
        client.close()
        assert b"sk-secret" not in shown
        assert b"blake2b:" in shown
        assert sim.requests[0].header("authorization") == "Bearer sk-secret"
        assert len(sim.requests) == 1


async def test_stopping_ends_running_answers(wire: Ask) -> None:
    async with SimServer() as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
        data = msgspec.json.encode(HELLO | {"model": "sim-hang-first"})
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\ncontent-length: %d\r\n\r\n" % len(data))
        writer.write(data)
        await sim.until(lambda: bool(sim.requests) and sim.requests[0].status == 200)
    assert sim.requests[0].outcome is Outcome.CUT
    await reader.read()
    writer.close()


async def test_a_taken_port_is_an_error(sim: SimServer) -> None:
    with pytest.raises(OSError, match=str(sim.port)):
        await SimServer(port=sim.port).start()
    with pytest.raises(OSError, match=str(sim.port)):
        await asyncio.to_thread(SimThread(port=sim.port).start)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_cleanly_on_signals(number: signal.Signals) -> None:
    code = "from headgate.sim import run; run(port=0, on_ready=lambda url: print(url, flush=True))"
    source = str(Path(headgate.__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": source}
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        client = http.client.HTTPConnection(url.removeprefix("http://"))
        client.request("GET", "/")
        assert client.getresponse().read() == b'{"headgate":"sim"}'
        client.close()
        process.send_signal(number)
        assert process.wait() == 0


@pytest.mark.parametrize("dialect", list(PATHS))
async def test_delays_can_be_left_out(dialect: str) -> None:
    asked = body(dialect, "hello [[sim ttft=1000000s gap=1000000s tokens=5]]")
    async with SimServer(delays=False) as sim:
        heard = await talk(sim, PATHS[dialect], asked)
    assert (heard.status, heard.end) == (200, "complete")


@pytest.mark.parametrize(
    ("dialect", "before"),
    [("chat", 1), ("messages", ["message_start"]), ("responses", ["response.created", "response.in_progress"])],
)
def test_the_wait_for_a_first_token_is_before_what_opens_it(dialect: str, before: list[str] | int) -> None:
    schema = {"type": "object"}
    tool = {"type": "function", "name": "look", "input_schema": schema, "parameters": schema}
    offered = {"type": "function", "function": tool} if dialect == "chat" else tool
    brain = Brain(seed=1, api_key=None, clock=lambda: 0)
    record = brain.received_head("POST", PATHS[dialect], [("anthropic-version", "2023-06-01")])
    record.body = msgspec.json.encode(body(dialect, "hello [[sim ttft=7ms gap=3ms tool=look]]", tools=[offered]))
    steps = brain.reply(record)[0].steps
    waits = [step.ns for step in steps if isinstance(step, Pause)]
    first = next(at for at, step in enumerate(steps) if isinstance(step, Pause))
    sent = [step.data for step in steps[:first] if isinstance(step, Send)]
    assert (waits[0], set(waits[1:])) == (7_000_000, {3_000_000} if waits[1:] else set())
    if isinstance(before, int):
        assert len(sent) == before
    else:
        assert [data.partition(b"\n")[0].decode() for data in sent] == [f"event: {event}" for event in before]
