"""The description of the admin plane, made from the table of routes."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from headgate import __version__
from headgate.surfaces.admin.guard import EXEMPT
from headgate.surfaces.admin.table import Entry

_REFERENCES = "#/components/schemas/{name}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "code"],
            "properties": {"message": {"type": "string"}, "code": {"type": "string"}},
        }
    },
}


def describe(table: Sequence[Entry]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these routes."""
    bodies = [entry.body for entry in table if entry.body is not None]
    references, schemas = msgspec.json.schema_components(bodies, ref_template=_REFERENCES)
    by_body = dict(zip(bodies, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for entry in table:
        body = None if entry.body is None else by_body[entry.body]
        paths.setdefault(entry.path, {})[entry.method.lower()] = _operation(entry, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headgate admin plane", "version": __version__},
        "security": [{"adminToken": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"adminToken": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas, "Error": _ERROR},
        },
    }


def _operation(entry: Entry, body: dict[str, Any] | None) -> dict[str, Any]:
    exempt = (entry.method, entry.path) in EXEMPT
    refuses = sorted({*entry.refuses, *(() if exempt else (401, 403))})
    operation: dict[str, Any] = {
        "summary": entry.handler.__doc__,
        "operationId": entry.handler.__name__,
        "responses": {
            str(entry.status): {"description": HTTPStatus(entry.status).phrase, "content": {entry.content_type: {}}},
            **{str(status): _refusal(status, exempt=exempt) for status in refuses},
        },
    }
    if exempt:
        operation["security"] = []
    if parameters := [*_path_parameters(entry.path), *_query_parameters(entry)]:
        operation["parameters"] = parameters
    if entry.body is not None:
        required = any(field.required for field in msgspec.structs.fields(entry.body))
        operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": body}}}
    return operation


def _refusal(status: int, *, exempt: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {} if exempt else {"schema": {"$ref": _REFERENCES.format(name="Error")}}
    return {"description": HTTPStatus(status).phrase, "content": {"application/json": schema}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(entry: Entry) -> list[dict[str, Any]]:
    return [
        {"name": param.name, "in": "query", "description": param.about, "schema": dict(param.schema)}
        for param in entry.query
    ]
