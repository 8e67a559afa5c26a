"""A translated stream that is stopped at its hold ends in the client's dialect, with all that the upstream has said."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.goldens.matrix import ENDPOINT, reply_to, translation
from tests.protocols.judging import CAPPED, judged
from tests.protocols.sim_streams import Said, data_of, recorded, said_in

from headgate.model.route import Shaping
from headgate.protocols.filters import filters_for
from headgate.protocols.translation import Translation

PAIRS = [(client, upstream) for client in ENDPOINT for upstream in ENDPOINT]
KINDS = ["text", "thinking", "tools"]


def fed(translating: Translation, chunks: Iterable[bytes]) -> bytes:
    return b"".join(piece.data for chunk in chunks for piece in translating.feed(chunk))


def as_one(said: Said) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return what is said whatever blocks it is in: dialects divide it differently."""
    return "".join(said.texts), "".join(said.thoughts), said.calls


def stopped(client: str, upstream: str, chunks: list[bytes], asked: dict[str, Any] | None = None) -> list[Any]:
    translating = translation(client, upstream, reply_to(client, upstream, asked, stream=True))
    out = fed(translating, chunks)
    return judged(ENDPOINT[client], out + translating.capped(5, 11))


def check(client: str, upstream: str, frames: list[bytes], chunks: list[bytes], *, ended: bool) -> None:
    """Stop a stream after these chunks, of which `frames` are the whole ones."""
    ((said, why),) = stopped(client, upstream, chunks)
    assert as_one(said) == as_one(said_in(ENDPOINT[upstream], frames))
    assert ended or why == CAPPED[ENDPOINT[client]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_stream_that_is_stopped_after_any_frame_ends_validly(client: str, upstream: str, kind: str) -> None:
    frames = recorded(ENDPOINT[upstream], kind).frames
    for count in range(1, len(frames)):
        check(client, upstream, frames[:count], frames[:count], ended=count >= len(frames) - 3)
        check(client, upstream, frames[:count], [*frames[:count], frames[count][:-1]], ended=count >= len(frames) - 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_a_stream_that_is_stopped_anywhere_ends_validly(
    client: str, upstream: str, kind: str, data: st.DataObject
) -> None:
    frames = recorded(ENDPOINT[upstream], kind).frames
    whole = b"".join(frames)
    stop = data.draw(st.integers(len(frames[0]), len(whole) - len(b"".join(frames[-3:]))), "stop")
    places = [0, *sorted(data.draw(st.lists(st.integers(0, stop), max_size=8), "cuts")), stop]
    complete = whole[:stop].rpartition(b"\n\n")[0] + b"\n\n"
    check(client, upstream, [complete], [whole[start:end] for start, end in pairwise(places)], ended=False)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_the_usage_of_a_stopped_stream_is_the_one_given(client: str, upstream: str) -> None:
    frames = recorded(ENDPOINT[upstream], "text").frames
    translating = translation(client, upstream, reply_to(client, upstream, stream=True))
    fed(translating, frames[: len(frames) - 4])
    told = [each.get("usage") or each.get("response", {}).get("usage") for each in data_of([translating.capped(5, 11)])]
    (usage,) = [each for each in told if each]
    assert usage.get("output_tokens", usage.get("completion_tokens")) == 5
    assert usage.get("input_tokens", usage.get("prompt_tokens")) == 11


def test_an_output_without_a_known_input_is_counted_in_messages() -> None:
    translating = translation("messages", "chat", reply_to("messages", "chat", stream=True))
    fed(translating, recorded(ENDPOINT["chat"], "text").frames[:4])
    assert data_of([translating.capped(5)])[-2]["usage"]["output_tokens"] == 5


def test_every_choice_that_is_open_ends() -> None:
    frames = recorded(ENDPOINT["chat"], "two").frames
    for count in range(1, len(frames) - 1):
        first, second = stopped("chat", "chat", frames[:count], {"n": 2})
        assert [as_one(said) for said, _ in (first, second)] == [
            as_one(said_in(ENDPOINT["chat"], frames[:count], choice)) for choice in (0, 1)
        ]
        assert {first[1], second[1]} <= {"length", "stop"}


@pytest.mark.parametrize("client", ENDPOINT)
def test_a_stream_that_has_ended_needs_no_other_end(client: str) -> None:
    translating = translation(client, "messages", reply_to(client, "messages", stream=True))
    fed(translating, recorded(ENDPOINT["messages"], "text").frames)
    assert translating.capped(5) == b""


def test_what_filters_hold_back_comes_before_the_end() -> None:
    tools = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
    reply = reply_to("chat", "chat", tools, stream=True)
    filters = filters_for(Shaping(repair_tools=True, strip_thinking=True), reply.request, "call_1")
    translating = translation("chat", "chat", reply, filters)
    held = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi <tool_call>{\\"name\\": \\"f\\""}}]}\n\n'
    out = fed(translating, [held])
    ((said, why),) = judged(ENDPOINT["chat"], out + translating.capped(5, 11))
    assert "tool_call" not in "".join(said_in(ENDPOINT["chat"], [out]).texts)
    assert (said.texts, why) == (['Hi <tool_call>{"name": "f"'], "length")
