"""For any order of events: one settle for each attempt sent, one record, at most one end, nothing after it."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.exchange.commands import (
    CloseAttempt,
    Command,
    EndWith,
    FailWith,
    Forward,
    Hold,
    OpenAttempt,
    Record,
    Settle,
)
from headgate.exchange.events import (
    Admitted,
    AttemptEnded,
    AttemptFailed,
    AttemptOpened,
    CapReached,
    ClientGone,
    DeadlinePassed,
    Event,
    FrameSeen,
    HoldGranted,
    HoldRefused,
)
from headgate.exchange.machine import Exchange, State
from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.failure import Failure, FailureKind
from headgate.model.price import FREE
from headgate.model.records import Outcome
from headgate.model.route import Provider, Route
from headgate.policy.failures import falls_over
from headgate.protocols.codec import PieceKind


def route(number: int, *, drain: bool) -> Route:
    provider = Provider(
        f"p{number}", Kind.OPENAI, "http://x/v1", None, SERVED_BY[Kind.OPENAI], drain_on_disconnect=drain
    )
    return Route(provider, "m", "m", FREE)


failures = st.builds(Failure, st.sampled_from(FailureKind), st.just("said"), st.sampled_from([0, 400, 500]))
frames = st.builds(FrameSeen, st.sampled_from(PieceKind), st.sampled_from([b"a", b"b" * 9000]))
late = st.one_of(
    frames,
    st.just(AttemptOpened()),
    st.builds(AttemptEnded, st.booleans()),
    st.builds(AttemptFailed, failures, st.sampled_from([None, b"error"])),
    st.just(CapReached(b"capped")),
    st.just(ClientGone()),
    st.builds(DeadlinePassed, failures),
)


class Driver:
    """A driver that answers what must be answered and otherwise lets anything happen."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.done: list[Command] = []
        self.content_before_fallback = False

    def tell(self, event: Event, refuse: bool) -> None:
        commands = self.exchange.handle(event)
        self.done.extend(commands)
        if commands and isinstance(commands[-1], Hold):
            if self.exchange.content_begun:
                self.content_before_fallback = True
            refused = HoldRefused(Failure(FailureKind.LIMITED, "no room"))
            self.tell(refused if refuse else HoldGranted(), refuse=False)

    def count(self, kind: type[Command]) -> int:
        return sum(isinstance(command, kind) for command in self.done)


@given(
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.booleans(),
    st.lists(st.tuples(late, st.booleans()), max_size=30),
)
def test_any_order_of_events(drains: list[bool], whole: bool, events: list[tuple[Event, bool]]) -> None:
    exchange = Exchange(drains=whole)
    driver = Driver(exchange)
    driver.tell(Admitted(tuple(route(number, drain=drain) for number, drain in enumerate(drains))), refuse=False)
    for event, refuse in events:
        # Frames and ends come only from an upstream that has answered: the driver cannot invent them.
        if isinstance(event, FrameSeen | AttemptEnded) and exchange.state != State.READING:
            continue
        if isinstance(event, AttemptOpened) and exchange.state != State.OPENING:
            continue
        driver.tell(event, refuse)
    # Whatever is still open ends in the end.
    driver.tell(DeadlinePassed(Failure(FailureKind.DEADLINE, "over")), refuse=False)

    assert exchange.state == State.DONE
    assert driver.count(Settle) == driver.count(OpenAttempt)
    assert driver.count(Record) == 1
    ends = driver.count(EndWith) + driver.count(FailWith)
    assert ends <= 1
    [record] = [command for command in driver.done if isinstance(command, Record)]
    assert (ends == 0) == (record.outcome is Outcome.CLIENT_GONE)
    after = driver.done[driver.done.index(record) + 1 :]
    assert not any(isinstance(command, Forward | Settle | Hold | OpenAttempt) for command in after)
    assert not driver.content_before_fallback
    assert driver.count(OpenAttempt) <= len(drains)
    assert exchange.handle(ClientGone()) == ()


@given(st.lists(st.tuples(late, st.booleans()), max_size=30))
def test_the_client_gets_each_byte_once_and_in_order(events: list[tuple[Event, bool]]) -> None:
    """What one attempt sent is what the client gets, but for an error frame that ends it."""
    exchange = Exchange(drains=False)
    driver = Driver(exchange)
    driver.tell(Admitted((route(1, drain=False),)), refuse=False)
    driver.tell(AttemptOpened(), refuse=False)
    fed = b""
    for event, _ in events:
        if isinstance(event, AttemptOpened):
            continue
        if isinstance(event, FrameSeen) and exchange.state == State.READING:
            fed += event.data
        driver.tell(event, refuse=False)
    sent = b"".join(command.data for command in driver.done if isinstance(command, Forward | EndWith))
    ended = [command for command in driver.done if isinstance(command, EndWith)]
    if ended:
        sent = sent.removesuffix(b"error").removesuffix(b"capped")
    assert fed.startswith(sent)


@given(failures)
def test_only_the_closed_table_falls_over(failure: Failure) -> None:
    exchange = Exchange(drains=False)
    driver = Driver(exchange)
    driver.tell(Admitted((route(1, drain=False), route(2, drain=False))), refuse=False)
    driver.tell(AttemptFailed(failure), refuse=False)
    assert (driver.count(OpenAttempt) == 2) == falls_over(failure.kind)
    assert driver.count(CloseAttempt) == 1


def test_a_stream_that_passed_its_hold_ends_with_what_was_held_back_and_asks_nobody_else() -> None:
    exchange = Exchange(drains=False)
    driver = Driver(exchange)
    driver.tell(Admitted((route(1, drain=False), route(2, drain=False))), refuse=False)
    driver.tell(AttemptOpened(), refuse=False)
    driver.tell(FrameSeen(PieceKind.PREAMBLE, b"role"), refuse=False)
    driver.tell(CapReached(b"capped"), refuse=False)
    assert [type(command) for command in driver.done[-4:]] == [CloseAttempt, Settle, Record, EndWith]
    assert driver.done[-1] == EndWith(b"rolecapped")
    [record] = [command for command in driver.done if isinstance(command, Record)]
    assert record.outcome is Outcome.CAPPED
