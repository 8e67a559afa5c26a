"""The first start: what is found and said, the first key and what it opens, .env, reloads, Ctrl-C at every stage."""

import asyncio
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.e2e.first import LAST, PORTS, Start, call, silent_server
from tests.e2e.gateway import PATIENCE, SCRIPT, Gateway
from tests.e2e.processes import poll
from tests.e2e.test_processes_start import AS_OTHERS

from headgate.ledger.engine import Ledger, open_ledger
from headgate.model.local import LOCAL, Place, Trouble
from headgate.sim import SimThread
from headgate.surfaces.first_start import first_key
from headgate.upstream.listing import ask


def in_use(place: Place) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((place.host, place.port)) == 0


BUSY = [place.shown for place in LOCAL if place.name != "ollama" and in_use(place)]
needs_quiet_ports = pytest.mark.skipif(bool(BUSY), reason=f"something listens on {BUSY}")


@needs_quiet_ports
def test_a_start_with_nothing_at_all_answers_made_up_and_gives_a_key_once(tmp_path: Path) -> None:
    with Start(tmp_path) as first:
        first.until(LAST)
        assert "SIMULATED" in first.said[0]
        assert "headgate init" in first.line("To keep this")
        assert re.fullmatch(
            r"headgate serves http://127\.0\.0\.1:\d+ \(1 worker\); admin http://127\.0\.0\.1:\d+ \(closed: no token\)",
            first.line("headgate serves"),
        )
        assert re.fullmatch(r"hg_\w{43}", first.secret)
        answer = call(first.line("curl").strip())
        assert answer["model"] == "sim-small"
        for line in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
            assert first.secret in first.line(line)
        assert f"OPENAI_BASE_URL={first.url}/v1 " in first.line("OPENAI_BASE_URL")
        assert f"ANTHROPIC_BASE_URL={first.url} " in first.line("ANTHROPIC_BASE_URL")
        assert first.secret not in first.stderr
        assert first.stop() == 0
    assert "Traceback" not in first.stderr
    with Start(tmp_path) as second:
        second.until("headgate serves")
        assert second.stop() == 0
    assert not [line for line in second.said if "hg_" in line]


@needs_quiet_ports
@pytest.mark.parametrize(
    ("env", "path", "model"),
    [
        (
            {"OPENAI_API_KEY": "sk-proj-5ecre7", "ANTHROPIC_API_KEY": "sk-ant-5ecre7"},
            "/v1/chat/completions",
            "gpt-5-nano",
        ),
        ({"ANTHROPIC_API_KEY": "sk-ant-5ecre7"}, "/v1/messages", "claude-haiku-4-5"),
        ({"GROQ_API_KEY": "gsk_5ecre7"}, "/v1/chat/completions", "openai/gpt-oss-20b"),
    ],
)
def test_what_the_environment_holds_is_used_and_tried(
    tmp_path: Path, env: dict[str, str], path: str, model: str
) -> None:
    with Start(tmp_path, env=env) as started:
        started.until(LAST)
        found = started.line("found: ")
        assert all(f"({variable})" in found for variable in env)
        line = started.line("curl")
        assert f"{started.url}{path} " in line
        assert f'{model}"' in line
        assert ('"max_tokens"' in line) is (path == "/v1/messages")
        assert started.stop() == 0
    everything = "\n".join(started.said) + started.stderr + (tmp_path / "headgate.db").read_bytes().decode("latin-1")
    assert "5ecre7" not in everything


def test_with_a_file_no_secret_lands_where_nobody_looks(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text("providers: {}")
    with Start(tmp_path) as started:
        assert "headgate keys create" in started.until("There is no key yet")
        started.stop()
    assert "hg_" not in "".join(started.said) + started.stderr


def test_with_a_file_a_person_at_a_terminal_gets_the_key(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text(
        'providers: {box: {kind: openai, base_url: "http://127.0.0.1:9", price: free, models: [m]}}\n'
        "models: {fast: {routes: [box/m]}}"
    )
    ours, theirs = pty.openpty()
    with Start(tmp_path, stdout=theirs) as started, os.fdopen(ours, "rb", buffering=0) as terminal:
        os.close(theirs)
        said = b""
        while LAST.encode() not in said:
            said += terminal.read(4096)
        assert re.search(rb"hg_\w{43}", said)
        assert started.stop() == 0


def test_a_gateway_that_asks_for_no_key_says_so(tmp_path: Path) -> None:
    (tmp_path / "headgate.yaml").write_text("server: {auth: off}")
    with Start(tmp_path) as started:
        started.until("No key is needed")
        started.stop()
    assert "hg_" not in "".join(started.said)


def test_of_many_that_start_at_once_one_makes_the_key(ledger: Ledger, ledger_url: str) -> None:
    others = [open_ledger(ledger_url) for _ in range(6)]
    with ThreadPoolExecutor(len(others)) as pool:
        made = list(pool.map(lambda one: first_key(one, 1_000), others))
    assert len([key for key in made if key is not None]) == 1
    assert [(key.account, key.name) for key in ledger.reader().keys(2_000)] == [("default", "default")]
    for other in others:
        other.close()


def test_a_gateway_is_never_taken_for_a_local_server(gateway: Gateway) -> None:
    port = int(gateway.url.rpartition(":")[2])
    found = asyncio.run(ask([Place("vllm", "127.0.0.1", port)]))
    assert [one.trouble for one in found] == [Trouble.HEADGATE]


def completion(url: str, secret: str) -> int:
    """Call `box/m` and return the status."""
    body = b'{"model":"box/m","messages":[{"role":"user","content":"Hi"}]}'
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    request = urllib.request.Request(url + "/v1/chat/completions", body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_reload_reads_the_env_file_again_and_its_values_are_seen_nowhere(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("BOX=first-5ecre7\nBOTH=file\nnonsense-5ecre7\n")
    file.chmod(0o644)
    with (
        SimThread(seed=1) as sim,
        Gateway(
            tmp_path,
            sim,
            f'providers: {{box: {{kind: openai, base_url: "{sim.url}", api_key: "${{BOX}}-${{BOTH}}"}}}}\n',
            env={"BOTH": "shell"},
            workers=2,
        ) as gateway,
    ):
        sent = []
        for word in ("first", "second"):
            if word == "second":
                file.write_text("BOX=second-5ecre7\n")
                gateway.process.send_signal(signal.SIGHUP)
                poll(lambda: gateway.stderr.count("configuration reloaded") == 2)
            assert completion(gateway.url, gateway.key) == 200
            sent.append(sim.requests[-1].header("authorization"))
        lines = [" ".join(one.cmdline()) for one in psutil.Process(gateway.pid).children()]
        log = gateway.stderr
    assert sent == ["Bearer first-5ecre7-shell", "Bearer second-5ecre7-shell"]
    assert "5ecre7" not in log + "".join(lines)
    assert f"{file}:3" in log
    assert log.count(f"chmod 600 {file}") == 1


@needs_quiet_ports
def test_a_reload_without_a_file_looks_again_and_never_takes_the_last_provider_away(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    with Start(tmp_path) as started:
        started.until(LAST)
        file.write_text("OPENAI_API_KEY=sk-proj-5ecre7\n")
        file.chmod(0o600)
        started.process.send_signal(signal.SIGHUP)
        poll(lambda: started.stderr.count("configuration reloaded") == 1)
        request = urllib.request.Request(  # noqa: S310
            started.url + "/v1/models", headers={"authorization": f"Bearer {started.secret}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            listed = answer.read()
        assert b"gpt-5-nano" in listed
        assert b"sim-small" not in listed
        assert started.stop() == 0
    with Start(tmp_path) as again:
        again.until("headgate serves")
        file.unlink()
        again.process.send_signal(signal.SIGHUP)
        poll(lambda: "no provider is found any more" in again.stderr)
        assert again.stop() == 0


def test_ctrl_c_while_it_looks_for_servers_ends_it_at_once(tmp_path: Path) -> None:
    with silent_server() as (address, came), Start(tmp_path, env={"OLLAMA_HOST": address}) as started:
        assert came.wait(PATIENCE)
        assert started.stop(signal.SIGINT) == 130
    assert "Traceback" not in started.stderr
    assert started.said == []


def keys_in(folder: Path) -> bool:
    """Say whether a key was made in the folder's ledger, which may not have come to be."""
    if not (folder / "headgate.db").exists():
        return False
    ledger = open_ledger(f"sqlite:///{folder / 'headgate.db'}")
    ledger.migrate()
    try:
        return bool(ledger.reader().keys(1))
    finally:
        ledger.close()


@needs_quiet_ports
@pytest.mark.parametrize("words", ["SIMULATED", "To keep this", "headgate serves", LAST])
def test_ctrl_c_at_every_later_stage_ends_it_clean_and_loses_no_key(tmp_path: Path, words: str) -> None:
    with Start(tmp_path) as started:
        started.until(words)
        children = psutil.Process(started.process.pid).children(recursive=True)
        assert started.stop(signal.SIGINT) in {0, 130}
    assert "Traceback" not in started.stderr
    gone, left = psutil.wait_procs(children, timeout=PATIENCE)
    assert (len(gone), left) == (len(children), [])
    assert keys_in(tmp_path) is bool([line for line in started.said if re.search(r"hg_\w{43}", line)])


def test_a_folder_that_cannot_be_written_is_said_with_what_to_type(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    command = [sys.executable, "-c", AS_OTHERS, str(SCRIPT), "serve", *PORTS]
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "OPENAI_API_KEY": "k"}
    try:
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    finally:
        tmp_path.chmod(0o755)
    assert done.returncode == 1
    assert "headgate init -c ~/headgate.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_variables_of_options_are_taken(tmp_path: Path) -> None:
    there = tmp_path / "etc"
    there.mkdir()
    (there / "other.yaml").write_text("server: {auth: off}")
    env = {"HEADGATE_CONFIG": str(there / "other.yaml"), "HEADGATE_WORKERS": "2", "HEADGATE_HOST": "localhost"}
    with Start(tmp_path, env=env) as started:
        assert "http://localhost:" in started.until("(2 workers)")
        assert started.stop() == 0
    assert (there / "headgate.db").exists()


def test_modules_of_the_folder_are_not_taken_for_headgates_own(tmp_path: Path) -> None:
    """People start it among their own programs, which may be called like any library."""
    for name in ("uvloop", "queue", "secrets", "headgate"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w').close()\nraise SystemExit('not yours')\n")
    with Start(tmp_path, env={"OPENAI_API_KEY": "k"}) as started:
        started.until(LAST)
        assert started.stop() == 0
    assert not (tmp_path / "taken").exists()
