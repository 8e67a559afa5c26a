"""The canonical side of chat/completions."""

from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.model.request import RequestHead
from headgate.protocols.canonical import AnswerReader, AnswerWriter, Reply, Target, Translator, Written
from headgate.protocols.openai_chat.answer_reader import ChatAnswerReader
from headgate.protocols.openai_chat.answer_writer import ChatAnswerWriter
from headgate.protocols.openai_chat.append_system import with_system
from headgate.protocols.openai_chat.request_reader import read_request
from headgate.protocols.openai_chat.request_writer import write_request
from headgate.protocols.tool_names import restoring


class ChatTranslator(Translator):
    """Requests and answers of chat/completions as canonical values, in both directions; holds no state."""

    def read_request(self, head: RequestHead) -> Request:
        return read_request(head)

    def write_request(self, request: Request, target: Target) -> Written:
        return write_request(request, target)

    def answer_reader(self, request: Request) -> AnswerReader:
        own = request.dialect is Dialect.OPENAI_CHAT
        return ChatAnswerReader() if own else restoring(ChatAnswerReader(), request)

    def answer_writer(self, reply: Reply) -> AnswerWriter:
        return ChatAnswerWriter(reply)

    def with_system(self, body: bytes, text: str) -> bytes:
        return with_system(body, text)
