"""What goes to a route costs at most what is held for it."""

import msgspec
import pytest

from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.price import Prices, Rate
from headgate.model.route import Provider, Route
from headgate.policy.estimate import hold
from headgate.protocols.codec import codec_for
from headgate.runtime.outgoing import Canonical, outgoing

MAXIMA = {
    Kind.OPENAI: "max_completion_tokens",
    Kind.OPENAI_RESPONSES: "max_output_tokens",
    Kind.ANTHROPIC: "max_tokens",
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("most", [None, 8000, 1_000_000])
@pytest.mark.parametrize(
    "asked", [{}, {"max_completion_tokens": 3}, {"max_completion_tokens": 5000}, {"reasoning_effort": "high"}]
)
def test_no_upstream_may_make_more_than_is_held(kind: Kind, most: int | None, asked: dict[str, object]) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **asked}
    head = codec_for(Endpoint.CHAT).read_head(Endpoint.CHAT, msgspec.json.encode(body))
    provider = Provider("p", kind, "http://p.test/v1", None, SERVED_BY[kind])
    route = Route(provider, "claude-sonnet-4-5", "m", Prices(Rate(1), Rate(1)), max_output=most)
    out = outgoing(Canonical(head, "call_1", 1), route)
    sent = msgspec.json.decode(out.body).get(MAXIMA[kind])
    held = hold(out.head, route).output
    if sent is not None:
        assert sent == held
        assert "max_completion_tokens" in asked or most is None or sent <= most, "the API refuses more"
    assert (out.dropped is not None) == (kind is Kind.OPENAI_RESPONSES and asked.get("max_completion_tokens") == 3)
