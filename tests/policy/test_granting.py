"""Whether a hold fits, from balances that are given: no ledger, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model.limit import (
    MAX_AMOUNT,
    MAX_CAP,
    MAX_TOKENS,
    Applied,
    Ask,
    Bound,
    Entry,
    Grant,
    HoldFacts,
    Limit,
    Per,
    Refusal,
    Scope,
    Shortage,
    Unit,
    Window,
)
from headgate.policy import granting
from headgate.policy.granting import Book
from headgate.policy.windows import TOTAL, bucket_of, calendar, opens, rolling

HOUR = 3_600 * 1_000_000_000
NOW = 20_000 * 24 * HOUR + 7 * HOUR + 123
SUBJECT = "acme"
BOUND = Bound(100, 200, 50, 10, 1, 10_000_000, 20_000_000)
"""2,000 nano-USD and 150 tokens as estimated, 3,000 and 250 with its input at its most."""
FACTS = HoldFacts("acme", "key", None, "chat/completions", "m", "m", True, NOW, "p", "m", "", "m", NOW, 0, 0, None, ())
Row = tuple[int, str, int, int, int]


def limit(
    cap: int, unit: Unit = Unit.USD, window: Window = TOTAL, scope: Scope = Scope.ACCOUNT, **more: Any
) -> Applied:
    more.setdefault("id", 1)
    return Applied(Limit(scope=scope, name=SUBJECT, unit=unit, window=window, cap=cap, **more), SUBJECT)


def bound(**changes: Any) -> Bound:
    return msgspec.structs.replace(BOUND, **changes)


def ask(*own: Applied, whole: Sequence[Applied] = (), size: Bound = BOUND, **changes: Any) -> Ask:
    return Ask("call", 1, 7, msgspec.structs.replace(size, **changes), own, tuple(whole), FACTS)


def decide(asked: Ask, *rows: Row, now: int = NOW) -> Grant | Refusal:
    read: dict[granting.Owner, list[granting.Row]] = {}
    for limit_id, subject, *row in rows:
        read.setdefault((limit_id, subject), []).append((row[0], row[1], row[2]))
    return granting.decide(Book(now, read.items()), asked, 5, 9)


def granted(asked: Ask, *rows: Row) -> Grant:
    answer = decide(asked, *rows)
    assert isinstance(answer, Grant), answer
    return answer


def refused(asked: Ask, *rows: Row, now: int = NOW) -> Refusal:
    answer = decide(asked, *rows, now=now)
    assert isinstance(answer, Refusal), answer
    return answer


# -- granted -----------------------------------------------------------------------------------------------------------


def test_a_grant_holds_what_was_estimated_on_every_limit() -> None:
    usd, tokens = limit(10_000), limit(10_000, Unit.TOKENS, rolling(HOUR), id=2)
    calls, at_once = limit(3, Unit.REQUESTS, calendar(Per.DAY), id=3), limit(3, Unit.CONCURRENCY, id=4)
    book = Book(NOW, ())
    grant = granting.decide(book, ask(usd, tokens, whole=[calls, at_once]), 5, 9)
    assert isinstance(grant, Grant)
    bucket, day = bucket_of(rolling(HOUR), NOW), bucket_of(calendar(Per.DAY), NOW)
    assert grant.entries == (Entry(1, SUBJECT, 0, Unit.USD, 2_000), Entry(2, SUBJECT, bucket, Unit.TOKENS, 150))
    assert grant.whole == (Entry(3, SUBJECT, day, Unit.REQUESTS, 1), Entry(4, SUBJECT, 0, Unit.CONCURRENCY, 1))
    assert book.changes == {
        (1, SUBJECT, 0): [0, 2_000],
        (2, SUBJECT, bucket): [0, 150],
        (3, SUBJECT, day): [1, 0],
        (4, SUBJECT, 0): [0, 1],
    }
    facts = grant.facts
    assert (facts.input, facts.output, facts.nano, facts.entries) == (100, 50, 2_000, grant.entries)
    assert (grant.incarnation, grant.counter, grant.at, grant.output) == (5, 9, NOW, 50)


def test_a_cost_is_rounded_up_and_counts_the_call_and_every_choice() -> None:
    size = Bound(1, 1, 1, 1, 3, 1, 1, request=7)
    assert granted(ask(limit(8), size=size)).facts.nano == 8
    assert refused(ask(limit(7), size=size)).wanted == 8


def test_the_last_of_a_cap_can_be_used_and_nothing_beyond_it() -> None:
    assert granted(ask(limit(3_000))).output == 50
    assert granted(ask(limit(5_000)), (1, SUBJECT, 0, 1_500, 500)).output == 50
    assert refused(ask(limit(4_999)), (1, SUBJECT, 0, 1_500, 500)).wanted == 3_000


def test_where_little_is_left_an_input_counts_as_large_as_it_can_be() -> None:
    assert refused(ask(limit(2_999))).wanted == 3_000
    assert refused(ask(limit(249, Unit.TOKENS))).wanted == 250


def test_asks_of_a_batch_see_what_those_before_them_hold_and_settle() -> None:
    book, wanted = Book(NOW, [((1, SUBJECT), [(0, 0, 2_000)])]), ask(limit(6_000))
    assert isinstance(granting.decide(book, wanted, 5, 9), Grant)
    assert isinstance(granting.decide(book, wanted, 5, 9), Refusal)
    granting.settle(book, [Entry(1, SUBJECT, 0, Unit.USD, 2_000)], 10, 0)
    assert isinstance(granting.decide(book, wanted, 5, 9), Grant)
    assert book.changes == {(1, SUBJECT, 0): [10, 2_000]}


def test_a_refusal_holds_nothing() -> None:
    book = Book(NOW, ())
    for full in (limit(0, id=2), limit(0, Unit.CONCURRENCY, id=2)):
        assert isinstance(granting.decide(book, ask(limit(MAX_CAP), whole=[full]), 5, 9), Refusal)
    assert book.changes == {}


# -- lowered -----------------------------------------------------------------------------------------------------------


def test_a_maximum_of_the_client_is_lowered_only_where_the_limit_says_so() -> None:
    assert refused(ask(limit(2_600))).wanted == 3_000
    assert granted(ask(limit(2_600, clamp=True))).output == 30
    assert granted(ask(limit(2_600), lowerable=True)).output == 30
    assert granted(ask(limit(229, Unit.TOKENS, clamp=True))).output == 29


def test_nothing_is_lowered_below_the_least() -> None:
    assert granted(ask(limit(2_200), lowerable=True)).output == 10
    assert refused(ask(limit(2_199), lowerable=True)).wanted == 2_200


def test_what_one_limit_lowers_counts_for_all_in_whatever_order_they_come() -> None:
    strict, clamps = limit(2_800, id=1), limit(2_600, id=2, clamp=True)
    for order in permutations([strict, clamps, limit(MAX_CAP, id=3)]):
        assert granted(ask(*order)).output == 30
        assert refused(ask(*order), (1, SUBJECT, 0, 300, 0)).standing.limit is strict.limit


def test_what_is_held_is_what_the_lowered_maximum_can_cost() -> None:
    grant = granted(ask(limit(2_600, clamp=True), n=2))
    assert grant.output == 15
    assert (grant.facts.output, grant.facts.nano) == (30, 1_600)


def test_where_output_is_free_the_largest_is_granted() -> None:
    free = bound(input_rate=0, output_rate=0, output=MAX_TOKENS)
    assert granted(ask(limit(0), size=free)).facts.nano == 0


def test_what_is_free_is_granted_where_more_was_billed_than_the_cap() -> None:
    over = (1, SUBJECT, 0, 9_000, 2_000)
    assert granted(ask(limit(3_000), input_rate=0, output_rate=0), over).entries == (Entry(1, SUBJECT, 0, Unit.USD, 0),)
    for rate_in, rate_out, once in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        paid = bound(input_rate=rate_in, output_rate=rate_out, request=once)
        assert refused(ask(limit(3_000), size=paid), over).standing.left == 0


# -- refused -----------------------------------------------------------------------------------------------------------


def test_waiting_mends_nothing_where_a_total_is_passed_or_any_cap_by_the_maximum_alone() -> None:
    hour = rolling(HOUR)
    bucket = bucket_of(hour, NOW)
    assert refused(ask(limit(4_000)), (1, SUBJECT, 0, 1_001, 0)).shortage is Shortage.QUOTA
    assert refused(ask(limit(2_999, window=hour))).shortage is Shortage.QUOTA
    assert refused(ask(limit(0, Unit.CONCURRENCY))).shortage is Shortage.QUOTA
    assert refused(ask(limit(4_000, window=hour)), (1, SUBJECT, bucket, 1_001, 0)).shortage is Shortage.WINDOW
    assert refused(ask(limit(4_000)), (1, SUBJECT, 0, 1_000, 1)).shortage is Shortage.HELD
    assert refused(ask(limit(2, Unit.CONCURRENCY)), (1, SUBJECT, 0, 0, 2)).shortage is Shortage.HELD


def test_a_limit_lowered_below_what_is_spent_refuses() -> None:
    refusal = refused(ask(limit(3_000)), (1, SUBJECT, 0, 9_000, 2_000))
    assert (refusal.standing.spent, refusal.standing.held, refusal.standing.left) == (9_000, 2_000, 0)


def test_the_limit_that_takes_longest_is_told() -> None:
    held = limit(3_000, id=1)
    soon, late = limit(3_000, window=rolling(HOUR), id=2), limit(3_000, window=rolling(24 * HOUR), id=3)
    never = limit(3_000, id=4)
    rows = [
        (1, SUBJECT, 0, 0, 1),
        (2, SUBJECT, bucket_of(soon.limit.window, NOW), 1, 0),
        (3, SUBJECT, bucket_of(late.limit.window, NOW), 1, 0),
        (4, SUBJECT, 0, 1, 0),
    ]
    for number in range(1, 5):
        for order in permutations([held, soon, late, never][:number]):
            assert refused(ask(*order), *rows).standing.limit.id == number


@pytest.mark.parametrize("unit", [Unit.USD, Unit.TOKENS])
@pytest.mark.parametrize("huge", [{"output": 10**15, "least": 10**15}, {"n": 10**15}, {"input_most": 10**18}])
def test_what_is_larger_than_any_cap_is_refused_for_good(unit: Unit, huge: dict[str, int]) -> None:
    refusal = refused(ask(limit(MAX_CAP, unit), size=bound(**huge, input_rate=10**9, output_rate=10**9)))
    assert refusal.shortage is Shortage.QUOTA
    assert refusal.wanted > MAX_AMOUNT


def test_a_huge_maximum_that_nothing_counts_is_kept_within_the_ledger() -> None:
    facts = granted(ask(limit(5, Unit.CONCURRENCY), output=10**12, n=10**6, input=10**15)).facts
    assert (facts.input, facts.output, facts.nano) == (MAX_TOKENS, MAX_TOKENS, MAX_AMOUNT)
    unpriced = granted(ask(limit(5, Unit.CONCURRENCY), input_rate=None)).facts
    assert (unpriced.input, unpriced.nano) == (100, None)


# -- windows -----------------------------------------------------------------------------------------------------------

WINDOWS = [
    rolling(HOUR),
    rolling(60 * 10**9),
    calendar(Per.DAY, "Europe/Berlin"),
    calendar(Per.MONTH, "America/Havana"),
]


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.text)
def test_what_has_left_the_window_counts_no_more_and_what_is_dated_after_now_does(window: Window) -> None:
    first = opens(window, NOW)
    wanted = ask(limit(3_000, window=window))
    assert granted(wanted, (1, SUBJECT, first - 1, 9_000, 9_000)).output == 50
    assert refused(wanted, (1, SUBJECT, first, 1, 0)).standing.spent == 1
    assert refused(wanted, (1, SUBJECT, NOW + 50 * HOUR, 0, 1)).standing.held == 1


def test_concurrency_has_no_window() -> None:
    assert refused(ask(limit(1, Unit.CONCURRENCY)), (1, SUBJECT, 0, 0, 1)).standing.resets_at is None


@given(
    st.sampled_from(WINDOWS),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3_000)), min_size=1, max_size=9),
    st.integers(3_000, 6_000),
)
def test_there_is_room_when_a_refusal_says_so_and_not_before(
    window: Window, found: list[tuple[int, int]], cap: int
) -> None:
    span = NOW - opens(window, NOW)
    spent: dict[int, int] = {}
    for part, amount in found:
        bucket = bucket_of(window, NOW - span * part // 100)
        spent[bucket] = spent.get(bucket, 0) + amount
    rows = [(1, SUBJECT, bucket, amount, 0) for bucket, amount in spent.items()]
    wanted = ask(limit(cap, window=window))
    answer = decide(wanted, *rows)
    if isinstance(answer, Refusal):
        assert answer.shortage is Shortage.WINDOW
        assert answer.free_at is not None
        assert isinstance(decide(wanted, *rows, now=answer.free_at), Grant)
        refused(wanted, *rows, now=answer.free_at - 1)


# -- settled -----------------------------------------------------------------------------------------------------------

ENTRIES = (
    Entry(1, SUBJECT, 0, Unit.USD, 2_000),
    Entry(2, SUBJECT, 0, Unit.TOKENS, 150),
    Entry(3, SUBJECT, 0, Unit.REQUESTS, 1),
    Entry(4, SUBJECT, 0, Unit.CONCURRENCY, 1),
)


@pytest.mark.parametrize(("cost", "charged"), [(0, 0), (700, 700), (2_000, 2_000), (9_000, 9_000), (None, 2_000)])
def test_the_truth_replaces_a_hold_and_what_nobody_knows_is_the_hold(cost: int | None, charged: int) -> None:
    book = Book(NOW, ())
    granting.hold(book, ENTRIES)
    granting.settle(book, ENTRIES, cost, 90)
    assert book.changes == {
        (1, SUBJECT, 0): [charged, 0],
        (2, SUBJECT, 0): [90, 0],
        (3, SUBJECT, 0): [1, 0],
        (4, SUBJECT, 0): [0, 0],
    }


def test_a_hold_that_the_store_has_lost_is_charged_without_giving_back() -> None:
    book = Book(NOW, ())
    granting.settle(book, ENTRIES, 700, 90, held=False)
    assert book.changes == {
        (1, SUBJECT, 0): [700, 0],
        (2, SUBJECT, 0): [90, 0],
        (3, SUBJECT, 0): [1, 0],
        (4, SUBJECT, 0): [0, 0],
    }


def test_a_standing_counts_the_hold_itself_and_a_providers_is_told_to_nobody() -> None:
    mine, theirs = limit(500, Unit.TOKENS), limit(500, Unit.TOKENS, scope=Scope.PROVIDER, id=2)
    (standing,) = granted(ask(mine, theirs), (1, SUBJECT, 0, 100, 20)).standings
    assert (standing.limit, standing.spent, standing.held, standing.left) == (mine.limit, 100, 170, 230)
