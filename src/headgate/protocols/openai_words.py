"""Words that OpenAI's two dialects share, as tables over every canonical value."""

from typing import Final

from msgspec import Raw

from headgate.model.conversation import ChoiceMode, Effort, FormatKind
from headgate.protocols.json_object import members_of, splice

CHOICE_READ: Final = {"auto": ChoiceMode.AUTO, "none": ChoiceMode.NONE, "required": ChoiceMode.REQUIRED}

CHOICE_WRITTEN: Final[dict[ChoiceMode, str | None]] = {
    ChoiceMode.AUTO: "auto",
    ChoiceMode.NONE: "none",
    ChoiceMode.REQUIRED: "required",
    ChoiceMode.NAMED: None,
    ChoiceMode.FOREIGN: None,
}
"""None: it is an object."""

EFFORT_READ: Final = {
    "none": Effort.NONE,
    "minimal": Effort.MINIMAL,
    "low": Effort.LOW,
    "medium": Effort.MEDIUM,
    "high": Effort.HIGH,
    "xhigh": Effort.XHIGH,
    "max": Effort.MAX,
}

EFFORT_WRITTEN: Final[dict[Effort, str]] = {effort: word for word, effort in EFFORT_READ.items()}

FORMAT_READ: Final = {
    "text": FormatKind.TEXT,
    "json_object": FormatKind.JSON_OBJECT,
    "json_schema": FormatKind.JSON_SCHEMA,
}

FORMAT_WRITTEN: Final[dict[FormatKind, str | None]] = {
    **{kind: word for word, kind in FORMAT_READ.items()},
    FormatKind.FOREIGN: None,
}


def with_properties(schema: Raw) -> Raw:
    """Return a tool's schema with the `properties` that OpenAI demands ("object schema missing properties")."""
    members = members_of(bytes(schema))
    if members is None or "properties" in members or members.get("type") != Raw(b'"object"'):
        return schema
    return Raw(splice(bytes(schema), members, {"properties": b"{}"}))
