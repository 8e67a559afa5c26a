"""The files of `deploy/`, read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from headgate.runtime.supervisor import KILL_GRACE_NS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = Path(sys.executable).parent
DOCKERFILE = DEPLOY / "docker/Dockerfile"
UNIT = DEPLOY / "systemd/headgate.service"
KILL_GRACE = KILL_GRACE_NS // 1_000_000_000
"""Seconds beyond the drain timeout after which the supervisor kills a worker."""


def yaml(path: Path) -> Any:
    """Return what a file of one document says, its anchors resolved."""
    return yaml_text(path.read_text())


def yaml_text(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, each with its argument on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def last(instruction: str) -> str:
    """Return the argument of the last instruction of this name."""
    return [rest for word, rest in instructions() if word == instruction][-1]


def unit(name: str) -> list[str]:
    """Return every value of a setting of the systemd unit."""
    found: list[str] = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return found


def manifest(name: str) -> Any:
    return yaml(DEPLOY / f"kubernetes/{name}.yaml")


def compose() -> Any:
    return yaml(DEPLOY / "docker/compose.yaml")


def configurations() -> dict[str, str]:
    """Return the text of each headgate.yaml that is shipped, by the way it is run."""
    return {
        "systemd": (DEPLOY / "systemd/headgate.yaml").read_text(),
        "docker": (DEPLOY / "docker/config/headgate.yaml").read_text(),
        "kubernetes": manifest("configmap")["data"]["headgate.yaml"],
    }


def seconds(duration: str) -> int:
    """Return a duration as the files write it: `30s`, or a bare number of seconds."""
    return int(duration.removesuffix("s"))


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a program that must succeed and return what it says, both outputs together."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def shell_form(argument: str) -> list[str]:
    """Return the words of an instruction in JSON form."""
    words: list[str] = json.loads(argument)
    return words
