"""headgate.yaml as pydantic sees it. Every key is described in docs/configuration.md (a test holds that)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, WithJsonSchema

from headgate.config.fields import (
    NAME_PATTERN,
    AdminToken,
    Credential,
    DeadAfter,
    Duration,
    DurationOrZero,
    ExtraBody,
    Headers,
    ModelsInput,
    Multiplier,
    Price,
    Size,
    duration,
    size,
)
from headgate.config.owned_fields import (
    ACCOUNTS_SCHEMA,
    AccountName,
    AccountsInput,
    Count,
    Expires,
    KeySecret,
    Name,
    PerText,
    SecretHash,
    Usd,
)
from headgate.model.dialect import Endpoint, Kind
from headgate.model.price import Billing

DEFAULT_PORT = 4141
DEFAULT_ADMIN_PORT = 4142

Port = Annotated[int, Field(ge=0, le=65_535)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000)]
UpstreamName = Annotated[str, StringConstraints(min_length=1, max_length=300)]
ProviderName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
VirtualName = Annotated[str, StringConstraints(pattern=r"^[^/\s\x00-\x1f\x7f]{1,200}$")]
Host = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[0-9A-Za-z._:\[\]-]+$")]


class Section(BaseModel):
    """Unknown keys are errors, values never change after they were read, and input is never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerConfig(Section):
    """Where Headgate listens, and what it accepts from clients."""

    host: Host = Field(default="127.0.0.1", description="Address of the data plane.")
    port: Port = Field(default=DEFAULT_PORT, description="Port of the data plane; 0 takes any free one.")
    admin_host: Host = Field(default="127.0.0.1", description="Address of the admin plane.")
    admin_port: Port = Field(default=DEFAULT_ADMIN_PORT, description="Port of the admin plane; 0 takes any free one.")
    admin_token: AdminToken | None = Field(
        default=None,
        description="Opens the admin plane; HEADGATE_ADMIN_TOKEN where it is absent. None: closed.",
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(default=1, description="Worker processes.")
    auth: Literal["required", "off"] = Field(
        default="required", description="'off' asks nobody for a key; on a loopback host only."
    )
    max_body: Size = size("32MiB")
    body_timeout: Duration = duration("30s")
    drain_timeout: DurationOrZero = duration("30s")
    deadline: Duration = duration("10m")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )


class LedgerConfig(Section):
    """Where calls and money are recorded."""

    url: SecretStr = Field(
        default=SecretStr("sqlite:///headgate.db"),
        description="sqlite:///file (relative to this file's folder) or postgresql://user:password@host/name.",
        json_schema_extra={"default": "sqlite:///headgate.db", "format": "uri", "writeOnly": False},
    )
    durability: Literal["batch", "call", "fsync"] = Field(
        default="call", description="What an end seen by a client survives: nothing, SIGKILL, power loss."
    )
    state_dir: str | None = Field(
        default=None, min_length=1, description="Folder of lock files; beside a SQLite ledger."
    )
    dead_after: DeadAfter = duration("60s")


class TimeoutsConfig(Section):
    """How long an upstream may take."""

    connect: Duration = duration("5s")
    answer: Duration = duration("10m")
    first_token: Duration = duration("60s")
    idle: Duration = duration("60s")


class ShapingConfig(Section):
    """How requests and answers are changed on their way; each key None where it is not said here."""

    extra_body: ExtraBody | None = Field(
        default=None, description="Parameters that a request gets unless it has them, in the upstream's own words."
    )
    append_system_prompt: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] | None = Field(
        default=None, description="Text appended to the system prompt of every request."
    )
    repair_tools: bool | None = Field(
        default=None, description="Turn tool calls that the model wrote as text into calls."
    )
    strip_thinking: bool | None = Field(default=None, description="Leave thinking out of answers, <think> tags too.")
    strip_stop_markers: bool | None = Field(
        default=None, description="Leave leaked stop markers such as <|im_end|> out of answers."
    )
    cache: Literal["auto", "off"] | None = Field(
        default=None, description="'auto' marks prompts for Anthropic's cache where the client marked none."
    )
    strict: bool | None = Field(
        default=None, description="Refuse with 400 what a translation would lose, instead of naming it."
    )


class ModelConfig(ShapingConfig):
    """What is known of one model on one provider; all of it overrides the bundled data."""

    model: UpstreamName | None = Field(default=None, description="Its provider-neutral name.")
    price: Price | None = Field(default=None, description="'free' or USD per million tokens by class.")
    context: Tokens | None = Field(default=None, description="Context window in tokens.")
    max_output: Tokens | None = Field(default=None, description="Most output tokens of one answer.")


class ProviderConfig(ShapingConfig):
    """One upstream endpoint with its credential."""

    kind: Kind = Field(description="The dialect it speaks.")
    base_url: str | None = Field(default=None, description="With or without /v1; known vendors have a default.")
    api_key: Credential | None = Field(default=None, description="Its credential; never shown.")
    serves: Annotated[list[Endpoint], Field(min_length=1)] | None = Field(
        default=None, description="Endpoints it serves; all of its kind's where absent."
    )
    models: Annotated[dict[UpstreamName, ModelConfig], ModelsInput] | None = Field(
        default=None,
        description="Its models: a list of names, or a mapping of names to what is known of them.",
    )
    open: bool = Field(default=True, description="Whether names that are not known may be asked for as well.")
    price: Price | None = Field(default=None, description="The price of all its models that have none of their own.")
    billing: Billing = Field(default=Billing.METERED, description="'subscription': its calls cost 0.")
    rank_multiplier: Multiplier | None = Field(
        default=None, description="Weighs its prices in ranking, never in billing."
    )
    on_disconnect: Literal["cancel", "drain"] = Field(
        default="cancel", description="What becomes of a stream whose client has left."
    )
    cut_stops_billing: bool | None = Field(
        default=None,
        description="Whether it stops billing a stream that is closed; known for some vendors, else false.",
    )
    headers: Headers = Field(default={}, description="Headers sent with every request; values are never shown.")
    timeouts: TimeoutsConfig = TimeoutsConfig()


class VirtualModelConfig(ShapingConfig):
    """A name that stands for a chain of routes."""

    routes: Annotated[list[str], Field(min_length=1, max_length=100)] = Field(
        description="Routes in the order they are tried, each 'provider/upstream-name'."
    )


class KeyConfig(Section):
    """A key of a client. Its account and name are its identity; its id in the ledger stays when its secret changes."""

    name: Name = Field(description="Its name, unlike others of its account.")
    account: AccountName = Field(default="default", description="The account that owns it.")
    secret: KeySecret | None = Field(default=None, description="What clients send, 20 to 200 characters; never shown.")
    sha256: SecretHash | None = Field(default=None, description="Instead of the secret its SHA-256, in hex.")
    models: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="Patterns of the models it may use, such as 'gpt-*' or 'box/*'; all where absent."
    )
    expires: Expires | None = Field(default=None, description="The date or time from which it no longer works.")


class LimitConfig(Section):
    """A cap on one unit over one window, for one scope."""

    account: AccountName | None = Field(default=None, description="Whose calls count; alone, or whose key or session.")
    key: Name | None = Field(default=None, description="The name or id of the key whose calls count.")
    provider: Name | None = Field(default=None, description="The provider whose attempts count, whoever calls.")
    session: Name | None = Field(default=None, description="'each': every session by itself; or an id, with account.")
    model: Name | None = Field(default=None, description="A pattern for the resolved model; with 'key' alone.")
    usd: Usd | None = Field(default=None, description="The cap in USD.")
    tokens: Count | None = Field(default=None, description="The cap in tokens, of input and output.")
    requests: Count | None = Field(default=None, description="The cap in calls.")
    concurrency: Count | None = Field(default=None, description="The cap in calls at once; it has no window.")
    per: PerText | None = Field(
        default=None, description="The window: total, day, week, month, or one that rolls: 24h."
    )
    zone: Name | None = Field(default=None, description="IANA time zone of a day, week or month; UTC where absent.")
    clamp: bool = Field(
        default=False, description="Lower an output maximum that the client asked for where it does not fit."
    )


class Config(Section):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    ledger: LedgerConfig = LedgerConfig()
    providers: dict[ProviderName, ProviderConfig] = Field(default={}, description="Upstreams by their names.")
    models: dict[VirtualName, VirtualModelConfig] = Field(default={}, description="Virtual models by their names.")
    accounts: Annotated[list[AccountName], AccountsInput, WithJsonSchema(ACCOUNTS_SCHEMA)] = Field(
        default=[], description="Accounts that this file owns, by their names."
    )
    keys: list[KeyConfig] = Field(default=[], description="Keys of clients that this file owns.")
    limits: list[LimitConfig] = Field(default=[], description="Caps that this file owns.")


_OR_VARIABLE = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of headgate.yaml, for editors.

    A number or a choice may also be written as a variable, such as `${PORT}`.
    """
    schema = Config.model_json_schema(mode="validation")
    models = schema["$defs"]["ProviderConfig"]["properties"]["models"]
    mapping = models["anyOf"][0]
    mapping["additionalProperties"] = {"anyOf": [mapping["additionalProperties"], {"type": "null"}]}
    models["anyOf"].insert(0, {"type": "array", "items": {"type": "string", "minLength": 1}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{key: _with_variables(value) for key, value in schema.items()},
        "title": "headgate.yaml",
    }


def _with_variables(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_variables(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _with_variables(value) for key, value in node.items()}
    if "$ref" in node:
        # A section's default would show its values in ns and bytes; its own keys tell theirs.
        node.pop("default", None)
    if "patternProperties" in node:
        node.setdefault("additionalProperties", False)
    if isinstance(node.get("properties"), dict):
        return node
    limited = node.get("type") in {"integer", "number", "boolean"} or "enum" in node or "const" in node
    if not limited and not (node.get("type") == "string" and "pattern" in node and node != _OR_VARIABLE):
        return node
    told = {key: node.pop(key) for key in ("title", "description", "default") if key in node}
    return {**told, "anyOf": [node, _OR_VARIABLE]}
