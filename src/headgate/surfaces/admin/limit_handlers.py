"""The handlers of accounts and limits. Their docstrings are the summaries of the OpenAPI description."""

from typing import Any

from sqlalchemy import Connection

from headgate.ledger import accounts as account_store
from headgate.ledger import limits as limit_store
from headgate.ledger.accounts import Account
from headgate.ledger.engine import Ledger
from headgate.ledger.keys import valid_name
from headgate.ledger.limit_views import fullest, key_names, of_account, standings
from headgate.ledger.tables import limits as limits_table
from headgate.model.limit import Limit, Scope
from headgate.surfaces import shown_limits
from headgate.surfaces.admin.asking import AccountBody, LimitBody, limit_of_body
from headgate.surfaces.admin.errors import Refused, invalid
from headgate.surfaces.admin.plane import Asked, Plane, Reply, reply

MOST_OF_ONE = 100
"""Balances of one limit that are told with it."""
_ID_DIGITS = 19


async def list_accounts(plane: Plane, _asked: Asked) -> Reply:
    """Accounts by name."""

    def read() -> list[Account]:
        with plane.ledger.reader().connection() as connection:
            return account_store.list_accounts(connection)

    return reply({"accounts": [shown_limits.account(account) for account in await plane.in_thread(read)]})


async def create_account(plane: Plane, asked: Asked) -> Reply:
    """Create an account; creating a key does so too."""
    body: AccountBody = asked.body

    def create(connection: Connection) -> Account:
        account_store.create_account(connection, body.name, now=asked.now)
        return account_store.get_account(connection, body.name)

    return reply(shown_limits.account(await plane.change(create)), 201)


async def one_account(plane: Plane, asked: Asked) -> Reply:
    """One account: its keys, how its limits and theirs stand, what it spent in all and this UTC day."""
    name = valid_name(asked.path["name"], "the account's name")

    def read() -> dict[str, Any]:
        reader = plane.ledger.reader()
        with reader.connection() as connection:
            account = account_store.get_account(connection, name)
            stand = standings(connection, of_account(connection, name), asked.now)
        balances = reader.balances("account", name, since=asked.now)
        return shown_limits.account_whole(account, reader.keys(asked.now, name), stand, balances, asked.now)

    return reply(await plane.in_thread(read))


async def list_limits(plane: Plane, _asked: Asked) -> Reply:
    """Limits in force, those of the configuration file too."""

    def read() -> list[Limit]:
        with plane.ledger.reader().connection() as connection:
            return limit_store.list_limits(connection)

    return reply({"limits": [shown_limits.limit(limit) for limit in await plane.in_thread(read)]})


async def top_limits(plane: Plane, asked: Asked) -> Reply:
    """How limits stand, the fullest first; of sessions those that have spent something."""
    found = await plane.in_thread(_stand, plane.ledger, asked.now, asked.query["limit"])
    return reply({"limits": found})


async def one_limit(plane: Plane, asked: Asked) -> Reply:
    """One limit in force, and how it stands for whom: the fullest hundred."""
    limit_id = _limit_id(asked)

    def read() -> dict[str, Any]:
        with plane.ledger.reader().connection() as connection:
            limit = limit_store.get_limit(connection, limit_id)
        return {**shown_limits.limit(limit), "standings": _stand(plane.ledger, asked.now, MOST_OF_ONE, limit_id)}

    return reply(await plane.in_thread(read))


async def set_limit(plane: Plane, asked: Asked) -> Reply:
    """Set a limit, or change the cap and clamp of the one that is there; it counts what its window has seen before."""
    body: LimitBody = asked.body
    wanted = limit_of_body(body)
    known = plane.configuration.compiled.catalog.providers
    if wanted.scope is Scope.PROVIDER and wanted.name not in known:
        raise Refused(404, "not_found", f"There is no provider {wanted.name!r}; known: {', '.join(known) or 'none'}.")

    def write(connection: Connection) -> Limit:
        limit_store.check_owner(connection, wanted)
        return limit_store.set_limit(connection, wanted, asked.now)

    return reply(shown_limits.limit(await plane.change(write)))


async def remove_limit(plane: Plane, asked: Asked) -> Reply:
    """Put a limit out of force; what it has counted is kept."""
    limit_id = _limit_id(asked)

    def remove(connection: Connection) -> None:
        limit_store.remove_limit(connection, limit_id, asked.now)

    await plane.change(remove)
    return reply({"id": limit_id, "state": "removed"})


def _stand(ledger: Ledger, now: int, most: int, limit: int | None = None) -> list[dict[str, Any]]:
    where = [] if limit is None else [limits_table.c.id == limit]
    with ledger.reader().connection() as connection:
        found = fullest(connection, now, most, *where)
        of_keys = (standing.subject for standing in found if standing.limit.scope is Scope.KEY)
        names = key_names(connection, of_keys)
    return [shown_limits.standing(standing, names) for standing in found]


def _limit_id(asked: Asked) -> int:
    text = asked.path["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
        raise invalid("The id of a limit is a whole number; GET /limits lists them.")
    return int(text)
