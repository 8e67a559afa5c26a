"""The kinds of values a configuration holds, each with its check and its JSON Schema."""

import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, Field, SecretStr, WithJsonSchema

from headgate.config.prices import override
from headgate.config.units import DURATION_PATTERN, NS_PER, SIZE_PATTERN, parse_duration, parse_size

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MIN_ADMIN_TOKEN = 16

_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", re.ASCII)
_HEADER_VALUE = re.compile(r"^[\t\x20-\x7e]*$", re.ASCII)
_OWNED_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "accept-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "cookie",
    }
)


def _positive(value: object) -> int:
    ns = parse_duration(value)
    if ns <= 0:
        raise ValueError("must be longer than 0s")
    return ns


_DURATION_SCHEMA = {"type": "string", "pattern": DURATION_PATTERN}
Duration = Annotated[int, BeforeValidator(_positive), WithJsonSchema(_DURATION_SCHEMA)]
"""A duration longer than nothing, in ns."""

DurationOrZero = Annotated[int, BeforeValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""A duration in ns."""

MIN_DEAD_AFTER = 15 * NS_PER["s"]


def _dead_after(value: object) -> int:
    ns = parse_duration(value)
    if ns < MIN_DEAD_AFTER:
        raise ValueError("must be at least 15s: an idle worker says only every 5 s that it lives")
    return ns


DeadAfter = Annotated[int, BeforeValidator(_dead_after), WithJsonSchema(_DURATION_SCHEMA)]
"""A duration after which silence means death, in ns: more than two heartbeats of a writer."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=1),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": SIZE_PATTERN}]}),
]
"""A size in bytes."""


def duration(text: str) -> Any:
    """Return a field whose default is a duration as people write it."""
    return Field(default=parse_duration(text), json_schema_extra={"default": text})


def size(text: str) -> Any:
    """Return a field whose default is a size as people write it."""
    return Field(default=parse_size(text), json_schema_extra={"default": text})


def is_header_safe(text: str) -> bool:
    """Whether an HTTP header can carry `text`."""
    return _HEADER_VALUE.match(text) is not None


def _header_safe(value: object) -> object:
    """A credential, without the white space around it that files and shells leave."""
    if not isinstance(value, str):
        raise ValueError("must be text; put quotes around it")  # noqa: TRY004 - pydantic turns ValueError into a problem
    text = value.strip()
    if not text:
        raise ValueError("is empty; remove the key, or set the variable that it names")
    if not is_header_safe(text):
        raise ValueError("has a character that no HTTP header can carry")
    return text


Credential = Annotated[SecretStr, BeforeValidator(_header_safe)]
"""A secret that goes into a header. Never shown."""


def _admin_token(value: object) -> object:
    text = _header_safe(value)
    if len(str(text)) < MIN_ADMIN_TOKEN:
        raise ValueError(f"is too short to guard anything: {MIN_ADMIN_TOKEN} characters are the least")
    return text


AdminToken = Annotated[SecretStr, BeforeValidator(_admin_token)]


def _headers(value: object) -> object:
    if not isinstance(value, dict):
        return value
    for name, text in value.items():
        if not _HEADER_NAME.match(str(name)):
            raise ValueError("a name of a header has a character that is not allowed")
        if str(name).lower() in _OWNED_HEADERS:
            raise ValueError(f"'{name}' is set by Headgate itself")
        if not isinstance(text, str) or not _HEADER_VALUE.match(text):
            raise ValueError(f"the value of '{name}' must be one line of ASCII text")
    return value


Headers = Annotated[dict[str, SecretStr], BeforeValidator(_headers)]
"""Headers sent with every request to a provider. Their values are treated as secrets."""

_AMOUNT = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
_PRICE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"const": "free"},
        {"type": "object", "additionalProperties": _AMOUNT, "minProperties": 1},
    ]
}


def _price(value: object) -> object:
    """`free`, or what config/prices.py accepts: USD per million tokens by class."""
    if value == "free":
        return {}
    if not isinstance(value, dict) or not value:
        raise ValueError("must be 'free' or a mapping such as {input: 1.25, output: 10} in USD per million tokens")
    override(value)
    return value


Price = Annotated[dict[str, Any], BeforeValidator(_price), WithJsonSchema(_PRICE_SCHEMA)]
"""Prices in USD per million tokens by class; empty: free."""

Multiplier = Annotated[Decimal, Field(gt=0, le=1000), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]


def _models(value: object) -> object:
    """A list of names is a mapping of names to nothing said about them."""
    if isinstance(value, list):
        if not all(isinstance(name, str) and name for name in value):
            raise ValueError("must be a list of the upstream's own names, or a mapping of them")
        if len(set(value)) < len(value):
            raise ValueError("a name stands twice")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if entry is None else entry for name, entry in value.items()}
    return value


ModelsInput = BeforeValidator(_models)


_OWNED_MEMBERS = frozenset({"model", "stream", "stream_options", "messages", "input"})


def _extra_body(value: object) -> object:
    """Members of a request's body, as JSON."""
    if not isinstance(value, dict) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("must be a mapping of the upstream's own parameters, such as {top_k: 40}")
    owned = sorted(_OWNED_MEMBERS.intersection(value))
    if owned:
        raise ValueError(f"'{owned[0]}' is set by Headgate or by the client")
    return value


json_of = msgspec.json.Encoder(decimal_format="number").encode
"""The JSON of a value of the file, whose fractions are Decimal."""


ExtraBody = Annotated[dict[str, Any], BeforeValidator(_extra_body), WithJsonSchema({"type": "object"})]
"""Parameters that a request gets unless it has them."""
