"""From a request to its script: routes, keys, validation, faults, answer, charge. No I/O."""

from collections import deque
from collections.abc import Callable

import msgspec

from headgate.model.dialect import DIALECT_OF, Dialect, Endpoint
from headgate.model.usage import Usage
from headgate.sim import chat, completions, control, embeddings, messages, responses
from headgate.sim.ask import Ask, Json, Refusal
from headgate.sim.bill import Bill, BillLine, Outcome
from headgate.sim.cache import InputTokens, PromptCache
from headgate.sim.content import Answer, compose
from headgate.sim.directive import Directive, FaultQueue, decide
from headgate.sim.errors import error_body
from headgate.sim.faults import Fault
from headgate.sim.frames import UsageMode
from headgate.sim.models import models, one_model
from headgate.sim.record import SimRequest
from headgate.sim.script import Reply, answered, json_reply, unanswered
from headgate.sim.threads import Threads

_READ: dict[Endpoint, Callable[[Json], Ask]] = {
    Endpoint.CHAT: chat.read,
    Endpoint.RESPONSES: responses.read,
    Endpoint.MESSAGES: messages.read,
    Endpoint.COUNT_TOKENS: messages.read_count,
    Endpoint.EMBEDDINGS: embeddings.read,
    Endpoint.COMPLETIONS: completions.read,
}
_ERROR_FAULTS = {Fault.ERROR_ONLY, Fault.ERROR_FIRST, Fault.ERROR_MID, Fault.FAILED, Fault.MALFORMED}
_KEPT = 10_000
_MOST_TOKENS = 2_000_000


class Charge(msgspec.Struct, frozen=True):
    """What may be charged for a running answer."""

    input: Usage
    reasoning: int
    breaks: bool
    """The script ends early by itself."""


class Brain:
    """All state of one simulated vendor. `clock` returns monotonic ns."""

    def __init__(self, *, seed: int, api_key: str | None, clock: Callable[[], int], keep: int = _KEPT) -> None:
        self.seed = seed
        self._api_key = api_key
        self.cache = PromptCache(clock)
        self.faults = FaultQueue()
        self.threads = Threads()
        self.bill = Bill()
        self.requests: deque[SimRequest] = deque(maxlen=keep)
        self.received = 0
        self.releases = 0
        self.changed: Callable[[], None] = lambda: None
        """Called after every change that somebody may wait for."""

    def release(self) -> None:
        """Let every answer that is held go on."""
        self.releases += 1
        self.changed()

    def received_head(self, method: str, path: str, headers: list[tuple[str, str]]) -> SimRequest:
        """Record a request as its head arrives. The control API's own are not recorded."""
        self.received += 1
        record = SimRequest(self.received, method, path, headers)
        if not control.owns(path):
            self.requests.append(record)
            self.changed()
        return record

    def reply(self, record: SimRequest) -> tuple[Reply, Charge | None]:
        """Return the script of a request that has been read whole, and what it may cost."""
        if control.owns(record.path):
            return control.reply(self, record.method, record.path, record.body), None
        path = record.path.partition("?")[0].removeprefix("/v1").strip("/")
        record.endpoint = path if path in set(Endpoint) else ""
        dialect = _dialect(record)
        if self._api_key is not None and not _authorized(record, self._api_key):
            return json_reply(401, error_body(dialect, 401)), None
        if record.method in ("GET", "HEAD"):
            return self._get(path, dialect), None
        try:
            return self._answer(record, dialect)
        except Refusal as refusal:
            body = error_body(dialect, refusal.status, refusal.message, refusal.param)
            if refusal.details is not None:
                body["error"]["details"] = refusal.details
            return json_reply(refusal.status, body), None

    def _get(self, path: str, dialect: Dialect) -> Reply:
        if path == "":
            return json_reply(200, {"headgate": "sim"})
        if path == "models":
            return json_reply(200, models(dialect))
        if path.startswith("models/"):
            return json_reply(200, one_model(dialect, path.removeprefix("models/")))
        status = 405 if path in set(Endpoint) else 404
        return json_reply(status, error_body(dialect, status, f"No such path: GET /{path}"))

    def _answer(self, record: SimRequest, dialect: Dialect) -> tuple[Reply, Charge | None]:
        if not record.endpoint:
            raise Refusal(f"Invalid URL ({record.method} {record.path})", status=404)
        if record.method != "POST":
            raise Refusal("Not allowed to use this method on this path.", status=405)
        if dialect is Dialect.ANTHROPIC_MESSAGES and record.header("anthropic-version") is None:
            raise Refusal("anthropic-version: header is required")
        body = _body(record.body)
        if record.endpoint == Endpoint.MESSAGES:
            body = self.threads.whole(body, record.header("anthropic-beta") or "")
        ask = _READ[Endpoint(record.endpoint)](body)
        record.model, record.stream = ask.model, ask.stream
        try:
            directive = decide(self.faults, ask.text, ask.model, ask.endpoint)
        except ValueError as error:
            raise Refusal(str(error)) from error
        if (directive.tokens or 0) + (directive.reasoning or 0) > _MOST_TOKENS:
            raise Refusal(f"sim: more than {_MOST_TOKENS} tokens")
        record.fault = directive.fault
        reply = unanswered(directive, dialect)
        if reply is not None:
            return reply, None
        return self._composed(ask, directive)

    def _composed(self, ask: Ask, directive: Directive) -> tuple[Reply, Charge | None]:
        answer = compose(self.seed, ask, directive, self._input(ask))
        reply = answered(answer, directive)
        if ask.endpoint is Endpoint.MESSAGES and ask.body.get("thread") is not None:
            self.threads.remember(ask.body, messages.unary(answer, UsageMode.NONE))
        return reply, _charge(answer, directive)

    def _input(self, ask: Ask) -> InputTokens:
        if ask.endpoint is Endpoint.MESSAGES:
            return self.cache.breakpoints(ask.model, ask.segments)
        if ask.endpoint in (Endpoint.CHAT, Endpoint.RESPONSES):
            return self.cache.automatic(f"{ask.endpoint} {ask.model}", ask.segments)
        return InputTokens(sum(segment.tokens for segment in ask.segments))

    def settle(self, record: SimRequest, charge: Charge | None, spent: int, ended: Outcome) -> None:
        """Write the end of a request into its record and, if anything was generated, into the bill."""
        failed = ended is Outcome.COMPLETED and charge is None
        record.outcome = Outcome.FAILED if failed else ended
        if charge is None:
            if record.model:
                self.bill.add(BillLine(record.model, record.endpoint, record.outcome, Usage()))
            return
        if charge.breaks and ended is Outcome.COMPLETED:
            record.outcome = Outcome.CUT
        record.usage = msgspec.structs.replace(charge.input, output=spent, reasoning=min(charge.reasoning, spent))
        self.bill.add(BillLine(record.model, record.endpoint, record.outcome, record.usage))


def _charge(answer: Answer, directive: Directive) -> Charge | None:
    if directive.fault in (Fault.ERROR_ONLY, Fault.ERROR_FIRST):
        return None
    if directive.fault in _ERROR_FAULTS and not answer.ask.stream and directive.fault is not Fault.MALFORMED:
        return None
    if answer.ask.endpoint is Endpoint.COUNT_TOKENS:
        return Charge(Usage(), 0, breaks=False)
    tokens = answer.input
    usage = Usage(
        input=tokens.fresh,
        cache_read=tokens.read,
        cache_write_5m=tokens.write_5m,
        cache_write_1h=tokens.write_1h,
    )
    return Charge(usage, answer.reasoning, breaks=directive.fault in _ERROR_FAULTS)


def _dialect(record: SimRequest) -> Dialect:
    if record.endpoint:
        return DIALECT_OF[Endpoint(record.endpoint)]
    spoken = record.header("anthropic-version") is not None
    return Dialect.ANTHROPIC_MESSAGES if spoken else Dialect.OPENAI_CHAT


def _authorized(record: SimRequest, key: str) -> bool:
    bearer = record.header("authorization") or ""
    return key in (record.header("x-api-key"), bearer.removeprefix("Bearer "))


def _body(data: bytes) -> Json:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise Refusal("We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise Refusal("The body of your request must be a JSON object.")
    return body
