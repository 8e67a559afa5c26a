"""Requests of this dialect: every block and every member that it has, and some that may come."""

import json
from typing import Any

from headgate.model.conversation import Request
from headgate.model.dialect import Endpoint
from headgate.protocols.anthropic_messages import AnthropicMessages, MessagesTranslator
from headgate.protocols.canonical import Target, Written

TRANSLATOR = MessagesTranslator()
TARGET = Target("anthropic", "claude-sonnet-4-5")
BASE = {"model": "claude-sonnet-4-5", "max_tokens": 64}


def read(body: Any) -> Request:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return TRANSLATOR.read_request(AnthropicMessages().read_head(Endpoint.MESSAGES, text))


def again(body: dict[str, Any], target: Target = TARGET) -> Written:
    return TRANSLATOR.write_request(read(body), target)


def with_block(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {**BASE, "messages": [{"role": role, "content": list(blocks)}]}


CACHED = {"type": "ephemeral", "ttl": "1h"}
TEXT = {"type": "text", "text": "Hi."}
BLOCKS: dict[str, dict[str, Any]] = {
    "text": TEXT,
    "empty text": {"type": "text", "text": ""},
    "text with a breakpoint": {**TEXT, "cache_control": {"type": "ephemeral"}},
    "text with a breakpoint of a kind to come": {**TEXT, "cache_control": {"type": "eternal"}},
    "text with citations": {
        **TEXT,
        "citations": [
            {
                "type": "char_location",
                "cited_text": "x",
                "document_index": 0,
                "document_title": None,
                "start_char_index": 0,
                "end_char_index": 1,
            }
        ],
    },
    "base64 image": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        "cache_control": CACHED,
    },
    "url image": {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
    "file image": {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    "image with transformations": {
        "type": "image",
        "source": {"type": "url", "url": "https://x.test/a.png"},
        "transformations": {"oversize": "reject"},
    },
    "image of a source to come": {"type": "image", "source": {"type": "cloud", "bucket": "b"}},
    "pdf": {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        "title": "a.pdf",
        "context": "an invoice",
        "citations": {"enabled": True},
    },
    "plain document": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
    "url document": {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
    "file document": {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    "document of a string": {"type": "document", "source": {"type": "content", "content": "words"}},
    "document of blocks": {
        "type": "document",
        "source": {"type": "content", "content": [{**TEXT, "cache_control": CACHED}, TEXT]},
        "cache_control": CACHED,
    },
    "document with an image": {
        "type": "document",
        "source": {"type": "content", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]},
    },
    "search result": {
        "type": "search_result",
        "source": "https://x.test",
        "title": "X",
        "content": [TEXT],
        "citations": {"enabled": True},
        "cache_control": CACHED,
    },
    "thinking": {"type": "thinking", "thinking": "Hm.", "signature": "EqQB/+=="},
    "thinking not shown": {"type": "thinking", "thinking": "", "signature": "EqQB"},
    "redacted thinking": {"type": "redacted_thinking", "data": "EmwK"},
    "tool use": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, 2.50, None], "b": "é"}},
    "tool use of a caller": {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "f",
        "input": {},
        "caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"},
        "cache_control": CACHED,
    },
    "tool result": {"type": "tool_result", "tool_use_id": "toolu_1", "content": "22 °C"},
    "tool result without content": {"type": "tool_result", "tool_use_id": "toolu_1"},
    "tool result of no blocks": {"type": "tool_result", "tool_use_id": "toolu_1", "content": []},
    "failed tool result of blocks": {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "is_error": True,
        "content": [
            TEXT,
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
            {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]},
            {"type": "tool_reference", "tool_name": "g"},
        ],
        "cache_control": CACHED,
    },
    "server tool use": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    "web search result": {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e", "page_age": None}
        ],
    },
    "web fetch result": {
        "type": "web_fetch_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_fetch_tool_result_error", "error_code": "unavailable"},
    },
    "code execution result": {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {
            "type": "code_execution_result",
            "content": [],
            "return_code": 0,
            "stderr": "",
            "stdout": "1",
        },
    },
    "container upload": {"type": "container_upload", "file_id": "file_1"},
    "a block to come": {"type": "hologram", "beam": [1, {"x": "y"}]},
}


MEMBERS: dict[str, dict[str, Any]] = {
    "a system prompt": {"system": "Be brief."},
    "an empty system prompt": {"system": ""},
    "a system prompt of blocks": {"system": [TEXT, {**TEXT, "cache_control": CACHED}]},
    "streaming": {"stream": True},
    "sampling": {"temperature": 0.70, "top_p": 0.9, "top_k": 40, "stop_sequences": ["\n\nHuman:", "END"]},
    "tools": {
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}},
            {
                "name": "g",
                "input_schema": {"type": "object"},
                "strict": False,
                "cache_control": CACHED,
                "input_examples": [{"a": 1}],
                "defer_loading": True,
                "eager_input_streaming": True,
                "allowed_callers": ["direct"],
            },
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {"type": "bash_20250124", "name": "bash"},
        ]
    },
    "auto": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    "any": {"tool_choice": {"type": "any", "disable_parallel_tool_use": False}},
    "a named tool": {"tool_choice": {"type": "tool", "name": "f"}},
    "none": {"tool_choice": {"type": "none"}},
    "a choice to come": {"tool_choice": {"type": "some", "of": ["f"]}},
    "a choice with more": {"tool_choice": {"type": "auto", "mood": "good"}},
    "thinking by budget": {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}},
    "adaptive thinking": {"thinking": {"type": "adaptive", "display": "omitted"}},
    "no thinking": {"thinking": {"type": "disabled"}},
    "thinking between tools": {"thinking": {"type": "between_tools"}},
    "thinking to come": {"thinking": {"type": "sideways", "block_binding": {"x": 1}}},
    "effort and a format": {
        "output_config": {
            "effort": "xhigh",
            "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}},
        }
    },
    "an output to come": {
        "output_config": {
            "effort": "ultra",
            "task_budget": {"type": "tokens", "total": 20000},
            "format": {"type": "xml"},
        }
    },
    "both together": {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low", "task_budget": {"total": 1}},
    },
    "metadata": {"metadata": {"user_id": "u"}},
    "metadata with more": {"metadata": {"user_id": "u", "team": "t"}},
    "a service tier": {"service_tier": "standard_only"},
    "a breakpoint of the request": {"cache_control": {"type": "ephemeral"}},
    "what only this API has": {
        "container": {"id": "c", "skills": []},
        "context_management": {"edits": []},
        "mcp_servers": [{"type": "url", "url": "https://m.test", "name": "m"}],
        "inference_geo": "eu",
        "speed": "fast",
        "diagnostics": {"previous_message_id": None},
        "betas": ["x"],
    },
    "no output at all": {"max_tokens": 0},
}
