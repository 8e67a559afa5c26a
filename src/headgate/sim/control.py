"""The control API under /_sim: queue faults, look at what came and what it would have cost."""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from headgate.sim.ask import Json
from headgate.sim.bill import Bill
from headgate.sim.directive import FaultQueue, Queued, parse_options
from headgate.sim.faults import TABLE
from headgate.sim.record import SimRequest
from headgate.sim.script import Reply, json_reply
from headgate.sim.threads import Threads

_PREFIX = "/_sim"


class Vendor(Protocol):
    """What the control API sees and changes of the simulated vendor."""

    faults: FaultQueue
    bill: Bill
    requests: deque[SimRequest]
    threads: Threads

    def release(self) -> None:
        """Let every answer that is held go on."""


def owns(path: str) -> bool:
    """Return whether a path belongs to the control API."""
    return path == _PREFIX or path.startswith(_PREFIX + "/")


def reply(vendor: Vendor, method: str, path: str, body: bytes) -> Reply:
    """Answer a request of the control API; errors are {"error": words} with 400 or 404."""
    handler = _HANDLERS.get((method, path.partition("?")[0]))
    if handler is None:
        known = ", ".join(f"{verb} {place}" for verb, place in _HANDLERS)
        return json_reply(404, {"error": f"no {method} {path}; there are {known}"})
    try:
        return json_reply(200, handler(vendor, body))
    except ValueError as error:
        return json_reply(400, {"error": str(error)})


def queue(body: Any) -> Queued:
    """Read {"fault": name, "times": 1, "match": {"model": …, "endpoint": …}, …options of a directive}.

    Raises ValueError for what is not known.
    """
    if not isinstance(body, dict):
        raise ValueError("sim: the body must be a JSON object")  # noqa: TRY004 - an answer, not a bug
    options = {key: str(value) for key, value in body.items() if key not in ("times", "match")}
    match = body.get("match") or {}
    times = body.get("times", 1)
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise ValueError("sim: times must be a number of requests, at least 1")
    if not isinstance(match, dict) or not set(match) <= {"model", "endpoint"}:
        raise ValueError("sim: match may hold model and endpoint")
    return Queued(parse_options(options), times, str(match.get("model", "")), str(match.get("endpoint", "")))


def _add(vendor: Vendor, body: bytes) -> Json:
    try:
        entry = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"sim: no JSON: {error}") from error
    for one in entry if isinstance(entry, list) else [entry]:
        vendor.faults.add(queue(one))
    return {"waiting": vendor.faults.waiting}


def _clear(vendor: Vendor, _body: bytes) -> Json:
    vendor.faults.clear()
    return {"waiting": []}


def _waiting(vendor: Vendor, _body: bytes) -> Json:
    return {"waiting": vendor.faults.waiting, "table": TABLE}


def _requests(vendor: Vendor, _body: bytes) -> Json:
    return {"requests": [record.public() for record in vendor.requests]}


def _forget(vendor: Vendor, _body: bytes) -> Json:
    vendor.requests.clear()
    return {"requests": []}


def _lose(vendor: Vendor, _body: bytes) -> Json:
    vendor.threads.clear()
    return {"threads": []}


def _bill(vendor: Vendor, _body: bytes) -> Json:
    return {"models": vendor.bill.by_model, "usage": vendor.bill.usage, "lines": len(vendor.bill.lines)}


def _release(vendor: Vendor, _body: bytes) -> Json:
    vendor.release()
    return {"released": True}


_HANDLERS: dict[tuple[str, str], Callable[[Vendor, bytes], Json]] = {
    ("GET", "/_sim/faults"): _waiting,
    ("POST", "/_sim/faults"): _add,
    ("DELETE", "/_sim/faults"): _clear,
    ("GET", "/_sim/requests"): _requests,
    ("DELETE", "/_sim/requests"): _forget,
    ("DELETE", "/_sim/threads"): _lose,
    ("GET", "/_sim/bill"): _bill,
    ("POST", "/_sim/release"): _release,
}
