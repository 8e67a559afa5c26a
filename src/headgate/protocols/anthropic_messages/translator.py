"""The canonical side of the messages dialect."""

from headgate.model.conversation import Request
from headgate.model.request import RequestHead
from headgate.protocols.anthropic_messages.answer_reader import MessagesReader
from headgate.protocols.anthropic_messages.answer_writer import MessagesWriter
from headgate.protocols.anthropic_messages.append_system import with_system
from headgate.protocols.anthropic_messages.cache_auto import with_cache_marks
from headgate.protocols.anthropic_messages.request_reader import read_request
from headgate.protocols.anthropic_messages.request_writer import write_request
from headgate.protocols.anthropic_messages.state import keeps_state, needs_state, previous
from headgate.protocols.canonical import AnswerReader, AnswerWriter, Reply, Target, Translator, Written


class MessagesTranslator(Translator):
    """Binds the readers and writers of this package; holds no state."""

    def read_request(self, head: RequestHead) -> Request:
        return read_request(head)

    def write_request(self, request: Request, target: Target) -> Written:
        return write_request(request, target)

    def answer_reader(self, request: Request) -> AnswerReader:
        return MessagesReader(request)

    def answer_writer(self, reply: Reply) -> AnswerWriter:
        return MessagesWriter(reply)

    def with_system(self, body: bytes, text: str) -> bytes:
        return with_system(body, text)

    def with_cache_marks(self, body: bytes) -> bytes:
        return with_cache_marks(body)

    def needs_state(self, head: RequestHead) -> str | None:
        return needs_state(head)

    def previous(self, head: RequestHead) -> str | None:
        return previous(head)

    def keeps_state(self, head: RequestHead) -> bool:
        return keeps_state(head)
