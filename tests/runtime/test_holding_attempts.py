"""What a call holds over several attempts, and while keys and limits change; decided by the ledger's own rules."""

import asyncio
import json
from collections.abc import Callable, Mapping

import msgspec
import pytest
from tests.runtime.desk import SETTINGS, Desk, Rows
from tests.runtime.test_call import ANSWER, REFUSED, STREAM, UNARY, unary

from headgate.exchange.events import ClientGone
from headgate.ledger.batch import Work
from headgate.ledger.errors import BadRow
from headgate.model.errors import ErrorKind
from headgate.model.identity import Principal
from headgate.model.limit import Ask, Limit, Scope, Stale, Unit
from headgate.policy.applicable import Limits
from headgate.policy.granting import Book, decide
from headgate.policy.windows import TOTAL
from headgate.runtime.gate import Identity
from headgate.upstream.fake import Hang, Scripted

BROKEN = unary(b"{}", status=500)


def of_account(unit: Unit, cap: int, number: int = 1) -> Limit:
    return Limit(number, Scope.ACCOUNT, "acme", unit, TOTAL, cap)


class Deciding(Rows):
    """Grants and refuses as the ledger does, under `epoch`; `before` is called with each ask."""

    def __init__(self) -> None:
        super().__init__()
        self.works: list[Work] = []
        self.epoch = 0
        self.book = Book(1_000, ())
        self.before: Callable[[Ask], None] = lambda _: None
        self.asked: list[Work] = []
        self.is_slow = False

    def submit(self, work: Work) -> None:
        self.works.append(work)
        ask = work.ask
        if ask is None or work.waiter is None:
            super().submit(work)
            return
        self.attempts.extend(work.attempts)
        self.before(ask)
        self.asked.append(work)
        if not self.is_slow:
            self.answer()

    def answer(self) -> None:
        """Commit what was asked last."""
        work = self.asked[-1]
        assert work.ask is not None
        assert work.waiter is not None
        stale = work.ask.epoch != self.epoch
        work.waiter.set_result(Stale(self.epoch) if stale else decide(self.book, work.ask, 1, len(self.works)))


class Key:
    principal = Principal("acme", "key_1")
    not_after_ns = None


def desk_of(*scripts: list[Scripted], limits: tuple[Limit, ...] = ()) -> tuple[Desk, Deciding]:
    desk, ledger = Desk(*scripts), Deciding()
    desk.rows = desk.gate.ledger = ledger
    desk.gate.renew(keys(), Limits(limits))
    return desk, ledger


def keys(*, revoked: bool = False) -> Mapping[bytes, Identity]:
    return {} if revoked else {b"": Key()}


@pytest.mark.parametrize("limits", [(), (of_account(Unit.USD, 10**9),)], ids=["unlimited", "limited"])
async def test_a_key_that_is_revoked_while_its_call_runs_asks_no_other_upstream(limits: tuple[Limit, ...]) -> None:
    desk, ledger = desk_of([BROKEN], [unary(ANSWER)], limits=limits)
    first = desk.clients["p1"]
    post = first.post

    async def revoking(*args: object, **options: object) -> object:
        ledger.epoch = 1
        desk.gate.renew(keys(revoked=True), Limits(limits, 1))
        return await post(*args, **options)  # type: ignore[arg-type]

    first.post = revoking  # type: ignore[method-assign,assignment]
    got = await desk.answer(UNARY)
    assert desk.clients["p2"].requests == []
    assert (got.status, json.loads(got.whole)["error"]["code"]) == (401, ErrorKind.INVALID_API_KEY)
    assert got.answered("x-should-retry") == "false"


async def test_a_key_that_is_revoked_before_its_first_hold_asks_no_upstream_of_its_chain() -> None:
    limits = (of_account(Unit.USD, 10**9),)
    desk, ledger = desk_of([unary(ANSWER)], [unary(ANSWER)], limits=limits)

    def revoke(_: Ask) -> None:
        ledger.epoch = 1
        desk.gate.renew(keys(revoked=True), Limits(limits, 1))

    ledger.before = revoke
    got = await desk.answer(UNARY)
    assert [client.requests for client in desk.clients.values()] == [[], []]
    assert (got.status, got.answered("retry-after")) == (401, None)


async def test_a_changed_cap_counts_for_a_hold_that_was_asked_for_under_the_old_one() -> None:
    desk, ledger = desk_of([unary(ANSWER)], limits=(of_account(Unit.USD, 10**9),))

    def lower(_: Ask) -> None:
        ledger.epoch = 1
        desk.gate.renew(keys(), Limits((of_account(Unit.USD, 0),), 1))

    ledger.before = lower
    got = await desk.answer(UNARY)
    assert desk.clients["p1"].requests == []
    assert (got.status, json.loads(got.whole)["error"]["code"]) == (429, ErrorKind.INSUFFICIENT_QUOTA)


@pytest.mark.parametrize("first", [REFUSED, BROKEN], ids=["not connected", "status 500"])
async def test_a_fallbacks_hold_shares_the_transaction_of_the_failed_attempts_settle(first: Scripted) -> None:
    desk, ledger = desk_of([first], [unary(ANSWER)], limits=(of_account(Unit.USD, 10**9),))
    got = await desk.answer(UNARY)
    assert got.status == 200
    asks = [work for work in ledger.works if work.ask is not None]
    assert [(len(work.attempts), len(work.grants)) for work in asks] == [(0, 0), (1, 1)]
    assert asks[1].attempts[0].cost_nano == 0
    assert asks[1].grants[0] is not None
    assert [row.no for row in ledger.attempts] == [1, 2]


@pytest.mark.parametrize("durability", ["batch", "call", "fsync"])
async def test_nothing_is_sent_before_its_hold_is_committed_at_any_durability(durability: str) -> None:
    desk, ledger = desk_of([unary(ANSWER)], limits=(of_account(Unit.USD, 10**9),))
    settings = msgspec.structs.replace(SETTINGS, durability=durability)
    desk.gate.terms = msgspec.structs.replace(desk.gate.terms, settings=settings)
    ledger.is_slow = True
    call, transport = desk.call(UNARY)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(ledger.asked))
    for _ in range(100):
        await asyncio.sleep(0)
    assert desk.clients["p1"].requests == []
    ledger.answer()
    await task
    assert transport.status == 200


async def test_a_hold_that_is_granted_as_its_client_leaves_is_given_back() -> None:
    desk, ledger = desk_of([unary(ANSWER)], limits=(of_account(Unit.USD, 10**9),))
    ledger.is_slow = True
    call, transport = desk.call(STREAM)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(ledger.asked))
    ledger.answer()
    call.interrupt(ClientGone())
    await task
    assert desk.clients["p1"].requests == []
    assert [work.released for work in ledger.works if work.released] == [
        work.waiter.result() for work in ledger.asked if work.waiter
    ]


async def test_a_hold_that_the_ledger_cannot_write_is_none() -> None:
    desk, ledger = desk_of([unary(ANSWER)], [unary(ANSWER)], limits=(of_account(Unit.USD, 10**9),))
    ledger.is_slow = True
    call, transport = desk.call(UNARY)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(ledger.asked))
    waiter = ledger.asked[0].waiter
    assert waiter is not None
    waiter.set_exception(BadRow("no"))
    await task
    assert [client.requests for client in desk.clients.values()] == [[], []]
    assert (transport.status, transport.answered("retry-after")) == (503, "5")


async def test_requests_and_calls_at_once_are_taken_once_however_many_attempts_there_are() -> None:
    limits = (of_account(Unit.REQUESTS, 1), of_account(Unit.CONCURRENCY, 1, 2))
    desk, ledger = desk_of([BROKEN], [BROKEN], [unary(ANSWER)], limits=limits)
    got = await desk.answer(UNARY)
    assert (got.status, got.answered("x-headgate-attempts")) == (200, "3")
    assert ledger.book.changes == {(1, "acme", 0): [1, 0], (2, "acme", 0): [0, 1]}
    assert ledger.works[-1].ended is not None


async def test_headers_tell_of_all_limits_after_a_fallback_too() -> None:
    limits = (of_account(Unit.REQUESTS, 10), of_account(Unit.TOKENS, 10**6, 2))
    desk, _ = desk_of([BROKEN], [unary(ANSWER)], limits=limits)
    got = await desk.answer(UNARY)
    assert got.answered("x-headgate-attempts") == "2"
    assert got.answered("x-ratelimit-remaining-requests") == "9"
    assert got.answered("x-ratelimit-limit-tokens") == "1000000"


async def test_a_unary_call_is_one_of_those_at_once_no_longer_when_its_client_has_left() -> None:
    desk, ledger = desk_of([unary(b" ", Hang())], limits=(of_account(Unit.CONCURRENCY, 1),))
    call, transport = desk.call(UNARY)
    task = asyncio.create_task(call.serve(transport.body()))
    await desk.until(lambda: bool(desk.clients["p1"].requests))
    assert not any(work.ended for work in ledger.works)
    transport.leave()
    await desk.until(lambda: any(work.ended for work in ledger.works))
    assert not task.done(), "its answer is awaited all the same"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
