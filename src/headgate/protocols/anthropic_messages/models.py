"""What each Claude model accepts, by its name: the rules that decide what a foreign request may say to it.

Sources: platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting (thinking types and what is refused),
…/build-with-claude/effort, …/build-with-claude/mid-conversation-system-messages (Fable, Mythos 5; Opus 4.8, 5, 5.5;
Sonnet 5.5, not Sonnet 5), …/models/opus-5-5/migration-guide and …/models/sonnet-5-5 (no forced tool), the
migration guides of Opus 4.7 (no sampling parameters) and Claude 4 (temperature or top_p), …/structured-outputs.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from headgate.model.conversation import Effort


class Mode(StrEnum):
    """How a model is told to think."""

    NONE = "none"  # it cannot
    BUDGET = "budget"  # thinking: enabled, with budget_tokens
    ADAPTIVE = "adaptive"  # thinking: adaptive, with output_config.effort


class Off(StrEnum):
    """What turns thinking off."""

    UNASKED = "unasked"  # it is off unless asked for
    DISABLED = "disabled"
    BETWEEN_TOOLS = "between_tools"
    NEVER = "never"


class Model(msgspec.Struct, frozen=True):
    """What one model accepts. `both_samplers`: temperature and top_p in one request; `forced`: tool_choice any or tool.

    `system_turns`: messages of role system among the others; `schemas`: output_config.format and strict tools;
    `displays`: it leaves the text of its thinking out unless thinking.display asks for it.
    """

    mode: Mode = Mode.NONE
    off: Off = Off.UNASKED
    efforts: frozenset[Effort] = frozenset()
    sampling: bool = True
    both_samplers: bool = True
    schemas: bool = False
    system_turns: bool = False
    forced: bool = True
    displays: bool = False


_BASE_EFFORTS: Final = frozenset({Effort.MINIMAL, Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.MAX})
_ANY: Final = ""
_NEWEST: Final = (99, 0)

STRANGER: Final = Model(mode=Mode.BUDGET, off=Off.DISABLED, schemas=True)
"""A model of another vendor behind this API (DeepSeek, Kimi, GLM): these take Claude 4's parameters."""

_RULES: Final[tuple[tuple[str, tuple[int, int], dict[str, Any]], ...]] = (
    (_ANY, (3, 7), {"mode": Mode.BUDGET}),
    (_ANY, (4, 0), {"both_samplers": False}),
    ("opus", (4, 1), {"schemas": True}),
    (_ANY, (4, 5), {"schemas": True}),
    (_ANY, (4, 6), {"mode": Mode.ADAPTIVE, "efforts": _BASE_EFFORTS}),
    (_ANY, (4, 7), {"sampling": False, "displays": True, "efforts": _BASE_EFFORTS | {Effort.XHIGH}}),
    ("opus", (4, 8), {"system_turns": True}),
    (_ANY, (5, 0), {"off": Off.DISABLED}),
    ("fable", (5, 0), {"off": Off.NEVER, "system_turns": True}),
    ("mythos", (5, 0), {"off": Off.NEVER, "system_turns": True}),
    ("fable", (5, 1), {"forced": False}),
    ("mythos", (5, 1), {"forced": False}),
    ("opus", (5, 5), {"off": Off.NEVER, "forced": False}),
    ("sonnet", (5, 5), {"off": Off.BETWEEN_TOOLS, "forced": False, "system_turns": True}),
)
"""Family, the version from which on it holds, what changes. Later rows win."""

_NAME: Final = re.compile(
    r"claude(?:[-_. ](?!\d)(?P<before>[a-z]+))?"
    r"(?:[-_. ](?P<major>\d{1,2})(?!\d)(?:[-_.](?P<minor>\d{1,2})(?!\d))?)?"
    r"(?:[-_. ](?P<after>opus|sonnet|haiku))?"
)


@lru_cache(maxsize=1024)
def model_named(upstream_name: str) -> Model:
    """Return what a model accepts; a Claude without a version in its name counts as the newest of its family."""
    found = _NAME.search(upstream_name[:256].lower())
    if found is None:
        return STRANGER
    family = found["after"] or found["before"] or _ANY
    version = (int(found["major"]), int(found["minor"] or 0)) if found["major"] else _NEWEST
    model = Model()
    for who, since, change in _RULES:
        if who in (_ANY, family) and version >= since:
            model = msgspec.structs.replace(model, **change)
    return model
