"""A provider's key reaches its upstream and nothing else. The shared gateway's files are searched at its end."""

import pytest
from tests.e2e.gateway import SECRET_MARK, Gateway
from tests.e2e.setting import KINDS, secret
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES, ask, body_of, headers_of, leaks, send


@pytest.mark.parametrize("how", ["400", "401", "500", "200", "first", "mid"])
@pytest.mark.parametrize("endpoint", [CHAT, RESPONSES, MESSAGES])
def test_an_upstream_that_repeats_its_key_is_not_repeated(gateway: Gateway, endpoint: str, how: str) -> None:
    """`ask` itself looks for secrets in the answer, `leaks` in the log and the ledger."""
    body = body_of(endpoint, f"echo-{KINDS[endpoint]}/echo-{how}", stream=how in ("first", "mid"))
    heard = ask(gateway, endpoint, body)
    assert b"[key] is not good" in heard.body
    [attempt] = gateway.call(heard.call)["attempts"]
    assert "[key] is not good" in attempt["message"]
    assert secret(f"echo-{KINDS[endpoint]}") not in repr(gateway.call(heard.call))
    assert not leaks(gateway.folder)


def test_neither_lists_nor_commands_show_a_secret(gateway: Gateway) -> None:
    ask(gateway, CHAT, body_of(CHAT, "gpt-sim"))
    for path in ("/v1/models", "/v1/usage", "/healthz", "/readyz"):
        assert send(gateway, "GET", path, headers=headers_of(CHAT, gateway.key)).status == 200
    said = [gateway.cli(*command) for command in (("calls", "--json"), ("check",))]
    assert all(said)
    assert SECRET_MARK not in "".join(said)


def test_a_secret_in_a_broken_configuration_is_not_said(gateway: Gateway) -> None:
    """The running configuration stays, and the log names the line."""
    good = gateway.file.read_text()
    before = len(gateway.stderr)
    try:
        gateway.write(good.replace("kind: openai,", "kind: opened,", 1))
        gateway.until(lambda _: "refused" in gateway.stderr[before:])
    finally:
        gateway.write(good)
    assert SECRET_MARK not in gateway.stderr
    assert ask(gateway, CHAT, body_of(CHAT, "gpt-sim")).status == 200
