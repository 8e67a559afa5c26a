"""From an HTTP request to a handler and back: guard, path, method, query, body, errors."""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from headgate.ledger.errors import LedgerError
from headgate.surfaces.admin.asking import read_body, read_query
from headgate.surfaces.admin.errors import Refused, refusal_of_ledger
from headgate.surfaces.admin.guard import Guard
from headgate.surfaces.admin.openapi import describe
from headgate.surfaces.admin.plane import Asked, Plane, Reply
from headgate.surfaces.admin.table import Entry

log = structlog.get_logger("headgate.admin")

MAX_BODY = 64 * 1024
BODY_TIMEOUT = 10.0
"""Seconds for a whole body to arrive."""
DESCRIPTION = "/openapi.json"
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""On every answer: what stands there is secret or changes, and is what it says it is."""


class AdminApp:
    """The ASGI application. `cancel` ends what is being answered."""

    def __init__(self, plane: Plane, table: Sequence[Entry]) -> None:
        self._guard = Guard(plane.settings)
        self._running: set[asyncio.Task[object]] = set()

        async def description(_plane: Plane, _asked: Asked) -> Reply:
            """This description."""
            return Reply(document)

        described = (*table, Entry("GET", DESCRIPTION, description))
        document = msgspec.json.encode(describe(described))
        paths: dict[str, dict[str, Entry]] = {}
        for entry in described:
            paths.setdefault(entry.path, {})[entry.method] = entry
        # An account's name may hold a slash.
        routes = [
            Route(path.replace("{name}", "{name:path}"), Resource(plane, entries)) for path, entries in paths.items()
        ]
        self._router = Router(routes, redirect_slashes=False, default=_not_found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            self._guard.check(scope["method"], scope["path"], scope["headers"])
        except Refused as refused:
            await _refuse(refused)(scope, receive, send)
        else:
            await self._router(scope, receive, send)
        finally:
            self._running.discard(task)

    def cancel(self) -> None:
        """End all requests that are not answered yet."""
        for task in self._running:
            task.cancel()


class Resource:
    """One path and its methods."""

    def __init__(self, plane: Plane, entries: dict[str, Entry]) -> None:
        self._plane = plane
        self._entries = entries
        self._allowed = ", ".join(sorted({*entries, *(("HEAD",) if "GET" in entries else ())}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as refused:
            response = _refuse(refused)
        except LedgerError as error:
            response = _refuse(refusal_of_ledger(error))
        except ClientDisconnect:
            return
        except Exception:  # the edge of a request: what a handler did not foresee is ours, not the client's
            log.exception("an admin request failed", method=request.method, path=request.scope["path"])
            response = _refuse(Refused(500, "internal_error", "Headgate failed at this; its log says how."))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        entry = self._entries.get(method)
        if entry is None:
            raise Refused(
                405,
                "method_not_allowed",
                f"{request.scope['path']} answers to {self._allowed} only.",
                headers={"allow": self._allowed},
            )
        now = self._plane.clock.wall()
        query = read_query(entry.query, request.scope["query_string"], now)
        body = None if entry.body is None else read_body(entry.body, await _body(request))
        answer = await entry.handler(self._plane, Asked(query, request.path_params, body, now))
        if entry.method != "GET":
            log.info("admin plane", method=entry.method, path=request.scope["path"], status=answer.status)
        return Response(answer.body, answer.status, HEADERS, answer.content_type)


async def _body(request: Request) -> bytes:
    """Return the body. Raises Refused for one that is too large or does not arrive."""
    chunks = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                chunks += chunk
                if len(chunks) > MAX_BODY:
                    raise Refused(
                        413,
                        "request_too_large",
                        f"A body may have {MAX_BODY} bytes at most.",
                        headers={"connection": "close"},
                    )
    except TimeoutError:
        raise Refused(
            408, "request_timeout", "The body did not arrive in time; send it whole.", headers={"connection": "close"}
        ) from None
    return bytes(chunks)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    message = f"There is nothing at this path; GET {DESCRIPTION} tells what there is."
    await _refuse(Refused(404, "not_found", message))(scope, receive, send)


def _refuse(refused: Refused) -> Response:
    return Response(refused.body(), refused.status, HEADERS | refused.headers, "application/json")
