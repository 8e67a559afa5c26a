"""Every field of a request is at the other side or among the losses, whatever the client's and upstream's dialects."""

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.goldens.composing import TURNS, Path, altered, any_composed, at, leaves
from tests.goldens.files import CLIENT, MODELS, load, request_files, title
from tests.goldens.matrix import DIALECT, NAMES, Json, read, write
from tests.goldens.sdk import VALID_REQUEST

from headgate.model.errors import HeadgateError
from headgate.protocols.losses import dropped

SAYS_NOTHING: Final = {
    ("chat", "stream_options.include_usage"): "Headgate asks every upstream for usage",
    ("responses", "input.id"): "an item's own id is its provider's",
    ("responses", "input.status"): "a status that every item of a history has",
    ("chat", "response_format.json_schema.strict"): "messages has no other than strict schemas",
    ("responses", "text.format.strict"): "messages has no other than strict schemas",
    ("responses", "reasoning.summary"): "messages tells its thinking in one way",
    ("chat", "messages.reasoning_details.index"): "it gathers the pieces of a stream",
    ("chat", "reasoning.max_tokens"): "other dialects have efforts, each for a range of budgets",
    ("messages", "thinking.budget_tokens"): "other dialects have efforts, each for a range of budgets",
    ("messages", "thinking.display"): "responses has one word for every display",
}
"""Leaves whose every value means the same to another dialect's upstream, and why."""

ALIASES: Final = {
    "messages.reasoning_content": ("messages.reasoning_details", "messages.reasoning"),
    "messages.content.input_audio": ("messages.audio",),
    "tool_choice": ("function_call",),
}
"""Losses that have one word for several members."""


def translated(client: str, body: Json, upstream: str, model: str | None = None) -> tuple[Any, list[str]]:
    """Return what an upstream is sent and the words for what it is not; raises HeadgateError."""
    written = write(read(client, body), upstream, model)
    lost = dropped(written.lost, written.unknown, DIALECT[client])
    return json.loads(written.body), [] if lost is None else lost.split(", ")


def names_of(body: Json, path: Path) -> set[str]:
    """Return how losses may name a leaf: its path, with the type of one of its blocks in it or not."""
    names = {_dotted(path)}
    for depth in range(len(path)):
        block = at(body, path[:depth])
        kind = block.get("type") if isinstance(block, dict) else None
        if isinstance(kind, str):
            names.add(".".join([*filter(None, [_dotted(path[:depth])]), kind, _dotted(path[depth:])]))
    return names | {name.replace(".output.", ".content.", 1) for name in names}  # parts of a tool's output


def _dotted(path: Path) -> str:
    return ".".join(step for step in path if isinstance(step, str))


def is_named(body: Json, path: Path, lost: list[str]) -> bool:
    words = [*lost, *(alias for word in lost for alias in ALIASES.get(word, ()))]
    return any(name == word or name.startswith(word + ".") for name in names_of(body, path) for word in words)


def is_moot(client: str, body: Json, path: Path, upstream: str) -> bool:
    """Tell what comes to the same: how tools are used where the client has none, and which tools must not be chosen."""
    choice = body.get("tool_choice")
    tools = [tool for tool in body.get("tools", ()) if tool.get("type", "custom") in ("function", "custom")]
    if path[0] in ("tool_choice", "function_call", "parallel_tool_calls") and not (tools or body.get("functions")):
        return True
    allowed = isinstance(choice, dict) and choice.get("type") == "allowed_tools"
    return (
        allowed and upstream == "messages" and client != upstream and path[0] in ("tools", "functions", "tool_choice")
    )


def check_leaf(client: str, body: Json, path: Path, upstream: str, model: str | None = None) -> None:
    """Fail where another value of a leaf makes no difference and no loss names it."""
    said = translated(client, body, upstream, model)
    try:
        other = translated(client, altered(body, path), upstream, model)
    except HeadgateError:
        return
    if said == other and not is_moot(client, body, path, upstream):
        assert is_named(body, path, said[1]) or (client, _dotted(path)) in SAYS_NOTHING, (_dotted(path), said[1])


@pytest.mark.parametrize("path", request_files(), ids=title)
def test_every_leaf_of_every_golden_arrives_or_is_named(path: Any) -> None:
    held = load(path)
    for upstream in NAMES:
        for leaf in leaves(held[CLIENT]):
            if leaf[0] != "model":
                check_leaf(path.stem, held[CLIENT], leaf, upstream, held.get(MODELS, {}).get(upstream))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(any_composed(), st.sampled_from(NAMES), st.integers(0, 1 << 16))
def test_any_leaf_of_any_request_arrives_or_is_named(said: tuple[str, Json], upstream: str, which: int) -> None:
    client, body = said
    try:
        translated(client, body, upstream)
    except HeadgateError:
        return
    found = [leaf for leaf in leaves(body) if leaf[0] != "model"]
    check_leaf(client, body, found[which % len(found)], upstream)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(any_composed(typed=True), st.sampled_from(NAMES))
def test_any_request_is_one_of_a_foreign_upstreams_sdk(said: tuple[str, Json], upstream: str) -> None:
    client, body = said
    try:
        sent, _ = translated(client, body, upstream)
    except HeadgateError:
        return
    if client != upstream:
        VALID_REQUEST[upstream](sent)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(any_composed(), st.sampled_from(NAMES))
def test_what_was_written_is_read_and_written_as_it_is(said: tuple[str, Json], upstream: str) -> None:
    client, body = said
    try:
        sent, _ = translated(client, body, upstream)
    except HeadgateError:
        return
    if sent.get(TURNS[upstream]):
        again, lost = translated(upstream, sent, upstream)
        assert (again, lost) == (sent, [])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(any_composed())
def test_a_request_to_its_own_dialect_loses_nothing(said: tuple[str, Json]) -> None:
    client, body = said
    try:
        sent, lost = translated(client, body, client)
    except HeadgateError:
        return
    again, _ = translated(client, sent, client)
    assert again == sent
    assert all("thinking" in name or "reasoning" in name for name in lost), "only what another provider signed is lost"
