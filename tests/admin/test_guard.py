"""Who may come in."""

import pytest
from tests.admin.client import TOKEN, Client, Configuration, make_settings
from tests.admin.conftest import make_supervisor

from headgate.ledger.engine import Ledger
from headgate.surfaces.admin.app import DESCRIPTION
from headgate.surfaces.admin.errors import Refused
from headgate.surfaces.admin.guard import EXEMPT, Guard
from headgate.surfaces.admin.server import AdminServer
from headgate.surfaces.admin.table import TABLE

GUARDED = [(entry.method, entry.path) for entry in TABLE if (entry.method, entry.path) not in EXEMPT]
GUARDED += [("GET", DESCRIPTION), ("GET", "/"), ("GET", "/nothing"), ("HEAD", "/healthz"), ("POST", "/readyz")]
GUARDED += [("OPTIONS", "/keys"), ("GET", "/healthz/"), ("GET", "//healthz"), ("GET", "/HEALTHZ"), ("BREW", "/keys")]
GUARDED += [("GET", "/healthz/../keys"), ("GET", "/healthz/%2e%2e/keys"), ("GET", "/keys?x=/healthz")]


def test_only_the_two_probes_are_exempt() -> None:
    assert frozenset({("GET", "/healthz"), ("GET", "/readyz")}) == EXEMPT


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_everything_else_wants_the_token(client: Client, method: str, path: str) -> None:
    answer = await client.ask(method, path, token=None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    if method != "HEAD":
        assert answer.code == "invalid_admin_token"
        assert "Authorization: Bearer" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer{TOKEN}",
        f"Bearer Bearer {TOKEN}",
        f"Bearer {TOKEN},{TOKEN}",
        "Bearer \xff\xfe",
    ],
)
async def test_a_wrong_token_is_refused(client: Client, header: str) -> None:
    answer = await client.get("/status", token=None, headers={"Authorization": header})
    assert answer.status == 401
    assert TOKEN not in answer.body.decode()


async def test_the_scheme_may_be_written_in_any_case(client: Client) -> None:
    assert (await client.get("/status", token=None, headers={"Authorization": f"bearer {TOKEN}"})).status == 200


@pytest.mark.parametrize("name", ["token", "access_token", "admin_token", "authorization"])
async def test_a_token_in_the_query_opens_nothing(client: Client, name: str) -> None:
    assert (await client.get(f"/status?{name}={TOKEN}", token=None)).status == 401


@pytest.mark.parametrize("name", ["Cookie", "X-Api-Key", "Proxy-Authorization", "X-Authorization"])
async def test_a_token_in_another_header_opens_nothing(client: Client, name: str) -> None:
    assert (await client.get("/status", token=None, headers={name: f"Bearer {TOKEN}"})).status == 401


async def test_two_authorizations_are_refused_even_if_one_is_right(client: Client) -> None:
    pair = f"Authorization: Bearer {TOKEN}\r\n" * 2
    got = await client.raw(f"GET /status HTTP/1.1\r\nHost: localhost\r\n{pair}Connection: close\r\n\r\n".encode())
    assert got.startswith(b"HTTP/1.1 401 ")


async def test_without_a_token_configured_the_plane_is_closed_and_says_how_to_open_it(sqlite_ledger: Ledger) -> None:
    configuration = Configuration(make_settings("", admin_token=None))
    server = AdminServer(configuration.compiled.settings, sqlite_ledger, make_supervisor(), configuration)
    async with server.running():
        client = Client(server.port)
        for token in (None, "", "None", TOKEN):
            answer = await client.get("/keys", token=token)
            assert (answer.status, answer.code) == (403, "admin_closed")
            assert "HEADGATE_ADMIN_TOKEN" in answer.json["error"]["message"]
        assert (await client.get("/healthz", token=None)).json == {"status": "ok"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4142", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
async def test_a_foreign_name_of_the_host_is_refused(client: Client, host: str) -> None:
    answer = await client.get("/status", headers={"Host": host})
    assert (answer.status, answer.code) == (421, "wrong_host")
    assert (await client.get("/healthz", headers={"Host": host})).status == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4142", "127.0.0.1:9", "[::1]:4142", "10.0.0.7"])
async def test_addresses_and_localhost_are_let_through(client: Client, host: str) -> None:
    assert (await client.get("/status", headers={"Host": host})).status == 200


def test_a_public_address_may_have_any_name() -> None:
    guard = Guard(make_settings("", admin_host="0.0.0.0"))
    guard.check("GET", "/keys", [(b"host", b"admin.example"), (b"authorization", b"Bearer " + TOKEN.encode())])
    with pytest.raises(Refused):
        guard.check("GET", "/keys", [(b"host", b"admin.example")])


async def test_no_answer_invites_other_origins_or_caches(client: Client) -> None:
    origin = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
    for method, path, token in (("GET", "/keys", TOKEN), ("OPTIONS", "/keys", TOKEN), ("GET", "/x", None)):
        answer = await client.ask(method, path, token=token, headers=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
