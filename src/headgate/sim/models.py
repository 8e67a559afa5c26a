"""The models that the sim lists. It answers to any name; these are the ones with a meaning."""

from headgate.model.dialect import Dialect
from headgate.sim.ask import Json
from headgate.sim.faults import Fault

NAMES = ("sim-small", "sim-large", "sim-embed", *(f"sim-{fault}" for fault in Fault))
_CREATED = 1_760_000_000
_CREATED_ISO = "2025-10-09T08:53:20Z"


def one_model(dialect: Dialect, name: str) -> Json:
    """Return a model as GET /v1/models/{id} shows it."""
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED_ISO}
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "headgate-sim"}


def models(dialect: Dialect) -> Json:
    """Return the list of GET /v1/models."""
    data = [one_model(dialect, name) for name in NAMES]
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return {"data": data, "has_more": False, "first_id": NAMES[0], "last_id": NAMES[-1]}
    return {"object": "list", "data": data}
