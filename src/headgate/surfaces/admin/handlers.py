"""The handlers of the admin plane: each asks one part of the program and shows what it said.

Their docstrings are the summaries of the OpenAPI description.
"""

import msgspec
from sqlalchemy import Connection

from headgate import __version__
from headgate.config.problems import ConfigError
from headgate.ledger import keys as key_store
from headgate.ledger.keys import UNCHANGED, KeyInfo, NewKey, Unchanged
from headgate.ledger.views import Filter, GroupBy
from headgate.surfaces import shown
from headgate.surfaces.admin import prometheus
from headgate.surfaces.admin.asking import NewKeyBody, RotateBody, UpdateKeyBody, duration_of
from headgate.surfaces.admin.errors import Refused, refusal_of_config
from headgate.surfaces.admin.plane import Asked, Plane, Reply, reply

_SECOND_NS = 1_000_000_000


async def health(_plane: Plane, _asked: Asked) -> Reply:
    """The supervisor lives; no token needed."""
    return reply({"status": "ok"})


async def readiness(plane: Plane, _asked: Asked) -> Reply:
    """All workers serve and nothing drains, or 503; no token needed."""
    ready = sum(bool(worker["ready"]) for worker in plane.supervisor.workers())
    if plane.supervisor.draining:
        return reply({"status": "draining"}, 503)
    if ready < plane.settings.workers:
        return reply({"status": "starting"}, 503)
    return reply({"status": "ready"})


async def status(plane: Plane, _asked: Asked) -> Reply:
    """Version, uptime, workers, configuration and ledger."""
    path = plane.configuration.compiled.settings.config_path
    return reply(
        {
            "version": __version__,
            "uptime_s": (plane.clock.mono() - plane.born) // _SECOND_NS,
            "draining": plane.supervisor.draining,
            "workers_wanted": plane.settings.workers,
            "workers": plane.supervisor.workers(),
            "config": {"path": path, "fingerprint": plane.configuration.compiled.fingerprint},
            "ledger": plane.ledger.url.shown,
        }
    )


async def metrics(plane: Plane, _asked: Asked) -> Reply:
    """Counters in Prometheus' text format."""
    page = prometheus.exposition(plane.supervisor, plane.settings.workers, await plane.totals.get())
    return Reply(page, content_type=prometheus.CONTENT_TYPE)


async def routes(plane: Plane, _asked: Asked) -> Reply:
    """Routes known at load, with prices in USD per million tokens; null: nobody knows."""
    providers = plane.configuration.compiled.catalog.providers
    listed = [
        shown.route(route)
        for _, provider in sorted(providers.items())
        for _, backends in sorted(provider.routes.items())
        for route in backends
    ]
    return reply({"routes": listed})


async def reload(plane: Plane, _asked: Asked) -> Reply:
    """Read the configuration again; a bad one is refused and the running one stays."""
    try:
        compiled = await plane.configuration.reload()
    except (ConfigError, OSError) as error:
        raise refusal_of_config(error) from None
    return reply({"fingerprint": compiled.fingerprint, "path": compiled.settings.config_path})


async def calls(plane: Plane, asked: Asked) -> Reply:
    """Calls, newest first."""
    query = dict(asked.query)
    limit = query.pop("limit")
    reader = plane.ledger.reader()
    found = await plane.in_thread(reader.calls, Filter(**query), limit=limit)
    return reply({"calls": [shown.call(row) for row in found]})


async def one_call(plane: Plane, asked: Asked) -> Reply:
    """One call with its attempts, corrections and facts."""
    call_id = key_store.valid_name(asked.path["id"], "the call's id")
    found = await plane.in_thread(plane.ledger.reader().call, call_id)
    if found is None:
        raise Refused(404, "not_found", f"There is no call {call_id!r}; GET /calls lists those that there are.")
    return reply(shown.call_whole(found))


async def usage(plane: Plane, asked: Asked) -> Reply:
    """Sums of calls, tokens, cost and savings by group."""
    by = asked.query["by"]
    where = {name: value for name, value in asked.query.items() if name != "by"}
    found = await plane.in_thread(plane.ledger.reader().usage, GroupBy(by), Filter(**where))
    return reply(
        {
            "by": by,
            "since": shown.moment(asked.query["since"]),
            "groups": [shown.usage(by, row) for row in found],
            "total": shown.usage_total(found),
        }
    )


async def list_keys(plane: Plane, asked: Asked) -> Reply:
    """Keys, revoked ones too; never a secret."""
    reader = plane.ledger.reader()
    found = await plane.in_thread(reader.keys, asked.now, asked.query["account"])
    return reply({"keys": [shown.key(info, asked.now) for info in found]})


async def create_key(plane: Plane, asked: Asked) -> Reply:
    """Create a key; its secret is in this answer and nowhere else."""
    body: NewKeyBody = asked.body
    end = None if body.expires is None else asked.now + duration_of("expires", body.expires, least=1)

    def create(connection: Connection) -> NewKey:
        return key_store.create_key(
            connection,
            account=body.account,
            name=body.name,
            now=asked.now,
            allowed_models=body.models,
            expires_at=end,
        )

    made = await plane.change(create)
    return reply(shown.new_key(made, expires_at=end), 201)


async def update_key(plane: Plane, asked: Asked) -> Reply:
    """Change the models a key may use, or when it ends."""
    body: UpdateKeyBody = asked.body
    key = _key_id(asked)
    models = UNCHANGED if body.models is msgspec.UNSET else body.models
    end: int | Unchanged | None = UNCHANGED
    if body.expires is not msgspec.UNSET:
        end = None if body.expires is None else asked.now + duration_of("expires", body.expires, least=1)

    def update(connection: Connection) -> KeyInfo:
        key_store.update_key(connection, key, allowed_models=models, expires_at=end)
        return next(info for info in key_store.list_keys(connection, now=asked.now) if info.id == key)

    return reply(shown.key(await plane.change(update), asked.now))


async def rotate_key(plane: Plane, asked: Asked) -> Reply:
    """Give a key a new secret; the old one works on for `grace`."""
    body: RotateBody = asked.body
    grace = duration_of("grace", body.grace)
    key = _key_id(asked)

    def rotate(connection: Connection) -> NewKey:
        return key_store.rotate_key(connection, key, now=asked.now, grace=grace)

    made = await plane.change(rotate)
    return reply(shown.new_key(made, old_until=asked.now + grace))


async def revoke_key(plane: Plane, asked: Asked) -> Reply:
    """Make a key void at once, with all its secrets."""
    key = _key_id(asked)

    def revoke(connection: Connection) -> None:
        key_store.revoke_key(connection, key, now=asked.now)

    await plane.change(revoke)
    return reply({"id": key, "state": "revoked"})


def _key_id(asked: Asked) -> str:
    return key_store.valid_name(asked.path["id"], "the key's id")
