"""What a call holds: asked for before each attempt is sent, settled with its rows, given back at its end."""

import asyncio

from headgate.exchange.commands import Hold as HoldCommand
from headgate.exchange.events import Event, HoldGranted, HoldRefused
from headgate.ledger.batch import Work
from headgate.ledger.errors import LedgerError
from headgate.model.dialect import Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.failure import Failure, FailureKind
from headgate.model.identity import Principal
from headgate.model.limit import Answer, Applied, Ask, Bound, Grant, HoldFacts, Refusal, Stale, Unit
from headgate.model.records import AttemptRow, CallRow
from headgate.model.request import Visible
from headgate.model.route import Route
from headgate.policy.estimate import Hold, hold
from headgate.policy.refusals import failure_of
from headgate.protocols.failure_text import clean
from headgate.runtime.attempt import Attempt
from headgate.runtime.gate import Gate
from headgate.runtime.interrupted import HOLD_PATIENCE_NS, STORE_GONE, Interrupted
from headgate.runtime.outgoing import Canonical, Outgoing, outgoing_soon
from headgate.runtime.sizing import refused_outright, roughly, sized_soon
from headgate.runtime.transport import Transport, session_of
from headgate.runtime.waiting import Waiting

HOLD_GRANTED = HoldGranted()
NOTED_AFTER_NS = 1_000_000_000
"""The age at which an attempt that no limit holds for is noted in the ledger; what ends sooner needs no note."""
REVOKED = Failure(FailureKind.LIMITED, "This API key was revoked or has expired.", told=ErrorKind.INVALID_API_KEY)
_USD, _TOKENS, _REQUESTS, _CONCURRENCY = Unit
_NOTHING: frozenset[tuple[int, str]] = frozenset()


class Holding(Interrupted):
    """Base of a call: its attempts' rows and holds, and what of them the ledger has not been given yet."""

    __slots__ = (
        "_canonical",
        "_grants",
        "_handed",
        "_known",
        "_model",
        "_noted",
        "_once",
        "_refused",
        "_rows",
        "_seen",
        "_session",
        "_whole",
        "principal",
    )

    def __init__(self, gate: Gate, transport: Transport, endpoint: Endpoint, principal: Principal) -> None:
        super().__init__(gate, transport, endpoint)
        self.principal = principal
        self._session = session_of(transport, endpoint)
        self._model = ""
        self._canonical: Canonical | None = None
        self._rows: list[AttemptRow] = []
        self._grants: list[Grant | None] = []
        self._handed = 0
        # The ledger's epoch under which the key was in force.
        self._known = gate.limits.epoch
        self._whole: Grant | None = None
        # (limit id, subject) of what is taken once, and has been.
        self._once: frozenset[tuple[int, str]] = _NOTHING
        # What refuses the call whatever its route.
        self._refused: HoldRefused | None = None
        self._seen: Visible | None = None
        self._noted: Attempt | None = None

    async def _begin_attempt(self, command: HoldCommand) -> Event:
        """Make ready what goes to a route, and hold for it where a limit applies."""
        if self._refused is not None:
            return self._refused
        try:
            return await self._held(command.route)
        except HeadgateError as error:
            message = clean(error.message)
            return HoldRefused(Failure(FailureKind.UNTRANSLATABLE, message, told=error.kind, param=error.param))

    async def _held(self, route: Route) -> Event:
        canonical = self._canonical
        assert canonical is not None
        asked_since = self._clock.mono()
        while True:
            if not self._is_entitled():
                return HoldRefused(REVOKED)
            applied = self.gate.limits.apply(self.principal, self._session, route)
            if applied is None:
                out = await outgoing_soon(canonical, route)
                return self._take_interruption() or self._granted(route, out, hold(out.head, route), None, sized=False)
            own, whole = tuple(applied[0]), tuple(applied[1])
            if self._whole is not None:
                own, whole = (*own, *self._not_taken(whole)), ()
            sized = _is_sized(own)
            made = await sized_soon(canonical, route, self.gate.density.rate(route.model), closely=sized)
            self._seen = made.seen
            ask = self._ask_for(route, made.bound, own, whole)
            refused = refused_outright(ask, made.beyond)
            if refused is not None:
                return HoldRefused(refused)
            if (event := self._take_interruption()) is not None:
                return event
            answer = await self._asked(ask)
            match answer:
                case Grant():
                    return await self._taken(route, made.out, answer, sized=sized)
                case Refusal():
                    return self._refused_by(answer)
                case Stale():
                    late = self._clock.mono() - asked_since > HOLD_PATIENCE_NS
                    if late or not await self._renewed(answer.epoch):
                        return STORE_GONE
                case _:
                    return answer

    def _is_entitled(self) -> bool:
        """Tell whether the call's key is still in force; looked up again where keys or limits have changed."""
        epoch = self.gate.limits.epoch
        if epoch == self._known:
            return True
        if not self.gate.still_valid(self.principal):
            return False
        self._known = epoch
        return True

    def _not_taken(self, whole: tuple[Applied, ...]) -> tuple[Applied, ...]:
        """Return what a call takes once and has not: an earlier route was not subject to it. This attempt takes it."""
        return tuple(one for one in whole if (one.limit.id, one.subject) not in self._once)

    def _ask_for(self, route: Route, size: Bound, own: tuple[Applied, ...], whole: tuple[Applied, ...]) -> Ask:
        client = self._head
        assert client is not None
        facts = HoldFacts(
            self.principal.account,
            self.principal.key,
            self._session,
            self.endpoint,
            client.model,
            self._model,
            client.stream,
            self._started_at,
            route.provider.name,
            route.upstream_name,
            route.backend,
            route.model,
            self.gate.clock.wall(),
            0,
            0,
            None,
            (),
        )
        return Ask(self.id, len(self._rows) + 1, self.gate.limits.epoch, size, own, whole, facts)

    async def _asked(self, ask: Ask) -> Answer | Event:
        """Hand over what is settled, with what is asked; return the ledger's answer once it is committed."""
        waiter: asyncio.Future[Answer | None] = self.gate.loop.create_future()
        work = Work(
            self.principal.account,
            self.principal.key,
            self._rows[self._handed :],
            self._grants[self._handed :],
            ask=ask,
            waiter=waiter,
        )
        self._handed = len(self._rows)
        self.gate.ledger.submit(work)
        self._wait(Waiting.HOLD)
        try:
            answer = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and isinstance(granted := waiter.result(), Grant):
                self._release(granted)
            return self._woken()
        except LedgerError:
            return STORE_GONE
        finally:
            self._waiting = Waiting.NOTHING
        if (event := self._take_interruption()) is not None:
            if isinstance(answer, Grant):
                self._release(answer)
            return event
        assert answer is not None
        return answer

    async def _taken(self, route: Route, out: Outgoing, grant: Grant, *, sized: bool) -> Event:
        """The hold is in the ledger; what goes out must keep to it."""
        canonical = self._canonical
        assert canonical is not None
        try:
            most = out.head.max_output
            if sized and most is not None and grant.output < most:
                out = await outgoing_soon(canonical, route, grant.output)
        except BaseException:  # passed on: whatever it was, nothing is sent on this hold
            self._release(grant)
            raise
        self._standings = grant.standings
        if self._whole is not None:
            self._standings += tuple(one for one in self._whole.standings if one.limit.unit is _REQUESTS)
        if taken := [*grant.whole, *[entry for entry in grant.entries if entry.unit is _REQUESTS]]:
            self._once = self._once.union((entry.limit, entry.subject) for entry in taken)
        if grant.whole:
            self._whole = grant
            if any(entry.unit is _CONCURRENCY for entry in grant.whole):
                self._watch()  # a call is one of those at once until its client leaves, unary ones too
        facts = grant.facts
        return self._granted(route, out, Hold(facts.input, facts.output, facts.nano), grant, sized=sized)

    def _granted(self, route: Route, out: Outgoing, held: Hold, grant: Grant | None, *, sized: bool) -> Event:
        self._attempt = Attempt(len(self._rows) + 1, route, held, out, self.gate.clock, grant, sized=sized)
        return HOLD_GRANTED

    def _refused_by(self, refusal: Refusal) -> HoldRefused:
        if not self._standings:
            self._standings = (refusal.standing,)
        refused = HoldRefused(failure_of(refusal))
        if refusal.standing.limit.is_of_call:
            self._refused = refused
        return refused

    async def _renewed(self, epoch: int) -> bool:
        """Wait until this worker has read the limits and keys of an epoch; False where it cannot in time."""
        self._wait(Waiting.HOLD)
        try:
            await self.gate.renewed(epoch)
        except asyncio.CancelledError:
            self._wake()
            return False
        finally:
            self._waiting = Waiting.NOTHING
        return True

    def _release(self, grant: Grant) -> None:
        """Give back a hold that was granted and not used."""
        self.gate.ledger.submit(Work(self.principal.account, self.principal.key, released=grant))

    def _left(self) -> None:
        """The client has left while its call goes on: it is one of those at once no longer."""
        whole, self._whole = self._whole, None
        if whole is not None:
            self.gate.ledger.submit(Work(self.principal.account, self.principal.key, ended=whole))

    def expire(self, now: int) -> None:
        super().expire(now)
        attempt = self._attempt
        if attempt is None or attempt.grant is not None or attempt is self._noted or len(self._rows) == attempt.no:
            return
        if now - attempt.began > NOTED_AFTER_NS:
            self._noted = attempt
            self._note(attempt)

    def _note(self, attempt: Attempt) -> None:
        """Let the ledger know of an attempt that no limit holds for: if this worker dies, it is lost by name."""
        waiter: asyncio.Future[Answer | None] = self.gate.loop.create_future()
        waiter.add_done_callback(lambda done: self._take_note(attempt, done))
        ask = self._ask_for(attempt.route, roughly(attempt.out.head, attempt.route), (), ())
        ask.no = attempt.no
        self.gate.ledger.submit(Work(self.principal.account, self.principal.key, ask=ask, waiter=waiter))

    def _take_note(self, attempt: Attempt, done: "asyncio.Future[Answer | None]") -> None:
        if done.cancelled() or done.exception() is not None:
            return
        match done.result():
            case Grant() as grant if attempt is self._attempt and len(self._rows) < attempt.no:
                attempt.grant = grant
            case Grant() as grant:
                self._release(grant)
            case _:
                self._noted = None  # keys or limits had changed: once more at the next look

    def _hand_over(self, row: CallRow) -> None:
        """Give the ledger the call and all of its attempts that it does not have yet."""
        self.gate.ledger.submit(
            Work(
                row.account,
                row.key,
                self._rows[self._handed :],
                self._grants[self._handed :],
                call=row,
                ended=self._whole,
                waiter=self._committed,
            )
        )
        self._whole = None

    def _keep(self, row: AttemptRow, attempt: Attempt) -> None:
        """An attempt is settled: its row and hold go to the ledger with the next thing that does."""
        self._rows.append(row)
        self._grants.append(attempt.grant)
        seen = self._seen
        if seen is None or seen.unseen or seen.attached_tokens or row.reported_nano is None:
            return  # only what was text alone tells of text
        self.gate.density.saw(
            row.model, seen.bytes, row.input + row.cache_read + row.cache_write_5m + row.cache_write_1h
        )


def _is_sized(limits: tuple[Applied, ...]) -> bool:
    """Tell whether an attempt holds as much as its input and output can take."""
    for one in limits:
        unit = one.limit.unit
        if unit is _USD or unit is _TOKENS:
            return True
    return False
