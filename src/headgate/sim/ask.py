"""What a request asks for, the same for all dialects; each dialect's module reads its own body into it."""

from typing import Any

import msgspec

from headgate.model.dialect import Endpoint
from headgate.sim.cache import Segment
from headgate.sim.words import digest

Json = dict[str, Any]

MEDIA_BYTES = 4000
"""An image, a document or a sound counts as this many bytes (1,000 tokens), whatever its size."""


class Refusal(Exception):
    """A request that the simulated vendor turns down; `status` picks the error's type in its dialect.

    `details` are what Anthropic's errors say for programs.
    """

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, details: Json | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.details = details


class Tool(msgspec.Struct, frozen=True, gc=False):
    """A function that the client offers, with the JSON Schema of its arguments."""

    name: str
    schema: Json


class Ask(msgspec.Struct, frozen=True):
    """One request, read. `forced` names the tool that must be called ("any": the first), "" if none.

    `results` counts the tools' results that follow the last text of the user, so that a directive to call a tool
    is obeyed as often as it says. `reasoning` is the tokens of reasoning that the request's own options bring about;
    `shown` says whether the client sees them. `schema` is what the text must fit, None where it is free; `logprobs`
    asks for those of every token, each with this many alternatives, None for none.
    """

    endpoint: Endpoint
    model: str
    body: Json
    segments: list[Segment]
    text: str
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_output: int | None = None
    tools: list[Tool] = []
    forced: str = ""
    results: int = 0
    reasoning: int = 0
    shown: bool = False
    schema: Json | None = None
    logprobs: int | None = None


MOST_CHOICES = 128  # OpenAI's bound of n


def text_field(body: Json, name: str) -> str:
    """Return a required, non-empty string of the body. Raises Refusal."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(f"Missing required parameter: '{name}'.", param=name)
    return value


def list_field(body: Json, name: str) -> list[Any]:
    """Return a required, non-empty list of the body. Raises Refusal."""
    value = body.get(name)
    if not isinstance(value, list) or not value:
        raise Refusal(f"Missing required parameter: '{name}'.", param=name)
    return value


def objects(body: Json, name: str) -> list[Json]:
    """Return a list of objects of the body, empty where it is absent. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refusal(f"Invalid type for '{name}': expected an array of objects.", param=name)
    return value


def option(body: Json, name: str) -> Json:
    """Return an object of the body, empty where it is absent. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refusal(f"Invalid type for '{name}': expected an object.", param=name)
    return value


def whole(body: Json, name: str) -> int | None:
    """Return a positive whole number of the body, None where it is absent. Raises Refusal."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refusal(f"Invalid value for '{name}': expected an integer >= 1.", param=name)
    return value


def choices(body: Json) -> int:
    """Return how many alternatives are asked for. Raises Refusal."""
    count = whole(body, "n") or 1
    if count > MOST_CHOICES:
        raise Refusal(f"Invalid value for 'n': at most {MOST_CHOICES}.", param="n")
    return count


ANY_OBJECT: Json = {"type": "object", "properties": {"answer": {"type": "string"}}}


def output_schema(body: Json, name: str, inner: str = "") -> Json | None:
    """Return the JSON Schema of an output format, None where text is free. Raises Refusal.

    `inner` is the member that holds `schema`; without it the format itself does.
    """
    given = option(body, name)
    if given.get("type") == "json_object":
        return ANY_OBJECT
    if given.get("type") != "json_schema":
        return None
    holder = option(given, inner) if inner else given
    schema = holder.get("schema")
    if not isinstance(schema, dict):
        raise Refusal(f"Missing required parameter: '{name}.schema'.", param=name)
    return schema


def segment(value: object) -> Segment:
    """Return a block as the bytes that are counted and cached: compact JSON, without its cache_control."""
    return Segment(msgspec.json.encode(_plain(value)), _ttl(value))


def _ttl(value: object) -> int:
    control = value.get("cache_control") if isinstance(value, dict) else None
    return breakpoint_ttl(control)


def breakpoint_ttl(control: object) -> int:
    """Return the seconds that an Anthropic cache_control asks for, 0 for none."""
    if not isinstance(control, dict):
        return 0
    return 3600 if control.get("ttl") == "1h" else 300


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        media = value.get("type") == "base64" or "file_data" in value or "format" in value
        return {
            key: _filler(item) if media and key in ("data", "file_data") else _plain(item)
            for key, item in value.items()
            if key != "cache_control"
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and value.startswith("data:"):
        return _filler(value)
    return value


def _filler(value: object) -> str:
    mark = digest(str(value)).hex()
    return (mark * (MEDIA_BYTES // len(mark) + 1))[:MEDIA_BYTES]


def plain_text(content: object) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))
