"""Reading and writing a responses request changes nothing but what Headgate owns: the model and the maximum."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.responses.speaking import PNG, RESPONSES, TARGET, body_of, head_of, rewritten, valid_params

from headgate.model.content import Signer
from headgate.model.dialect import Dialect
from headgate.model.losses import Lost
from headgate.protocols.canonical import Target
from headgate.protocols.signatures import Signed, wrap

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
OUTPUT_TEXT = {"type": "output_text", "text": "a", "annotations": []}

INPUTS: dict[str, Any] = {
    "a string": "Hi",
    "an empty string": "",
    "no items": [],
    "easy messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Be kind.", "type": "message"},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": [{"type": "input_text", "text": "Ho"}]},
        {"role": "assistant", "content": "Hello", "phase": "commentary"},
        {"role": "assistant", "content": "", "phase": None},
    ],
    "no parts": [{"role": "user", "content": []}],
    "parts": [
        {
            "role": "user",
            "type": "message",
            "status": "completed",
            "content": [
                {"type": "input_text", "text": "", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
                {"type": "input_image", "image_url": PNG, "detail": "low", "file_id": None},
                {"type": "input_image", "file_id": "file-1", "detail": "auto", "image_url": None},
                {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "original"},
                {"type": "input_image", "image_url": "data:;base64,AA==", "detail": "auto"},
                {"type": "input_image", "image_url": "u", "file_id": "f", "detail": "auto"},
                {"type": "input_file", "file_id": "file-2", "detail": "high"},
                {"type": "input_file", "file_url": "https://x.example/a.pdf"},
                {"type": "input_file", "file_url": "data:application/pdf;base64,AA=="},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
                {"type": "input_file", "file_data": "data:text/plain;charset=x;base64,AA==", "filename": "a.txt"},
                {"type": "input_file", "file_data": "JVBERi0xLjQ=", "filename": "b.pdf"},
            ],
        }
    ],
    "an answer given back": [
        {"role": "user", "content": "Hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "status": "completed"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "reasoning",
            "id": "rs_3",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": ""}],
            "encrypted_content": None,
        },
        {
            "type": "reasoning",
            "id": "rs_4",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            "content": [{"type": "reasoning_text", "text": "c"}],
        },
        SEARCH,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "incomplete",
            "phase": "final_answer",
            "content": [
                OUTPUT_TEXT,
                {
                    **OUTPUT_TEXT,
                    "annotations": [
                        {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
                    ],
                    "logprobs": [],
                },
                {
                    **OUTPUT_TEXT,
                    "logprobs": [{"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}],
                },
                {"type": "refusal", "refusal": "No"},
            ],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}',
         "status": "completed"},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "", "namespace": "ns",
         "caller": {"type": "direct"}, "async": True},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c3", "name": "h", "input": "free text"},
        {"type": "function_call_output", "call_id": "c1", "output": "42", "id": "fco_1", "status": "completed"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": PNG, "detail": None},
                {"type": "input_file", "file_id": "file-3", "filename": None},
            ],
        },
        {"type": "custom_tool_call_output", "call_id": "c3", "output": ""},
        {"type": "function_call_output", "call_id": "c4", "output": []},
        {"role": "user", "content": "Thanks"},
    ],
    "a result without a call": [{"type": "function_call_output", "name": "f", "output": "x"}],
    "what only the provider has": [
        {"type": "item_reference", "id": "msg_9"},
        {"id": "msg_10"},
        {"id": "msg_10", "type": None},
        {"type": "compaction", "encrypted_content": "gAAA"},
        {"type": "computer_call_output", "call_id": "c5", "output": {"type": "computer_screenshot", "file_id": "f"}},
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        {"type": "local_shell_call_output", "id": "l", "output": "x"},
        {"type": "image_generation_call", "id": "ig", "result": None, "status": "failed"},
    ],
}  # fmt: skip

MORE: dict[str, Any] = {
    "input of a type nobody knows": [{"type": "hologram", "x": {"y": [1, 2.50, None]}}],
    "a part nobody knows": [{"role": "user", "content": [{"type": "video", "url": "u"}]}],
    "parts of another role": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}],
    "sound": [
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "flac", "x": 1}}],
        }
    ],
    "a reasoning of another form": [{"type": "reasoning", "summary": [{"type": "novel", "text": "x"}]}],
    "a reasoning without its id": [{"type": "reasoning", "summary": [], "encrypted_content": "g"}],
    "strange parts of results": [
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "output_text", "text": "x"}, {"x": 1}]}
    ],
    "members nobody knows": [{"role": "user", "content": [{"type": "input_text", "text": "x", "y": 1}], "z": [1]}],
}

MEMBERS: dict[str, dict[str, Any]] = {
    "instructions": {"instructions": "Be brief."},
    "empty instructions": {"instructions": ""},
    "sampling": {"temperature": 0.50, "top_p": 1, "top_logprobs": 0},
    "about the call": {
        "user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "service_tier": "ultrafast", "store": False,
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "explicit"},
    },
    "defaults in so many words": {
        "background": False, "truncation": "disabled", "metadata": {}, "tools": [], "include": [],
        "stream_options": {"include_obfuscation": False}, "text": {}, "reasoning": {}, "parallel_tool_calls": True,
    },
    "nulls": {
        "instructions": None, "temperature": None, "previous_response_id": None, "reasoning": None, "store": None,
        "metadata": None, "max_output_tokens": None, "conversation": None, "prompt": None, "include": None,
    },
    "state": {
        "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}, "background": True, "store": True,
        "prompt": {"id": "p", "variables": {"a": "b"}}, "truncation": "auto", "max_tool_calls": 3,
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    },
    "include": {"include": ["message.output_text.logprobs", "web_search_call.action.sources",
                            "reasoning.encrypted_content"]},
    "reasoning": {"reasoning": {"effort": "xhigh", "summary": "auto", "context": "auto", "mode": "pro"}},
    "an old summary": {"reasoning": {"generate_summary": "concise", "effort": None}},
    "a text": {"text": {"format": {"type": "text"}, "verbosity": "low"}},
    "JSON": {"text": {"format": {"type": "json_object"}}},
    "a schema": {
        "text": {
            "format": {
                "type": "json_schema", "name": "n", "description": "d", "strict": None,
                "schema": {"type": "object", "required": [], "x": 1.50},
            },
            "verbosity": None,
        }
    },
    "tools": {
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True, "description": None},
            {"type": "function", "name": "g", "parameters": None, "strict": None, "defer_loading": True,
             "async": True, "output_schema": {"type": "string"}, "allowed_callers": ["direct"]},
            {"type": "custom", "name": "h", "format": {"type": "grammar", "syntax": "lark", "definition": "a"}},
            {"type": "namespace", "name": "n", "description": "d", "tools": [{"type": "function", "name": "i"}]},
            {"type": "web_search", "search_context_size": "low"},
            {"type": "mcp", "server_label": "s", "server_url": "u", "headers": {"a": "b"}},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "required",
                        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "h"}]},
        "parallel_tool_calls": False,
    },
    "allowed tools of all kinds": {
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "s"}]}
    },
    "a named tool": {"tool_choice": {"type": "function", "name": "f"}},
    "a custom tool": {"tool_choice": {"type": "custom", "name": "f"}},
    "a server tool": {"tool_choice": {"type": "web_search_preview"}},
    "a tool of a server": {"tool_choice": {"type": "mcp", "server_label": "s", "name": "f"}},
    "no tool": {"tool_choice": "none"},
}  # fmt: skip

ODD: dict[str, dict[str, Any]] = {
    "a format nobody knows": {"text": {"format": {"type": "grammar", "x": 1}, "y": 2}},
    "an effort nobody knows": {"reasoning": {"effort": "ultra", "summary": "novel"}},
    "unknown members": {"x": {"y": [1.50, None]}, "stream": False, "reasoning": {"x": 1}, "text": {"x": 1}},
    "metadata that are no strings": {"metadata": {"a": 1}},
    "unknown choices": {"tool_choice": "maybe"},
}


@pytest.mark.parametrize("items", [*INPUTS.values(), *MORE.values()], ids=[*INPUTS, *MORE])
def test_an_input_comes_out_as_it_came(items: Any) -> None:
    assert rewritten({"input": items}) == {"model": "m", "input": items}


@pytest.mark.parametrize("members", [*MEMBERS.values(), *ODD.values()], ids=[*MEMBERS, *ODD])
def test_members_come_out_as_they_came(members: dict[str, Any]) -> None:
    assert rewritten(members) == {"model": "m", "input": "Hi", **members}


@pytest.mark.parametrize("request_", [*({"input": each} for each in INPUTS.values()), *MEMBERS.values()])
def test_the_requests_of_these_tests_are_of_the_sdks_types(request_: dict[str, Any]) -> None:
    if "a result" not in str(request_) and '{"id": "msg_10", "type": None}' not in str(request_):
        valid_params({"model": "m", **request_})


def test_an_input_may_be_left_to_a_prompt() -> None:
    head = head_of({"prompt": {"id": "p"}, "input": None})
    body = body_of(RESPONSES.write_request(RESPONSES.read_request(head), TARGET))
    assert body == {"model": "m", "prompt": {"id": "p"}, "input": None}


def test_headgate_owns_the_model_and_the_maximum() -> None:
    body = rewritten({"max_output_tokens": 5, "stream": True}, Target("p", "other", max_output=77))
    assert body == {"model": "other", "input": "Hi", "max_output_tokens": 77, "stream": True}
    assert rewritten({"max_output_tokens": 5})["max_output_tokens"] == 5


def test_numbers_and_schemas_stay_the_bytes_they_were() -> None:
    head = head_of({"temperature": msgspec.Raw(b"0.700"), "text": {"format": {
        "type": "json_schema", "name": "n", "schema": msgspec.Raw(b'{"maximum": 1e3}')}}})  # fmt: skip
    written = RESPONSES.write_request(RESPONSES.read_request(head), TARGET).body
    assert b"0.700" in written
    assert b'{"maximum": 1e3}' in written


def test_thinking_that_another_provider_signed_is_left_out_and_its_neighbours_stay() -> None:
    sealed = wrap(Signed(Signer("claude", Dialect.ANTHROPIC_MESSAGES), None, "sig"))
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}, call]
    written = RESPONSES.write_request(RESPONSES.read_request(head_of({"input": items})), TARGET)
    assert body_of(written)["input"] == [call]
    assert written.lost == {Lost.THINKING}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
TEXT = st.text(max_size=8)
ID = st.none() | st.text("abc_", min_size=1, max_size=6)
STATUS = st.sampled_from(["in_progress", "completed", "incomplete"])


def shape(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with unknown members beside the known ones."""
    known = st.fixed_dictionaries(required, optional=optional)
    return st.tuples(st.dictionaries(st.sampled_from(["x1", "x2"]), JSON, max_size=1), known).map(
        lambda both: {**both[0], **both[1]}
    )


INPUT_PART = st.one_of(
    shape({"type": st.just("input_text"), "text": TEXT}, {"prompt_cache_breakpoint": JSON}),
    shape({"type": st.just("input_image"), "image_url": TEXT}, {"detail": st.none() | TEXT, "file_id": ID}),
    shape({"type": st.just("input_image"), "file_id": TEXT}, {"image_url": st.none()}),
    shape({"type": st.just("input_file"), "file_data": TEXT}, {"filename": st.none() | TEXT, "file_url": ID}),
    shape({"type": st.just("input_file"), "file_url": TEXT}, {"file_id": ID, "detail": JSON}),
)
OUTPUT_PART = st.one_of(
    shape(
        {"type": st.just("output_text"), "text": TEXT}, {"annotations": st.lists(JSON, max_size=2), "logprobs": JSON}
    ),
    shape({"type": st.just("refusal"), "refusal": TEXT}, {}),
)
TEXTS = st.lists(TEXT, max_size=2)
ITEM = st.one_of(
    shape(
        {"role": st.sampled_from(["user", "system", "developer", "assistant"]),
         "content": TEXT | st.lists(INPUT_PART | OUTPUT_PART, max_size=3)},
        {"type": st.just("message"), "id": ID, "status": STATUS, "phase": st.none() | TEXT},
    ),
    shape(
        {"type": st.just("reasoning"),
         "summary": TEXTS.map(lambda texts: [{"type": "summary_text", "text": text} for text in texts])},
        {"id": ID, "encrypted_content": st.none() | TEXT, "status": STATUS,
         "content": st.none() | TEXTS.map(lambda texts: [{"type": "reasoning_text", "text": text} for text in texts])},
    ),
    shape({"type": st.just("function_call"), "call_id": TEXT, "name": TEXT, "arguments": TEXT},
          {"id": ID, "status": STATUS, "namespace": JSON}),
    shape({"type": st.just("custom_tool_call"), "call_id": TEXT, "name": TEXT, "input": TEXT}, {"id": ID}),
    shape({"type": st.sampled_from(["function_call_output", "custom_tool_call_output"]),
           "output": TEXT | st.lists(INPUT_PART | OUTPUT_PART, max_size=2)},
          {"id": ID, "call_id": TEXT, "status": STATUS}),
    shape({"type": st.sampled_from(["web_search_call", "item_reference", "hologram"])}, {"id": ID, "status": STATUS}),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(ITEM, max_size=6))
def test_any_items_come_out_as_they_came(items: list[dict[str, Any]]) -> None:
    assert rewritten({"input": items}) == {"model": "m", "input": items}


TOOL = st.one_of(
    shape({"type": st.just("function"), "name": TEXT}, {
        "parameters": st.none() | st.just({"type": "object"}), "strict": st.none() | st.booleans(),
        "description": st.none() | TEXT}),
    shape({"type": st.just("custom"), "name": TEXT}, {"format": st.just({"type": "text"})}),
    shape({"type": st.just("web_search")}, {}),
)  # fmt: skip
NUMBER = st.none() | st.integers(0, 2)


@settings(deadline=None, max_examples=300)
@given(
    shape(
        {},
        {
            "instructions": st.none() | TEXT, "temperature": NUMBER, "top_p": NUMBER, "top_logprobs": NUMBER,
            "tools": st.none() | st.lists(TOOL, max_size=3), "parallel_tool_calls": st.none() | st.booleans(),
            "tool_choice": st.sampled_from(["auto", "none", "required", None, "x"]) | shape(
                {"type": st.sampled_from(["function", "custom", "mcp"]), "name": TEXT}, {}),
            "reasoning": st.none() | shape({}, {"effort": st.sampled_from([None, "low", "x"]), "summary": ID}),
            "text": st.none() | shape({}, {"verbosity": ID, "format": st.none() | shape(
                {"type": st.sampled_from(["text", "json_object", "json_schema", "x"])},
                {"name": ID, "schema": st.just({"a": 1}), "strict": st.none() | st.booleans()})}),
            "include": st.none() | st.lists(TEXT, max_size=3), "store": st.none() | st.booleans(), "user": ID,
            "metadata": st.none() | st.dictionaries(TEXT, TEXT, max_size=2), "service_tier": ID,
            "truncation": ID, "background": st.none() | st.booleans(), "stream": st.booleans(),
            "stream_options": JSON, "conversation": JSON, "max_tool_calls": JSON, "prompt_cache_key": ID,
        },
    )
)  # fmt: skip
def test_any_members_come_out_as_they_came(members: dict[str, Any]) -> None:
    assert rewritten(members) == {"model": "m", "input": "Hi", **members}
