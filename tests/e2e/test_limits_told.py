"""`GET /v1/limits` of a running gateway: a key sees its own limits and its account's, and nothing of anybody else."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from tests.e2e.gateway import Gateway

from headgate.ledger.engine import open_ledger
from headgate.ledger.keys import create_key
from headgate.sim import SimThread


@pytest.fixture(scope="module")
def gateway(sim: SimThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("limits"), sim) as running:
        yield running


def ask(gateway: Gateway, key: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{gateway.url}/v1/limits", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["limits"]
    return found


def foreign_key(gateway: Gateway, account: str, name: str) -> str:
    ledger = open_ledger(gateway.ledger_url)
    with ledger.write() as connection:
        made = create_key(connection, account=account, name=name, now=time.time_ns())
    ledger.close()
    return made.secret


def knows(gateway: Gateway, secret: str) -> bool:
    answer = httpx2.get(f"{gateway.url}/v1/usage", headers={"x-api-key": secret})
    return bool(answer.status_code == 200)


def test_a_key_is_told_how_its_limits_and_its_accounts_stand(gateway: Gateway) -> None:
    for words in (
        ("--account", "tests", "--usd", "50", "--per", "month", "--zone", "Europe/Berlin"),
        ("--key", "tests", "--model", "gpt-*", "--tokens", "1000000", "--per", "24h"),
        ("--key", "tests", "--account", "tests", "--concurrency", "5"),
        ("--provider", "openai", "--usd", "300", "--per", "month"),
        ("--session", "each", "--usd", "3", "--per", "total"),
    ):
        gateway.cli("limits", "set", *words)
    body = {"model": "gpt-sim", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
    headers = {"authorization": f"Bearer {gateway.key}"}
    assert httpx2.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    account, on_models, at_once = ask(gateway, gateway.key)
    resets = account.pop("resets_at")
    assert datetime.fromisoformat(resets) > datetime.now(UTC)
    assert {name: account[name] for name in ("scope", "name", "model", "unit", "cap", "per", "held", "zone")} == {
        "scope": "account",
        "name": "tests",
        "model": None,
        "unit": "usd",
        "cap": "50",
        "per": "month",
        "held": "0",
        "zone": "Europe/Berlin",
    }
    assert 0 < float(account["spent"]) < 1
    assert float(account["left"]) == pytest.approx(50 - float(account["spent"]))
    assert (on_models["model"], on_models["unit"], on_models["resets_at"]) == ("gpt-*", "tokens", None)
    assert on_models["spent"] > 0
    assert on_models["spent"] + on_models["left"] == on_models["cap"] == 1_000_000
    assert (at_once["unit"], at_once["per"], at_once["held"], at_once["left"]) == ("concurrency", None, 0, 5)


def test_nothing_of_another_account_is_told(gateway: Gateway) -> None:
    foreign = foreign_key(gateway, "rival", "tests")
    gateway.cli("limits", "set", "--account", "rival", "--usd", "7", "--per", "total")
    gateway.until(lambda _: knows(gateway, foreign))
    told = ask(gateway, foreign)
    assert [(one["scope"], one["name"], one["cap"]) for one in told if one["unit"] == "usd"] == [
        ("account", "rival", "7")
    ]
    assert all(one["spent"] in {0, "0"} for one in told)
    assert "rival" not in str(ask(gateway, gateway.key))


def test_without_a_key_nothing_is_told(gateway: Gateway) -> None:
    for key in ("", "hg_wrong"):
        answer = httpx2.get(f"{gateway.url}/v1/limits", headers={"x-api-key": key})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert httpx2.post(f"{gateway.url}/v1/limits", headers={"x-api-key": gateway.key}).status_code == 405


def test_a_limit_set_while_a_gateway_runs_is_in_force_and_its_removal_too(gateway: Gateway) -> None:
    secret = foreign_key(gateway, "shut", "only")
    gateway.until(lambda _: knows(gateway, secret))
    body = {"model": "gpt-sim", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}

    def status() -> int:
        headers = {"authorization": f"Bearer {secret}"}
        return int(httpx2.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers).status_code)

    assert status() == 200
    gateway.cli("limits", "set", "--account", "shut", "--usd", "0", "--per", "total")
    gateway.until(lambda _: status() == 429)
    [told] = ask(gateway, secret)
    assert (told["cap"], told["left"], told["held"]) == ("0", "0", "0")
    assert float(told["spent"]) > 0
    gateway.cli("limits", "remove", "--account", "shut", "--usd", "0", "--per", "total")
    gateway.until(lambda _: status() == 200)
    assert ask(gateway, secret) == []
