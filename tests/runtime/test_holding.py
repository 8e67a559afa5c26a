"""What a call does with the answers to its asks: grants are used or given back, and stale ones end in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from tests.runtime.desk import Desk

from headgate.ledger.batch import Work
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.limit import Answer, Ask, Limit, Scope, Stale, Unit
from headgate.policy.applicable import Limits
from headgate.policy.granting import Book, decide, settle
from headgate.policy.windows import TOTAL
from headgate.runtime import holding
from headgate.runtime.outgoing import Canonical, Outgoing, outgoing_soon
from headgate.upstream.fake import Scripted

BODY = b'{"model":"chain","messages":[]}'
OK = Scripted((b'{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}',))


class Deciding:
    """A ledger that decides asks as a batch does. `answer` may say something else first."""

    available = True

    def __init__(self, answer: Callable[[Ask], Answer | None] = lambda _: None) -> None:
        self.book = Book(1, ())
        self.works: list[Work] = []
        self._answer = answer

    def submit(self, work: Work) -> None:
        self.works.append(work)
        if work.released is not None:
            settle(self.book, (*work.released.entries, *work.released.whole), 0, 0)
        if work.ask is not None:
            work.answer = self._answer(work.ask) or decide(self.book, work.ask, 1, len(self.works))
        if work.waiter is not None:
            work.waiter.set_result(work.answer)

    @property
    def asks(self) -> list[Ask]:
        return [work.ask for work in self.works if work.ask is not None]

    @property
    def released(self) -> list[str]:
        return [work.released.call for work in self.works if work.released is not None]


def limits(*units: Unit, cap: int = 10**12) -> Limits:
    return Limits([Limit(number, Scope.ACCOUNT, "acme", unit, TOTAL, cap) for number, unit in enumerate(units, 1)])


async def test_a_grant_that_its_request_cannot_keep_to_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk([OK], [OK])
    ledger = desk.gate.ledger = Deciding()
    desk.gate.renew({}, limits(Unit.TOKENS, Unit.CONCURRENCY, cap=3_000))
    written = outgoing_soon

    async def strict(canonical: Canonical, route: object, maximum: int | None = None) -> Outgoing:
        if maximum is not None and maximum < 3_000:
            raise HeadgateError(ErrorKind.UNTRANSLATABLE, "it cannot carry that with so little output")
        return await written(canonical, route, maximum)  # type: ignore[arg-type]

    monkeypatch.setattr(holding, "outgoing_soon", strict)
    transport = await desk.answer(BODY)
    assert transport.status == 400
    assert len(ledger.asks) == len(ledger.released) == 2  # both routes were granted, neither was asked
    assert all(not client.requests for client in desk.clients.values())
    assert [work.ended for work in ledger.works if work.call is not None] == [None]


async def test_limits_that_change_without_end_do_not_keep_a_call_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk([OK])
    epochs = iter(range(1, 10**6))

    def moves_on(_: Ask) -> Answer:
        desk.time.now += 10_000_000
        epoch = next(epochs)
        desk.gate.renew({}, Limits([Limit(1, Scope.ACCOUNT, "acme", Unit.USD, TOTAL, 10**12)], epoch))
        return Stale(epoch)

    ledger = desk.gate.ledger = Deciding(moves_on)
    desk.gate.renew({}, limits(Unit.USD))
    monkeypatch.setattr(desk.gate, "still_valid", lambda _: True)
    async with asyncio.timeout(30):
        transport = await desk.answer(BODY)
    assert transport.status == 503
    assert 2 <= len(ledger.asks) <= 300
    assert "retry-after" in dict(transport.headers)


async def test_what_a_call_takes_once_is_taken_once_whatever_route_is_subject_to_it() -> None:
    desk = Desk([Scripted((), 500)], [Scripted((), 500)], [OK])
    ledger = desk.gate.ledger = Deciding()
    named = Limit(9, Scope.KEY, "key_1", Unit.REQUESTS, TOTAL, 10, pattern="other")
    of_all = Limit(1, Scope.ACCOUNT, "acme", Unit.REQUESTS, TOTAL, 10)
    at_once = Limit(2, Scope.ACCOUNT, "acme", Unit.CONCURRENCY, TOTAL, 10)
    desk.gate.renew({}, Limits([named, of_all, at_once]))
    chain = desk.gate.terms.catalog.virtual["chain"]
    first, *rest = chain.routes
    chain_of = (first, *(msgspec.structs.replace(route, model="other") for route in rest))
    desk.gate.terms.catalog.virtual["chain"] = msgspec.structs.replace(chain, routes=chain_of)
    assert (await desk.answer(BODY)).status == 200
    taken = [[one.limit.id for one in (*ask.limits, *ask.whole)] for ask in ledger.asks]
    assert taken == [[1, 2], [9], []]


@pytest.mark.parametrize(("unit", "asks"), [(Unit.REQUESTS, 1), (Unit.CONCURRENCY, 1), (Unit.TOKENS, 3)])
async def test_what_refuses_a_call_whatever_its_route_is_asked_once(unit: Unit, asks: int) -> None:
    desk = Desk([OK], [OK], [OK])
    ledger = desk.gate.ledger = Deciding()
    desk.gate.renew({}, limits(unit, cap=0))
    transport = await desk.answer(BODY)
    assert transport.status == 429
    assert len(ledger.asks) == asks


async def test_the_call_tells_which_route_a_limit_has_skipped_and_why() -> None:
    desk = Desk([OK], [OK])
    ledger = desk.gate.ledger = Deciding()
    desk.gate.renew({}, Limits([Limit(1, Scope.PROVIDER, "p1", Unit.REQUESTS, TOTAL, 0)]))
    transport = await desk.answer(BODY)
    assert transport.status == 200
    (call,) = [work.call for work in ledger.works if work.call is not None]
    (unsent,) = msgspec.json.decode(call.facts)["unsent"]
    assert unsent["route"] == "p1/m"
    assert "p1" in unsent["reason"]
