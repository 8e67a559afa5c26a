"""What users of gateways complain of most, first: budgets overshot, and holds that leak and refuse honest calls.

Keys here have money for few calls, and one call at once: what leaked would refuse the next one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from tests.e2e.budgets import ENDPOINTS, OUTPUT, Purse, providers, purse, under_way
from tests.e2e.gateway import Gateway
from tests.e2e.limited import books
from tests.e2e.processes import poll, ready_pids, workers
from tests.e2e.wire import CHAT, ask, headers_of, send

from headgate.model.limit import Unit
from headgate.model.money import format_usd
from headgate.sim import SimThread

CAP = 1_200_000
"""nano-USD: more than any call here can cost, and less than any three."""
MOST_OUTPUT = OUTPUT * 8_000
"""nano-USD: what the output maximum of a call costs."""
CAPS = {Unit.USD: CAP, Unit.CONCURRENCY: 1}
CALLERS = 16
"""More than there is room for at once."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sim: SimThread) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("holds"), config=providers(sim)) as running:
        yield running


# -- overshot ----------------------------------------------------------------------------------------------------------


def spend(gateways: Sequence[Gateway], mine: Purse) -> int:
    """Let many ask at once, in all dialects, until each is told that its quota is gone; return how many were served."""

    def one(number: int) -> int:
        gateway, served = gateways[number % len(gateways)], 0
        for turn in count():
            endpoint = ENDPOINTS[(number + turn) % 3]
            body = mine.body(endpoint, f"{number} {turn} [[sim tokens={OUTPUT} gap=1ms]]", stream=turn % 2 == 0)
            heard = ask(gateway, endpoint, body, key=mine.secret)
            assert heard.whole
            assert heard.status in (200, 429), heard.body
            if heard.status == 429 and "retry-after" not in heard.headers:
                return served
            served += heard.status == 200
        return served

    with ThreadPoolExecutor(CALLERS) as callers:
        return sum(callers.map(one, range(CALLERS)))


def kept_within(mine: Purse, cap: int, served: int) -> None:
    """The cap held by the upstream's own bill, nothing was sent that was not let in, and all of it could be spent."""
    assert mine.bill == mine.at_rest() <= cap
    assert len(mine.requests()) == served > CALLERS
    assert cap - mine.bill < CAP, "no call more would have fitted"


def test_a_budget_is_not_overshot_by_callers_at_once(tmp_path: Path, sim: SimThread) -> None:
    cap = 7 * CAP
    gateway = Gateway(tmp_path, config=providers(sim), workers=3)
    mine = purse(gateway, sim, "burst", {Unit.USD: cap})
    with gateway:
        poll(lambda: len(ready_pids(gateway)) == 3)
        kept_within(mine, cap, spend([gateway], mine))


def test_replicas_count_together(postgres_url: str, tmp_path: Path, sim: SimThread) -> None:
    cap = 7 * CAP
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        ledger = f'ledger: {{url: "{postgres_url}", state_dir: "{tmp_path / name / "state"}"}}\n'
        both.append(Gateway(tmp_path / name, config=providers(sim) + ledger, ledger=postgres_url))
    mine = purse(both[0], sim, "replicas", {Unit.USD: cap})
    both[1].key = both[0].key
    with both[0], both[1]:
        kept_within(mine, cap, spend(both, mine))
        for gateway in both:
            [told] = send(gateway, "GET", "/v1/limits", headers=headers_of(CHAT, mine.secret)).json["limits"]
            assert (told["spent"], told["held"]) == (format_usd(mine.bill), "0")


# -- holds that leak ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_answer_whose_client_left_leaves_no_hold(own: Gateway, sim: SimThread, endpoint: str) -> None:
    mine = purse(own, sim, f"left-{endpoint[:4]}", CAPS)
    for turn in range(1, 4):
        with under_way(mine, endpoint, stream=False):
            assert mine.stands()[1] > MOST_OUTPUT, "it holds what it may cost"
            assert mine.stands(Unit.CONCURRENCY) == (0, 1)
            refused = mine.ask(endpoint)
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        sim.release()
        # Whether the client was missed before the answer was there is a matter of chance.
        [attempt] = mine.row(("ok", "client_gone"), turn)["attempts"]
        assert attempt["state"] == "settled"
        assert mine.at_rest() == mine.bill > 0
    mine.honest(endpoint)
    assert mine.at_rest() == mine.bill


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_stream_whose_client_left_leaves_no_hold(own: Gateway, sim: SimThread, endpoint: str) -> None:
    mine = purse(own, sim, f"left-stream-{endpoint[:4]}", CAPS)
    with under_way(mine, endpoint, stream=True, place="stops-") as call:
        spent, held = mine.stands()
        assert (spent, held > MOST_OUTPUT) == (0, True)
    row = mine.row("client_gone")
    assert row["id"] == call
    assert mine.bill <= mine.at_rest() == row["cost_nano"] < row["attempts"][0]["hold_nano"]
    assert mine.stands(Unit.CONCURRENCY) == (0, 0)
    mine.honest(endpoint)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", ["500", "529", "429"])
def test_a_stream_that_is_refused_before_its_first_frame_leaves_no_hold(
    own: Gateway, sim: SimThread, endpoint: str, fault: str
) -> None:
    mine = purse(own, sim, f"first-{fault}-{endpoint[:4]}", CAPS)
    fail_thrice(mine, endpoint, fault)
    assert mine.at_rest() == mine.bill == 0
    mine.honest(endpoint)
    assert mine.at_rest() == mine.bill > 0


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("fault", ["error-first", "error-only", "refuse"])
def test_a_stream_that_breaks_before_its_first_frame_is_charged_and_leaves_no_hold(
    own: Gateway, sim: SimThread, endpoint: str, fault: str
) -> None:
    mine = purse(own, sim, f"first-{fault}-{endpoint[:4]}", {Unit.USD: 3 * CAP, Unit.CONCURRENCY: 1})
    fail_thrice(mine, endpoint, fault)  # nobody has said what it cost: it may have been billed
    assert mine.at_rest() > mine.bill == 0
    mine.honest(endpoint)


def fail_thrice(mine: Purse, endpoint: str, fault: str) -> None:
    """Ask for streams that fail before their first frame, each on a route of its own."""
    for number in range(1, 4):
        text = f"[[sim fault={fault} retry_after=none]]"
        heard = mine.ask(endpoint, text, place="stops-", model=f"-{number}", stream=True)
        assert heard.status in (429, 502, 503), heard.body
        [attempt] = mine.row("failed", number)["attempts"]
        assert attempt["cost_nano"] <= attempt["hold_nano"]
        mine.at_rest()


def test_a_stream_that_never_begins_is_charged_once_and_holds_nothing(own: Gateway, sim: SimThread) -> None:
    mine = purse(own, sim, "never", {Unit.USD: 3 * CAP, Unit.CONCURRENCY: 1})
    heard = mine.ask(CHAT, "[[sim fault=hang-first]]", place="hasty-", stream=True)
    assert heard.status == 504
    [attempt] = mine.row("failed")["attempts"]
    assert mine.at_rest() == attempt["cost_nano"] == attempt["hold_nano"] >= mine.bill > 0
    mine.honest()


@pytest.mark.parametrize("stream", [False, True])
def test_a_crash_leaves_no_hold_and_what_it_lost_can_be_settled(
    tmp_path: Path, sim: SimThread, *, stream: bool
) -> None:
    with Gateway(tmp_path, config=providers(sim)) as gateway:
        mine = purse(gateway, sim, f"crash-{stream}", {Unit.USD: 3 * CAP // 2, Unit.CONCURRENCY: 1})
        with under_way(mine, CHAT, stream=stream):
            assert mine.stands()[1] > 0
            [worker] = workers(gateway)
            os.kill(worker.pid, signal.SIGKILL)
            row = mine.row("lost")
        sim.release()
        [attempt] = row["attempts"]
        assert attempt["state"] == "lost"
        lost = mine.at_rest()
        assert lost == attempt["cost_nano"] == attempt["hold_nano"] >= mine.bill > 0
        poll(lambda: len(ready_pids(gateway) - {worker.pid}) == 1)
        assert row["id"] in gateway.cli("calls", "--lost")
        gateway.cli("calls", "settle", row["id"], "--usd", format_usd(mine.bill))
        assert mine.at_rest() == mine.bill
        mine.honest()
        assert mine.at_rest() == mine.bill
        assert books(gateway.ledger_url).at_rest
