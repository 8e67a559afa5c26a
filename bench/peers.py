"""What is compared: each peer is started on the gateway's core in front of the mock, checked, and stopped."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bench import answers, envelopes, load, machine

READY_S = 30.0
PRICE = {"input": 1, "output": 2}


class Peer(NamedTuple):
    """A running peer. `pid` is the root of its process tree, whose CPU and memory are counted."""

    name: str
    target: load.Target
    pid: int


@contextlib.contextmanager
def mock(core: int, paced_frames: int) -> Iterator[Peer]:
    """Run the mock upstream."""
    command = [sys.executable, "-m", "bench.mock", str(paced_frames)]
    process = machine.pinned(core, command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Peer("mock", load.Target(int(process.stdout.readline()), "none"), process.pid)
    finally:
        machine.stop(process)


@contextlib.contextmanager
def nginx(core: int, upstream: int, folder: Path) -> Iterator[Peer]:
    """Run nginx as a plain reverse proxy: one worker, keep-alive both ways, no buffering, no log."""
    port = machine.free_port()
    temps = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; {temps}
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024; client_body_buffer_size 64k;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
""")
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(conf)]
    with running("nginx", core, command, load.Target(port, "none"), "/v1/models") as peer:
        yield peer


@contextlib.contextmanager
def relay(core: int, upstream: int, _folder: Path) -> Iterator[Peer]:
    """Run the floor of this stack, see relay.py."""
    port = machine.free_port()
    command = [sys.executable, "-m", "bench.relay", str(port), f"http://127.0.0.1:{upstream}"]
    with running("relay", core, command, load.Target(port, "none"), None) as peer:
        yield peer


@contextlib.contextmanager
def headgate(
    core: int, upstream: int, folder: Path, *, ledger: str | None = None, owned: str = "", key: str | None = None
) -> Iterator[Peer]:
    """Run Headgate with all of it on: key auth, routing, metering, a ledger at durability `call` (SQLite unless told).

    `owned` are the accounts, keys and limits of its file; `key` is one of those keys, None: one is made in the ledger.
    """
    port = machine.free_port()
    config = folder / "headgate.yaml"
    models = "\n".join(f"  {model}: {{routes: [mock/{model}]}}" for model in answers.MODELS)
    config.write_text(f"""
server: {{host: 127.0.0.1, port: {port}, admin_port: {machine.free_port()}, workers: 1}}
ledger: {{url: {json.dumps(ledger or f"sqlite:///{folder}/headgate.db")}, durability: call}}
providers:
  mock:
    {{kind: openai, base_url: "http://127.0.0.1:{upstream}/v1", api_key: bench, price: {json.dumps(PRICE)}}}
models:
{models}
{owned}
""")
    program = str(Path(sys.executable).with_name("headgate"))
    key = key or _new_key(program, config)
    command = [program, "serve", "--config", str(config)]
    with running("headgate", core, command, load.Target(port, key), "/readyz") as peer:
        yield peer


def _new_key(program: str, config: Path) -> str:
    options = ["--json", "--account", "bench", "--config", str(config)]
    created = subprocess.run([program, "keys", "create", *options], capture_output=True, check=False, timeout=60)
    if created.returncode:
        raise machine.Unfit(f"headgate keys create: {created.stderr.decode()}")
    key: str = json.loads(created.stdout)["key"]
    return key


def recorded(folder: Path) -> int:
    """Return how many calls the ledger of a Headgate in this folder holds."""
    program = str(Path(sys.executable).with_name("headgate"))
    command = [program, "usage", "--json", "--config", str(folder / "headgate.yaml")]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return sum(int(json.loads(line)["requests"]) for line in said.splitlines())


@contextlib.contextmanager
def running(
    name: str,
    core: int,
    command: list[str],
    target: load.Target,
    ready: str | None,
    *,
    ready_s: float = READY_S,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Peer]:
    """Start a peer; it is ready when `ready` answers 200 (nginx: anything; None: when it accepts). Raises Unfit."""
    with tempfile.TemporaryFile() as errors:
        process = machine.pinned(core, command, stderr=errors, env=env, cwd=cwd)
        try:
            until = time.monotonic() + ready_s
            while not _answers(target, ready, any_status=name == "nginx"):
                if process.poll() is not None or time.monotonic() > until:
                    errors.seek(0)
                    said = errors.read()[-2000:].decode(errors="replace")
                    raise machine.Unfit(f"{name} did not start: {' '.join(command)}\n{said}")
                time.sleep(0.05)
            yield Peer(name, target, process.pid)
        finally:
            machine.stop(process)


def _answers(target: load.Target, path: str | None, *, any_status: bool) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
    try:
        if path is None:
            connection.connect()
            return True
        connection.request("GET", path)
        return any_status or connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def check_envelopes(peer: Peer) -> tuple[bool, bool]:
    """Verify an answer and a stream; return whether each keeps its bytes when they are spelt unusually.

    Raises BadAnswers if the usual ones differ in what they say (in one byte, of a peer that is `exact`), and where
    Headgate lacks a header of its own.
    """
    burst = b"".join(answers.frames("burst", answers.BURST_FRAMES))
    for model, expected in (("unary", answers.unary()), ("burst", burst)):
        got, headers = ask(peer, model)
        if not _says(got, expected, model, exact=peer.target.exact):
            raise load.BadAnswers(f"{peer.name}: {model}: {got[:400]!r}")
        if peer.name == "headgate" and "x-headgate-call" not in headers:
            raise load.BadAnswers(f"{peer.name}: {model}: no x-headgate-call")
    kept = ask(peer, "odd")[0] == answers.odd(), ask(peer, "odd-stream")[0] == b"".join(answers.odd_frames())
    if peer.target.exact and kept != (True, True):
        raise load.BadAnswers(f"{peer.name} changes the bytes of an answer that is spelt unusually")
    return kept


def _says(got: bytes, expected: bytes, model: str, *, exact: bool) -> bool:
    if model == "unary" and not exact:
        try:
            return envelopes.of_unary(got) == envelopes.of_unary(expected)
        except ValueError:
            return False
    return got == expected if exact else load.matches(got, expected, whole=True, exact=False)


def ask(peer: Peer, model: str) -> tuple[bytes, set[str]]:
    """Return the body of one answer and the lower-case names of its headers. Raises BadAnswers unless it is a 200."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.target.port, timeout=10)
    stream = model not in ("unary", "odd")
    asked = answers.request(peer.target.port, peer.target.key, model, stream=stream).partition(b"\r\n\r\n")[2]
    headers = dict(line.split(": ", 1) for line in peer.target.headers)
    headers |= {"content-type": "application/json", "authorization": f"Bearer {peer.target.key}"}
    try:
        connection.request("POST", "/v1/chat/completions", asked, headers)
        answer = connection.getresponse()
        got = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise load.BadAnswers(f"{peer.name}: {model}: {error!r}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise load.BadAnswers(f"{peer.name}: {model}: {answer.status} {got[:400]!r}")
    return got, {name.lower() for name, _ in answer.getheaders()}


def versions() -> list[str]:
    """Return the versions of what is compared and of what loads it."""
    path = {**os.environ, "PATH": machine.search_path()}
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True, env=path).stderr.strip()
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False, env=path)
    first = (wrk.stdout or wrk.stderr).splitlines()[0].split(" [")[0]
    return [said.removeprefix("nginx version: ").replace("/", " "), first]
