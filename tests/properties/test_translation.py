"""What holds of every answer on its way from any upstream's dialect into any client's."""

import json
from collections.abc import Iterable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.goldens.files import HERE, UPSTREAM, answer_files, asked, load, title, upstream_stream
from tests.goldens.fuzzing import check_stream
from tests.goldens.matrix import (
    CALL,
    ENDPOINT,
    NAMES,
    Json,
    Translated,
    answer_to,
    compact,
    reply_to,
    run,
    scanner_of,
    translation,
)

from headgate.model.route import Shaping
from headgate.model.usage import Reported, Usage
from headgate.protocols.base import Piece, PieceKind
from headgate.protocols.codec import codec_for
from headgate.protocols.filters import filters_for
from headgate.protocols.losses import dropped

STREAMS: Final = answer_files(".sse")
FILTERS: Final = Shaping(repair_tools=True, strip_thinking=True, strip_stop_markers=True)
SPLITS: Final = st.lists(st.integers(0, 1 << 16), max_size=12)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def merged(pieces: Iterable[Piece]) -> list[tuple[PieceKind, bytes]]:
    """Return pieces with those of one kind joined; a translated preamble is as good as content."""
    runs = groupby(pieces, lambda piece: piece.kind)
    return [(kind, data) for kind, run in runs if (data := b"".join(piece.data for piece in run))]


def streamed(
    path: Path, client: str, chunks: Iterable[bytes], shaping: Shaping | None = None
) -> tuple[list[tuple[PieceKind, bytes]], Translated]:
    """Return the pieces of a golden's stream, and what is known of it in the end."""
    reply = reply_to(client, path.stem, asked(path, client), stream=True)
    filters = None if shaping is None else filters_for(shaping, reply.request, CALL)
    translating = translation(client, path.stem, reply, filters)
    pieces = run(translating, chunks)
    lost = dropped(translating.writer.lost, (), reply.head.dialect)
    said = b"".join(piece.data for piece in pieces)
    return merged(pieces), Translated(said, lost, translating.reported(), (), translating.error_message)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(STREAMS), st.sampled_from(NAMES), SPLITS, st.sampled_from([None, FILTERS]))
def test_any_split_of_a_stream_gives_the_same_pieces(
    end: str, path: Path, client: str, cuts: list[int], shaping: Shaping | None
) -> None:
    stream = upstream_stream(path)
    whole = streamed(path, client, [stream], shaping)
    assert streamed(path, client, split(stream.replace(b"\n", end.encode()), cuts), shaping) == whole


@pytest.mark.parametrize("client", NAMES)
def test_the_last_frame_is_read_where_lines_end_with_a_carriage_return(client: str) -> None:
    path = HERE / "answers/length/responses.sse"
    stream = upstream_stream(path)
    ended = (stream + b": bye\n\n").replace(b"\n", b"\r")
    assert streamed(path, client, [ended])[1].body == streamed(path, client, [stream])[1].body


@pytest.mark.parametrize("path", STREAMS, ids=title)
def test_data_of_many_lines_makes_frames_of_one_line(path: Path) -> None:
    lines = [
        "".join(f"data: {each}\n" for each in json.dumps(json.loads(line[6:]), indent=1).split("\n"))
        if line.startswith("data: {")
        else f"{line}\n"
        for line in upstream_stream(path).decode().split("\n")
    ]
    for client in NAMES:
        check_stream(client, streamed(path, client, ["".join(lines).encode()])[1].body)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(STREAMS), st.sampled_from(NAMES), SPLITS, st.integers(0, 1 << 20))
def test_a_cut_stream_gives_the_same_pieces_however_it_is_split(
    path: Path, client: str, cuts: list[int], end: int
) -> None:
    stream = upstream_stream(path)
    stream = stream[: end % len(stream)]
    assert streamed(path, client, split(stream, cuts)) == streamed(path, client, [stream])


@pytest.mark.parametrize("path", STREAMS, ids=title)
def test_a_translated_stream_costs_what_the_same_stream_passed_through_costs(path: Path) -> None:
    stream = upstream_stream(path)
    for client in NAMES:
        scanner = scanner_of(path.stem, reply_to(client, path.stem, asked(path, client), stream=True))
        scanner.feed(stream)
        scanner.finish()
        _, translated = streamed(path, client, [stream])
        assert translated.reported == scanner.reported()
        assert in_classes_of(client, translated.reported) == of_stream(client, translated.body)


@pytest.mark.parametrize("path", answer_files(".json"), ids=title)
def test_a_translated_answer_costs_what_the_same_answer_passed_through_costs(path: Path) -> None:
    said = load(path)[UPSTREAM]
    for client in NAMES:
        translated = answer_to(client, path.stem, said, asked(path, client))
        assert translated.reported == codec_for(ENDPOINT[path.stem]).usage_of(compact(said))
        assert in_classes_of(client, translated.reported) == of_body(client, translated.body)


COUNT: Final = st.integers(1, 10**9)
"""All counts being zero means that none was taken."""


@st.composite
def vendor_usage(draw: st.DrawFn, upstream: str) -> Json:
    """Usage in a vendor's own words, any counts that can be."""
    fresh, read, written, hour, spoken, said, thought = (draw(COUNT) for _ in range(7))
    if upstream == "messages":
        split = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": hour}
        return {
            "input_tokens": fresh,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written + hour,
            "cache_creation": split,
            "output_tokens": said,
        }
    prompt, completion = ("prompt", "completion") if upstream == "chat" else ("input", "output")
    return {
        f"{prompt}_tokens": fresh + read + spoken,
        f"{prompt}_tokens_details": {"cached_tokens": read, "audio_tokens": spoken},
        f"{completion}_tokens": said + thought,
        f"{completion}_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": fresh + read + spoken + said + thought,
    }


@pytest.mark.parametrize("upstream", NAMES)
@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from(NAMES))
def test_any_usage_is_told_in_the_clients_own_terms(upstream: str, data: st.DataObject, client: str) -> None:
    whole = load(HERE / f"answers/text/{upstream}.json")[UPSTREAM]
    translated = answer_to(client, upstream, {**whole, "usage": data.draw(vendor_usage(upstream))})
    assert translated.reported is not None
    assert in_classes_of(client, translated.reported) == of_body(client, translated.body)


def of_stream(client: str, stream: bytes) -> Reported | None:
    """Return the usage that a client's own scanner sees in what it gets."""
    scanner = scanner_of(client, reply_to(client, client, stream=True))
    scanner.feed(stream)
    scanner.finish()
    return in_classes_of(client, scanner.reported())


def of_body(client: str, body: bytes) -> Reported | None:
    return in_classes_of(client, codec_for(ENDPOINT[client]).usage_of(body))


def in_classes_of(client: str, reported: Reported | None) -> Reported | None:
    """Return usage in the classes that a client's dialect tells apart."""
    if reported is None:
        return None
    used = reported.usage
    written = used.cache_write_5m + used.cache_write_1h
    if client == "messages":
        told = Usage(
            used.input + used.input_audio,
            used.cache_read + used.cache_read_audio,
            used.cache_write_5m,
            used.cache_write_1h,
            used.total_output,
            used.reasoning,
        )
    else:
        told = Usage(
            used.total_input - used.cache_read - used.cache_read_audio - written,
            used.cache_read + used.cache_read_audio,
            written,
            output=used.total_output,
            reasoning=used.reasoning,
        )
    return Reported(told)
