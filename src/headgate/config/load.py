"""From the text of headgate.yaml to a checked `Document`, with every fault found named at once."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from headgate.config.checks import check_references
from headgate.config.limits import check_owned
from headgate.config.problems import ConfigError, Problem, Where, unknown
from headgate.config.schema import Config
from headgate.config.tree import MAX_FILE, Tree, read_tree

FILE_NAME = "headgate.yaml"
SECTIONS = frozenset(Config.model_fields)
"""The sections of the file."""


class Document(msgspec.Struct, frozen=True):
    """A configuration that was checked, and where it came from.

    `path` is None where there is no file; `folder` is what relative paths in it are relative to.
    """

    config: Config
    path: Path | None
    folder: Path


def locate(path: Path | None, folder: Path) -> Path | None:
    """Return the file to read: the one named, else headgate.yaml in `folder` if there is one.

    Raises ConfigError where something of that name is no file: a start as if there were none would be another gateway.
    """
    if path is not None:
        return path
    usual = folder / FILE_NAME
    if not os.path.lexists(usual):
        return None
    try:
        mode = usual.stat().st_mode
    except OSError as error:
        fault = f"cannot be read: {error.strerror}; mend that"
    else:
        if stat.S_ISREG(mode):
            return usual
        fault = f"is {'a folder' if stat.S_ISDIR(mode) else 'no file'}; remove it"
    raise ConfigError([Problem(str(usual), None, "", f"{fault}, or name another with --config")])


def load(path: Path, env: Mapping[str, str], sections: frozenset[str] = SECTIONS) -> Document:
    """Read and check a file. Raises ConfigError with all its problems; no secret is in any of them.

    With fewer `sections` the others are as if absent, whatever is wrong with them: who only looks into the ledger
    need not have the providers' keys in the environment.
    """
    return document(read_text(path), path, env, sections)


def read_text(path: Path) -> str:
    """Return the text of a file. Raises ConfigError where it cannot be read, is too large or no text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            [Problem(str(path), None, "", f"cannot be read: {reason}; name another with --config")]
        ) from None
    if len(data) > MAX_FILE:
        raise ConfigError([Problem(str(path), None, "", f"is larger than {MAX_FILE >> 20} MiB; is it the right file?")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(str(path), line, "", "is not UTF-8 text; save it as UTF-8")]) from None


def document(text: str, path: Path, env: Mapping[str, str], sections: frozenset[str] = SECTIONS) -> Document:
    """Check `text` as the content of the file at `path`. Raises ConfigError."""
    whole = path.absolute()
    return Document(parse(text, str(path), env, sections), whole, whole.parent)


def parse(text: str, file: str, env: Mapping[str, str], sections: frozenset[str] = SECTIONS) -> Config:
    """Check the text of a configuration; `file` is how its problems name it. Raises ConfigError."""
    tree = read_tree(text, file, env)
    data = tree.data if tree.data is not None else {}
    if not isinstance(data, dict):
        raise ConfigError([Problem(file, tree.line(()), "", "must be a mapping of sections such as 'providers:'")])
    if sections != SECTIONS:
        data = {key: value for key, value in data.items() if key in sections}
        tree.problems = [one for one in tree.problems if re.split(r"[.\[]", one.where)[0] in {"", *sections}]
    data = {key: value for key, value in data.items() if value is not None or key not in SECTIONS}
    config: Config | None = None
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _report(tree, detail)
    check_references(tree, data)
    check_owned(tree, data)
    if tree.problems or config is None:
        raise ConfigError(tree.problems)
    return config


def _report(tree: Tree, detail: ErrorDetails) -> None:
    """Turn one of pydantic's errors into a problem of ours; its own text is not kept where ours says more."""
    where: Where = tuple(part for part in detail["loc"] if part != "[key]")
    if where in tree.poisoned:
        return
    kind, message = detail["type"], detail["msg"]
    if kind == "extra_forbidden":
        message = unknown("key", str(where[-1]), _keys_at(where[:-1]))
    elif kind == "missing":
        message = f"'{where[-1]}' is missing"
        where = where[:-1]
    elif detail["loc"] and detail["loc"][-1] == "[key]":
        message = _bad_name(where)
    elif kind in {"model_type", "dict_type"}:
        message = "must be a mapping"
    elif kind == "too_short" and where[-1:] == ("routes",):
        message = "must hold at least one route"
    elif kind in {"too_short", "too_long"}:
        message = (
            message.partition(" after validation")[0]
            .replace("List should", "must")
            .replace("Dictionary should", "must")
        )
    elif kind == "int_parsing":
        message = "must be a whole number"
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    tree.report(where, message.replace("String should", "must"))


def _bad_name(where: Where) -> str:
    if where[:1] == ("providers",):
        return "a provider's name is made of lower-case letters, digits, '.', '_' and '-', without a slash"
    if where[:1] == ("models",):
        return "a virtual model's name has no slash and no white space"
    return "a name is empty or too long"


def _keys_at(where: Where) -> list[str]:
    """Return the keys that the schema knows at a place."""
    shape: Any = Config
    for part in where:
        shape = _inner(shape)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            field = shape.model_fields.get(str(part))
            shape = field.annotation if field is not None else None
        else:
            shape = get_args(shape)[-1] if get_args(shape) else None
    shape = _inner(shape)
    return list(shape.model_fields) if isinstance(shape, type) and issubclass(shape, BaseModel) else []


def _inner(shape: Any) -> Any:
    """Return what stands inside `Annotated[...]` and `... | None`."""
    while hasattr(shape, "__metadata__") or get_origin(shape) in {Union, UnionType}:
        if hasattr(shape, "__metadata__"):
            shape = get_args(shape)[0]
        else:
            shape = next(part for part in get_args(shape) if part is not type(None))
    return shape
