"""A start without a file: providers from the usual environment variables, else the simulated upstream."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from headgate.config.load import Document
from headgate.config.schema import Config

FROM_ENVIRONMENT = {"OPENAI_API_KEY": "openai", "ANTHROPIC_API_KEY": "anthropic"}
SIM_HOST = "127.0.0.1"
SIM_PORT = 4190


class Discovery(msgspec.Struct, frozen=True):
    """What was found. `found` names each provider and its source; `simulated`: there was none."""

    document: Document
    found: tuple[str, ...]
    simulated: bool
    sim_address: tuple[str, int] | None = None


def discover(env: Mapping[str, str], folder: Path, sim_port: int = SIM_PORT) -> Discovery:
    """Return a configuration made of what `env` holds; its ledger lies in `folder`.

    Raises pydantic's ValidationError where a credential could go into no header (no secret is in it).
    """
    providers: dict[str, object] = {}
    found: list[str] = []
    for variable, kind in FROM_ENVIRONMENT.items():
        key = env.get(variable, "").strip()
        if not key:
            continue
        providers[kind] = {"kind": kind, "api_key": key}
        found.append(f"{kind} (from {variable})")
        if kind == "openai":
            providers["openai-responses"] = {"kind": "openai_responses", "api_key": key}
            found.append(f"openai-responses (from {variable})")
    simulated = not providers
    if simulated:
        providers = _simulated(sim_port)
    document = Document(Config.model_validate({"providers": providers}), None, folder)
    return Discovery(document, tuple(found), simulated, (SIM_HOST, sim_port) if simulated else None)


def _simulated(port: int) -> dict[str, object]:
    base_url = f"http://{SIM_HOST}:{port}/v1"
    kinds = {"sim": "openai", "sim-responses": "openai_responses", "sim-anthropic": "anthropic"}
    return {
        name: {"kind": kind, "base_url": base_url, "price": "free", "models": ["sim-small", "sim-large", "sim-embed"]}
        for name, kind in kinds.items()
    }
