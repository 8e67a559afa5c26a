"""What each dialect offers beyond its own traffic: its requests and answers as canonical values, in both directions."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import msgspec

from headgate.model.content import Signer
from headgate.model.conversation import Request
from headgate.model.events import Event
from headgate.model.losses import Lost
from headgate.model.request import RequestHead


class Target(msgspec.Struct, frozen=True):
    """The upstream that a request is written for.

    `provider` is its name, `upstream_name` what it calls the model. `max_output` in tokens replaces the client's
    maximum, None leaves it; `default_max_output` is sent where the client named none and the dialect must have one;
    `model_max_output` is what the model can make at most, None where nobody knows.
    `max_tokens`: a chat upstream that knows only the older name of `max_completion_tokens`.
    """

    provider: str
    upstream_name: str
    max_output: int | None = None
    default_max_output: int = 4096
    model_max_output: int | None = None
    max_tokens: bool = False


class Written(msgspec.Struct, frozen=True):
    """A request's body for an upstream, and what it could not carry.

    `unknown` names the client's members that no other dialect knows, as paths in the client's own words without
    indexes (`messages.content.foo`). `max_output`: the tokens that the body allows for one choice, None where it
    names no maximum.
    """

    body: bytes
    lost: frozenset[Lost] = frozenset()
    unknown: frozenset[str] = frozenset()
    max_output: int | None = None


class Reply(msgspec.Struct, frozen=True):
    """What an answer's writer must know of the call.

    `id` is the call's; `created` in s since the Unix epoch; `head` and `request` are the client's own;
    `signer` is the provider that answers: what it has signed is marked with it, so that it finds its way back.
    """

    head: RequestHead
    request: Request
    id: str
    created: int
    signer: Signer


class AnswerReader(ABC):
    """Turns one upstream answer into events; one per attempt, not reusable. Memory is bounded by the open blocks.

    No input makes it raise: what is not understood becomes UnknownSeen or is left out.
    """

    @abstractmethod
    def frame(self, event: bytes | None, data: bytes) -> Sequence[Event]:
        """Return what one frame of a stream says; `event` and `data` as sse.parse_frame returns them."""

    @abstractmethod
    def body(self, body: bytes) -> Sequence[Event]:
        """Return what a whole answer says: the same events, in order, as a stream of it would yield in the end."""

    @abstractmethod
    def end(self) -> Sequence[Event]:
        """Return what the end of the upstream's body adds: the end of blocks that are open."""


class AnswerWriter(ABC):
    """Writes one answer for the client out of events; one per attempt, not reusable.

    A stream: `frames` for all events but the end, then `end` once. A unary answer: `body` with all events.
    What the dialect cannot say is added to `lost`, never dropped in silence.
    """

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.lost: set[Lost] = set()

    @abstractmethod
    def frames(self, events: Iterable[Event]) -> bytes:
        """Return the frames that say these events, b"" where nothing can be said yet.

        The finish, and the usage with it, wait for `end`: upstreams differ in which comes first.
        """

    @abstractmethod
    def end(self) -> bytes:
        """Return the frames that finish the stream: finish reasons, usage, the dialect's terminal frame."""

    @abstractmethod
    def body(self, events: Iterable[Event]) -> bytes:
        """Return the body of an answer that is no stream."""

    def next_sequence(self) -> int:
        """Return the number that the next event of the stream would have, in dialects that number them."""
        return 0


class Translator(ABC):
    """The canonical side of a codec."""

    @abstractmethod
    def read_request(self, head: RequestHead) -> Request:
        """Return the canonical request of a client. Raises HeadgateError (400) naming the field at fault."""

    @abstractmethod
    def write_request(self, request: Request, target: Target) -> Written:
        """Return the body for an upstream. Raises HeadgateError (400) where half a request would be another one."""

    @abstractmethod
    def answer_reader(self, request: Request) -> AnswerReader:
        """Return the reader of an upstream's answer to this request."""

    @abstractmethod
    def answer_writer(self, reply: Reply) -> AnswerWriter:
        """Return the writer of a client's answer."""

    @abstractmethod
    def with_system(self, body: bytes, text: str) -> bytes:
        """Return an outgoing body with `text` after its system prompt; what it does not touch stays byte for byte."""

    def with_cache_marks(self, body: bytes) -> bytes:
        """Return an outgoing body with prompt-cache breakpoints where the dialect has them and it holds none."""
        return body

    def needs_state(self, head: RequestHead) -> str | None:  # noqa: ARG002 - most dialects keep none
        """Return the member of a request that only an upstream with this dialect's own state can serve."""
        return None

    def previous(self, head: RequestHead) -> str | None:  # noqa: ARG002 - most dialects keep none
        """Return the id of the answer that a request goes on from, None where it names none."""
        return None

    def keeps_state(self, head: RequestHead) -> bool:  # noqa: ARG002 - most dialects keep none
        """Tell whether a later request may go on from the answer to this one."""
        return False
