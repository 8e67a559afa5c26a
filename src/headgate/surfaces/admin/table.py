"""The one table of routes: what is served, described and tested is what stands here."""

from collections.abc import Awaitable, Callable

import msgspec

from headgate.surfaces.admin import handlers, limit_handlers
from headgate.surfaces.admin.asking import (
    ACCOUNT,
    BY,
    KEY,
    LIMIT,
    MODEL,
    OUTCOME,
    AccountBody,
    Body,
    LimitBody,
    NewKeyBody,
    Param,
    RotateBody,
    UpdateKeyBody,
    since,
)
from headgate.surfaces.admin.plane import Asked, Plane, Reply

Handler = Callable[[Plane, Asked], Awaitable[Reply]]


class Entry(msgspec.Struct, frozen=True):
    """One method of one path. `{id}` in a path is one segment; `body` is None where none is read.

    `status` is that of success, `refuses` are those of errors beside 401 and 403.
    """

    method: str
    path: str
    handler: Handler
    query: tuple[Param, ...] = ()
    body: Body | None = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    content_type: str = "application/json"


TABLE: tuple[Entry, ...] = (
    Entry("GET", "/healthz", handlers.health),
    Entry("GET", "/readyz", handlers.readiness, refuses=(503,)),
    Entry("GET", "/status", handlers.status),
    Entry("GET", "/metrics", handlers.metrics, content_type="text/plain"),
    Entry("GET", "/routes", handlers.routes),
    Entry("POST", "/reload", handlers.reload, refuses=(400,)),
    Entry("GET", "/calls", handlers.calls, (LIMIT, since("all"), KEY, ACCOUNT, MODEL, OUTCOME), refuses=(400, 503)),
    Entry("GET", "/calls/{id}", handlers.one_call, refuses=(400, 404, 503)),
    Entry("GET", "/usage", handlers.usage, (BY, since("24h"), KEY, ACCOUNT, MODEL), refuses=(400, 503)),
    Entry("GET", "/keys", handlers.list_keys, (ACCOUNT,), refuses=(400, 503)),
    Entry("POST", "/keys", handlers.create_key, body=NewKeyBody, status=201, refuses=(400, 409, 413, 503)),
    Entry("POST", "/keys/{id}/rotate", handlers.rotate_key, body=RotateBody, refuses=(400, 404, 409, 413, 503)),
    Entry("PATCH", "/keys/{id}", handlers.update_key, body=UpdateKeyBody, refuses=(400, 404, 409, 413, 503)),
    Entry("DELETE", "/keys/{id}", handlers.revoke_key, refuses=(400, 404, 409, 503)),
    Entry("GET", "/accounts", limit_handlers.list_accounts, refuses=(503,)),
    Entry(
        "POST", "/accounts", limit_handlers.create_account, body=AccountBody, status=201, refuses=(400, 409, 413, 503)
    ),
    Entry("GET", "/accounts/{name}", limit_handlers.one_account, refuses=(400, 404, 503)),
    Entry("GET", "/limits", limit_handlers.list_limits, refuses=(503,)),
    Entry("PUT", "/limits", limit_handlers.set_limit, body=LimitBody, refuses=(400, 404, 409, 413, 503)),
    Entry("GET", "/limits/top", limit_handlers.top_limits, (LIMIT,), refuses=(400, 503)),
    Entry("GET", "/limits/{id}", limit_handlers.one_limit, refuses=(400, 404, 503)),
    Entry("DELETE", "/limits/{id}", limit_handlers.remove_limit, refuses=(400, 404, 409, 503)),
)
