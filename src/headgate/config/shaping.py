"""What a configuration says of requests and answers on their way: the nearer word wins, prompts add up."""

from msgspec import Raw

from headgate.config.fields import json_of
from headgate.config.schema import ShapingConfig
from headgate.model.route import Shaping


def shaped(base: Shaping, said: ShapingConfig) -> Shaping:
    """Return `base` with what is said nearer to the model: parameters one by one, prompts one after the other."""
    if all(getattr(said, name) is None for name in ShapingConfig.model_fields):
        return base
    extra = {name: Raw(json_of(value)) for name, value in (said.extra_body or {}).items()}
    system = "\n\n".join(text for text in (base.system, said.append_system_prompt) if text)
    return Shaping(
        extra_body={**base.extra_body, **extra},
        system=system,
        repair_tools=_nearer(said.repair_tools, base.repair_tools),
        strip_thinking=_nearer(said.strip_thinking, base.strip_thinking),
        strip_stop_markers=_nearer(said.strip_stop_markers, base.strip_stop_markers),
        cache_auto=base.cache_auto if said.cache is None else said.cache == "auto",
        strict=_nearer(said.strict, base.strict),
    )


def _nearer(said: bool | None, base: bool) -> bool:  # noqa: FBT001  two values of one setting
    return base if said is None else said
