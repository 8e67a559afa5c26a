"""Any request of the SDK's forms, unknown members in it, stays what it is when it is read and written."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.chat.translating import CACHED, PNG, read, rewritten, without_nulls

TEXT = st.text(max_size=8)
NAME = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
LEAF = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAME, inner, max_size=2), max_leaves=4
)
EXTRA = st.dictionaries(st.from_regex(r"x_[a-z]{1,4}", fullmatch=True), JSON, max_size=2)
MARK: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.sampled_from(
    [{"cache_control": {"type": "ephemeral"}}, CACHED]
)


def shape(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    fixed = st.fixed_dictionaries(required, optional=optional or {})
    return st.builds(lambda one, more: {**more, **one}, fixed, EXTRA)


TEXT_PART = st.builds(lambda a, b: {**a, **b}, shape({"type": st.just("text"), "text": TEXT}), MARK)
PARTS = TEXT_PART | st.one_of(
    shape(
        {
            "type": st.just("image_url"),
            "image_url": shape(
                {"url": st.sampled_from([PNG, "https://x.example/y", "data:x", "data:,a", ""])},
                {"detail": st.sampled_from(["auto", "low"])},
            ),
        }
    ),
    shape(
        {
            "type": st.just("input_audio"),
            "input_audio": shape({"data": TEXT, "format": st.sampled_from(["wav", "mp3"])}),
        }
    ),
    shape({"type": st.just("file"), "file": shape({"file_id": TEXT}, {"filename": NAME})}),
    shape(
        {
            "type": st.just("file"),
            "file": shape({"file_data": st.sampled_from([PNG, "AA==", "", "https://x.example/y"])}, {"filename": NAME}),
        }
    ),
)
CALL = shape({"id": NAME, "type": st.just("function"), "function": shape({"name": NAME, "arguments": TEXT})}) | shape(
    {"id": NAME, "type": st.just("custom"), "custom": shape({"name": NAME, "input": TEXT})}
)
DETAIL = st.one_of(
    shape(
        {"type": st.just("reasoning.text"), "text": TEXT},
        {"signature": TEXT, "format": NAME, "index": st.integers(0, 9)},
    ),
    shape({"type": st.just("reasoning.summary"), "summary": TEXT}, {"id": NAME}),
    shape({"type": st.just("reasoning.encrypted"), "data": TEXT}, {"id": NAME}),
)
MESSAGE = st.one_of(
    shape(
        {"role": st.sampled_from(["system", "developer"]), "content": TEXT | st.lists(TEXT_PART, max_size=2)},
        {"name": NAME},
    ),
    shape({"role": st.just("user"), "content": TEXT | st.lists(PARTS, max_size=3)}, {"name": NAME}),
    shape(
        {"role": st.just("assistant"), "content": TEXT | st.lists(TEXT_PART, max_size=2)},
        {
            "name": NAME,
            "tool_calls": st.lists(CALL, min_size=1, max_size=2),
            "reasoning_details": st.lists(DETAIL, min_size=1, max_size=3),
        },
    ),
    shape(
        {"role": st.just("assistant"), "content": TEXT},
        {"refusal": TEXT, "reasoning": TEXT.filter(bool), "audio": shape({"id": NAME})},
    ),
    shape({"role": st.just("tool"), "tool_call_id": NAME, "content": TEXT | st.lists(TEXT_PART, max_size=2)}),
)
TOOL = st.one_of(
    shape({"type": st.just("function"), "function": shape(
        {"name": NAME}, {"description": TEXT, "parameters": st.dictionaries(NAME, JSON), "strict": st.booleans()})}),
    shape({"type": st.just("custom"), "custom": shape({"name": NAME}, {"description": TEXT})}),
)  # fmt: skip
REQUEST = shape(
    {"messages": st.lists(MESSAGE, max_size=4)},
    {
        "tools": st.lists(TOOL, min_size=1, max_size=2),
        "temperature": st.floats(0, 2),
        "stop": st.lists(TEXT, min_size=1, max_size=2),
        "n": st.integers(1, 9),
        "max_completion_tokens": st.integers(0, 10**9),
        "reasoning_effort": st.sampled_from(["low", "none", "default"]),
        "metadata": st.dictionaries(NAME, TEXT),
        "tool_choice": st.sampled_from(["auto", "none", "any", {"type": "function", "function": {"name": "f"}}]),
        "web_search_options": st.dictionaries(NAME, JSON),
    },
)


@given(REQUEST)
def test_any_request_stays(request: dict[str, Any]) -> None:
    assert without_nulls(rewritten(request)) == without_nulls({"model": "m", **request})


@given(REQUEST)
def test_what_is_written_reads_the_same(request: dict[str, Any]) -> None:
    once = read(request)
    assert read(rewritten(request)) == once
