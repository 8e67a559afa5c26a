"""What the Dockerfile does, done without Docker: its build, its process as PID 1, its probe of health."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.deploy.files import ROOT, SCRIPTS, compose, instructions, last, shell_form
from tests.e2e.gateway import PATIENCE, Gateway
from tests.e2e.processes import free_port, poll, status_of

import headgate
from headgate.sim import SimThread

ALONE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
"""Makes what it runs PID 1 of a namespace of its own."""
CAN_BE_ALONE = (
    shutil.which("unshare") is not None
    and subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
)


def configured(folder: Path, sim: SimThread, port: int) -> Gateway:
    providers = f'providers: {{sim: {{kind: openai, base_url: "{sim.url}", price: free}}}}'
    return Gateway(folder, sim, f"server: {{port: {port}, admin_port: 0}}\n{providers}\n")


@pytest.mark.soak
def test_its_build_makes_a_headgate_that_runs(tmp_path: Path) -> None:
    """Installs from the package index, by the hashes of the lock files."""
    context = tmp_path / "src"
    context.mkdir()
    stage = instructions()
    stage = stage[: next(at for at, (word, _) in enumerate(stage) if at and word == "FROM")]
    for word, rest in stage:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, context / target)
        elif word == "RUN":
            script = rest.replace("/opt/", f"{tmp_path}/")
            subprocess.run(["bash", "-euc", script], cwd=context, check=True, timeout=500)
    done = subprocess.run([tmp_path / "headgate/bin/headgate", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"headgate {headgate.__version__}"


def copy(source: Path, target: Path) -> None:
    """As Docker: a folder's content goes into the target, a file into it or to its name."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@pytest.mark.skipif(not CAN_BE_ALONE, reason="this machine gives no namespaces")
def test_as_the_first_process_it_serves_and_ends_on_its_stop_signal(tmp_path: Path, sim: SimThread) -> None:
    port = free_port()
    gateway = configured(tmp_path, sim, port)
    gateway.new_key("tests")
    with (tmp_path / "log").open("wb") as log:
        outer = subprocess.Popen(
            [*ALONE, SCRIPTS / "headgate", "serve", "--config", gateway.file], stdout=log, stderr=log
        )
    try:
        poll(lambda: status_of(f"http://127.0.0.1:{port}/readyz") == 200)
        [first] = psutil.Process(outer.pid).children()
        assert last_pid(first.pid) == 1
        first.send_signal(getattr(signal, last("STOPSIGNAL")))
        assert outer.wait(PATIENCE) == 0
    finally:
        outer.kill()
        outer.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()


def last_pid(pid: int) -> int:
    """Return the number that a process has in its own namespace."""
    found = re.search(r"^NSpid:.*\s(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_its_probe_tells_a_living_gateway_from_none(replicas: list[Gateway], path: str) -> None:
    probes = {
        "/healthz": shell_form(last("HEALTHCHECK").partition(" CMD ")[2]),
        "/readyz": compose()["services"]["headgate-1"]["healthcheck"]["test"][1:],
    }
    [python, option, code] = probes[path]
    assert python == "python"
    assert f"'{path}'" in code
    assert "4141" in code
    port = replicas[0].url.rpartition(":")[2]
    env = {**os.environ, "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}

    def probe(port: str) -> int:
        command = [SCRIPTS / "python", option, code.replace("4141", port)]
        return subprocess.run(command, env=env, capture_output=True, timeout=60, check=False).returncode

    assert probe(port) == 0
    assert probe(str(free_port())) == 1
