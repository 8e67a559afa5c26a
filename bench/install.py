"""The other gateways, each installed into a folder of its own under build/peers and used again when it is there."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import pins
from bench.machine import Unfit
from bench.progress import say

ROOT = Path(__file__).parents[1] / "build" / "peers"
MARKER = ".installed"
LIMIT_S = 900
_LEAVE_OUT = "leave it out: make bench-peers ARGS='--peers nginx relay headgate {other}'"


def litellm() -> Path:
    """Return LiteLLM's program. Raises Unfit if it cannot be installed."""
    folder = ROOT / "litellm"

    def build() -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"litellm[proxy]=={pins.LITELLM}"])

    _named("LiteLLM", folder, pins.LITELLM, build, "portkey", "a minute or two, 750 MB")
    return folder / "bin" / "litellm"


def portkey() -> Path:
    """Return the script of Portkey's gateway. Raises Unfit if it cannot be installed."""
    folder = ROOT / "portkey"
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Unfit(
                f"not installed: {program}, which Portkey needs; on Debian: apt-get install nodejs npm; "
                f"or {_LEAVE_OUT.format(other='litellm')}"
            )
    manifest = {
        "private": True,
        "dependencies": {"@portkey-ai/gateway": pins.PORTKEY},
        "overrides": pins.PORTKEY_LOCKED,
    }

    def build() -> None:
        folder.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        _run(["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"])

    _named("Portkey", folder, json.dumps(manifest), build, "litellm", "ten seconds, 25 MB")
    return folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def ensure(folder: Path, pin: str, build: Callable[[], None]) -> bool:
    """Call `build`, which must make `folder`, unless it is there with this pin; return whether it was called.

    A folder without its marker, or with another pin, is removed before; whatever ends `build` early leaves no folder.
    """
    marker = folder / MARKER
    if marker.is_file() and marker.read_text(encoding="utf-8") == pin:
        return False
    with contextlib.ExitStack() as half:
        half.callback(shutil.rmtree, folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        build()
        marker.write_text(pin, encoding="utf-8")
        half.pop_all()
    return True


def _named(name: str, folder: Path, pin: str, build: Callable[[], None], other: str, effort: str) -> None:
    def told() -> None:
        say(f"installing {name} into {folder} ({effort})")
        build()

    try:
        ensure(folder, pin, told)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unfit(
            f"{name} could not be installed, and nothing of it is left: {_why(error)}\n"
            f"See that the package registry can be reached and try again, or {_LEAVE_OUT.format(other=other)}"
        ) from error


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)


def _why(error: Exception) -> str:
    """Return the last lines that a failed command said, or the error itself."""
    if isinstance(error, subprocess.CalledProcessError):
        said = [line for line in (error.stderr or error.stdout or "").splitlines() if not line.startswith("WARNING")]
        return f"{' '.join(error.cmd[:4])} … ended with {error.returncode}\n" + "\n".join(
            f"  {line[:300]}" for line in said[-4:]
        )
    return str(error)
