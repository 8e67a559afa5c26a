"""What a responses request means, what is refused, and requests of other dialects as responses."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.responses.speaking import (
    CLAUDE,
    PNG,
    RESPONSES,
    TARGET,
    body_of,
    foreign,
    head_of,
    read,
    read_items,
    valid_params,
)

from headgate.model.content import (
    Audio,
    Document,
    Foreign,
    Image,
    RedactedThinking,
    Role,
    Signer,
    Source,
    SourceKind,
    Text,
    Thinking,
    ToolKind,
    ToolResult,
    ToolUse,
    Turn,
)
from headgate.model.conversation import (
    ChoiceMode,
    ServerTool,
    Tool,
    ToolChoice,
)
from headgate.model.dialect import Dialect
from headgate.model.errors import HeadgateError
from headgate.protocols.canonical import Written
from headgate.protocols.openai_responses import tables
from headgate.protocols.signatures import Signed, wrap

OWN = Signer("upstream", Dialect.OPENAI_RESPONSES)
SCHEMA = msgspec.Raw(b'{"type":"object"}')


def written(*turns: Turn, **members: Any) -> Written:
    """Return a foreign request, written; every body must be of the SDK's types."""
    members.setdefault("dialect", Dialect.ANTHROPIC_MESSAGES)
    result = RESPONSES.write_request(foreign(turns=turns, **members), TARGET)
    valid_params(body_of(result))
    return result


def user(*blocks: Any) -> Turn:
    return Turn(Role.USER, blocks)


def assistant(*blocks: Any) -> Turn:
    return Turn(Role.ASSISTANT, blocks)


# -- reading ----------------------------------------------------------------------------------------


def test_adjacent_items_of_one_role_are_one_turn() -> None:
    request = read_items(
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "input_text", "text": "b"}]},
        {"type": "reasoning", "id": "rs", "encrypted_content": "g",
         "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "phase": "commentary",
         "content": [{"type": "output_text", "text": "c", "annotations": []}]},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "n"},
        {"type": "function_call_output", "call_id": "c1", "output": "1", "status": "completed"},
        {"role": "user", "content": "d"},
    )  # fmt: skip
    assert [(turn.role, turn.blocks) for turn in request.turns] == [
        (Role.USER, (Text("a"), Text("b"))),
        (
            Role.ASSISTANT,
            (
                Thinking(("hm",), "g", item="rs"),
                Text("c"),
                ToolUse("c1", "n__f", "{}", item="fc"),
            ),
        ),
        (Role.USER, (ToolResult("c1", (Text("1"),), plain=True), Text("d"))),
    ]
    assert request.turns[1].extra == {"phase": msgspec.Raw(b'"commentary"')}


def test_ids_and_states_are_no_loss_elsewhere_but_what_tells_a_model_something_is() -> None:
    items = [{"type": "function_call_output", "call_id": "c", "output": "1", "id": "i", "status": "completed", "x": 1}]
    (turn,) = read({"input": items}).turns
    (result,) = turn.blocks
    assert isinstance(result, ToolResult)
    assert result.extra == {"x": msgspec.Raw(b"1")}
    assert turn.extra == {}


def test_instructions_are_the_system_prompt_on_top() -> None:
    request = read({"instructions": "Be brief."})
    assert request.turns[0] == Turn(Role.SYSTEM, (Text("Be brief."),), plain=True, top=True)
    assert request.turns[1] == Turn(Role.USER, (Text("Hi"),), plain=True)


def test_images_files_and_sounds_are_read() -> None:
    request = read_items({"role": "user", "content": [
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {"type": "input_image", "file_id": "f1"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}},
    ]})  # fmt: skip
    assert request.turns[0].blocks == (
        Image(Source(SourceKind.BASE64, "iVBORw0KGgo=", "image/png"), "low"),
        Image(Source(SourceKind.FILE, "f1")),
        Document(Source(SourceKind.BASE64, "AA==", "application/pdf"), "a.pdf"),
        Document(Source(SourceKind.URL, "https://x.example/a.pdf")),
        Audio(Source(SourceKind.BASE64, "AA==", "audio/mpeg")),
    )


def test_server_items_stand_in_the_turn_of_who_made_them() -> None:
    request = read_items(
        {"type": "web_search_call", "id": "w"}, {"type": "computer_call_output", "call_id": "c"}, {"id": "msg_1"}
    )
    assert [
        (turn.role, [block.name for block in turn.blocks if isinstance(block, Foreign)]) for turn in request.turns
    ] == [
        (Role.ASSISTANT, ["web_search_call"]),
        (Role.USER, ["computer_call_output", "item_reference"]),
    ]


def test_wrapped_thinking_comes_back_as_its_signer_made_it() -> None:
    request = read_items(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": wrap(Signed(CLAUDE, None, "sig"))},
        {"type": "reasoning", "id": "rs_2", "summary": [],
         "encrypted_content": wrap(Signed(CLAUDE, tables.REDACTED, "data"))},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": wrap(Signed(CLAUDE, None, ""))},
    )  # fmt: skip
    assert request.turns[0].blocks == (
        Thinking(("hm",), "sig", CLAUDE),
        RedactedThinking("data", CLAUDE),
        Thinking((), None, CLAUDE),
    )


def test_what_include_asks_for_is_a_loss_only_where_no_dialect_can_say_it() -> None:
    request = read({"include": [tables.LOGPROBS, tables.ENCRYPTED, "file_search_call.results"]})
    assert request.sampling.logprobs is True
    assert request.extra == {"include.file_search_call.results": msgspec.Raw(b"true")}


def test_defaults_in_so_many_words_are_no_loss_elsewhere() -> None:
    request = read({"truncation": "disabled", "background": False, "previous_response_id": None, "text": {},
                    "tools": [], "include": [], "stream_options": {"include_obfuscation": False}})  # fmt: skip
    assert request.extra == {}
    assert read({"truncation": "auto", "max_tool_calls": 2}).extra.keys() == {"truncation", "max_tool_calls"}


def test_tools_and_choices_are_read() -> None:
    request = read({
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True},
            {"type": "custom", "name": "g", "format": {"type": "text"}},
            {"type": "namespace", "name": "n", "tools": []},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "g"}]},
    })  # fmt: skip
    function, custom, namespace = request.tools
    assert isinstance(function, Tool)
    assert (function.name, function.strict, function.kind) == ("f", True, ToolKind.FUNCTION)
    assert isinstance(custom, Tool)
    assert (custom.name, custom.kind) == ("g", ToolKind.CUSTOM)
    assert isinstance(namespace, ServerTool)
    assert namespace.name == "namespace"
    assert request.choice == ToolChoice(ChoiceMode.AUTO, allowed=("g",))


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 1}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["x"]}, "input.0"),
        ({"input": [{}]}, "input.0.type"),
        ({"input": [{"type": 1}]}, "input.0.type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        ({"input": [{"role": "user", "content": 1}]}, "input.0.content"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input.0.content.0.type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": 1}]}]}, "input.0.content.0.file_id"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input.0.call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input.0.arguments"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input.0.output"),
        ({"input": [{"type": "reasoning", "encrypted_content": 1}]}, "input.0.encrypted_content"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools.0.name"),
        ({"tools": [{"type": "function", "name": "f", "strict": "yes"}]}, "tools.0.strict"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": 1}}}, "text.format.schema"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"top_logprobs": 10**30}, "top_logprobs"),
        ({"include": "x"}, "include"),
        ({"include": [1]}, "include.0"),
        ({"store": 1}, "store"),
        ({"metadata": []}, "metadata"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)  # fmt: skip
def test_a_field_at_fault_is_named(request_: dict[str, Any], param: str) -> None:
    with pytest.raises(HeadgateError) as caught:
        read(request_)
    assert (caught.value.status, caught.value.param) == (400, param)


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "id", "text", "output", "name", "tools"]), inner)
    ),
    max_leaves=12,
)
NAMES = ["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "stream_options"]


def refusal_of(members: dict[str, Any]) -> HeadgateError | None:
    """Return how a request is refused; one that is not must be written."""
    try:
        request = read(members)
    except HeadgateError as error:
        return error
    RESPONSES.write_request(request, TARGET)
    return None


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_hostile_values_are_refused_or_kept(members: dict[str, Any]) -> None:
    RESPONSES.needs_state(head_of(members))
    refused = refusal_of(members)
    assert refused is None or (refused.status == 400 and refused.param)


def test_deep_nesting_is_refused_or_kept_whole() -> None:
    deep = msgspec.Raw(b"[" * 900 + b"]" * 900)
    for members in ({"input": deep}, {"input": [{"type": "x", "y": deep}]}, {"include": deep}, {"tool_choice": deep}):
        refused = refusal_of(members)
        assert refused is None or refused.status == 400


# -- state ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"input": [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "m"}]}, "item_reference"),
        ({"input": [{"id": "m"}]}, "item_reference"),
        ({"input": [{"type": "item_reference", "id": 1}]}, "item_reference"),
        ({"input": [{"type": "compaction", "encrypted_content": "g"}]}, "compaction"),
    ],
)
def test_what_only_an_upstream_with_state_can_serve_is_named(members: dict[str, Any], name: str) -> None:
    assert RESPONSES.needs_state(head_of(members)) == name


def test_other_requests_need_no_state() -> None:
    items = [{"role": "user", "content": "x", "id": "m"}, {"type": "function_call", "id": "fc", "call_id": "c"}]
    members = {"previous_response_id": None, "background": False, "store": True, "input": items, "conversation": None}
    assert RESPONSES.needs_state(head_of(members)) is None
    assert RESPONSES.needs_state(head_of({"input": "x"})) is None
    assert RESPONSES.needs_state(head_of({"input": 5})) is None
