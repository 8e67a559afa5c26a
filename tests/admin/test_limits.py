"""Accounts, limits and what keys may use over the admin plane, on both engines."""

from typing import Any

import pytest
from tests.admin.client import Client, Configuration, make_settings
from tests.admin.conftest import make_supervisor

from headgate.ledger.engine import Ledger
from headgate.ledger.limits import place
from headgate.ledger.tables import balances, limit_balances
from headgate.model.catalog import Catalog, CatalogProvider
from headgate.model.dialect import SERVED_BY, Kind
from headgate.model.limit import Limit, Scope, Unit
from headgate.model.price import FREE
from headgate.model.route import Provider, Route
from headgate.policy.windows import TOTAL
from headgate.surfaces.admin.server import AdminServer

USD = {"scope": "account", "name": "acme", "unit": "usd", "cap": "50", "per": "month", "zone": "Europe/Berlin"}


async def key_of(client: Client, account: str = "acme", name: str = "ci") -> str:
    answer = await client.ask("POST", "/keys", {"name": name, "account": account})
    return str(answer.json["id"])


async def put(client: Client, **body: Any) -> dict[str, Any]:
    answer = await client.ask("PUT", "/limits", body)
    assert answer.status == 200, answer.body
    made: dict[str, Any] = answer.json
    return made


async def test_a_limit_is_set_changed_told_and_removed(any_client: Client) -> None:
    await key_of(any_client)
    made = await put(any_client, **USD)
    assert made == {
        **USD,
        "id": made["id"],
        "account": "acme",
        "model": None,
        "clamp": False,
        "source": "store",
    }
    assert (await any_client.get("/limits")).json == {"limits": [made]}
    again = await put(any_client, **{**USD, "cap": 60, "clamp": True, "account": "acme"})
    assert again == made | {"cap": "60", "clamp": True}
    one = (await any_client.get(f"/limits/{made['id']}")).json
    [standing] = one.pop("standings")
    assert one == again
    assert (standing["subject"], standing["spent"], standing["left"]) == ({"account": "acme"}, "0", "60")
    assert standing["resets_at"].endswith("Z")
    gone = await any_client.ask("DELETE", f"/limits/{made['id']}")
    assert (gone.status, gone.json) == (200, {"id": made["id"], "state": "removed"})
    assert (await any_client.get("/limits")).json == {"limits": []}
    for method in ("GET", "DELETE"):
        answer = await any_client.ask(method, f"/limits/{made['id']}")
        assert (answer.status, answer.code) == (404, "not_found")


async def test_what_was_told_of_a_limit_sets_it_again(client: Client) -> None:
    await key_of(client)
    for body in (
        USD,
        {"scope": "key", "name": "ci", "account": "acme", "model": "gpt-*", "unit": "tokens", "cap": 5, "per": "90m"},
        {"scope": "key", "name": "ci", "unit": "concurrency", "cap": 5},
        {"scope": "session", "name": "each", "unit": "requests", "cap": "7", "per": "total"},
    ):
        made = await put(client, **body)
        told = {name: value for name, value in made.items() if name not in ("id", "source")}
        assert await put(client, **told) == made


async def test_the_fullest_limits_come_first(any_client: Client, ledger: Ledger) -> None:
    key = await key_of(any_client)
    usd = await put(any_client, scope="account", name="acme", unit="usd", cap="10", per="total")
    calls = await put(any_client, scope="key", name="ci", unit="requests", cap=10, per="total")
    with ledger.write() as connection:
        for limit, subject, spent, held in ((usd["id"], "acme", 2 * 10**9, 10**9), (calls["id"], key, 9, 0)):
            values = {"limit_id": limit, "subject": subject, "bucket_start": 0, "spent": spent, "held": held}
            connection.execute(limit_balances.insert().values(values))
    top = (await any_client.get("/limits/top")).json["limits"]
    assert [(one["id"], one["spent"], one["held"], one["left"]) for one in top] == [
        (calls["id"], 9, 0, 1),
        (usd["id"], "2", "1", "7"),
    ]
    assert top[0]["subject"] == {"account": "acme", "key": key, "key_name": "ci"}
    assert (await any_client.get("/limits/top?limit=1")).json["limits"] == top[:1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cap": "nan"},
        {"cap": "-1"},
        {"cap": -1},
        {"cap": 0.5},
        {"cap": "1000000001"},
        {"cap": 10**400},
        {"cap": None},
        {"cap": True},
        {"unit": "tokens", "cap": "1.5"},
        {"unit": "tokens", "cap": 10**19},
        {"unit": "euro"},
        {"unit": "concurrency", "cap": 5},
        {"scope": "team"},
        {"scope": "session", "name": "s-1"},
        {"name": ""},
        {"name": "a\x1fb"},
        {"name": "x" * 201},
        {"name": "anonymous"},
        {"account": "other"},
        {"model": "gpt-*"},
        {"per": None},
        {"per": "fortnight"},
        {"per": "24h"},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"clamp": "yes"},
        {"colour": "red"},
    ],
    ids=str,
)
async def test_a_body_that_says_no_limit_is_refused_and_sets_none(client: Client, wrong: dict[str, Any]) -> None:
    await key_of(client)
    answer = await client.ask("PUT", "/limits", USD | wrong)
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.body
    assert (await client.get("/limits")).json == {"limits": []}


async def test_an_owner_who_is_not_there_is_told(any_client: Client) -> None:
    for body, said in (
        (USD | {"name": "acm_"}, "accounts list"),
        (USD | {"scope": "key", "name": "c%"}, "keys list"),
        (USD | {"scope": "provider", "name": "openai"}, "known: none"),
        (USD | {"scope": "session", "name": "s'; --", "account": "acm%"}, "accounts list"),
    ):
        answer = await any_client.ask("PUT", "/limits", body)
        assert (answer.status, answer.code) == (404, "not_found")
        assert said in answer.json["error"]["message"]


async def test_a_provider_of_the_configuration_can_have_a_limit(sqlite_ledger: Ledger) -> None:
    provider = Provider("box", Kind.OPENAI, "http://127.0.0.1:1/v1", "sk-x", SERVED_BY[Kind.OPENAI])
    route = Route(provider, "m", "m", FREE)
    catalog = Catalog({}, {}, {}, {"box": CatalogProvider(provider, {"m": (route,)})})
    configuration = Configuration(make_settings(""), catalog)
    server = AdminServer(configuration.compiled.settings, sqlite_ledger, make_supervisor(), configuration)
    async with server.running():
        client = Client(server.port)
        made = await put(client, scope="provider", name="box", unit="usd", cap="0", per="24h")
        assert (made["scope"], made["name"], made["cap"]) == ("provider", "box", "0")


async def test_a_limit_of_the_file_is_a_conflict(any_client: Client, ledger: Ledger) -> None:
    await key_of(any_client)
    own = Limit(0, Scope.ACCOUNT, "acme", Unit.USD, TOTAL, 5, source="file")
    with ledger.write() as connection:
        made = place(connection, own, 1)
    set_again = await any_client.ask("PUT", "/limits", {**USD, "per": "total", "zone": None})
    removed = await any_client.ask("DELETE", f"/limits/{made.id}")
    assert [(answer.status, answer.code) for answer in (set_again, removed)] == [(409, "owned_by_file")] * 2
    assert (await any_client.get("/limits")).json["limits"][0]["cap"] == "0.000000005"


@pytest.mark.parametrize("which", ["x", "-1", "1.5", "1e3", "9" * 30, "%31%20", "\u0661"])
async def test_an_id_that_is_none_is_refused(client: Client, which: str) -> None:
    path = "/limits/" + which.encode().decode("latin-1").replace("\xd9\xa1", "%D9%A1")
    answer = await client.ask("DELETE", path)
    assert (answer.status, answer.code) == (400, "invalid_request")


async def test_an_id_of_nothing_is_not_found(any_client: Client) -> None:
    for which in ("0", "7", str(2**63 - 1), str(2**63)):
        assert (await any_client.ask("DELETE", f"/limits/{which}")).status == 404


async def test_an_account_is_created_listed_and_told_whole(any_client: Client, ledger: Ledger) -> None:
    made = await any_client.ask("POST", "/accounts", {"name": "a/b ö"})
    assert (made.status, made.json["keys"]) == (201, 0)
    key = await key_of(any_client, account="a/b ö")
    await put(any_client, scope="key", name="ci", account="a/b ö", unit="requests", cap=3, per="day")
    with ledger.write() as connection:
        values = {"scope": "account", "scope_id": "a/b ö", "unit": "usd", "bucket_start": 0, "spent": 5, "held": 0}
        connection.execute(balances.insert().values(values))
    one = (await any_client.get("/accounts/a%2Fb%20%C3%B6")).json
    assert [info["id"] for info in one["keys"]] == [key]
    assert one["limits"][0]["subject"] == {"account": "a/b ö", "key": key, "key_name": "ci"}
    assert one["all_time"] == {"calls": 0, "tokens": 0, "cost_usd": "0.000000005"}
    assert one["today"]["cost_usd"] == "0"
    [listed] = (await any_client.get("/accounts")).json["accounts"]
    assert listed == made.json | {"keys": 1}
    again = await any_client.ask("POST", "/accounts", {"name": "a/b ö"})
    assert (again.status, again.code) == (409, "name_taken")
    assert (await any_client.get("/accounts/a")).status == 404


@pytest.mark.parametrize("name", ["", " x", "anonymous", "a\x00b", "x" * 201])
async def test_a_name_that_no_account_can_have(client: Client, name: str) -> None:
    assert (await client.ask("POST", "/accounts", {"name": name})).status == 400


async def test_models_and_end_of_a_key_are_changed(any_client: Client) -> None:
    key = await key_of(any_client)

    async def patch(body: dict[str, Any]) -> tuple[int, Any, Any]:
        answer = await any_client.ask("PATCH", f"/keys/{key}", body)
        return answer.status, answer.json.get("models"), answer.json.get("expires_at") is not None

    assert await patch({"models": ["gpt-*"], "expires": "30d"}) == (200, ["gpt-*"], True)
    assert await patch({}) == (200, ["gpt-*"], True)
    assert await patch({"expires": None}) == (200, ["gpt-*"], False)
    assert await patch({"models": None}) == (200, None, False)
    for body in ({"models": [""]}, {"models": "x"}, {"expires": "0s"}, {"expires": "soon"}, {"name": "x"}):
        assert (await patch(body))[0] == 400
    assert (await any_client.ask("PATCH", "/keys/key_x", {"models": None})).status == 404


async def test_nothing_is_told_without_the_token(client: Client) -> None:
    for method, path in (
        ("GET", "/limits"),
        ("PUT", "/limits"),
        ("GET", "/limits/top"),
        ("DELETE", "/limits/1"),
        ("GET", "/accounts"),
        ("POST", "/accounts"),
        ("GET", "/accounts/acme"),
        ("PATCH", "/keys/key_x"),
    ):
        assert (await client.ask(method, path, token=None)).status == 401
