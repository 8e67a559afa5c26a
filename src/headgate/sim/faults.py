"""The closed list of faults, and what each does; `headgate sim --faults` prints TABLE."""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """Everything that can go wrong on demand. The value is what a directive or a model name says."""

    S400 = "400"
    S400_CONTEXT = "400-context"
    S401 = "401"
    S402 = "402"
    S403 = "403"
    S404 = "404"
    S408 = "408"
    S413 = "413"
    S429 = "429"
    S429_QUOTA = "429-quota"
    S500 = "500"
    S502 = "502"
    S503 = "503"
    S504 = "504"
    S520 = "520"
    S529 = "529"
    OOM_OLLAMA = "oom-ollama"
    OOM_LLAMACPP = "oom-llamacpp"
    OOM_VLLM = "oom-vllm"
    REFUSE = "refuse"
    HANG_HEADERS = "hang-headers"
    HANG_FIRST = "hang-first"
    HANG = "hang"
    HOLD = "hold"
    CUT = "cut"
    CUT_RST = "cut-rst"
    CUT_MID = "cut-mid"
    ERROR_ONLY = "error-only"
    ERROR_FIRST = "error-first"
    ERROR_MID = "error-mid"
    FAILED = "failed"
    MALFORMED = "malformed"
    HTML = "html"
    EMPTY = "empty"
    GZIP = "gzip"
    REDIRECT = "redirect"
    NO_USAGE = "no-usage"
    USAGE_ON_LAST = "usage-on-last"
    USAGE_EVERY = "usage-every"
    NO_DONE = "no-done"
    DRIP = "drip"
    BIG_FRAME = "big-frame"
    CRLF = "crlf"
    COMMENTS = "comments"
    LONG_LENGTH = "long-length"
    PAST_MAXIMUM = "past-maximum"


class FaultInfo(msgspec.Struct, frozen=True, gc=False):
    """One row of the table: what a stream does, what a unary answer does, and the options it reads."""

    fault: Fault
    stream: str
    unary: str = "the same"
    options: str = ""


_AFTER = "after (content frames before it; default 1)"
_STATUS = "status {} with the vendor's body, before any frame"
_HALF = "head and half of the body, then the same"
_NONE = "no effect"
_ERROR_BODY = "a 200 whose body is the vendor's error"

TABLE: tuple[FaultInfo, ...] = (
    FaultInfo(Fault.S400, _STATUS.format(400)),
    FaultInfo(Fault.S400_CONTEXT, "status 400, the prompt is longer than the model's context"),
    FaultInfo(Fault.S401, _STATUS.format(401)),
    FaultInfo(Fault.S402, "status 402, no balance left"),
    FaultInfo(Fault.S403, _STATUS.format(403)),
    FaultInfo(Fault.S404, "status 404, the model does not exist"),
    FaultInfo(Fault.S408, _STATUS.format(408)),
    FaultInfo(Fault.S413, _STATUS.format(413)),
    FaultInfo(Fault.S429, "status 429, rate limit, with Retry-After", options="retry_after (default 1; none)"),
    FaultInfo(Fault.S429_QUOTA, "status 429, the quota is used up, without Retry-After"),
    FaultInfo(Fault.S500, _STATUS.format(500), options="retry_after"),
    FaultInfo(Fault.S502, "status 502 with an HTML page, as proxies send it", options="retry_after"),
    FaultInfo(Fault.S503, _STATUS.format(503), options="retry_after"),
    FaultInfo(Fault.S504, "status 504 with an HTML page", options="retry_after"),
    FaultInfo(Fault.S520, "status 520 with an HTML page, as Cloudflare sends it", options="retry_after"),
    FaultInfo(Fault.S529, "status 529, overloaded (Anthropic's own)", options="retry_after"),
    FaultInfo(Fault.OOM_OLLAMA, "status 500, out of memory as Ollama says it"),
    FaultInfo(Fault.OOM_LLAMACPP, "status 500, out of memory as llama.cpp says it"),
    FaultInfo(Fault.OOM_VLLM, "status 500, out of memory as vLLM says it"),
    FaultInfo(Fault.REFUSE, "the connection is reset before any byte of an answer"),
    FaultInfo(Fault.HANG_HEADERS, "no byte of an answer, the connection stays open"),
    FaultInfo(Fault.HANG_FIRST, "the head, then nothing, the connection stays open"),
    FaultInfo(Fault.HANG, "stands still after N frames, the connection stays open", _HALF, _AFTER),
    FaultInfo(
        Fault.HOLD,
        "stands still after N frames until POST /_sim/release",
        "waits before the head until POST /_sim/release",
        _AFTER,
    ),
    FaultInfo(Fault.CUT, "closes after N frames, without the end of the body", _HALF, _AFTER),
    FaultInfo(Fault.CUT_RST, "resets the connection (TCP RST) after N frames", _HALF, _AFTER),
    FaultInfo(Fault.CUT_MID, "closes in the middle of the frame after N frames", _HALF, _AFTER),
    FaultInfo(Fault.ERROR_ONLY, "a 200 whose first frame is the vendor's error", _ERROR_BODY),
    FaultInfo(Fault.ERROR_FIRST, "an error frame after the preamble, before content", _ERROR_BODY),
    FaultInfo(Fault.ERROR_MID, "an error frame after N content frames", _ERROR_BODY, _AFTER),
    FaultInfo(Fault.FAILED, "Responses: response.failed after N frames; else error-mid", _ERROR_BODY, _AFTER),
    FaultInfo(
        Fault.MALFORMED,
        "broken JSON and a line that is no SSE after N frames, then the end of the body",
        "a body cut short of its JSON, its length right",
        _AFTER,
    ),
    FaultInfo(Fault.HTML, "a 200 with an HTML page"),
    FaultInfo(Fault.EMPTY, "a 200 without a body"),
    FaultInfo(Fault.GZIP, "a gzip-encoded body though nobody asked"),
    FaultInfo(Fault.REDIRECT, "status 307 to another host", options="to (Location)"),
    FaultInfo(Fault.NO_USAGE, "no usage anywhere, though asked for"),
    FaultInfo(
        Fault.USAGE_ON_LAST,
        "chat, completions: usage rides on the last content frame, which also ends",
        _NONE,
    ),
    FaultInfo(Fault.USAGE_EVERY, "chat, completions: cumulative usage on every frame", _NONE),
    FaultInfo(Fault.NO_DONE, "no terminal frame ([DONE], message_stop, response.completed)", _NONE),
    FaultInfo(Fault.DRIP, "one byte at a time, each in a chunk of its own"),
    FaultInfo(Fault.BIG_FRAME, "the first content frame has a field of 20 MB", "the body has it", "size (bytes)"),
    FaultInfo(Fault.CRLF, "lines end in CR LF", _NONE),
    FaultInfo(Fault.COMMENTS, "an SSE comment before every frame", _NONE),
    FaultInfo(Fault.LONG_LENGTH, "Content-Length says 100 bytes more than come, then the connection closes"),
    FaultInfo(Fault.PAST_MAXIMUM, "the request's output maximum is not heeded"),
)

STATUS: dict[Fault, int] = {fault: int(fault.value[:3]) for fault in Fault if fault.value[:3].isdecimal()} | {
    Fault.OOM_OLLAMA: 500,
    Fault.OOM_LLAMACPP: 500,
    Fault.OOM_VLLM: 500,
}
"""Faults that answer with an error status; nothing is generated or billed."""
