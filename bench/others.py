"""The other gateways, started as their documents advise; `report_peers.NOTES` says what that comes to."""

import contextlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench import answers, install, load, machine, peers

LITELLM_READY_S = 120.0
"""It imports for ten seconds, and for longer the first time."""

_LITELLM_ENV = {
    # docs.litellm.ai/docs/proxy/prod
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # Bundled data, not the network's.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
}


@contextlib.contextmanager
def litellm(core: int, upstream: int, folder: Path) -> Iterator[peers.Peer]:
    """Run LiteLLM's proxy: one worker, a master key, no database."""
    program = install.litellm()
    port, key = machine.free_port(), f"sk-{secrets.token_hex(16)}"
    settings = {"request_timeout": 600, "set_verbose": False, "json_logs": True, "telemetry": False}
    config = folder / "config.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [_litellm_model(model, upstream) for model in answers.MODELS],
                "general_settings": {"master_key": key},
                "litellm_settings": settings,
            }
        )
    )
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    target = load.Target(port, key, exact=False)
    env = {"HOME": str(folder), **_LITELLM_ENV}
    with peers.running(
        "litellm", core, command, target, "/health/liveliness", ready_s=LITELLM_READY_S, env=env, cwd=folder
    ) as peer:
        yield peer


def _litellm_model(model: str, upstream: int) -> dict[str, object]:
    base = f"http://127.0.0.1:{upstream}/v1"
    return {"model_name": model, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "bench"}}


@contextlib.contextmanager
def portkey(core: int, upstream: int, folder: Path) -> Iterator[peers.Peer]:
    """Run Portkey's gateway: the upstream is named in the headers of each request."""
    script = install.portkey()
    port = machine.free_port()
    guard = Path(__file__).with_name("loopback.cjs")
    command = ["node", "--require", str(guard), str(script), f"--port={port}", "--headless"]
    headers = ("x-portkey-provider: openai", f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1")
    target = load.Target(port, "bench", headers, exact=False)
    env = {"HOME": str(folder), "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    with peers.running("portkey", core, command, target, "/", env=env, cwd=folder) as peer:
        yield peer


def node_version() -> str:
    """Return node's version, `v20.1.2`."""
    return subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
