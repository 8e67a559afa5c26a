"""Status, routes, reload and the description of the plane."""

import pytest
from tests.admin.client import Client, Configuration, make_settings
from tests.admin.conftest import make_supervisor

from headgate import __version__
from headgate.config.problems import ConfigError, Problem
from headgate.ledger.engine import Ledger
from headgate.model.catalog import Catalog, CatalogProvider
from headgate.model.dialect import SERVED_BY, Endpoint, Kind
from headgate.model.price import FREE, Prices, Rate
from headgate.model.route import Provider, Route
from headgate.surfaces.admin.guard import EXEMPT
from headgate.surfaces.admin.server import AdminServer
from headgate.surfaces.admin.table import TABLE

SECRET = "sk-a-providers-key"


async def test_status_tells_what_runs(client: Client, sqlite_ledger: Ledger) -> None:
    status = (await client.get("/status")).json
    assert status["version"] == __version__
    assert status["config"] == {"path": "/etc/headgate.yaml", "fingerprint": "f" * 64}
    assert status["ledger"] == sqlite_ledger.url.shown
    assert (status["workers"], status["workers_wanted"], status["draining"]) == ([], 1, False)
    assert status["uptime_s"] >= 0


def catalog() -> Catalog:
    provider = Provider(
        "acme", Kind.OPENAI, f"https://u:{SECRET}@acme.example/v1", SECRET, SERVED_BY[Kind.OPENAI], (("x-key", SECRET),)
    )
    prices = Prices(Rate(1_250_000_000, ((200_000, 2_500_000_000),)), Rate(10_000_000_000), request=1)
    large = Route(provider, "large", "acme-large", prices, context=400_000, max_output=128_000)
    free = [Route(provider, "free", "acme-free", FREE, backend=backend) for backend in ("a", "b")]
    return Catalog({}, {}, {}, {"acme": CatalogProvider(provider, {"large": (large,), "free": tuple(free)})})


async def test_routes_show_prices_as_decimal_text_and_no_credential(sqlite_ledger: Ledger) -> None:
    configuration = Configuration(make_settings(""), catalog())
    server = AdminServer(configuration.compiled.settings, sqlite_ledger, make_supervisor(), configuration)
    async with server.running():
        answer = await Client(server.port).get("/routes")
    assert SECRET.encode() not in answer.body
    routes = {route["route"]: route for route in answer.json["routes"]}
    assert list(routes) == ["acme/free@a", "acme/free@b", "acme/large"]
    large = routes["acme/large"]
    assert (large["provider"], large["upstream_name"], large["model"]) == ("acme", "large", "acme-large")
    assert (large["prices"]["input"], large["prices"]["output"], large["prices"]["cache_read"]) == ("1.25", "10", None)
    assert large["tiers"] == {"input": [{"above": 200_000, "price": "2.5"}]}
    assert large["request_usd"] == "0.000000001"
    assert (large["context"], large["max_output"]) == (400_000, 128_000)
    assert large["serves"] == sorted([Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS])
    assert set(routes["acme/free@a"]["prices"].values()) == {"0"}


async def test_a_reload_takes_effect_and_tells_its_fingerprint(client: Client, configuration: Configuration) -> None:
    answer = await client.ask("POST", "/reload")
    assert (answer.status, answer.json) == (200, {"fingerprint": "e" * 64, "path": "/etc/headgate.yaml"})
    assert configuration.reloads == 1
    assert (await client.get("/status")).json["config"]["fingerprint"] == "e" * 64


async def test_a_bad_configuration_is_refused_with_all_its_problems(
    client: Client, configuration: Configuration
) -> None:
    problems = [Problem("headgate.yaml", 3, "providers.x", "unknown key"), Problem("headgate.yaml", 9, "", "odd")]
    configuration.trouble = ConfigError(problems)
    answer = await client.ask("POST", "/reload")
    assert (answer.status, answer.code) == (400, "invalid_config")
    assert [(one["line"], one["where"]) for one in answer.json["error"]["problems"]] == [(3, "providers.x"), (9, "")]
    assert "headgate.yaml:3" in answer.json["error"]["message"]
    assert (await client.get("/status")).json["config"]["fingerprint"] == "f" * 64


async def test_a_configuration_that_cannot_be_read_is_refused(client: Client, configuration: Configuration) -> None:
    configuration.trouble = PermissionError(13, "Permission denied", "/etc/headgate.yaml")
    answer = await client.ask("POST", "/reload")
    assert (answer.status, answer.code) == (400, "invalid_config")
    assert "Permission denied" in answer.json["error"]["message"]


async def test_a_handler_that_fails_unforeseen_tells_nothing_of_it(
    client: Client, configuration: Configuration, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration.compiled = None  # type: ignore[assignment]
    answer = await client.get("/status")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "NoneType" not in answer.body.decode()
    assert (await client.get("/healthz")).status == 200


async def test_the_description_holds_every_entry_of_the_table(client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert told == {(entry.method, entry.path) for entry in TABLE} | {("GET", "/openapi.json")}
    for method, path in told:
        operation = document["paths"][path][method.lower()]
        assert operation["summary"]
        assert (operation.get("security") == []) is ((method, path) in EXEMPT)
        assert ("401" in operation["responses"]) is ((method, path) not in EXEMPT)


async def test_the_description_names_parameters_and_bodies(client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    calls = document["paths"]["/calls"]["get"]
    assert [one["name"] for one in calls["parameters"]] == ["limit", "since", "key", "account", "model", "outcome"]
    rotate = document["paths"]["/keys/{id}/rotate"]["post"]
    assert [(one["name"], one["in"], one["required"]) for one in rotate["parameters"]] == [("id", "path", True)]
    assert rotate["requestBody"]["required"] is False
    assert document["paths"]["/keys"]["post"]["requestBody"]["required"] is True
    body = document["components"]["schemas"]["NewKeyBody"]
    assert (body["required"], body["additionalProperties"]) == (["name"], False)
