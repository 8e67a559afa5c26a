"""What one attempt sends and how its answer is read: as it came, or translated for a route of another dialect."""

import asyncio

import msgspec

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.dialect import DIALECT_OF, Endpoint
from headgate.model.errors import ErrorKind, HeadgateError
from headgate.model.request import RequestHead
from headgate.model.route import Provider, Route
from headgate.policy.estimate import choice_maximum
from headgate.policy.select import asked_of
from headgate.protocols.base import Codec, StreamScanner
from headgate.protocols.canonical import AnswerWriter, Reply, Target
from headgate.protocols.codec import codec_for, translator_for
from headgate.protocols.filters import filters_for
from headgate.protocols.json_object import refuse_crowd
from headgate.protocols.losses import dropped
from headgate.protocols.shaping import shaped
from headgate.protocols.signatures import PREFIX, signed_by
from headgate.protocols.translation import Translation, WholeTranslation
from headgate.protocols.whole import WholeBody
from headgate.upstream.kinds import knows_newest_maximum

Scanner = StreamScanner | WholeBody | Translation | WholeTranslation


class Outgoing(msgspec.Struct):
    """One attempt's request. `body` is what the upstream gets, `head` what it says in the upstream's dialect.

    `codec` is the upstream's. `foreign`: its errors are not in the client's dialect. `dropped` names what the
    request lost, in the client's words; `writer` knows what the answer loses.
    """

    head: RequestHead
    body: bytes
    codec: Codec
    scanner: Scanner
    foreign: bool = False
    dropped: str | None = None
    writer: AnswerWriter | None = None

    @property
    def lost(self) -> str | None:
        """What was lost of request and answer so far; None for nothing."""
        if self.writer is None or not self.writer.lost:
            return self.dropped
        answer = dropped(self.writer.lost, (), self.writer.reply.head.dialect)
        return answer if self.dropped is None else f"{self.dropped}; answer: {answer}"


class Canonical:
    """A call's request in no dialect: read at most once, and only for a route that needs it.

    `home` is the provider presumed to have signed thinking in the client's dialect: the plan's.
    """

    __slots__ = ("_request", "created", "head", "home", "id")

    def __init__(self, head: RequestHead, call: str, created: int) -> None:
        """`created` in s since the Unix epoch."""
        self.head = head
        self.home: Provider | None = None
        self.id = call
        self.created = created
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """The request; raises HeadgateError (400) where it cannot be understood."""
        if self._request is None:
            refuse_crowd(self.head.body)
            self._request = translator_for(self.head.endpoint).read_request(self.head)
        return self._request

    def is_strange(self, provider: Provider) -> bool:
        """Tell whether signed thinking of this conversation is another vendor's, though the dialect is the same."""
        home = self.home
        if home is None or home is provider or home.base_url == provider.base_url:
            return False
        return any(mark in self.head.body for mark in SIGNED)


SIGNED = (b'"signature"', b'"redacted_thinking"', b'"encrypted_content"', b'"reasoning_details"')
"""Members of requests that hold what a provider has signed."""


def outgoing(canonical: Canonical, route: Route, maximum: int | None = None) -> Outgoing:
    """Return what goes to a route of the plan. Raises HeadgateError (400) where it cannot carry the request.

    `maximum` is the output maximum of one choice that a hold was made for; None: the client's stays.
    """
    head = canonical.head
    endpoint = asked_of(route.provider, head.endpoint)
    assert endpoint is not None, "the plan has only routes that can be asked"
    if endpoint is not head.endpoint:
        return _translated(canonical, route, endpoint, maximum)
    if endpoint in SHAPED and (
        route.shaping.filters or head.body.find(MARK) >= 0 or canonical.is_strange(route.provider)
    ):
        return _translated(canonical, route, endpoint, maximum)
    return _as_it_came(head, route, maximum)


MAXIMA = ("max_completion_tokens", "max_tokens")
"""How a chat says its output maximum: the newest name first."""
LARGE = 256 * 1024
"""Bytes of a body that are translated in a few ms; other calls do not wait for more."""


async def outgoing_soon(canonical: Canonical, route: Route, maximum: int | None = None) -> Outgoing:
    """Return what `outgoing` does; a large request that must be read is read while other calls go on."""
    as_it_came = canonical.head.endpoint in route.provider.serves and not route.shaping.touches_requests
    if as_it_came or len(canonical.head.body) <= LARGE:
        return outgoing(canonical, route, maximum)
    return await asyncio.to_thread(outgoing, canonical, route, maximum)


MARK = f'"{PREFIX}'.encode()
"""What a block begins with that a provider of another dialect has signed: it must not go upstream as it is."""


def _as_it_came(head: RequestHead, route: Route, maximum: int | None) -> Outgoing:
    codec = codec_for(head.endpoint)
    body = codec.outgoing(head, route.upstream_name, maximum, _maximum_name(head, route, maximum))
    if maximum is not None:
        head = msgspec.structs.replace(head, max_output=maximum)
    if route.shaping.touches_requests and head.endpoint in SHAPED:
        refuse_crowd(head.body)
        body = shaped(body, route.shaping, translator_for(head.endpoint))
        head = _as_shaped(head, codec, body, route)
        head, body = _lowered(head, codec, body, route, maximum)
    return Outgoing(head, body, codec, codec.scanner(head) if head.stream else WholeBody(codec))


def _maximum_name(head: RequestHead, route: Route, maximum: int | None) -> str | None:
    """Return what the maximum of a chat is called where the client gave none: the name that the upstream heeds.

    Mistral's refuses `max_completion_tokens`, Ollama's and LM Studio's ignore it.
    """
    if maximum is None or head.max_output is not None or head.endpoint is not Endpoint.CHAT:
        return None
    said = route.shaping.extra_body
    name = next((name for name in MAXIMA if name in said), None) if said else None
    return name or (MAXIMA[0] if knows_newest_maximum(route.provider) else MAXIMA[1])


def _lowered(
    head: RequestHead, codec: Codec, body: bytes, route: Route, maximum: int | None
) -> tuple[RequestHead, bytes]:
    """Hold to the maximum where a configuration has added a larger one under another name."""
    if maximum is None or not route.shaping.extra_body or head.max_output is None or head.max_output <= maximum:
        return head, body
    body = codec.outgoing(msgspec.structs.replace(head, include_usage=True), route.upstream_name, maximum)
    return msgspec.structs.replace(head, body=body, max_output=maximum), body


def _as_shaped(head: RequestHead, codec: Codec, body: bytes, route: Route) -> RequestHead:
    """Return the head of a body that a configuration has added to: the maxima that it sets are paid for, too."""
    if not route.shaping.extra_body:
        return msgspec.structs.replace(head, body=body)
    said = codec.read_head(head.endpoint, body)
    return msgspec.structs.replace(
        head,
        body=body,
        fields=said.fields,
        max_output=said.max_output,
        n=said.n,
        has_tools=said.has_tools,
        reasoning=said.reasoning,
    )


SHAPED = frozenset({Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES})


def _translated(canonical: Canonical, route: Route, endpoint: Endpoint, maximum: int | None) -> Outgoing:
    client, request = canonical.head, canonical.request
    if maximum is not None:
        client = msgspec.structs.replace(client, max_output=maximum)
        request = msgspec.structs.replace(request, max_output=maximum)
    if canonical.is_strange(route.provider) and (home := canonical.home) is not None:
        request = signed_by(request, Signer(home.name, client.dialect))
    codec, dialect, translator = codec_for(endpoint), DIALECT_OF[endpoint], translator_for(endpoint)
    target = Target(
        route.provider.name,
        route.upstream_name,
        default_max_output=choice_maximum(client, route),
        model_max_output=route.max_output,
        max_tokens=not knows_newest_maximum(route.provider),
    )
    written = translator.write_request(request, target)
    lost = dropped(written.lost, written.unknown, client.dialect)
    if lost is not None and route.shaping.strict:
        message = f"{route.name} cannot carry {lost}, and is strict; leave it out, or name another model"
        raise HeadgateError(ErrorKind.UNTRANSLATABLE, message)
    body = shaped(written.body, route.shaping, translator)
    head = msgspec.structs.replace(
        client,
        endpoint=endpoint,
        dialect=dialect,
        model=route.upstream_name,
        body=body,
        fields=client.fields if dialect is client.dialect else {},
        include_usage=True,
        max_output=client.max_output if written.max_output is None else written.max_output,
        n=client.n if dialect is client.dialect else 1,
    )
    head = _as_shaped(head, codec, body, route)
    head, body = _lowered(head, codec, body, route, maximum)
    if dialect is client.dialect and not route.shaping.filters:
        # The request alone had to be written anew: the answer goes to the client as it comes.
        head = msgspec.structs.replace(head, include_usage=client.include_usage)
        scanner = codec.scanner(head) if client.stream else WholeBody(codec)
        return Outgoing(head, body, codec, scanner, dropped=lost)
    reply = Reply(client, request, canonical.id, canonical.created, Signer(route.provider.name, dialect))
    reader, writer = translator.answer_reader(request), translator_for(client.endpoint).answer_writer(reply)
    filters = filters_for(route.shaping, request, canonical.id)
    translation = (
        Translation(codec.scanner(head), reader, writer, filters)
        if client.stream
        else WholeTranslation(codec, reader, writer, filters)
    )
    return Outgoing(
        head, body, codec, translation, foreign=endpoint is not client.endpoint, dropped=lost, writer=writer
    )
