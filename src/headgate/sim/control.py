"""The control API under /_sim: queue faults, look at what came and what it would have cost."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from headgate.sim.ask import Json
from headgate.sim.directive import Queued, parse_options
from headgate.sim.faults import TABLE
from headgate.sim.script import Reply, json_reply

if TYPE_CHECKING:
    from headgate.sim.brain import Brain

_PREFIX = "/_sim"


def owns(path: str) -> bool:
    """Return whether a path belongs to the control API."""
    return path == _PREFIX or path.startswith(_PREFIX + "/")


def reply(brain: "Brain", method: str, path: str, body: bytes) -> Reply:
    """Answer a request of the control API; errors are {"error": words} with 400 or 404."""
    handler = _HANDLERS.get((method, path.partition("?")[0]))
    if handler is None:
        known = ", ".join(f"{verb} {place}" for verb, place in _HANDLERS)
        return json_reply(404, {"error": f"no {method} {path}; there are {known}"})
    try:
        return json_reply(200, handler(brain, body))
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


def _add(brain: "Brain", body: bytes) -> Json:
    try:
        entry = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"sim: no JSON: {error}") from error
    for one in entry if isinstance(entry, list) else [entry]:
        brain.faults.add(queue(one))
    return {"waiting": brain.faults.waiting}


def _clear(brain: "Brain", _body: bytes) -> Json:
    brain.faults.clear()
    return {"waiting": []}


def _waiting(brain: "Brain", _body: bytes) -> Json:
    return {"waiting": brain.faults.waiting, "table": TABLE}


def _requests(brain: "Brain", _body: bytes) -> Json:
    return {"requests": [record.public() for record in brain.requests]}


def _forget(brain: "Brain", _body: bytes) -> Json:
    brain.requests.clear()
    return {"requests": []}


def _bill(brain: "Brain", _body: bytes) -> Json:
    return {"models": brain.bill.by_model, "usage": brain.bill.usage, "lines": len(brain.bill.lines)}


def _release(brain: "Brain", _body: bytes) -> Json:
    brain.release()
    return {"released": True}


_HANDLERS: dict[tuple[str, str], Callable[["Brain", bytes], Json]] = {
    ("GET", "/_sim/faults"): _waiting,
    ("POST", "/_sim/faults"): _add,
    ("DELETE", "/_sim/faults"): _clear,
    ("GET", "/_sim/requests"): _requests,
    ("DELETE", "/_sim/requests"): _forget,
    ("GET", "/_sim/bill"): _bill,
    ("POST", "/_sim/release"): _release,
}
