"""Every program of the guide to SDKs, as it stands: it prints, and Headgate writes down, what the guide shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.docs.guides import SIM, blocks, printed, rehearsal
from tests.e2e.gateway import Gateway

from headgate.sim import SimThread

PATIENCE = 60.0
"""Seconds after which a program of the guide counts as hanging."""


@pytest.fixture
def gateway(sim: SimThread, tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path, config=rehearsal().replace(SIM, sim.url)) as running:
        yield running


def run(program: str, gateway: Gateway, key: str) -> str:
    """Run a program with nothing but the guide's variables and return what it prints."""
    foreign = re.compile("OPENAI_|ANTHROPIC_|.*_PROXY$", re.IGNORECASE)
    env = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    env |= {"OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_KEY": key}
    env |= {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_API_KEY": key, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=env, cwd=gateway.folder, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain(lines: list[str]) -> list[str]:
    """Return a table's lines without what differs from run to run: times, ids, durations, the width of columns."""
    text = "\n".join(lines)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"call_[0-9a-f]+", "ID", text)
    text = re.sub(r"\b[\d.]+(ms|s)\b", "TOOK", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def test_every_program_prints_what_the_guide_shows_and_is_recorded_as_it_shows(gateway: Gateway) -> None:
    key = gateway.new_key("laptop")
    programs = [
        (program.text, output.text)
        for program, output in pairwise(blocks("sdks"))
        if program.language == "python" and output.language == "text"
    ]
    assert len(programs) == len(blocks("sdks", "python")) == len(blocks("sdks", "text")) > 0
    for program, output in programs:
        assert run(program, gateway, key) == output
    calls, usage = printed("sdks", "headgate calls"), printed("sdks", "headgate usage")
    assert plain(gateway.cli("calls").splitlines()) == plain(calls)
    assert plain(gateway.cli("usage").splitlines()) == plain(usage)
