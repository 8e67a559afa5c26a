"""The data plane's routes in one table, and what happens at the door: path, key, body, then the call."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import unquote

import structlog

from headgate.model.dialect import Endpoint
from headgate.model.errors import FUTILE, ErrorKind, HeadgateError
from headgate.protocols.codec import codec_for
from headgate.runtime.call import Call
from headgate.runtime.gate import Gate
from headgate.runtime.transport import ClientLeft, Headers, Transport
from headgate.surfaces.data import answers
from headgate.surfaces.data import limits as standing
from headgate.surfaces.data.body import read_body

log = structlog.get_logger("headgate.data")

JSON: Headers = [("content-type", "application/json")]
NAMED: Headers = [*JSON, ("server", "headgate")]
"""For lists of models and refusals: another Headgate that looks for local servers must know this one."""
PREFIX = "/v1/"

Handler = Callable[["DataPlane", Transport], Awaitable[None]]


class DataPlane:
    """One worker's API. `usage` and `limits` answer what a key has used and has left, without SQL on this thread."""

    def __init__(self, gate: Gate, usage: answers.UsageQuery, limits: standing.LimitsQuery) -> None:
        self.gate = gate
        self.usage = usage
        self.limits = limits

    async def handle(self, transport: Transport) -> None:
        """Answer one request. Never raises but on cancellation."""
        try:
            await self._handler(transport)(self, transport)
        except HeadgateError as error:
            self.gate.metrics.refuse(error.kind.value)
            refuse(transport, error)
        except ClientLeft:
            return
        except Exception:  # the edge of a request's task: whatever breaks, the others go on
            log.exception("a request broke", path=transport.path[:200])
            refuse(
                transport, HeadgateError(ErrorKind.INTERNAL_ERROR, "The gateway broke on this request; see its log.")
            )

    def _handler(self, transport: Transport) -> Handler:
        path = transport.path
        methods = ROUTES.get(path)
        if methods is None:
            if path.startswith("/v1/models/"):
                methods = {"GET": model}
            else:
                raise HeadgateError(ErrorKind.PATH_NOT_FOUND, f"No such path. There are: {', '.join(ROUTES)}.")
        handler = methods.get(transport.method)
        if handler is None:
            raise HeadgateError(ErrorKind.METHOD_NOT_ALLOWED, f"{path} takes {', '.join(methods)}.")
        return handler


def secret_of(transport: Transport) -> str | None:
    """Return the key that a request carries, in either of the two headers of the vendors."""
    bearer = transport.header("authorization")
    if bearer is not None:
        scheme, _, secret = bearer.partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else bearer
    return transport.header("x-api-key")


def refuse(transport: Transport, error: HeadgateError, call_id: str | None = None) -> None:
    """Answer an error that is no call's, in the dialect of the path."""
    headers = list(NAMED)
    if error.retry_after is not None:
        headers.append(("retry-after", str(error.retry_after)))
    if error.kind in FUTILE:
        headers.append(("x-should-retry", "false"))
    if error.kind is ErrorKind.METHOD_NOT_ALLOWED:
        headers.append(("allow", ", ".join(ROUTES.get(transport.path, {"GET": None}))))
    transport.answer(error.status, headers, codec_for(_dialect_of(transport)).encode_error(error, call_id))


def _dialect_of(transport: Transport) -> Endpoint:
    path = transport.path
    if path.startswith("/v1/messages") or transport.header("anthropic-version") is not None:
        return Endpoint.MESSAGES
    return Endpoint.RESPONSES if path.startswith("/v1/responses") else Endpoint.CHAT


def calls(endpoint: Endpoint) -> Handler:
    """Return the handler of an endpoint that goes upstream."""

    def handler(plane: DataPlane, transport: Transport) -> Coroutine[Any, Any, None]:
        gate = plane.gate
        principal = gate.identify(secret_of(transport))
        gate.admit()
        return Call(gate, transport, endpoint, principal).serve(read_body(transport, gate.terms.settings.max_body))

    return handler


async def models(plane: DataPlane, transport: Transport) -> None:
    """List what this key may ask for, in the form of the vendor whose client asks."""
    principal = plane.gate.identify(secret_of(transport))
    listed = answers.models(plane.gate.terms.catalog, principal, anthropic=_speaks_anthropic(transport))
    transport.answer(200, NAMED, listed)


async def model(plane: DataPlane, transport: Transport) -> None:
    """Describe one model that this key may ask for."""
    principal = plane.gate.identify(secret_of(transport))
    name = unquote(transport.path.removeprefix("/v1/models/"))
    one = answers.model(plane.gate.terms.catalog, principal, name, anthropic=_speaks_anthropic(transport))
    transport.answer(200, JSON, one)


async def usage(plane: DataPlane, transport: Transport) -> None:
    """Say what this key has used."""
    principal = plane.gate.identify(secret_of(transport))
    transport.answer(200, JSON, await answers.usage(plane.usage, principal, transport.query, plane.gate.clock.wall()))


async def limits(plane: DataPlane, transport: Transport) -> None:
    """Say how this key's limits stand."""
    principal = plane.gate.identify(secret_of(transport))
    transport.answer(200, JSON, standing.encoded(await plane.limits(principal, plane.gate.clock.wall())))


async def healthz(_plane: DataPlane, transport: Transport) -> None:
    """Say that the process lives."""
    transport.answer(200, JSON, b'{"status":"ok"}')


async def readyz(plane: DataPlane, transport: Transport) -> None:
    """Say whether a call would be let in."""
    plane.gate.admit()
    transport.answer(200, JSON, b'{"status":"ready"}')


def _speaks_anthropic(transport: Transport) -> bool:
    return codec_for(_dialect_of(transport)) is codec_for(Endpoint.MESSAGES)


ROUTES: dict[str, dict[str, Handler]] = {
    **{PREFIX + endpoint.value: {"POST": calls(endpoint)} for endpoint in Endpoint},
    "/v1/models": {"GET": models},
    "/v1/usage": {"GET": usage},
    "/v1/limits": {"GET": limits},
    "/": {"GET": healthz, "HEAD": healthz},
    "/healthz": {"GET": healthz, "HEAD": healthz},
    "/readyz": {"GET": readyz, "HEAD": readyz},
}
