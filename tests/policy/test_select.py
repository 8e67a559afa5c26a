"""Name → candidates → plan, and every way that it can be refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.policy.chains import BOX, CATALOG, CHAT, MINI, SECOND, failed, names, refused

from headgate.model.catalog import EMPTY
from headgate.model.dialect import Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.failure import FailureKind
from headgate.model.identity import ANONYMOUS, Principal
from headgate.model.price import FREE, UNKNOWN
from headgate.model.route import Rejected, Route
from headgate.policy.health import HEALTHY, RouteHealth
from headgate.policy.select import MAX_NAME, NO_STATE, NO_TRANSLATION, NOT_ALLOWED, asked_of, may_use, plan


def test_a_virtual_model_is_its_chain_in_order_whatever_dialect_is_asked_in() -> None:
    routes, rejected, model = names("fast")
    assert routes == ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5", "box/qwen3:8b"]
    assert rejected == {}
    assert model == "fast"
    assert names("fast", endpoint=Endpoint.MESSAGES)[0] == routes


def test_what_cannot_be_translated_is_left_to_who_speaks_it() -> None:
    routes, rejected, _ = names("fast", endpoint=Endpoint.EMBEDDINGS)
    assert routes == ["openai/gpt-5-mini", "box/qwen3:8b"]
    assert rejected == {"anthropic/claude-haiku-4-5": NO_TRANSLATION}


def test_state_is_served_by_one_upstream_of_its_own_dialect_alone() -> None:
    routes, rejected, _ = names("fast", state="previous_response_id")
    assert routes == ["openai/gpt-5-mini"]
    assert rejected == {"anthropic/claude-haiku-4-5": NO_STATE, "box/qwen3:8b": NO_STATE}
    assert names("fast", state="previous_response_id", pin="box/qwen3:8b")[0] == ["box/qwen3:8b"]
    resting = {"openai/gpt-5-mini": failed(FailureKind.UPSTREAM_AUTH)}
    assert refused("fast", state="conversation", health=resting).kind is ErrorKind.SERVICE_UNAVAILABLE
    error = refused("claude-haiku-4-5", state="previous_response_id")
    assert (error.kind, error.status) == (ErrorKind.DIALECT_UNAVAILABLE, 400)
    assert error.param == "previous_response_id"


def test_a_thread_that_no_route_holds_is_to_be_sent_whole() -> None:
    error = refused("gpt-5-mini", endpoint=Endpoint.MESSAGES, state="thread")
    assert (error.kind, error.status, error.param) == (ErrorKind.THREAD_NOT_FOUND, 404, "thread")


def test_a_thread_whose_route_rests_is_to_be_sent_whole_to_another() -> None:
    health = {"anthropic/claude-haiku-4-5": failed(FailureKind.OVERLOADED)}
    error = refused("fast", endpoint=Endpoint.MESSAGES, state="thread", pin="anthropic/claude-haiku-4-5", health=health)
    assert error.kind is ErrorKind.THREAD_NOT_FOUND


def test_a_token_count_that_nobody_can_be_asked_for_has_an_empty_plan() -> None:
    routes, rejected, model = names("gpt-5-mini", endpoint=Endpoint.COUNT_TOKENS)
    assert (routes, model) == ([], "gpt-5-mini")
    assert set(rejected.values()) == {NO_TRANSLATION}
    assert refused("gpt-5-mini", endpoint=Endpoint.COUNT_TOKENS, allowed=("claude-*",)).kind is (
        ErrorKind.MODEL_NOT_ALLOWED
    )


def test_an_endpoint_goes_to_itself_before_any_other() -> None:
    provider = CATALOG.providers["anthropic"].provider
    assert asked_of(provider, Endpoint.MESSAGES) is Endpoint.MESSAGES
    assert asked_of(provider, Endpoint.CHAT) is Endpoint.MESSAGES
    assert asked_of(provider, Endpoint.EMBEDDINGS) is None


def test_a_model_is_any_route_that_serves_it() -> None:
    assert names("gpt-5-mini")[0] == ["openai/gpt-5-mini", "box/local-mini"]


def test_a_vendors_spelling_is_an_alias_of_the_model() -> None:
    assert names("qwen3:8b")[::2] == (["box/qwen3:8b"], "qwen3")


def test_a_provider_and_its_own_name_is_that_route_alone() -> None:
    assert names("box/local-mini")[::2] == (["box/local-mini"], "gpt-5-mini")
    assert names("openai/gpt-5-mini")[0] == ["openai/gpt-5-mini"]


def test_a_virtual_model_comes_before_a_model_and_both_before_a_route() -> None:
    assert names("shadow")[0] == ["box/qwen3:8b"]
    assert names("box/near")[0] == ["openai/gpt-5-mini"]


def test_backends_of_one_name_are_all_candidates() -> None:
    catalog = msgspec.structs.replace(CATALOG, virtual={})
    made, _ = plan(catalog, CHAT, "box/near", ANONYMOUS, {}, 0)
    assert [route.name for route in made.routes] == ["box/near@a", "box/near@b"]


def test_an_open_provider_takes_any_name_of_its_own_at_its_own_prices() -> None:
    made, model = plan(CATALOG, CHAT, "box/org/new:7b", ANONYMOUS, {}, 0)
    assert made.routes == (Route(BOX, "org/new:7b", "org/new:7b", FREE),)
    assert model == "org/new:7b"
    made, _ = plan(CATALOG, CHAT, "openai/gpt-9", ANONYMOUS, {}, 0)
    assert made.routes[0].prices is UNKNOWN


def test_a_dated_model_is_the_model_and_keeps_its_date_upstream() -> None:
    routes, _, model = names("claude-haiku-4-5-20251001", endpoint=Endpoint.MESSAGES)
    assert routes == ["anthropic/claude-haiku-4-5-20251001"]
    assert model == "claude-haiku-4-5"
    assert names("gpt-5-mini-2025-08-07")[0] == ["openai/gpt-5-mini-2025-08-07", "box/local-mini"]


def test_a_dated_name_on_a_provider_takes_the_facts_of_its_undated_route() -> None:
    made, model = plan(CATALOG, CHAT, "openai/gpt-5-mini-2025-08-07", ANONYMOUS, {}, 0)
    assert made.routes == (msgspec.structs.replace(MINI, upstream_name="gpt-5-mini-2025-08-07"),)
    assert model == "gpt-5-mini"


def test_a_dated_name_has_the_price_of_its_own_date_however_it_is_asked_for() -> None:
    old = msgspec.structs.replace(MINI, upstream_name="gpt-5-mini-2025-08-07", prices=FREE)
    openai = msgspec.structs.replace(
        CATALOG.providers["openai"], routes={"gpt-5-mini": (MINI,), old.upstream_name: (old,)}
    )
    catalog = msgspec.structs.replace(CATALOG, providers={**CATALOG.providers, "openai": openai})
    for asked in ("gpt-5-mini-2025-08-07", "openai/gpt-5-mini-2025-08-07"):
        made, _ = plan(catalog, CHAT, asked, ANONYMOUS, {}, 0)
        assert made.routes[0] == old
    made, _ = plan(catalog, CHAT, "gpt-5-mini-2026-01-01", ANONYMOUS, {}, 0)
    assert made.routes[0].prices is UNKNOWN


@pytest.mark.parametrize(
    "asked",
    [
        "anthropic/claude-9",
        "nobody/model",
        "openai/",
        "openai",
        "/gpt-5-mini",
        "",
        "dangling",
        "box/new\r\nx-evil: 1",
        "box/new model",
        "box/modèle",
        "box/" + "x" * MAX_NAME,
        "gpt-5-mini-2025-08-07\n",
    ],
)
def test_what_nobody_serves_does_not_exist(asked: str) -> None:
    error = refused(asked)
    assert (error.kind, error.param) == (ErrorKind.MODEL_NOT_FOUND, "model")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("gpt-5-mni", "'gpt-5-mini'"),
        ("Fast", "'fast'"),
        ("claude-haiku-45", "'claude-haiku-4-5'"),
        ("anthropic/claude-haiku", "'anthropic/claude-haiku-4-5'"),
    ],
)
def test_a_slip_of_the_pen_is_told_the_nearest_name(asked: str, nearest: str) -> None:
    assert nearest in refused(asked).message


def test_the_nearest_name_is_never_one_that_the_key_may_not_use() -> None:
    assert "gpt-5-mini" in refused("gpt-5-mimi", allowed=("gpt-5-mini",)).message
    assert "gpt-5-mini" not in refused("gpt-5-mimi", allowed=("claude-*",)).message


def test_a_very_long_name_is_not_said_back() -> None:
    assert len(refused("z" * 100_000).message) < 500


def test_nothing_speaks_the_dialect() -> None:
    error = refused("claude-haiku-4-5", endpoint=Endpoint.COMPLETIONS)
    assert (error.kind, error.status) == (ErrorKind.DIALECT_UNAVAILABLE, 400)
    assert "anthropic/claude-haiku-4-5 speaks messages, messages/count_tokens" in error.message
    assert "/v1/completions" in error.message


def test_an_empty_chain_is_no_crash() -> None:
    assert refused("nothing").kind is ErrorKind.DIALECT_UNAVAILABLE


@pytest.mark.parametrize(
    ("asked", "patterns"),
    [
        ("fast", ("fast",)),
        ("fast", ("f*",)),
        ("fast", ("gpt-5-mini",)),
        ("fast", ("openai/*",)),
        ("gpt-5-mini", ("gpt-5*",)),
        ("gpt-5-mini", ("openai/gpt-5-mini",)),
        ("openai/gpt-5-mini", ("nope", "gpt-5-mini")),
        ("gpt-5-mini-2025-08-07", ("gpt-5-mini",)),
        ("openai/gpt-9", ("openai/*",)),
    ],
)
def test_a_pattern_allows_virtual_names_models_and_routes(asked: str, patterns: tuple[str, ...]) -> None:
    assert names(asked, allowed=patterns)[0][0].startswith("openai/")


def test_a_pattern_of_one_route_keeps_the_others_of_the_chain_out() -> None:
    routes, rejected, _ = names("fast", allowed=("qwen3",))
    assert routes == ["box/qwen3:8b"]
    assert rejected == {"openai/gpt-5-mini": NOT_ALLOWED, "anthropic/claude-haiku-4-5": NOT_ALLOWED}


@pytest.mark.parametrize(
    ("asked", "patterns"),
    [
        ("fast", ("FAST", "smart")),
        ("gpt-5-mini", ()),
        ("openai/gpt-9", ("gpt-*",)),
        ("box/openai/gpt-9", ("openai/*",)),
        ("box/gpt-5-mini", ("gpt-5-mini",)),
    ],
)
def test_what_no_pattern_matches_is_not_allowed(asked: str, patterns: tuple[str, ...]) -> None:
    error = refused(asked, allowed=patterns)
    assert (error.kind, error.status) == (ErrorKind.MODEL_NOT_ALLOWED, 403)
    assert not may_use(Principal("a", "k", patterns), CATALOG, asked)


def test_may_use_knows_names_and_patterns() -> None:
    assert may_use(ANONYMOUS, CATALOG, "fast")
    assert may_use(Principal("a", "k", ("qwen3",)), CATALOG, "fast")
    assert not may_use(ANONYMOUS, CATALOG, "gone")


def test_a_route_that_is_out_is_left_out_and_said() -> None:
    health = {"openai/gpt-5-mini": failed(FailureKind.UPSTREAM_AUTH), "box/local-mini": HEALTHY}
    routes, rejected, _ = names("gpt-5-mini", health=health)
    assert routes == ["box/local-mini"]
    assert rejected == {"openai/gpt-5-mini": "disabled: upstream_auth"}
    assert names("gpt-5-mini", health=health, now=300 * SECOND)[1] == {}


def test_rate_limits_everywhere_are_a_429_that_tells_when() -> None:
    health = {
        "openai/gpt-5-mini": failed(FailureKind.RATE_LIMITED, 90 * SECOND),
        "box/local-mini": failed(FailureKind.RATE_LIMITED, 20 * SECOND + 1),
    }
    error = refused("gpt-5-mini", health=health)
    assert (error.kind, error.retry_after) == (ErrorKind.RATE_LIMIT_EXCEEDED, 21)


def test_routes_out_for_other_reasons_are_a_503_that_tells_when() -> None:
    health = {
        "openai/gpt-5-mini": failed(FailureKind.RATE_LIMITED, 90 * SECOND),
        "box/local-mini": failed(FailureKind.UPSTREAM_AUTH),
    }
    error = refused("gpt-5-mini", health=health)
    assert (error.kind, error.retry_after) == (ErrorKind.SERVICE_UNAVAILABLE, 90)
    assert "box/local-mini: disabled: upstream_auth" in error.message


def test_a_refusal_does_not_tell_of_routes_that_the_key_may_not_use() -> None:
    health = {"openai/gpt-5-mini": failed(FailureKind.UPSTREAM_AUTH)}
    error = refused("fast", allowed=("gpt-5-mini",), health=health)
    assert error.kind is ErrorKind.SERVICE_UNAVAILABLE
    assert "anthropic" not in error.message
    assert "box" not in refused("fast", allowed=("claude-*",), endpoint=Endpoint.COMPLETIONS).message


def test_an_empty_catalog_knows_nothing() -> None:
    with pytest.raises(HeadgateError) as caught:
        plan(EMPTY, CHAT, "x", ANONYMOUS, {}, 0)
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND


@given(
    st.sampled_from(["fast", "gpt-5-mini", "qwen3", "openai/gpt-5-mini", "claude-haiku-4-5"]) | st.text(),
    st.sampled_from(Endpoint),
    st.none() | st.lists(st.sampled_from(["*", "gpt-*", "box/*", "fast", "[", "claude-haiku-4-5"])).map(tuple),
    st.dictionaries(
        st.sampled_from(["openai/gpt-5-mini", "box/local-mini", "box/qwen3:8b"]),
        st.sampled_from([failed(kind, 5 * SECOND) for kind in FailureKind]),
    ),
)
def test_a_plan_has_a_route_and_loses_none_or_a_refusal_names_no_key(
    asked: str, endpoint: Endpoint, allowed: tuple[str, ...] | None, health: dict[str, RouteHealth]
) -> None:
    made, error = None, None
    try:
        made, _ = plan(CATALOG, endpoint, asked, Principal("a", "k", allowed), health, 0)
    except HeadgateError as refusal:
        error = refusal
    if error is not None:
        assert "secret-key" not in error.message
        busy = error.kind in (ErrorKind.RATE_LIMIT_EXCEEDED, ErrorKind.SERVICE_UNAVAILABLE)
        assert (error.retry_after is not None) == busy
        return
    assert made is not None
    assert made.routes or endpoint is Endpoint.COUNT_TOKENS
    assert all(asked_of(route.provider, endpoint) for route in made.routes)
    assert not {route.name for route in made.routes} & {item.route for item in made.rejected}
    assert all(isinstance(item, Rejected) for item in made.rejected)
