"""What goes over the wire, step by step: an answer's script, and faults as changes of it. No I/O."""

import zlib
from typing import Any

import msgspec

from headgate.model.dialect import DIALECT_OF, Dialect, Endpoint
from headgate.sim import chat, completions, embeddings, messages, responses
from headgate.sim.ask import Json
from headgate.sim.content import Answer
from headgate.sim.directive import Directive
from headgate.sim.errors import error_body, error_frame, fault_body, page
from headgate.sim.faults import STATUS, Fault
from headgate.sim.frames import Frame, FrameKind, UsageMode, encode


class Send(msgspec.Struct, frozen=True, gc=False):
    """Write bytes of the body; `tokens` of output are charged with it. `content`: it is a content frame."""

    data: bytes
    tokens: int = 0
    content: bool = False


class Head(msgspec.Struct, frozen=True, gc=False):
    """Send status and headers."""


class Pause(msgspec.Struct, frozen=True, gc=False):
    ns: int


class Hang(msgspec.Struct, frozen=True, gc=False):
    """Do nothing until the client leaves."""


class Gate(msgspec.Struct, frozen=True, gc=False):
    """Wait until the control API releases."""


class Drop(msgspec.Struct, frozen=True, gc=False):
    """Close without ending the body; `rst` resets the connection."""

    rst: bool = False


Step = Send | Head | Pause | Hang | Gate | Drop


class Reply(msgspec.Struct):
    """A script. `length`: announced bytes of the body, None: chunks. `spent`: output charged at once."""

    status: int
    headers: list[tuple[str, str]]
    steps: list[Step]
    length: int | None = None
    spent: int = 0


JSON_TYPE = "application/json"
_SSE_TYPE = "text/event-stream; charset=utf-8"
_UNARY = {
    Endpoint.CHAT: chat.unary,
    Endpoint.RESPONSES: responses.unary,
    Endpoint.MESSAGES: messages.unary,
    Endpoint.COUNT_TOKENS: messages.count_tokens,
    Endpoint.EMBEDDINGS: embeddings.unary,
    Endpoint.COMPLETIONS: completions.unary,
}
_STREAM = {
    Endpoint.CHAT: chat.stream,
    Endpoint.RESPONSES: responses.stream,
    Endpoint.MESSAGES: messages.stream,
    Endpoint.COMPLETIONS: completions.stream,
}
_MODES = {
    Fault.NO_USAGE: UsageMode.NONE,
    Fault.USAGE_ON_LAST: UsageMode.ON_LAST,
    Fault.USAGE_EVERY: UsageMode.EVERY,
}
_BROKEN_FRAME = b'data: {"id": "broken", "choices": [{"del\n\n'
_AT_ONCE = {None, "message_start", "response.created", "response.in_progress"}
"""Events that a vendor sends before its model has begun; the wait for the first content comes after them."""
_EXCESS = 100  # bytes that LONG_LENGTH announces and never sends


def whole(status: int, body: bytes, kind: str = JSON_TYPE, *headers: tuple[str, str]) -> Reply:
    """Return the script of a body that is sent at once."""
    return Reply(status, [("content-type", kind), *headers], [Head(), Send(body)], len(body))


def json_reply(status: int, body: object, *headers: tuple[str, str]) -> Reply:
    """Return the script of a JSON body that is sent at once."""
    return whole(status, msgspec.json.encode(body), JSON_TYPE, *headers)


def unanswered(directive: Directive, dialect: Dialect) -> Reply | None:
    """Return the script of a fault that needs no answer, None if the answer must be composed."""
    fault = directive.fault
    if fault is None:
        return None
    if fault in STATUS:
        return _refused(fault, directive, dialect)
    if fault is Fault.REFUSE:
        return Reply(0, [], [Drop(rst=True)])
    if fault is Fault.HTML:
        return whole(200, page("Welcome"), "text/html; charset=UTF-8")
    if fault is Fault.EMPTY:
        return whole(200, b"")
    if fault is Fault.REDIRECT:
        return whole(307, b"", "text/plain", ("location", directive.to))
    return None


def _refused(fault: Fault, directive: Directive, dialect: Dialect) -> Reply:
    status = STATUS[fault]
    body, kind = fault_body(fault, status, dialect)
    reply = whole(status, body, kind)
    waits = status in (429, 500, 502, 503, 504, 520, 529) and fault is not Fault.S429_QUOTA
    asked = fault is Fault.S429 or directive.retry_after != Directive().retry_after
    if waits and asked and directive.retry_after != "none":
        reply.headers.append(("retry-after", directive.retry_after))
    return reply


def answered(answer: Answer, directive: Directive) -> Reply:
    """Return the script of an answer, with its fault worked in."""
    dialect = DIALECT_OF[answer.ask.endpoint]
    ident = ("request-id" if dialect is Dialect.ANTHROPIC_MESSAGES else "x-request-id", f"req_{answer.id}")
    make = _STREAM.get(answer.ask.endpoint) if answer.ask.stream else None
    mode = _MODES.get(directive.fault, UsageMode.USUAL) if directive.fault else UsageMode.USUAL
    if make is None:
        body = _UNARY[answer.ask.endpoint](answer, mode)
        reply = _unary(answer, body, directive, dialect)
    else:
        reply = _stream(make(answer, mode), directive, dialect)
    reply.headers.append(ident)
    if directive.fault is Fault.GZIP:
        _compress(reply)
    if directive.fault is Fault.DRIP:
        reply.steps = [part for step in reply.steps for part in _drops(step)]
    if directive.fault is Fault.LONG_LENGTH:
        reply.length = sum(len(step.data) for step in reply.steps if isinstance(step, Send)) + _EXCESS
        reply.steps.append(Drop())
    return reply


def _unary(answer: Answer, body: Json, directive: Directive, dialect: Dialect) -> Reply:
    fault = directive.fault
    if fault is Fault.HANG_HEADERS:
        return Reply(200, [], [Hang()])
    if fault in (Fault.ERROR_ONLY, Fault.ERROR_FIRST, Fault.ERROR_MID, Fault.FAILED):
        return json_reply(200, error_body(dialect, 500))
    if fault is Fault.BIG_FRAME:
        body = body | {"x_sim_pad": "x" * directive.size}
    data = msgspec.json.encode(body)
    waits = directive.ttft + directive.gap * max(answer.output - 1, 0)
    reply = whole(200, data[: len(data) * 2 // 3] if fault is Fault.MALFORMED else data)
    reply.spent = answer.output
    half: list[Step] = [Head(), Send(data[: len(data) // 2])]
    if fault is Fault.HANG_FIRST:
        reply.steps = [Head(), Hang()]
    elif fault is Fault.HANG:
        reply.steps = [*half, Hang()]
    elif fault in (Fault.CUT, Fault.CUT_MID, Fault.CUT_RST):
        reply.steps = [*half, Drop(rst=fault is Fault.CUT_RST)]
    elif fault is Fault.HOLD:
        reply.steps.insert(0, Gate())
    if waits:
        reply.steps.insert(0, Pause(waits))
    return reply


def _stream(frames: list[Frame], directive: Directive, dialect: Dialect) -> Reply:
    fault = directive.fault
    newline = b"\r\n" if fault is Fault.CRLF else b"\n"
    if fault is Fault.NO_DONE:
        frames = [frame for frame in frames if frame.kind is not FrameKind.TERMINAL]
    if fault is Fault.BIG_FRAME:
        frames = _padded(frames, directive.size)
    steps: list[Step] = []
    waited = begun = False
    for frame in frames:
        content = frame.kind is FrameKind.CONTENT
        if not waited and (content or frame.event not in _AT_ONCE):
            steps += [Pause(directive.ttft)] * bool(directive.ttft)
            waited = True
        elif content and begun:
            steps += [Pause(directive.gap)] * bool(directive.gap)
        begun = begun or content
        if fault is Fault.COMMENTS:
            steps.append(Send(b": sim" + newline + newline))
        steps.append(Send(encode(frame, newline), frame.tokens, content))
    return Reply(200, [("content-type", _SSE_TYPE), ("cache-control", "no-cache")], _broken(steps, directive, dialect))


def _padded(frames: list[Frame], size: int) -> list[Frame]:
    at = next((at for at, frame in enumerate(frames) if frame.kind is FrameKind.CONTENT), 0)
    payload: Any = frames[at].payload
    padded = msgspec.structs.replace(frames[at], payload={**payload, "x_sim_pad": "x" * size})
    return [*frames[:at], padded, *frames[at + 1 :]]


def _broken(steps: list[Step], directive: Directive, dialect: Dialect) -> list[Step]:
    """Return the steps with the head and, where the fault strikes in mid-stream, what happens there."""
    fault = directive.fault
    if fault is Fault.HANG_HEADERS:
        return [Hang()]
    if fault is Fault.HANG_FIRST:
        return [Head(), Hang()]
    if fault is Fault.ERROR_ONLY:
        return [Head(), Send(encode(error_frame(dialect, 0)))]
    at = _position(steps, 0 if fault is Fault.ERROR_FIRST else directive.after)
    ending = _ending(steps, at, fault, dialect)
    if fault is Fault.HOLD:
        return [Head(), *steps[:at], Gate(), *steps[at:]]
    return [Head(), *steps] if ending is None else [Head(), *steps[:at], *ending]


def _ending(steps: list[Step], at: int, fault: Fault | None, dialect: Dialect) -> list[Step] | None:
    """Return what comes in the place of the steps from `at` on, None if the fault leaves them."""
    sent = [step for step in steps[:at] if isinstance(step, Send)]
    following = next((step.data for step in steps[at:] if isinstance(step, Send)), b"")
    if fault is Fault.FAILED and dialect is Dialect.OPENAI_RESPONSES:
        return [Send(_failed(sent))]
    if fault in (Fault.ERROR_FIRST, Fault.ERROR_MID, Fault.FAILED):
        return [Send(encode(error_frame(dialect, len(sent))))]
    endings: dict[Fault | None, list[Step]] = {
        Fault.HANG: [Hang()],
        Fault.CUT: [Drop()],
        Fault.CUT_RST: [Drop(rst=True)],
        Fault.CUT_MID: [Send(following[: len(following) // 2]), Drop()],
        Fault.MALFORMED: [Send(_BROKEN_FRAME), Send(b"this line is no SSE\n\n")],
    }
    return endings.get(fault)


def _failed(sent: list[Send]) -> bytes:
    """Return a response.failed event, built from the response.created that was sent first."""
    created = sent[0].data.partition(b"data: ")[2]
    body = msgspec.json.decode(created)["response"]
    error = {"code": "server_error", "message": "The model failed to generate a response."}
    payload = {
        "type": "response.failed",
        "sequence_number": len(sent),
        "response": body | {"status": "failed", "error": error},
    }
    return encode(Frame(payload, FrameKind.TERMINAL, "response.failed"))


def _position(steps: list[Step], after: int) -> int:
    """Return the place right behind `after` content frames; 0 means before the first, many the last."""
    places = [at for at, step in enumerate(steps) if isinstance(step, Send) and step.content]
    if not places:
        return 0
    if after == 0:
        return places[0]
    return places[min(after, len(places)) - 1] + 1


def _compress(reply: Reply) -> None:
    """Encode the body with gzip, flushed after every frame."""
    packer = zlib.compressobj(wbits=31)
    found: list[Step] = []
    for step in reply.steps:
        if isinstance(step, Send):
            data = packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH)
            found.append(msgspec.structs.replace(step, data=data))
        else:
            found.append(step)
    found.append(Send(packer.flush()))
    reply.steps = found
    reply.headers.append(("content-encoding", "gzip"))
    if reply.length is not None:
        reply.length = sum(len(step.data) for step in found if isinstance(step, Send))


def _drops(step: Step) -> list[Step]:
    """Return a send byte by byte; its tokens are charged with the last byte."""
    if not isinstance(step, Send) or not step.data:
        return [step]
    singles: list[Step] = [Send(bytes([byte])) for byte in step.data[:-1]]
    return [*singles, Send(step.data[-1:], step.tokens, step.content)]
