"""Which requests go on from what an upstream holds."""

import msgspec
import pytest

from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.price import Prices, Rate
from headgate.model.request import RequestHead
from headgate.model.route import Provider, Route
from headgate.policy.estimate import DEFAULT_CONTEXT, hold
from headgate.protocols.codec import codec_for, translator_for

CREATE = '{"type": "create"}'
CONTINUE = '{"type": "continue", "previous_message_id": "msg_1"}'
HIDDEN = '{"type": "continue", "x": "create", "previous_message_id": "msg_1"}'
TWICE = '{"type": "create", "type": "continue"}'
ROUTE = Route(
    Provider("p", Kind.ANTHROPIC, "http://p.test", None, SERVED_BY[Kind.ANTHROPIC]), "m", "m", Prices(Rate(1), Rate(1))
)


def head(thread: str) -> RequestHead:
    body = f'{{"model": "m", "max_tokens": 5, "messages": [], "thread": {thread}}}'
    return codec_for(Endpoint.MESSAGES).read_head(Endpoint.MESSAGES, body.encode())


@pytest.mark.parametrize(
    ("thread", "needs", "previous", "keeps"),
    [
        ("null", None, None, False),
        (CREATE, None, None, True),
        (CONTINUE, "thread", "msg_1", True),
        (HIDDEN, "thread", "msg_1", True),
        (TWICE, "thread", None, True),
        ('{"type": "continue", "previous_message_id": 7}', "thread", None, True),
        ("[1]", "thread", None, True),
    ],
)
def test_a_thread_that_is_not_created_goes_on_from_its_upstreams(
    thread: str, needs: str | None, previous: str | None, keeps: bool
) -> None:
    translator, given = translator_for(Endpoint.MESSAGES), head(thread)
    assert translator.needs_state(given) == needs
    assert translator.previous(given) == previous
    assert translator.keeps_state(given) is keeps


@pytest.mark.parametrize("thread", [CONTINUE, HIDDEN, TWICE, "7"])
def test_what_an_upstream_holds_is_held_for(thread: str) -> None:
    assert hold(head(thread), ROUTE).input == DEFAULT_CONTEXT


def test_a_thread_that_is_created_brings_all_it_costs() -> None:
    plain = hold(head("null"), ROUTE).input
    created = [CREATE, msgspec.json.encode({"type": "create"}).decode()]
    assert all(hold(head(thread), ROUTE).input - plain < 20 for thread in created)
