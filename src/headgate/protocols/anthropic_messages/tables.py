"""What the dialect's words mean, both ways. A test says that every member of each enum is in its tables.

Words of the Messages API: the anthropic SDK's StopReason, ThinkingConfigParam, OutputConfigParam, MessageCreateParams.
"""

from typing import Final

from headgate.model.content import Role, SourceKind
from headgate.model.conversation import ChoiceMode, Effort, FormatKind
from headgate.model.events import Finish

FINISH: Final[dict[str, Finish]] = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP_SEQUENCE,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.CONTEXT,
    "tool_use": Finish.TOOL_USE,
    "refusal": Finish.REFUSAL,
    "pause_turn": Finish.PAUSE,
    "compaction": Finish.PAUSE,
}
"""Stop reasons read; `compaction` (beta) asks for the answer to be sent back, as `pause_turn` does."""

STOP_REASON: Final[dict[Finish, str]] = {
    Finish.STOP: "end_turn",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.CONTEXT: "model_context_window_exceeded",
    Finish.TOOL_USE: "tool_use",
    Finish.REFUSAL: "refusal",
    Finish.CONTENT_FILTER: "refusal",
    Finish.PAUSE: "pause_turn",
    Finish.UNKNOWN: "end_turn",
}
"""Stop reasons written; the API's classifiers, which filter content, end an answer with `refusal`."""

ROLE_READ: Final[dict[str, Role]] = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}

ROLE_WRITTEN: Final[dict[Role, str]] = {
    Role.SYSTEM: "system",
    Role.DEVELOPER: "system",
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
}

CHOICE_READ: Final[dict[str, ChoiceMode]] = {
    "auto": ChoiceMode.AUTO,
    "any": ChoiceMode.REQUIRED,
    "tool": ChoiceMode.NAMED,
    "none": ChoiceMode.NONE,
}

CHOICE_WRITTEN: Final[dict[ChoiceMode, str | None]] = {
    ChoiceMode.AUTO: "auto",
    ChoiceMode.NONE: "none",
    ChoiceMode.REQUIRED: "any",
    ChoiceMode.NAMED: "tool",
    ChoiceMode.FOREIGN: None,
}

EFFORT_READ: Final[dict[str, Effort]] = {
    "low": Effort.LOW,
    "medium": Effort.MEDIUM,
    "high": Effort.HIGH,
    "xhigh": Effort.XHIGH,
    "max": Effort.MAX,
}

EFFORT_WRITTEN: Final[dict[Effort, str | None]] = {
    Effort.NONE: None,
    Effort.MINIMAL: "low",
    Effort.LOW: "low",
    Effort.MEDIUM: "medium",
    Effort.HIGH: "high",
    Effort.XHIGH: "xhigh",
    Effort.MAX: "max",
}
"""The least effort here is `low`; none at all is said by `thinking`."""

FORMAT_WRITTEN: Final[dict[FormatKind, bool]] = {
    FormatKind.TEXT: True,
    FormatKind.JSON_OBJECT: False,
    FormatKind.JSON_SCHEMA: True,
    FormatKind.FOREIGN: False,
}
"""Whether the dialect can say it: text is what it does unasked, JSON without a schema it cannot promise."""

IMAGE_SOURCES: Final = frozenset({SourceKind.BASE64, SourceKind.URL, SourceKind.FILE})

TIER_ASKED: Final[dict[str, str]] = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
"""Service tiers that clients of any dialect ask for; what is not here (flex, scale, priority) has no like."""

TIER_SAID: Final[dict[str, str]] = {
    "default": "standard",
    "standard": "standard",
    "priority": "priority",
    "batch": "batch",
}
"""Service tiers that answers name, as the SDK's Usage.service_tier has them."""

IMAGE_SIGNS: Final[tuple[tuple[str, str], ...]] = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
"""How the base64 of an image begins; the API must be told what it is."""
