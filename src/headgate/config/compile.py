"""From a checked document to the immutable values that the data path runs on."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from pydantic import SecretStr

from headgate.config.catalog import catalog_of
from headgate.config.discover import Found
from headgate.config.fields import MIN_ADMIN_TOKEN
from headgate.config.limits import owned_of
from headgate.config.load import Document, document, load, locate, parse
from headgate.config.problems import ConfigError, Problem
from headgate.config.schema import Config
from headgate.config.settings import NO_OVERRIDES, Compiled, Overrides, Settings
from headgate.config.starter import text_of
from headgate.config.vendors import is_loopback

ADMIN_TOKEN_VARIABLE = "HEADGATE_ADMIN_TOKEN"
NOTHING = Found()
_SQLITE = "sqlite:///"


FOUND = "what was found"
"""How problems name a configuration that no file holds."""


def configuration(
    path: Path | None,
    env: Mapping[str, str],
    at: datetime,
    folder: Path,
    overrides: Overrides = NO_OVERRIDES,
    found: Found = NOTHING,
) -> Compiled:
    """Return what to run: the file named, else `folder`/headgate.yaml, else what was `found`.

    `at` (aware) is the time whose prices count. Raises ConfigError.
    """
    file = locate(path, folder)
    if file is not None:
        return compile_document(load(file, env), env, at, overrides)
    return with_found(compile_text(text_of(found), None, folder, env, at, overrides), found)


def compile_text(
    text: str,
    path: Path | None,
    folder: Path,
    env: Mapping[str, str],
    at: datetime,
    overrides: Overrides = NO_OVERRIDES,
) -> Compiled:
    """Return the runtime's values of a text: the content of the file at `path`, or of none, then in `folder`.

    Raises ConfigError.
    """
    read = document(text, path, env) if path is not None else Document(parse(text, FOUND, env), None, folder)
    return compile_document(read, env, at, overrides)


def with_found(compiled: Compiled, found: Found) -> Compiled:
    """Return a configuration made of what was found, with what is to be said of it."""
    return msgspec.structs.replace(compiled, found=found.shown, notes=found.notes, simulated=found.simulated)


def compile_document(
    document: Document, env: Mapping[str, str], at: datetime, overrides: Overrides = NO_OVERRIDES
) -> Compiled:
    """Return the runtime's values of a document. Raises ConfigError where an override cannot be."""
    config = document.config
    multipliers = {
        name: int(provider.rank_multiplier * 1000)
        for name, provider in config.providers.items()
        if provider.rank_multiplier is not None
    }
    return Compiled(
        settings=settings_of(document, env, overrides),
        catalog=catalog_of(config, at),
        fingerprint=fingerprint(config),
        rank_multipliers=multipliers,
        owned=owned_of(config),
    )


def settings_of(document: Document, env: Mapping[str, str], overrides: Overrides = NO_OVERRIDES) -> Settings:
    """Return the settings of a document; the CLI needs no more of it. Raises ConfigError."""
    server, ledger = document.config.server, document.config.ledger
    host = overrides.host or server.host
    if server.auth == "off" and not is_loopback(host):
        message = f"'auth: off' is allowed on a loopback host only, and --host is '{host}'"
        raise ConfigError([Problem(str(document.path or "command line"), None, "server.auth", message)])
    token = server.admin_token.get_secret_value() if server.admin_token else _token_from(env)
    url = ledger_url(ledger.url.get_secret_value(), document.folder)
    return Settings(
        host=host,
        port=server.port if overrides.port is None else overrides.port,
        admin_host=server.admin_host,
        admin_port=server.admin_port if overrides.admin_port is None else overrides.admin_port,
        admin_token=token,
        workers=overrides.workers or server.workers,
        auth_required=server.auth == "required",
        max_body=server.max_body,
        body_timeout=server.body_timeout,
        drain_timeout=server.drain_timeout,
        deadline=server.deadline,
        log_level=overrides.log_level or server.log_level,
        ledger_url=url,
        durability=ledger.durability,
        state_dir=str(_state_dir(ledger.state_dir, url, document.folder, env)),
        dead_after=ledger.dead_after,
        config_path=str(document.path) if document.path is not None else None,
    )


def _token_from(env: Mapping[str, str]) -> str | None:
    token = env.get(ADMIN_TOKEN_VARIABLE, "").strip()
    if token and (len(token) < MIN_ADMIN_TOKEN or not (token.isascii() and token.isprintable())):
        message = f"{ADMIN_TOKEN_VARIABLE} must be at least {MIN_ADMIN_TOKEN} characters of ASCII"
        raise ConfigError([Problem("environment", None, "", message)])
    return token or None


def ledger_url(url: str, folder: Path) -> str:
    """Return the URL with a relative SQLite path made absolute; any other URL as it is."""
    if not url.startswith(_SQLITE):
        return url
    file, mark, query = url.removeprefix(_SQLITE).partition("?")
    if not file or file[0] in ":~" or Path(file).is_absolute():
        return url
    # In a URL a query begins at `?`, and `%41` is an A; in the name of a folder they are what they are.
    place = str(folder.absolute()).replace("%", "%25").replace("?", "%3F")
    return f"{_SQLITE}{place}/{file}{mark}{query}"


def _state_dir(given: str | None, url: str, folder: Path, env: Mapping[str, str]) -> Path:
    """Lock files lie beside a SQLite ledger, where all who open it find them; else in the state folder."""
    if given is not None:
        return (folder / Path(given).expanduser()).absolute()
    if url.startswith(_SQLITE):
        file = Path(unquote(url.removeprefix(_SQLITE).partition("?")[0])).expanduser().resolve()
        return file.with_name(f"{file.name}-locks")
    base = Path(env["XDG_STATE_HOME"]) if env.get("XDG_STATE_HOME") else Path.home() / ".local" / "state"
    # One folder per ledger: two ledgers on one host must not judge each other's incarnations.
    return base / "headgate" / hashlib.sha256(url.encode()).hexdigest()[:16]


def fingerprint(config: Config) -> str:
    """Return the SHA-256 (hex) of the canonical form, secrets left out."""
    data = json.dumps(_public(config.model_dump()), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(data.encode()).hexdigest()


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _public(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_public(item) for item in value]
    return value is not None if isinstance(value, SecretStr) else value
