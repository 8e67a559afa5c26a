"""The golden matrix: every file holds what the translators say now, and the official SDKs take all of it."""

import json
from pathlib import Path

import pytest
from tests.goldens.files import (
    CLIENT,
    MODELS,
    UPSTREAM,
    all_files,
    answer_files,
    asked,
    expected,
    load,
    request_files,
    sections,
    title,
)
from tests.goldens.matrix import ASKING, NAMES, read, write
from tests.goldens.sdk import VALID_REQUEST, content_of_body, content_of_stream, valid_answer

REQUESTS = request_files()
WHOLE = answer_files(".json")
STREAMS = answer_files(".sse")


@pytest.mark.parametrize("path", all_files(), ids=title)
def test_golden_holds_what_the_translators_say(path: Path) -> None:
    """A difference is a change of what clients and upstreams get: look at it, then `make goldens`."""
    assert path.read_text("utf-8").splitlines() == expected(path).splitlines()


def test_the_matrix_is_whole() -> None:
    cases = {path.parent.name for path in REQUESTS}
    assert len(cases) >= 40
    for name in NAMES:
        assert sum(path.stem == name for path in REQUESTS) >= 40
        assert sum(path.stem == name for path in WHOLE) >= 20
        assert sum(path.stem == name for path in STREAMS) >= 20


@pytest.mark.parametrize("path", REQUESTS, ids=title)
def test_a_foreign_upstream_is_sent_what_its_sdk_could_send(path: Path) -> None:
    held = load(path)
    for upstream in NAMES:
        shown = held[f"to {upstream}"]
        if upstream != path.stem and "body" in shown:
            VALID_REQUEST[upstream](shown["body"])


@pytest.mark.parametrize("path", REQUESTS, ids=title)
def test_a_streamed_request_is_the_same_request(path: Path) -> None:
    held = load(path)
    whole, streamed = (read(path.stem, {**held[CLIENT], "stream": stream}) for stream in (False, True))
    for upstream in NAMES:
        model = held.get(MODELS, {}).get(upstream)
        one, other = write(whole, upstream, model), write(streamed, upstream, model)
        assert (one.lost, one.unknown) == (other.lost, other.unknown)
        sent = json.loads(other.body)
        assert sent.pop("stream") is True
        body = json.loads(one.body)
        assert body.pop("stream", False) is False
        for each in (sent, body):
            each.pop("stream_options", None)
        assert sent == body


def _typed(path: Path) -> list[str]:
    """Return the clients whose SDK must have types for an answer; a block it does not know is passed to its own."""
    return [name for name in NAMES if name != path.stem or path.parent.name != "unknown_blocks"]


def _is_cut(path: Path, client: str) -> bool:
    """Tell an answer that ends within a call's arguments: what was cut streams as it came, but is no JSON object."""
    return path.parent.name == "arguments_cut" and client == "messages"


@pytest.mark.parametrize("path", WHOLE, ids=title)
def test_clients_get_whole_answers_of_their_sdk(path: Path) -> None:
    held = load(path)
    for client in _typed(path):
        valid_answer(client, held[f"to {client}"]["body"])


@pytest.mark.parametrize("path", STREAMS, ids=title)
def test_the_sdk_makes_of_a_stream_what_the_whole_answer_says(path: Path) -> None:
    """Streams that have no whole answer beside them need only be such that the accumulator takes them."""
    streams = sections(path)
    whole = path.with_suffix(".json")
    for client in _typed(path):
        request = {**ASKING[client], **asked(path, client)}
        accumulated = content_of_stream(client, streams[f"to {client}"].encode(), request)
        if whole.exists() and not _is_cut(path, client):
            assert accumulated == content_of_body(client, load(whole)[f"to {client}"]["body"])


@pytest.mark.parametrize("path", [path for path in STREAMS if path.with_suffix(".json").exists()], ids=title)
def test_stream_and_whole_answer_lose_the_same(path: Path) -> None:
    held = load(path.with_suffix(".json"))
    text = path.read_text("utf-8")
    for client in NAMES:
        part = text.split(f": ======== to {client}\n")[1]
        line = part.partition("\n")[0]
        lost = line.removeprefix(": dropped: ") if line.startswith(": dropped: ") else None
        assert _is_cut(path, client) or lost == held[f"to {client}"].get("dropped"), client


def test_every_input_is_pretty_json() -> None:
    for path in (*REQUESTS, *WHOLE):
        held = load(path)
        assert list(held)[-4:] == [CLIENT if path in REQUESTS else UPSTREAM, *(f"to {name}" for name in NAMES)]
        assert path.read_text("utf-8") == json.dumps(held, indent=2, ensure_ascii=False) + "\n"
