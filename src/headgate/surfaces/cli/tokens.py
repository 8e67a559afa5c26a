"""Token counts of a row, by class and in sum."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.model.usage import Usage

CLASSES: tuple[str, ...] = Usage.__struct_fields__


def tokens_of(row: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts by class, and `total_input` and `total_output` after them."""
    usage = Usage(**{name: int(row[name]) for name in CLASSES})
    return msgspec.structs.asdict(usage) | {"total_input": usage.total_input, "total_output": usage.total_output}
