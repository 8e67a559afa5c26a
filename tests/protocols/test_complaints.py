"""What users of gateways have reported as broken, each by the thread that tells of it; here it works."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from tests.goldens.matrix import Json, answer_to, request_for, stream_to
from tests.protocols.messages.validating import accumulated as message_of
from tests.protocols.responses.speaking import accumulated as response_of

from headgate.model.errors import HeadgateError

ARGUMENTS = {"city": "Wien", "days": 3}
TEXT = json.dumps(ARGUMENTS)
QUESTION = {"role": "user", "content": "Weather?"}


def sse(*frames: Json, done: bool = False) -> list[bytes]:
    """Return the frames of a stream; those of the two newer dialects are named by their type."""
    named = (f"event: {frame['type']}\n" if "type" in frame else "" for frame in frames)
    data = [f"{name}data: {json.dumps(frame)}\n\n".encode() for name, frame in zip(named, frames, strict=True)]
    return [*data, b"data: [DONE]\n\n"] if done else data


def chat(*deltas: Json, finish: str = "stop", usage: Json | None = None) -> list[bytes]:
    """Return a chat stream; the last frame says how it ended and, with the finish, what it used."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    frames: list[Json] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    last: Json = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    return sse(*frames, last if usage is None else {**last, "usage": usage}, done=True)


def call(index: int, name: str, arguments: str, **more: Any) -> Json:
    """Return a delta with a call that comes in one piece."""
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function, **more}]}


def messages(*blocks: Iterable[Json], stop: str = "tool_use", usage: Json | None = None) -> list[bytes]:
    """Return a messages stream of blocks, each given as its frames without their index."""
    start: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    start |= {"stop_reason": None, "stop_sequence": None, "usage": usage or {"input_tokens": 9, "output_tokens": 1}}
    frames: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        frames += [{**frame, "index": index} for frame in block]
        frames.append({"type": "content_block_stop", "index": index})
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": None},
        "usage": {"output_tokens": 5},
    }
    return sse(*frames, end, {"type": "message_stop"})


def tool_block(identity: str, name: str, *pieces: str) -> list[Json]:
    use = {"type": "tool_use", "id": identity, "name": name, "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "content_block_start", "content_block": use},
        *({"type": "content_block_delta", "delta": delta} for delta in deltas),
    ]


def said_in(body: bytes) -> list[Json]:
    """Return the data of a stream's frames."""
    return [json.loads(line[6:]) for line in body.decode().split("\n") if line.startswith("data: {")]


def uses_of(body: bytes) -> list[tuple[str, Any]]:
    """Return the tool uses that the anthropic SDK makes of a stream."""
    return [(block.name, block.input) for block in message_of(body).content if block.type == "tool_use"]


def test_arguments_that_come_whole_with_the_name_reach_a_messages_client() -> None:
    """BerriAI/litellm#25561, #25836, #25390: Gemini sends them so, and tool_use arrived with an empty input."""
    answer = stream_to("messages", "chat", chat(call(0, "weather", TEXT), finish="tool_calls"))
    assert uses_of(answer.body) == [("weather", ARGUMENTS)]
    assert message_of(answer.body).stop_reason == "tool_use"


def test_arguments_that_only_the_end_of_a_call_tells_reach_every_client() -> None:
    """BerriAI/litellm#25321: LM Studio sends function_call_arguments.done and no delta."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": ""}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "output": []}
    stream = sse(
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    )
    assert uses_of(stream_to("messages", "responses", stream).body) == [("weather", ARGUMENTS)]
    frames = said_in(stream_to("chat", "responses", stream).body)
    pieces = [
        part["function"].get("arguments", "")
        for frame in frames
        for choice in frame["choices"]
        for part in choice["delta"].get("tool_calls", ())
    ]
    assert json.loads("".join(pieces)) == ARGUMENTS


def test_text_beside_an_empty_list_of_calls_is_text() -> None:
    """BerriAI/litellm#29286: vLLM says `tool_calls: []` with every piece of text."""
    answer = stream_to("messages", "chat", chat(*({"content": word, "tool_calls": []} for word in ("Hel", "lo"))))
    assert [block.to_dict() for block in message_of(answer.body).content] == [{"type": "text", "text": "Hello"}]
    assert b"input_json_delta" not in answer.body


def test_a_tool_without_arguments_gets_an_empty_object() -> None:
    """BerriAI/litellm#5063: Claude's empty partial_json became arguments that nobody can parse."""
    answer = stream_to("chat", "messages", messages(tool_block("toolu_1", "now", "")))
    pieces = [
        part["function"].get("arguments", "")
        for frame in said_in(answer.body)
        for choice in frame["choices"]
        for part in choice["delta"].get("tool_calls", ())
    ]
    assert "".join(pieces) == "{}"


def test_calls_are_numbered_from_zero_whatever_stands_before_them() -> None:
    """The block's index taken for the call's leaves a hole in the list that SDKs make of them."""
    text = [
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Let me look."}},
    ]
    two = (tool_block("toolu_1", "weather", '{"city"', ':"Wien"}'), tool_block("toolu_2", "weather", '{"city":"Graz"}'))
    frames = said_in(stream_to("chat", "messages", messages(text, *two)).body)
    calls = [part for frame in frames for each in frame["choices"] for part in each["delta"].get("tool_calls", ())]
    assert [part["index"] for part in calls] == sorted(part["index"] for part in calls)
    assert {part["index"] for part in calls} == {0, 1}
    assert [part["id"] for part in calls if "id" in part] == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize("stream", [False, True])
def test_cached_tokens_are_beside_the_input_for_one_dialect_and_inside_it_for_the_others(stream: bool) -> None:
    """ericc-ch/copilot-api#88: counted twice, a context meter shows twice the context."""
    usage: Json = {"prompt_tokens": 1000, "completion_tokens": 5, "total_tokens": 1005}
    usage |= {"prompt_tokens_details": {"cached_tokens": 900}}
    if stream:
        said = message_of(stream_to("messages", "chat", chat({"content": "Hi"}, usage=usage)).body).usage
        assert (said.input_tokens, said.cache_read_input_tokens) == (100, 900)
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice]}
        told = json.loads(answer_to("messages", "chat", {**whole, "usage": usage}).body)["usage"]
        assert (told["input_tokens"], told["cache_read_input_tokens"]) == (100, 900)
    back = {"input_tokens": 100, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 0, "output_tokens": 1}
    text = [{"type": "content_block_start", "content_block": {"type": "text", "text": "Hi"}}]
    told_chat = said_in(stream_to("chat", "messages", messages(text, stop="end_turn", usage=back)).body)[-1]["usage"]
    assert (told_chat["prompt_tokens"], told_chat["prompt_tokens_details"]["cached_tokens"]) == (1000, 900)
    told_response = response_of(stream_to("responses", "messages", messages(text, stop="end_turn", usage=back)).body)
    assert told_response.usage is not None
    assert told_response.usage.input_tokens == 1000
    assert told_response.usage.input_tokens_details.cached_tokens == 900


def test_usage_on_the_frame_that_finishes_is_not_dropped() -> None:
    """Servers that never send a frame of usage alone were billed as nothing."""
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    answer = stream_to("messages", "chat", chat({"content": "Hi"}, usage=usage))
    assert answer.reported is not None
    assert message_of(answer.body).usage.output_tokens == 2


def test_codex_parallel_calls_are_one_turn_with_their_results_in_the_next() -> None:
    """Each call and each result is an item of its own; Claude wants all results right after all uses."""
    calls = [
        {"type": "function_call", "call_id": f"call_{n}", "name": "shell", "arguments": f'{{"n":{n}}}'} for n in (1, 2)
    ]
    results = [{"type": "function_call_output", "call_id": f"call_{n}", "output": f"done {n}"} for n in (1, 2)]
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
    sent = request_for("responses", {"model": "m", "input": [QUESTION, said, *calls, *results]}, "messages")["body"]
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in sent["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["tool_use_id"] for block in sent["messages"][2]["content"]] == ["call_1", "call_2"]


@pytest.mark.parametrize("between", ["assistant", "user", "developer"])
def test_what_stands_between_a_call_and_its_result_comes_between_no_tool_message_and_its_call(between: str) -> None:
    """BerriAI/litellm#32536: Codex's history has messages there, and chat servers answer 400."""
    items = [
        QUESTION,
        {"type": "function_call", "call_id": "call_1", "name": "shell", "arguments": "{}"},
        {"type": "message", "role": between, "content": "Mind the gap."},
        {"type": "function_call_output", "call_id": "call_1", "output": "done"},
    ]
    sent = request_for("responses", {"model": "m", "input": items}, "chat")["body"]["messages"]
    at = next(index for index, message in enumerate(sent) if message.get("tool_calls"))
    assert (sent[at + 1]["role"], sent[at + 1]["tool_call_id"]) == ("tool", "call_1")
    assert "Mind the gap." in json.dumps(sent)


def test_claude_codes_results_come_before_what_the_user_says_beside_them() -> None:
    """OpenAI: "An assistant message with 'tool_calls' must be followed by tool messages"."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    content = [
        {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"},
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "seen"}, picture]},
    ]
    talk = [QUESTION, {"role": "assistant", "content": [use]}, {"role": "user", "content": content}]
    sent = request_for("messages", {"model": "m", "max_tokens": 9, "messages": talk}, "chat")["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user"]
    assert sent[2]["content"] == "seen"
    assert [part["type"] for part in sent[3]["content"]] == ["text", "image_url", "text"]


def test_thinking_that_nobody_signed_is_never_shown_to_claude_as_signed() -> None:
    """sifxprime/krouter#11, ding113/claude-code-hub#518: forged signatures are refused, once for every later turn."""
    delta = {"reasoning_content": "Let me think."}
    body = stream_to("messages", "chat", chat(delta, {"content": "Yes."})).body
    content = [block.to_dict() for block in message_of(body).content]
    assert [block["type"] for block in content] == ["thinking", "text"]
    talk = [QUESTION, {"role": "assistant", "content": content}, {"role": "user", "content": "Sure?"}]
    asked: Json = {"model": "m", "max_tokens": 2000, "messages": talk}
    for model in ("claude-sonnet-4-5", "claude-opus-4-8"):
        sent = request_for("messages", asked, "messages", model)
        assert sent["dropped"] == "messages.content.thinking"
        assert "thinking" not in json.dumps(sent["body"])
    back = request_for("messages", asked, "chat")
    assert back["body"]["messages"][1]["reasoning_content"] == "Let me think."
    assert "dropped" not in back


@pytest.mark.parametrize("client", ["chat", "responses"])
def test_claudes_thinking_comes_back_to_it_byte_for_byte_through_clients_of_other_dialects(client: str) -> None:
    """lbjlaq/Antigravity-Manager#139, #498: "Expected `thinking`…, but found…", "Invalid `signature`…"."""
    signature = "EqQBCgIYAhIM/+=="
    thinking = [
        {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm. \u00e4\u2028"}},
        {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": signature}},
    ]
    stream = messages(thinking, tool_block("toolu_1", "weather", TEXT))
    body = stream_to(client, "messages", stream).body
    tools: list[Json]
    talk: Json
    if client == "chat":
        details: list[Json] = []
        for frame in said_in(body):
            for choice in frame["choices"]:
                details += choice["delta"].get("reasoning_details", ())
        whole = {
            "type": "reasoning.text",
            "text": details[0]["text"],
            "signature": details[-1]["signature"],
            "index": 0,
        }
        function = {"name": "weather", "arguments": TEXT}
        calls = [{"id": "toolu_1", "type": "function", "function": function}]
        answer = {"role": "assistant", "content": None, "reasoning_details": [whole], "tool_calls": calls}
        talk = {"messages": [QUESTION, answer, {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"}]}
        talk["reasoning_effort"] = "high"
        tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    else:
        items = response_of(body).to_dict(mode="json")["output"]
        assert isinstance(items, list)
        result = {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny"}
        talk = {"input": [QUESTION, *items, result], "reasoning": {"effort": "high"}}
        tools = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    sent = request_for(client, {"model": "m", "tools": tools, **talk}, "messages")
    first = sent["body"]["messages"][1]["content"][0]
    assert first == {"type": "thinking", "thinking": "Hm. \u00e4\u2028", "signature": signature}
    assert sent["body"]["thinking"]["type"] == "enabled"
    assert "dropped" not in sent


def test_openais_encrypted_reasoning_comes_back_to_it_through_claude_code() -> None:
    """What OpenAI sealed is its own: to Claude it would be an invalid signature."""
    sealed = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA=="}
    function = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": TEXT}
    answer = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "status": "completed"}
    body = json.loads(answer_to("messages", "responses", {**answer, "output": [sealed, function]}).body)
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}
    talk = [QUESTION, {"role": "assistant", "content": body["content"]}, {"role": "user", "content": [result]}]
    asked = {"model": "m", "max_tokens": 99, "messages": talk}
    items = request_for("messages", asked, "responses")["body"]["input"]
    assert items[1] == sealed
    assert [item["type"] for item in items[1:]] == ["reasoning", "function_call", "function_call_output"]
    other = request_for("messages", asked, "messages")
    assert "gAAAA" not in json.dumps(other["body"])
    assert other["dropped"] == "messages.content.thinking"


LONG = "mcp__plugin_chrome-devtools-mcp_chrome-devtools__get_console_message"
"""68 characters, as Claude Code calls a plugin's tool; OpenAI takes 64."""


def responses_call(name: str) -> list[bytes]:
    """Return a responses stream of one call."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}"}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "output": [item]}
    return sse(
        {"type": "response.created", "response": {**response, "output": [], "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    )


@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_a_tool_name_too_long_for_openai_is_shortened_there_and_whole_for_the_client(upstream: str) -> None:
    """cline/cline#11877, agentgateway/agentgateway#2379: a plugin's long name refused every request."""
    use = {"type": "tool_use", "id": "toolu_1", "name": LONG, "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "none"}
    asked: Json = {
        "tools": [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in (LONG, "short")],
        "tool_choice": {"type": "tool", "name": LONG},
        "messages": [QUESTION, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}],
    }
    sent = request_for("messages", {"model": "m", "max_tokens": 99, **asked}, upstream)
    assert "dropped" not in sent
    body = sent["body"]
    tools = [tool.get("function", tool)["name"] for tool in body["tools"]]
    short = tools[0]
    assert len(short) <= 64
    assert short.startswith("mcp__plugin_chrome-devtools-mcp_chrome-devtools__get_")
    assert tools[1] == "short"
    choice = body["tool_choice"]
    assert choice.get("function", choice)["name"] == short
    assert LONG not in json.dumps(body)
    assert json.dumps(body).count(short) == 3
    stream = chat(call(0, short, "{}"), finish="tool_calls") if upstream == "chat" else responses_call(short)
    assert uses_of(stream_to("messages", upstream, stream, asked).body) == [(LONG, {})]
    own = request_for("messages", {"model": "m", "max_tokens": 99, **asked}, "messages")
    assert own["body"] == "as it came"


def test_shortened_names_stay_apart() -> None:
    names = [f"{'x' * 80}_{number}" for number in range(3)]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    body = request_for("messages", {"model": "m", "max_tokens": 9, "messages": [QUESTION], "tools": tools}, "chat")
    sent = [tool["function"]["name"] for tool in body["body"]["tools"]]
    assert len(set(sent)) == len(names)


@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_a_tool_without_parameters_has_the_properties_that_openai_demands(upstream: str) -> None:
    """github/github-mcp-server#1548: "object schema missing properties" for what MCP and Claude take."""
    given: list[Json] = [{}, {"properties": {}}, {"required": []}, {"anyOf": [{"type": "object", "properties": {}}]}]
    for schema in ({"type": "object", **more} for more in given):
        tools = [{"name": "now", "input_schema": schema}]
        asked = {"model": "m", "max_tokens": 99, "messages": [QUESTION], "tools": tools}
        (tool,) = request_for("messages", asked, upstream)["body"]["tools"]
        assert tool.get("function", tool)["parameters"] == {**schema, "properties": {}}


LISTING = {"type": "object", "properties": {"state": {"type": "string"}}}
SERVER: Json = {
    "type": "namespace",
    "name": "mcp__github__",
    "description": "Tools of GitHub.",
    "tools": [
        {"type": "function", "name": "list_issues", "description": "List.", "parameters": LISTING, "strict": False},
        {"type": "custom", "name": "patch"},
    ],
}
CRM: Json = {
    "type": "namespace",
    "name": "crm.v2",
    "description": "",
    "tools": [{"type": "function", "name": "list_issues", "parameters": LISTING, "strict": False}],
}
SHELL: Json = {"type": "function", "name": "shell", "parameters": LISTING, "strict": False}
CODEX: Json = {"tools": [SHELL, SERVER, CRM]}


def names_sent(body: Json) -> list[str]:
    return [(tool.get("function") or tool.get("custom") or tool)["name"] for tool in body["tools"]]


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_codex_tools_of_mcp_servers_reach_every_model(upstream: str) -> None:
    """openai/codex#26234, #36942, BerriAI/litellm#32536: namespaces were dropped, and no model saw an MCP tool."""
    call_of = {"type": "function_call", "call_id": "call_1", "namespace": "mcp__github__", "name": "list_issues"}
    items = [
        QUESTION,
        {**call_of, "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "none"},
    ]
    sent = request_for("responses", {"model": "m", "input": items, **CODEX}, upstream)
    assert "dropped" not in sent
    names = ["shell", "mcp__github__list_issues", "mcp__github__patch", "crm_v2__list_issues"]
    assert names_sent(sent["body"]) == names
    text = json.dumps(sent["body"])
    assert "Tools of GitHub." in text
    assert text.count('"mcp__github__list_issues"') == 2
    assert "namespace" not in text


@pytest.mark.parametrize("upstream", ["chat", "messages"])
def test_a_call_of_a_tool_in_a_namespace_comes_back_by_both_of_its_names(upstream: str) -> None:
    """openai/codex#20652, #23186, router-for-me/CLIProxyAPI#4255: "unsupported call" for any other name."""
    names = ("mcp__github__list_issues", "crm_v2__list_issues", "shell")
    stream = (
        chat(*(call(at, name, "{}") for at, name in enumerate(names)), finish="tool_calls")
        if upstream == "chat"
        else messages(*(tool_block(f"toolu_{at}", name, "{}") for at, name in enumerate(names)))
    )
    output = response_of(stream_to("responses", upstream, stream, CODEX).body).output
    found = [(item.namespace, item.name) for item in output if item.type == "function_call"]
    assert found == [("mcp__github__", "list_issues"), ("crm.v2", "list_issues"), (None, "shell")]


def test_namespaces_stay_as_they_came_for_an_upstream_that_knows_them() -> None:
    calls: list[Json] = [
        {"type": "function_call", "call_id": "call_1", "namespace": "crm.v2", "name": "list_issues", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_2", "namespace": "mcp__github__", "name": "patch", "input": "x"},
    ]
    asked = {"model": "m", "input": [QUESTION, *calls], **CODEX}
    assert request_for("responses", asked, "responses") == {"body": "as it came"}
    item = {**calls[0], "id": "fc_1", "status": "completed"}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": "up", "status": "completed"}
    (found,) = json.loads(answer_to("responses", "responses", {**whole, "output": [item]}, CODEX).body)["output"]
    assert (found["namespace"], found["name"]) == ("crm.v2", "list_issues")


def test_names_that_would_be_one_are_told_apart_and_find_their_way_back() -> None:
    function = {"type": "function", "parameters": LISTING, "strict": False}
    origins = [("a", "b__c"), ("a__b", "c"), ("long" * 20, "name"), ("a b", "c"), ("a.b", "c")]
    groups = [
        {"type": "namespace", "name": group, "description": "", "tools": [{**function, "name": name}]}
        for group, name in origins
    ]
    tools = [{**function, "name": "a__b__c"}, *groups]
    sent = names_sent(request_for("responses", {"model": "m", "input": "Hi", "tools": tools}, "chat")["body"])
    assert sent[0] == "a__b__c"
    assert len(set(sent)) == len(tools)
    assert all(len(name) <= 64 for name in sent)
    stream = chat(*(call(at, name, "{}") for at, name in enumerate(sent)), finish="tool_calls")
    output = response_of(stream_to("responses", "chat", stream, {"tools": tools}).body).output
    found = [(item.namespace, item.name) for item in output if item.type == "function_call"]
    assert found == [(None, "a__b__c"), *origins]


@pytest.mark.parametrize(("tools", "param"), [(7, "tools.0.tools"), ([{"type": "function"}], "tools.0.tools.0.name")])
def test_what_is_wrong_inside_a_namespace_is_named(tools: Any, param: str) -> None:
    group = {"type": "namespace", "name": "a", "description": "", "tools": tools}
    with pytest.raises(HeadgateError) as refused:
        request_for("responses", {"model": "m", "input": "Hi", "tools": [group]}, "chat")
    assert refused.value.param == param


def test_what_the_vendor_runs_inside_a_namespace_is_named() -> None:
    group = {"type": "namespace", "name": "a", "description": "", "tools": [{"type": "web_search"}]}
    sent = request_for("responses", {"model": "m", "input": "Hi", "tools": [group]}, "chat")
    assert sent["dropped"] == "tools"
    empty = request_for("responses", {"model": "m", "input": "Hi", "tools": [{**group, "tools": []}]}, "chat")
    assert empty["dropped"] == "tools"


def test_a_call_in_a_namespace_that_the_request_does_not_offer_has_the_name_that_is_offered_or_both_as_one() -> None:
    """openai/codex calls a tool without a namespace one of `functions`."""
    call_of = {"type": "function_call", "call_id": "call_1", "namespace": "functions", "arguments": "{}"}
    for name, sent_as in (("shell", "shell"), ("gone", "functions__gone")):
        asked = {"model": "m", "input": [QUESTION, {**call_of, "name": name}], "tools": [SHELL]}
        sent = request_for("responses", asked, "chat")["body"]["messages"]
        assert sent[1]["tool_calls"][0]["function"]["name"] == sent_as


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (6000, "low"), (16_000, "medium"), (31_999, "high")])
@pytest.mark.parametrize("upstream", ["chat", "responses"])
def test_claude_codes_budget_is_an_effort_that_every_model_takes(upstream: str, budget: int, effort: str) -> None:
    """BerriAI/litellm#27223: 31,999 of 32,000 tokens became a word that the model refused, with every request."""
    thinking = {"type": "enabled", "budget_tokens": budget}
    asked = {"model": "m", "max_tokens": 32_000, "messages": [QUESTION], "thinking": thinking}
    body = request_for("messages", asked, upstream)["body"]
    assert (body["reasoning_effort"] if upstream == "chat" else body["reasoning"]["effort"]) == effort
    said = {**asked, "thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}
    body = request_for("messages", said, upstream)["body"]
    assert (body["reasoning_effort"] if upstream == "chat" else body["reasoning"]["effort"]) == "max"
