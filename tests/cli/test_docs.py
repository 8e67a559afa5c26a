"""Every command and option is described in docs/cli.md, and nothing else is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from headgate.surfaces.cli.main import app

from .conftest import Run

DOC = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    children = getattr(command, "commands", {})
    spelled = (option for param in command.params for option in (*param.opts, *param.secondary_opts))
    options = {option for option in spelled if option.startswith("-")}
    if not children or getattr(command, "invoke_without_command", False):
        yield name, options
    for child, inner in children.items():
        yield from commands(inner, f"{name} {child}")


def sections() -> dict[str, set[str]]:
    found = {}
    for part in re.split(r"^## ", DOC, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        rows = re.findall(r"^\| (`-.+?) \|", text, re.MULTILINE)
        found[title] = {option for row in rows for option in re.findall(r"`(-[-a-z]+)`", row)}
    return found


def test_every_command_and_option_is_documented_and_nothing_else() -> None:
    assert sections() == dict(commands(get_command(app), "headgate"))


def test_every_command_takes_config_and_json() -> None:
    for name, options in commands(get_command(app), "headgate"):
        needed = {"--config"} if name == "headgate completion" else {"--config", "--json"}
        assert needed <= options, name


def test_every_option_says_what_it_does() -> None:
    def params(command: Any) -> Iterator[Any]:
        yield from command.params
        for inner in getattr(command, "commands", {}).values():
            yield from params(inner)

    assert [param.name for param in params(get_command(app)) if not getattr(param, "help", None)] == []


def test_no_command_is_described_by_half_a_sentence(run: Run) -> None:
    for command in ((), ("keys",), ("accounts",), ("limits",), ("calls",)):
        result = run(*command, "--help", env={"COLUMNS": "80"})
        listed = result.output.partition("Commands:\n")[2].splitlines()
        assert listed
        assert [line for line in listed if line.endswith("...")] == []
