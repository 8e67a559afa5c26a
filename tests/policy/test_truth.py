"""What an attempt costs in the end."""

import msgspec
import pytest

from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.failure import Failure, FailureKind
from headgate.model.price import UNKNOWN, Billing, Prices, Rate
from headgate.model.route import Provider, Route
from headgate.model.usage import Basis, Reported, Usage
from headgate.policy.estimate import Hold
from headgate.policy.truth import CHARGES, Charge, Ending, charge_of, settle

PRICES = Prices(input=Rate(1_000_000), output=Rate(10_000_000), cache_read=Rate(100_000), request=3)
HELD = Hold(100, 50, 700)
AT_HOLD = (Usage(input=100, output=50), 700, Basis.ESTIMATED)
FREE_OF_CHARGE = (Usage(), 0, Basis.COMPUTED)

REFUSALS = {
    FailureKind.RATE_LIMITED,
    FailureKind.OVERLOADED,
    FailureKind.UPSTREAM_ERROR,
    FailureKind.UPSTREAM_TIMEOUT,
    FailureKind.UPSTREAM_AUTH,
    FailureKind.UPSTREAM_BILLING,
    FailureKind.MODEL_UNAVAILABLE,
    FailureKind.REQUEST_REJECTED,
}
STREAM_ENDS = {
    FailureKind.CUT,
    FailureKind.ERROR_EVENT,
    FailureKind.CLIENT_GONE,
    FailureKind.STORE_UNAVAILABLE,
}
TIMEOUTS = {FailureKind.FIRST_TOKEN_TIMEOUT, FailureKind.IDLE_TIMEOUT, FailureKind.DEADLINE}


def route(prices: Prices = PRICES, *, billing: Billing = Billing.METERED, cut_stops_billing: bool = True) -> Route:
    provider = Provider(
        "p",
        Kind.OPENAI,
        "http://x/v1",
        None,
        SERVED_BY[Kind.OPENAI],
        billing=billing,
        cut_stops_billing=cut_stops_billing,
    )
    return Route(provider, "m", "m", prices)


def ended(kind: FailureKind | None, **facts: object) -> Ending:
    failure = None if kind is None else Failure(kind, "")
    return Ending(**{"sent": True, "stream": True, "failure": failure, **facts})  # type: ignore[arg-type]


def outcome(ending: Ending, on: Route, held: Hold = HELD) -> tuple[Usage, int | None, str]:
    settled = settle(held, on, ending)
    return settled.usage, settled.cost.nano, settled.cost.basis


def test_every_kind_of_failure_has_one_charge() -> None:
    assert set(CHARGES) == set(FailureKind)


@pytest.mark.parametrize("kind", [None, *FailureKind])
def test_reported_usage_is_the_truth_however_the_attempt_ended(kind: FailureKind | None) -> None:
    usage = Usage(input=10, output=2)
    settled = outcome(ended(kind, usage=Reported(usage), content=True), route())
    assert settled == (usage, 33, Basis.COMPUTED)  # 10 + 2 × 10 + 3 for the request


def test_a_cost_that_the_provider_reports_wins() -> None:
    settled = outcome(ended(None, usage=Reported(Usage(input=10), 5)), route())
    assert settled == (Usage(input=10), 5, Basis.REPORTED)


def test_sent_without_usage_settles_at_the_hold() -> None:
    assert outcome(ended(None), route()) == AT_HOLD


@pytest.mark.parametrize("kind", [None, *FailureKind])
def test_what_was_never_sent_costs_nothing(kind: FailureKind | None) -> None:
    assert outcome(ended(kind, sent=False), route()) == FREE_OF_CHARGE


@pytest.mark.parametrize("kind", [FailureKind.CONNECT_FAILED, FailureKind.CONNECT_TIMEOUT])
def test_a_connection_that_failed_carried_nothing(kind: FailureKind) -> None:
    assert outcome(ended(kind), route()) == FREE_OF_CHARGE


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_a_refusal_before_content_costs_nothing_and_after_it_is_a_cut(kind: FailureKind) -> None:
    assert outcome(ended(kind), route(cut_stops_billing=False)) == FREE_OF_CHARGE
    assert outcome(ended(kind, stream=False), route()) == FREE_OF_CHARGE
    assert outcome(ended(kind, content=True), route(cut_stops_billing=False)) == AT_HOLD
    assert charge_of(ended(kind, content=True), cut_stops_billing=True) is Charge.STREAMED


@pytest.mark.parametrize("kind", sorted(TIMEOUTS | {FailureKind.BAD_RESPONSE, FailureKind.INTERNAL}))
@pytest.mark.parametrize("content", [False, True])
def test_timeouts_and_unreadable_answers_are_never_free(kind: FailureKind, content: bool) -> None:
    assert outcome(ended(kind, content=content), route()) == AT_HOLD


@pytest.mark.parametrize("kind", sorted(STREAM_ENDS))
def test_a_cut_stream_costs_input_and_what_was_streamed_where_that_stops_the_bill(kind: FailureKind) -> None:
    ending = ended(kind, content=True, streamed_bytes=8)
    # 100 + 4 × 10 + 3 for the request
    assert outcome(ending, route()) == (Usage(input=100, output=4), 143, Basis.ESTIMATED)
    assert outcome(ending, route(cut_stops_billing=False)) == AT_HOLD


@pytest.mark.parametrize("kind", sorted(STREAM_ENDS))
def test_what_is_no_stream_or_reasons_unseen_settles_at_the_hold(kind: FailureKind) -> None:
    assert outcome(ended(kind, stream=False), route()) == AT_HOLD
    assert outcome(ended(kind, reasoning=True, streamed_bytes=8), route()) == AT_HOLD


def test_usage_seen_before_a_cut_replaces_the_estimate() -> None:
    seen = Usage(input=5, cache_read=10, output=1)
    ending = ended(FailureKind.CUT, content=True, seen=seen)
    assert outcome(ending, route()) == (seen, 19, Basis.ESTIMATED)  # 5 + 10 × 0.1 + 10 + 3


def test_usage_seen_above_the_hold_is_charged() -> None:
    seen = Usage(input=5000, output=1)
    assert outcome(ended(FailureKind.IDLE_TIMEOUT, seen=seen), route()) == (seen, 5013, Basis.ESTIMATED)
    assert outcome(ended(FailureKind.IDLE_TIMEOUT, seen=Usage(input=5)), route()) == AT_HOLD


def test_an_unpriced_attempt_is_unknown_and_not_zero() -> None:
    held = Hold(100, 50, None)
    usage = Usage(input=100, output=50)
    assert outcome(ended(None), route(UNKNOWN), held) == (usage, None, Basis.UNKNOWN)
    cut = ended(FailureKind.CUT, streamed_bytes=2, content=True)
    assert outcome(cut, route(UNKNOWN), held) == (Usage(input=100, output=1), None, Basis.UNKNOWN)
    assert outcome(ended(FailureKind.RATE_LIMITED), route(UNKNOWN), held) == FREE_OF_CHARGE


def test_tokens_seen_above_the_hold_count_where_money_is_unknown_or_paid() -> None:
    seen = Usage(input=100, output=80)
    capped = ended(FailureKind.CAPPED, seen=seen)
    assert outcome(capped, route(UNKNOWN, cut_stops_billing=False), Hold(100, 50, None)) == (seen, None, Basis.UNKNOWN)
    flat = route(billing=Billing.SUBSCRIPTION, cut_stops_billing=False)
    assert outcome(capped, flat, Hold(100, 50, 1)) == (seen, 0, Basis.SUBSCRIPTION)


@pytest.mark.parametrize("kind", [None, *FailureKind])
@pytest.mark.parametrize("sent", [False, True])
def test_a_subscription_costs_nothing_with_that_basis(kind: FailureKind | None, sent: bool) -> None:
    settled = settle(HELD, route(billing=Billing.SUBSCRIPTION), ended(kind, sent=sent))
    assert (settled.cost.nano, settled.cost.basis) == (0, Basis.SUBSCRIPTION)


@pytest.mark.parametrize("kind", [None, *FailureKind])
@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("cut_stops_billing", [False, True])
def test_the_charge_is_always_decided(kind: FailureKind | None, content: bool, cut_stops_billing: bool) -> None:
    charge = charge_of(ended(kind, content=content), cut_stops_billing=cut_stops_billing)
    assert charge in {Charge.NOTHING, Charge.STREAMED, Charge.HOLD}


@pytest.mark.parametrize(("status", "charge"), [(200, Charge.HOLD), (307, Charge.NOTHING), (0, Charge.HOLD)])
def test_a_redirect_costs_nothing_and_a_strange_answer_its_hold(status: int, charge: Charge) -> None:
    failure = Failure(FailureKind.BAD_RESPONSE, "", status)
    ending = Ending(sent=True, stream=False, failure=failure)
    assert charge_of(ending, cut_stops_billing=True) is charge


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("gpt-5-mini", True),
        ("openai/o3-mini-2025-01-31", True),
        ("gemini-2.5-flash", True),
        ("deepseek-reasoner", True),
        ("kimi-k2-thinking", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o-mini", False),
        ("claude-sonnet-4-5", False),
        ("llama-3.3-70b", False),
    ],
)
def test_a_cut_stream_of_a_model_that_reasons_unasked_is_charged_its_hold(name: str, *, reasons: bool) -> None:
    on = msgspec.structs.replace(route(), upstream_name=name)
    cut = outcome(ended(FailureKind.CUT, content=True, streamed_bytes=8), on)
    assert (cut == AT_HOLD) == reasons
