"""The exported JSON Schema, and the documentation of every key."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from headgate.config.schema import Config, ShapingConfig, json_schema
from headgate.config.vendors import BASE_URLS, cut_stops_billing

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
TOLD = {"title", "description", "default", "format", "$schema", "$defs", "writeOnly"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def faults(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> list[str]:
    """Validate by the part of JSON Schema that the export uses; any other keyword is an error."""
    found: list[str] = []
    for word, limit in schema.items():
        if word in TOLD:
            continue
        check = CHECKS[word]
        found += check(limit, value, schema, root)
    return found


def _type(limit: str, value: Any, *_: Any) -> list[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if limit in {"integer", "number"}:
        fits = number and (limit == "number" or isinstance(value, int))
    else:
        fits = isinstance(value, TYPES[limit])
    return [] if fits else [f"{value!r} is no {limit}"]


def _properties(limit: dict[str, Any], value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [fault for key in limit.keys() & value.keys() for fault in faults(limit[key], value[key], root)]


def _additional(limit: Any, value: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    patterns = schema.get("patternProperties", {})
    more = {
        key
        for key in value.keys() - schema.get("properties", {}).keys()
        if not any(re.search(pattern, key) for pattern in patterns)
    }
    if limit is False:
        return [f"unknown key {key}" for key in more]
    return [fault for key in more for fault in faults(limit, value[key], root)]


def _patterned(limit: dict[str, Any], value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    pairs = [(item, inner) for key, item in value.items() for name, inner in limit.items() if re.search(name, key)]
    return [fault for item, inner in pairs for fault in faults(inner, item, root)]


def _any_of(limit: list[Any], value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    tried = [faults(option, value, root) for option in limit]
    return [] if any(not one for one in tried) else [fault for one in tried for fault in one]


def _ref(limit: str, value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    return faults(root["$defs"][limit.rpartition("/")[2]], value, root)


def _items(limit: Any, value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    return [fault for item in value for fault in faults(limit, item, root)] if isinstance(value, list) else []


def _names(limit: Any, value: Any, _schema: Any, root: dict[str, Any]) -> list[str]:
    return [fault for key in value for fault in faults(limit, key, root)] if isinstance(value, dict) else []


def _when(fits: Any) -> Any:
    return lambda limit, value, *_: [] if fits(limit, value) else [f"{value!r} against {limit!r}"]


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


CHECKS: dict[str, Any] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "patternProperties": _patterned,
    "propertyNames": _names,
    "anyOf": _any_of,
    "$ref": _ref,
    "items": _items,
    "required": _when(lambda limit, value: not isinstance(value, dict) or set(limit) <= set(value)),
    "enum": _when(lambda limit, value: value in limit),
    "const": _when(lambda limit, value: value == limit),
    "pattern": _when(lambda limit, value: not isinstance(value, str) or re.search(limit, value) is not None),
    "minimum": _when(lambda limit, value: not _numeric(value) or value >= limit),
    "maximum": _when(lambda limit, value: not _numeric(value) or value <= limit),
    "exclusiveMinimum": _when(lambda limit, value: not _numeric(value) or value > limit),
    "minLength": _when(lambda limit, value: not isinstance(value, str) or len(value) >= limit),
    "maxLength": _when(lambda limit, value: not isinstance(value, str) or len(value) <= limit),
    "minItems": _when(lambda limit, value: not isinstance(value, list) or len(value) >= limit),
    "maxItems": _when(lambda limit, value: not isinstance(value, list) or len(value) <= limit),
    "minProperties": _when(lambda limit, value: not isinstance(value, dict) or len(value) >= limit),
}


def check(text: str) -> list[str]:
    schema = json_schema()
    return faults(schema, YAML(typ="safe", pure=True).load(text), schema)


def test_the_example_fits_the_schema() -> None:
    assert check((ROOT / "headgate.example.yaml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "providers: {openai: {kind: openai, models: {a: , b: {context: 1}}}}",
        "server: {port: '${PORT}', auth: '${AUTH:-off}', workers: 4, drain_timeout: 0s}",
        "server: {max_body: 65536, deadline: '${DEADLINE}'}",
        "providers: {openai: {kind: openai, models: [a, b], open: '${OPEN}', price: {input: 1, output: '0.5'}}}",
        "providers: {openai: {kind: '${KIND}', models: {a: {price: free}}, serves: [embeddings]}}",
        "accounts: [a, b]",
        "accounts: {a: {}, b: }",
        "keys: [{name: a, secret: '${KEY}', models: [x], expires: '2027-01-31'}]",
        "limits: [{account: a, usd: 0.1, per: month, zone: Europe/Berlin}, {key: k, tokens: '2_000', per: 24h}]",
        "limits: [{session: each, requests: '${CAP}', per: '${PER}', clamp: '${CLAMP}'}, {key: k, concurrency: 0}]",
    ],
)
def test_what_headgate_accepts_fits_the_schema(text: str) -> None:
    assert check(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "servr: {}",
        "server: {prot: 1}",
        "server: {port: many}",
        "server: {port: 70000}",
        "server: {max_body: 3x}",
        "server: {deadline: 30}",
        "server: {auth: maybe}",
        "providers: {openai: {}}",
        "providers: {openai: {kind: opnai}}",
        "providers: {Open/AI: {kind: openai}}",
        "providers: {openai: {kind: openai, price: cheap}}",
        "providers: {openai: {kind: openai, price: {input: -1}}}",
        "providers: {openai: {kind: openai, models: [1]}}",
        "providers: {openai: {kind: openai, timeouts: {idel: 1s}}}",
        "models: {fast: {routes: []}}",
        "models: {a/b: {routes: [x/y]}}",
        "accounts: {a: {usd: 1}}",
        "accounts: a",
        "keys: {a: {}}",
        "keys: [{secret: x}]",
        "keys: [{name: a, expire: x}]",
        "limits: {a: {}}",
        "limits: [{account: a, usd: -1, per: day}]",
        "limits: [{account: a, usd: much, per: day}]",
        "limits: [{account: a, tokens: 1.5, per: day}]",
        "limits: [{account: a, tokens: 1, per: year}]",
        "limits: [{account: a, tokens: 1, perr: day}]",
    ],
)
def test_what_headgate_refuses_does_not_fit_the_schema(text: str) -> None:
    assert check(text) != []


def keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str | None]]:
    """Yield every key with its default as it is written in YAML; None where the documentation may say it."""
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        inner = section_of(field.annotation)
        if inner is not None and get_origin(field.annotation) is list:
            yield from keys(inner, f"{prefix}{name}[].")
            continue
        if inner is not None:
            mapped = "<name>" if name in {"providers", "models"} and model is Config else "<model>"
            is_mapping = name in {"providers", "models"}
            yield from keys(inner, f"{prefix}{name}.{mapped}." if is_mapping else f"{prefix}{name}.")
            if not (is_mapping and model is not Config):
                continue
        default = properties[name].get("default")
        yield (
            f"<at>.{name}" if name in ShapingConfig.model_fields else f"{prefix}{name}",
            json.dumps(default) if isinstance(default, bool) else None if default is None else str(default),
        )


def section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = section_of(part)
        if found is not None:
            return found
    return None


def test_every_key_is_documented_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.<>\[\]0-9]+)` \| (.+?) \|", DOC, re.MULTILINE))
    known = dict(keys(Config, ""))
    assert set(rows) >= set(known)
    dotted = {key for key in rows if "." in key}
    assert dotted <= set(known), "documented and not in the schema"
    for key, default in known.items():
        if default is not None and default != "{}":
            assert rows[key] == f"`{default}`", key


def test_every_vendor_is_documented_with_its_url_and_declaration() -> None:
    for vendor, urls in BASE_URLS.items():
        for kind, url in urls.items():
            said = "yes" if cut_stops_billing(url) else "no"
            rows = [line for line in DOC.splitlines() if f"| `{vendor}` |" in line and f"`{kind}`" in line]
            assert any(f"| `{url}` | {said} |" in row for row in rows), (vendor, kind)
