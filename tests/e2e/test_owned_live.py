"""Accounts, keys and limits of the file, edited while the gateway runs."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import httpx2
from tests.e2e.gateway import ADMIN_TOKEN, SCRIPT, Gateway, standard
from tests.e2e.wire import until_status

from headgate.ledger.limits import list_limits
from headgate.ledger.views import Reader
from headgate.sim import SimThread

FIRST, SECOND = "first-secret-of-the-tests", "second-secret-of-the-tests"
REFUSED = "configuration refused; the running one stays"


def owning(sim: SimThread, secret: str = FIRST, cap: str = "50", more: str = "") -> str:
    return f"""{standard(sim)}
keys: [{{name: ci, account: acme, secret: {secret}}}]
limits:
  - {{account: acme, usd: {cap}, per: month}}
{more}"""


def caps(reader: Reader) -> dict[str, int]:
    with reader.connection() as connection:
        return {limit.title: limit.cap for limit in list_limits(connection)}


def until_logged(gateway: Gateway, text: str) -> None:
    gateway.until(lambda _: text in gateway.stderr)


def test_an_edited_file_is_in_force_without_a_restart(tmp_path: Path) -> None:
    with SimThread(seed=5) as sim, Gateway(tmp_path, config=owning(sim), workers=2) as gateway:
        until_status(gateway, FIRST, 200)
        title = "usd per month of account 'acme'"
        assert gateway.read(caps) == {title: 50 * 10**9}
        key_id = {info.name: info.id for info in gateway.read(lambda reader: reader.keys(0))}["ci"]

        gateway.write(owning(sim, SECOND, "0.1", "  - {key: ci, requests: 100, per: 1m}\n"))
        until_status(gateway, SECOND, 200)
        until_status(gateway, FIRST, 401)
        assert gateway.read(caps) == {title: 10**8, "requests per 1m of key 'ci'": 100}
        assert {info.name: info.id for info in gateway.read(lambda reader: reader.keys(0))}["ci"] == key_id
        until_status(gateway, gateway.key, 200)

        gateway.write(standard(sim))
        gateway.until(lambda reader: not caps(reader))  # a worker may not have heard of the second secret yet
        until_status(gateway, SECOND, 401)
        until_status(gateway, gateway.key, 200)
        assert FIRST not in gateway.stderr
        assert SECOND not in gateway.stderr


def test_a_claim_on_what_is_the_ledgers_changes_nothing(tmp_path: Path) -> None:
    with SimThread(seed=6) as sim, Gateway(tmp_path, config=owning(sim), workers=1) as gateway:
        until_status(gateway, FIRST, 200)
        claim = owning(sim, SECOND, "7", "  - {key: other, requests: 1, per: day}\n") + "accounts: [tests]\n"
        gateway.write(claim + "models: {fast: {routes: [openai/gpt-sim]}}\n")
        until_logged(gateway, REFUSED)
        assert "The account 'tests' stands under accounts: and belongs to the ledger already." in gateway.stderr
        until_status(gateway, FIRST, 200)
        until_status(gateway, SECOND, 401)
        assert list(gateway.read(caps).values()) == [50 * 10**9]
        with httpx2.Client(headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as client:
            answer = client.post(f"{gateway.admin_url}/reload")
            status = client.get(f"{gateway.admin_url}/status").json()
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_config"
        assert "'tests' stands under accounts:" in answer.json()["error"]["message"]
        with httpx2.Client(headers={"authorization": f"Bearer {FIRST}"}) as client:
            models = {model["id"] for model in client.get(f"{gateway.url}/v1/models").json()["data"]}
        assert "fast" not in models
        assert status["config"]["fingerprint"]
        gateway.stop()

        done = subprocess.run(
            [SCRIPT, "serve", "--config", gateway.file], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "The account 'tests' stands under accounts: and belongs to the ledger already." in done.stderr
        assert "Traceback" not in done.stderr
        assert list(gateway.read(caps).values()) == [50 * 10**9]


def test_a_first_start_with_a_key_in_the_file_makes_no_other(tmp_path: Path) -> None:
    with SimThread(seed=7) as sim:
        gateway = Gateway(tmp_path, config=owning(sim))
        gateway.key = FIRST  # so that none is made beforehand
        with gateway:
            until_status(gateway, FIRST, 200)
            assert [info.name for info in gateway.read(lambda reader: reader.keys(0))] == ["ci"]


def test_a_file_that_changed_while_the_ledger_was_locked_is_in_force_once_it_is_free(tmp_path: Path) -> None:
    with SimThread(seed=8) as sim, Gateway(tmp_path, config=owning(sim)) as gateway:
        until_status(gateway, FIRST, 200)
        with closing(sqlite3.connect(tmp_path / "headgate.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gateway.write(owning(sim, SECOND, "7"))
            until_logged(gateway, "configuration not in force yet; it is tried again")
            other.execute("ROLLBACK")
        until_status(gateway, SECOND, 200)
        assert list(gateway.read(caps).values()) == [7 * 10**9]
