"""Text that a store cannot keep, made harmless: a strange name must not cost a row."""

from __future__ import annotations

from headgate.ledger.batch import Batch

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def scrub(batch: Batch) -> bool:
    """Replace NUL characters and lone surrogates in the rows' text, in place; say whether there were any."""
    changed = False
    for row in (*batch.calls, *batch.attempts):
        for name in row.__struct_fields__:
            value = getattr(row, name)
            if isinstance(value, str):
                clean = _clean(value)
                if clean != value:
                    setattr(row, name, clean)
                    changed = True
    return changed


def _clean(text: str) -> str:
    return "".join(
        _REPLACEMENT if character == "\0" or "\ud800" <= character <= "\udfff" else character for character in text
    )
