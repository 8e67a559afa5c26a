"""A client that sees every byte, what it asks for in each dialect, and what an answer must cost."""

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx2
import msgspec
import openai
from tests.e2e.gateway import PATIENCE, SECRET_MARK, Gateway

from headgate.model.price import Prices, Rate
from headgate.sim import SimThread
from headgate.sim.bill import Bill, BillLine
from headgate.sim.record import SimRequest

CHAT, RESPONSES, MESSAGES = "chat/completions", "responses", "messages"
COMPLETIONS, EMBEDDINGS, COUNT = "completions", "embeddings", "messages/count_tokens"
STREAMED = (CHAT, RESPONSES, MESSAGES, COMPLETIONS)
PROVIDER = {
    CHAT: "openai",
    COMPLETIONS: "openai",
    EMBEDDINGS: "openai",
    RESPONSES: "responses",
    MESSAGES: "anthropic",
    COUNT: "anthropic",
}
"""Who serves an endpoint in the shared configuration."""

USD = 1_000_000_000
PRICES = Prices(Rate(2 * USD), Rate(8 * USD), Rate(USD // 2), Rate(5 * USD // 2), Rate(4 * USD))
"""What `gateway.PRICE` says, in nano-USD per million tokens."""


@dataclass
class Heard:
    """An answer as it came. `whole`: its body ended as HTTP wants it."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    whole: bool = True

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def call(self) -> str:
        return self.headers["x-headgate-call"]

    @property
    def data(self) -> list[Any]:
        """The JSON of every data line but [DONE]; lines that are none are left out."""
        found = []
        for line in self.body.replace(b"\r\n", b"\n").split(b"\n"):
            text = line.removeprefix(b"data: ")
            if text is not line and text != b"[DONE]":
                try:
                    found.append(msgspec.json.decode(text))
                except msgspec.DecodeError:
                    continue
        return found


def headers_of(endpoint: str, key: str) -> dict[str, str]:
    """Return the headers with which the vendor's SDK sends a key."""
    own = {"x-api-key": key, "anthropic-version": "2023-06-01"} if "messages" in endpoint else {}
    return {"content-type": "application/json", **(own or {"authorization": f"Bearer {key}"})}


@contextmanager
def connected(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    """A connection to the data plane; use its `sock` for what no client would send."""
    address = urlsplit(gateway.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
    connection.connect()
    try:
        yield connection
    finally:
        connection.close()


def send(
    gateway: Gateway,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Heard:
    """Send one request and hear its answer to the end; a `body` of bytes or an iterator goes as it is.

    No provider's secret may ever be in it.
    """
    data = body if body is None or isinstance(body, bytes | Iterator) else msgspec.json.encode(body)
    with connected(gateway) as connection:
        # Like the vendors' clients: what cannot be sent any more has been answered already.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, data, dict(headers or {}))
        heard = hear(connection)
    assert SECRET_MARK.encode() not in heard.body
    assert SECRET_MARK not in repr(heard.headers)
    return heard


def hear(connection: http.client.HTTPConnection) -> Heard:
    """Return the answer to the request that was sent on a connection."""
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    try:
        return Heard(answer.status, headers, answer.read())
    except http.client.IncompleteRead as cut:
        return Heard(answer.status, headers, cut.partial, whole=False)


def ask(gateway: Gateway, endpoint: str, body: Any, *, key: str | None = None, **headers: str) -> Heard:
    """Ask an endpoint with the gateway's key, or with another."""
    given = headers_of(endpoint, gateway.key if key is None else key)
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(gateway, "POST", f"/v1/{endpoint}", body, given | extra)


def until_status(gateway: Gateway, key: str, status: int) -> None:
    """Ask with a key until the answer has this status. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if send(gateway, "GET", "/v1/models", headers=headers_of(CHAT, key)).status == status:
            return
    raise TimeoutError(f"never {status}")


def body_of(endpoint: str, model: str, text: str = "hello", *, stream: bool = False, **extra: Any) -> dict[str, Any]:
    """Return a request; chat and completions ask for usage, so that no frame is kept from the client."""
    body: dict[str, Any] = {"model": model}
    if endpoint in (CHAT, MESSAGES, COUNT):
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["prompt" if endpoint == COMPLETIONS else "input"] = text
    if endpoint == MESSAGES:
        body["max_tokens"] = 1000
    if stream:
        body["stream"] = True
        if endpoint in (CHAT, COMPLETIONS):
            body["stream_options"] = {"include_usage": True}
    return body | extra


def asked(sim: SimThread, model: str) -> list[SimRequest]:
    """Return what the sim was asked under this name; tests that share a sim use names of their own."""
    return [request for request in list(sim.requests) if request.model == model]


def billed(*requests: SimRequest) -> int:
    """Return what the sim charges for these requests at `PRICES`, in nano-USD."""
    bill = Bill()
    for request in requests:
        assert request.outcome is not None, "it still runs"
        bill.add(BillLine("any", request.endpoint, request.outcome, request.usage))
    return bill.cost_nano({"any": PRICES})


def leaks(folder: Path) -> list[str]:
    """Return the files a gateway has written that hold a provider's secret; its configuration was given to it."""
    written = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".yaml"]
    assert any(path.suffix == ".log" for path in written)
    assert any(path.suffix == ".db" for path in written)
    return [path.name for path in written if SECRET_MARK.encode() in path.read_bytes()]


def raised(endpoint: str, heard: Heard) -> openai.APIError | anthropic.APIError:
    """Return what the vendor's SDK raises on this answer, a stream read to its end."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        kept = {name: value for name, value in heard.headers.items() if name in ("content-type", "retry-after")}
        return httpx2.Response(heard.status, content=heard.body, headers=kept)

    stream = heard.headers.get("content-type", "").startswith("text/event-stream")
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        try:
            if endpoint in (MESSAGES, COUNT):
                ant = anthropic.Anthropic(api_key="k", http_client=client, max_retries=0)
                said: Any = ant.messages.create(model="m", max_tokens=1, messages=[], stream=stream)
            else:
                oai = openai.OpenAI(api_key="k", http_client=client, max_retries=0)
                responses, chat = oai.responses.create, oai.chat.completions.create
                said = (
                    responses(model="m", input="", stream=stream)
                    if endpoint == RESPONSES
                    else chat(model="m", messages=[], stream=stream)
                )
            if stream:
                list(said)
        except (openai.APIError, anthropic.APIError) as error:
            return error
    raise AssertionError(f"the SDK takes it as an answer: {heard}")
