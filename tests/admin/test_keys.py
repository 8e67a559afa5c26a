"""Keys over the admin plane, on both engines."""

import asyncio
from typing import Any

import pytest
from tests.admin.client import Client

from headgate.ledger.engine import Ledger
from headgate.ledger.keys import hash_secret
from headgate.runtime.clock import SYSTEM


async def create(client: Client, **body: Any) -> dict[str, Any]:
    answer = await client.ask("POST", "/keys", body)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json
    return made


def works(ledger: Ledger, secret: str) -> bool:
    return hash_secret(secret) in ledger.reader().identities(SYSTEM.wall())[1]


async def test_a_key_is_created_listed_rotated_and_revoked(any_client: Client, ledger: Ledger) -> None:
    made = await create(any_client, name="ci", account="acme", models=["claude-*"], expires="30d")
    assert works(ledger, made["key"])
    [listed] = (await any_client.get("/keys?account=acme")).json["keys"]
    assert listed["id"] == made["id"]
    assert (listed["state"], listed["models"], listed["expires_at"]) == ("active", ["claude-*"], made["expires_at"])
    assert made["key"] not in str(listed)

    turned = await any_client.ask("POST", f"/keys/{made['id']}/rotate", {"grace": "1h"})
    assert turned.status == 200
    assert turned.json["id"] == made["id"]
    assert works(ledger, made["key"])
    assert works(ledger, turned.json["key"])

    gone = await any_client.ask("DELETE", f"/keys/{made['id']}")
    assert (gone.status, gone.json) == (200, {"id": made["id"], "state": "revoked"})
    assert not works(ledger, made["key"])
    assert not works(ledger, turned.json["key"])
    assert (await any_client.get("/keys")).json["keys"][0]["state"] == "revoked"
    assert (await any_client.get("/keys?account=other")).json == {"keys": []}


async def test_rotation_without_grace_ends_the_old_secret_at_once(client: Client, sqlite_ledger: Ledger) -> None:
    made = await create(client, name="ci")
    turned = await client.ask("POST", f"/keys/{made['id']}/rotate", {"grace": "0s"})
    assert not works(sqlite_ledger, made["key"])
    assert works(sqlite_ledger, turned.json["key"])


async def test_rotation_with_no_body_takes_the_usual_grace(client: Client, sqlite_ledger: Ledger) -> None:
    made = await create(client, name="ci")
    assert (await client.ask("POST", f"/keys/{made['id']}/rotate")).status == 200
    assert works(sqlite_ledger, made["key"])


async def test_revoking_twice_is_harmless(client: Client) -> None:
    made = await create(client, name="ci")
    for _ in range(2):
        assert (await client.ask("DELETE", f"/keys/{made['id']}")).status == 200


async def test_a_name_taken_is_a_conflict(any_client: Client) -> None:
    await create(any_client, name="ci")
    answer = await any_client.ask("POST", "/keys", {"name": "ci"})
    assert (answer.status, answer.code) == (409, "name_taken")


async def test_of_many_that_take_one_name_at_once_one_wins(any_client: Client) -> None:
    answers = await asyncio.gather(*(any_client.ask("POST", "/keys", {"name": "ci"}) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 7]
    assert len((await any_client.get("/keys")).json["keys"]) == 1


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/keys/key_x"), ("POST", "/keys/key_x/rotate")])
async def test_a_key_that_is_not_there(any_client: Client, method: str, path: str) -> None:
    answer = await any_client.ask(method, path)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": " x"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"name": "x", "nmae": "y"}',
        b'{"name": "x", "account": "anonymous"}',
        b'{"name": "x", "models": "claude"}',
        b'{"name": "x", "models": [""]}',
        b'{"name": "x", "expires": "soon"}',
        b'{"name": "x", "expires": "0s"}',
        b'{"name": "x", "expires": "-5m"}',
        b'{"name": "x", "expires": "99999999w"}',
        b'{"name": "' + b"n" * 300 + b'"}',
        b"[" * 30_000,
    ],
)
async def test_a_bad_body_is_refused_and_makes_nothing(client: Client, body: bytes) -> None:
    answer = await client.ask("POST", "/keys", body)
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.body
    assert (await client.get("/keys")).json == {"keys": []}


@pytest.mark.parametrize("grace", ["never", "", "1", "-1h"])
async def test_a_bad_grace_is_refused_and_turns_nothing(client: Client, sqlite_ledger: Ledger, grace: str) -> None:
    made = await create(client, name="ci")
    assert (await client.ask("POST", f"/keys/{made['id']}/rotate", {"grace": grace})).status == 400
    [listed] = (await client.get("/keys")).json["keys"]
    assert len(listed["prefixes"]) == 1


async def test_sql_in_a_name_is_only_a_name(any_client: Client) -> None:
    name = "x'); DROP TABLE keys; --"
    await create(any_client, name=name, account=name)
    assert (await any_client.get("/keys")).json["keys"][0]["name"] == name
    answer = await any_client.ask("DELETE", "/keys/'%20OR%20'1'='1")
    assert answer.status == 404
    assert (await any_client.get("/keys")).json["keys"][0]["state"] == "active"


async def test_a_ledger_that_cannot_be_reached_is_said(client: Client, sqlite_ledger: Ledger) -> None:
    sqlite_ledger.close()
    sqlite_ledger.url.sqlite_path.unlink()
    for method, path in (("GET", "/keys"), ("POST", "/keys"), ("GET", "/calls"), ("GET", "/usage")):
        answer = await client.ask(method, path, {"name": "x"} if method == "POST" else None)
        assert (answer.status, answer.code) == (503, "ledger_unavailable")
