import os
from pathlib import Path

import pytest

from headgate.config.load import document, load, locate, parse
from headgate.config.problems import ConfigError
from headgate.config.schema import Config
from headgate.model.dialect import Kind


def problems(text: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "headgate.yaml", env or {})
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_is_all_defaults() -> None:
    assert parse("", "f", {}) == Config()
    assert parse("# nothing\nproviders:\nmodels:\n", "f", {}) == Config()


def test_a_typo_is_named_with_its_line_and_the_nearest_key() -> None:
    text = "server: {port: 1}\nproviders:\n  openai:\n    kind: openai\n    api_kye: x\n"
    assert problems(text) == ["headgate.yaml:5: providers.openai.api_kye: unknown key; did you mean 'api_key'?"]


def test_a_key_like_no_other_lists_what_is_known() -> None:
    assert problems("zzzzzz: 1") == [
        "headgate.yaml:1: zzzzzz: unknown key; known: accounts, keys, ledger, limits, models, providers, server"
    ]


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = """\
server:
  prot: 1
  port: many
  max_body: 3x
  drain_timeout: 5
ledger: {durability: perhaps}
providers:
  Bad/Name: {kind: openai, base_url: "http://x"}
  box:
    kimd: openai
    api_key: "${NOT_SET}"
    models: {a: {pric: free}}
    timeouts: {idel: 3s}
models:
  fast: {routes: [bx/a, box, box/a, box/a]}
  none: {routes: []}
  auto: {routes: [box/a]}
"""
    assert problems(text) == [
        "headgate.yaml:2: server.prot: unknown key; did you mean 'port'?",
        "headgate.yaml:3: server.port: must be a whole number",
        "headgate.yaml:4: server.max_body: must be a size, such as 65536, 512KiB or 32MiB",
        "headgate.yaml:5: server.drain_timeout: must be a duration with its unit, such as 500ms, 30s, 10m or 24h",
        "headgate.yaml:6: ledger.durability: must be 'batch', 'call' or 'fsync'",
        (
            "headgate.yaml:8: providers.Bad/Name: a provider's name is made of lower-case letters, digits, '.', '_'"
            " and '-', without a slash"
        ),
        "headgate.yaml:9: providers.box: 'kind' is missing",
        "headgate.yaml:10: providers.box.kimd: unknown key; did you mean 'kind'?",
        (
            "headgate.yaml:11: providers.box.api_key: environment variable NOT_SET is not set; export it, or write"
            " ${NOT_SET:-default}"
        ),
        "headgate.yaml:12: providers.box.models.a.pric: unknown key; did you mean 'price'?",
        "headgate.yaml:13: providers.box.timeouts.idel: unknown key; did you mean 'idle'?",
        "headgate.yaml:15: models.fast.routes[0]: there is no provider 'bx'; did you mean 'box'?",
        "headgate.yaml:15: models.fast.routes[1]: a route is written provider/upstream-name",
        "headgate.yaml:15: models.fast.routes[3]: 'box/a' stands twice in this chain",
        "headgate.yaml:16: models.none.routes: must hold at least one route",
        "headgate.yaml:17: models.auto: 'auto' is reserved",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "must be a mapping of sections"),
        ("server: 3", "must be a mapping"),
        ("providers: [openai]", "must be a mapping"),
        ("providers: {box: {kind: openai}}", "'base_url' is missing, and no vendor is known"),
        ("providers: {openai: {kind: anthropic}}", "'base_url' is missing"),
        ("providers: {x: {kind: openai, base_url: 'http://u:p@h'}}", "must hold no user or password"),
        ("providers: {openai: {kind: openai, api_key: ''}}", "is empty"),
        ("providers: {openai: {kind: openai, api_key: 12345}}", "must be text"),
        ('providers: {openai: {kind: openai, api_key: "a\\nb"}}', "no HTTP header can carry"),
        ("providers: {openai: {kind: openai, price: 3}}", "must be 'free' or a mapping"),
        ("providers: {openai: {kind: openai, price: {input: -1}}}", "price of 'input' must lie between"),
        ("providers: {openai: {kind: openai, price: {inptu: 1}}}", "unknown price class 'inptu'"),
        ("providers: {openai: {kind: openai, serves: [messages]}}", "does not speak this endpoint"),
        ("providers: {openai: {kind: openai, models: [a, a]}}", "a name stands twice"),
        ("providers: {openai: {kind: openai, models: [1]}}", "must be a list of the upstream's own names"),
        ("providers: {openai: {kind: openai, open: false}}", "needs 'models:'"),
        ("providers: {openai: {kind: openai, headers: {Host: x}}}", "is set by Headgate itself"),
        ("providers: {openai: {kind: openai, headers: {a b: x}}}", "a character that is not allowed"),
        ('providers: {openai: {kind: openai, headers: {x: "a\\r\\nb"}}}', "must be one line of ASCII text"),
        ("providers: {openai: {kind: openai, api_key: k, headers: {Authorization: x}}}", "are both given"),
        ("providers: {openai: {kind: openai, timeouts: {connect: 0s}}}", "must be longer than 0s"),
        ("providers: {openai: {kind: openai, rank_multiplier: 0}}", "greater than 0"),
        (
            "providers: {openai: {kind: openai}}\nmodels: {openai: {routes: [openai/x]}}",
            "name of a provider as well",
        ),
        ("models: {a/b: {routes: [x/y]}}", "a virtual model's name has no slash"),
        ("models: {a: {routes: [x/y]}}", "there is no provider 'x'"),
        (
            "providers: {openai: {kind: openai, open: false, models: [a]}}\nmodels: {m: {routes: [openai/b]}}",
            "lists no model 'b'",
        ),
        ("server: {auth: off, host: 0.0.0.0}", "loopback host only"),
        ("server: {port: 4142}", "need a port each"),
        ("server: {port: 70000}", "less than or equal to 65535"),
        ("server: {workers: 0}", "greater than or equal to 1"),
        ("server: {admin_token: short}", "too short"),
        ("server: {auth: 'no'}", "must be 'required' or 'off'"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    assert any(message in problem for problem in problems(text)), problems(text)


def test_no_secret_is_in_any_problem_or_repr() -> None:
    secret = "sk-super-secret-value"
    text = (
        f"server: {{admin_token: {secret}, bad: {secret}}}\n"
        f"ledger: {{url: 'postgresql://u:{secret}@h/d', durability: {secret}}}\n"
        "providers:\n"
        f"  a: {{kind: '{secret}', api_key: {secret}, base_url: 'http://x/{secret}?k={secret}'}}\n"
        f"  openai: {{kind: openai, api_key: '{secret}é', headers: {{x: '{secret}é'}}, price: {secret}}}\n"
        f"  c: {{kind: openai, base_url: '{secret}', timeouts: {{idle: {secret}}}, rank_multiplier: {secret}}}\n"
    )
    assert not [line for line in problems(text) if secret in line]
    good = f"providers: {{openai: {{kind: openai, api_key: {secret}, headers: {{x: {secret}}}}}}}"
    config = parse(good, "f", {})
    assert secret not in repr(config)
    assert secret not in str(config.model_dump())


def test_variables_are_filled_in_and_may_stand_for_numbers() -> None:
    text = 'server: {port: "${PORT}"}\nproviders: {openai: {kind: openai, api_key: " ${KEY}\\n"}}'
    config = parse(text, "f", {"PORT": "5000", "KEY": "sk-1"})
    assert config.server.port == 5000
    key = config.providers["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


def test_numbers_and_choices_become_values() -> None:
    config = parse(
        "server: {auth: off, max_body: 1MiB, drain_timeout: 0s}\n"
        "providers: {anthropic: {kind: anthropic, timeouts: {first_token: 1.5s}}}",
        "f",
        {},
    )
    assert config.server.auth == "off"
    assert config.server.max_body == 1 << 20
    assert config.server.drain_timeout == 0
    assert config.providers["anthropic"].kind is Kind.ANTHROPIC
    assert config.providers["anthropic"].timeouts.first_token == 1_500_000_000


def test_models_may_be_a_list_or_a_mapping() -> None:
    text = "providers: {openai: {kind: openai, models: %s}}"
    listed = parse(text % "[a, b]", "f", {}).providers["openai"].models
    mapped = parse(text % "{a: , b: {}}", "f", {}).providers["openai"].models
    assert listed == mapped
    assert list(listed or {}) == ["a", "b"]


def test_sections_that_are_not_asked_for_are_as_if_absent() -> None:
    text = "servr: 1\nserver: {port: 1}\nledger: {prot: 1}\nproviders: {openai: {kind: '${NOT_SET}', a: 1, a: 2}}\n"
    config = parse(text, "f", {}, frozenset({"server"}))
    assert config == parse("server: {port: 1}", "f", {})
    with pytest.raises(ConfigError) as caught:
        parse(text, "f", {}, frozenset({"ledger"}))
    assert [problem.where for problem in caught.value.problems] == ["ledger.prot"]


def test_a_file_is_read_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "headgate.yaml"
    path.write_text("﻿server: {port: 1234}\n", encoding="utf-8")
    read = load(path, {})
    assert (read.config.server.port, read.path, read.folder) == (1234, path, tmp_path)
    assert document("server: {port: 1}", path, {}).folder == tmp_path


def test_a_missing_file_a_folder_and_other_bytes_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: 1\nb: \xff\xfe\n")
    for path, message in [
        (tmp_path / "none.yaml", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (binary, "binary.yaml:2: is not UTF-8 text"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load(path, {})


def test_the_usual_file_is_found_and_a_named_one_goes_before_it(tmp_path: Path) -> None:
    assert locate(None, tmp_path) is None
    usual = tmp_path / "headgate.yaml"
    usual.write_text("")
    assert locate(None, tmp_path) == usual
    assert locate(tmp_path / "other.yaml", tmp_path) == tmp_path / "other.yaml"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nothing", "loop"])
def test_what_has_the_usual_name_and_is_no_file_is_never_passed_over(tmp_path: Path, kind: str) -> None:
    """Docker makes a folder where a file to mount is missing; a start without one is another gateway."""
    usual = tmp_path / "headgate.yaml"
    match kind:
        case "folder":
            usual.mkdir()
        case "pipe":
            os.mkfifo(usual)
        case "loop":
            usual.symlink_to(usual)
        case _:
            usual.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"headgate\.yaml: .*with --config"):
        locate(None, tmp_path)
    assert locate(tmp_path / "other.yaml", tmp_path) == tmp_path / "other.yaml"
