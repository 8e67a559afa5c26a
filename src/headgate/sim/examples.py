"""Values that fit a JSON Schema, from the seed."""

from typing import Any

from headgate.sim.ask import Json
from headgate.sim.words import Dice, pieces

_DEPTH = 8


def example(dice: Dice, schema: Json) -> Any:
    """Return a value of a JSON Schema: its required members, or all where it requires none.

    Known are types, enum, const, properties, items, anyOf, oneOf, allOf and $ref within the schema; what the sim does
    not know is a word.
    """
    return _value(dice, schema, schema, 0)


def _value(dice: Dice, schema: Any, root: Json, depth: int) -> Any:
    if depth > _DEPTH:
        return None
    schema = _resolved(schema, root)
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return options[dice.below(len(options))]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or "properties" in schema:
        return _object(dice, schema, root, depth)
    if kind == "array":
        items = schema.get("items")
        return [_value(dice, items, root, depth + 1)] if isinstance(items, dict) and depth < _DEPTH else []
    if kind in ("integer", "number"):
        return dice.below(100)
    if kind == "boolean":
        return True
    return None if kind == "null" else "".join(pieces(dice, 3))


def _object(dice: Dice, schema: Json, root: Json, depth: int) -> Json:
    fields = schema.get("properties")
    if not isinstance(fields, dict) or depth >= _DEPTH:
        return {}
    needed = schema.get("required") or list(fields)
    return {name: _value(dice, field, root, depth + 1) for name, field in fields.items() if name in needed}


def _resolved(schema: Any, root: Json) -> Json:
    """Return what a schema stands for: references followed, the first of alternatives taken."""
    for _ in range(_DEPTH):
        if not isinstance(schema, dict):
            return {}
        options = next((schema[word] for word in ("anyOf", "oneOf", "allOf") if schema.get(word)), None)
        if isinstance(schema.get("$ref"), str):
            schema = _referred(schema["$ref"], root)
        elif isinstance(options, list):
            schema = options[0]
        else:
            return schema
    return {}


def _referred(reference: str, root: Json) -> Any:
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
