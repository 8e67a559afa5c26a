"""The canonical side of responses."""

from headgate.model.conversation import Request
from headgate.model.dialect import Dialect
from headgate.model.request import RequestHead
from headgate.protocols.canonical import AnswerReader, AnswerWriter, Reply, Target, Translator, Written
from headgate.protocols.openai_responses.answer_reader import ResponsesAnswerReader
from headgate.protocols.openai_responses.answer_writer import ResponsesAnswerWriter
from headgate.protocols.openai_responses.append_system import with_system
from headgate.protocols.openai_responses.request_reader import read_request
from headgate.protocols.openai_responses.request_writer import write_request
from headgate.protocols.openai_responses.state import keeps_state, needs_state, previous
from headgate.protocols.tool_names import restoring


class ResponsesTranslator(Translator):
    """Requests and answers of responses as canonical values, in both directions; holds no state."""

    def read_request(self, head: RequestHead) -> Request:
        return read_request(head)

    def write_request(self, request: Request, target: Target) -> Written:
        return write_request(request, target)

    def answer_reader(self, request: Request) -> AnswerReader:
        own = request.dialect is Dialect.OPENAI_RESPONSES
        return ResponsesAnswerReader(request.tools) if own else restoring(ResponsesAnswerReader(), request)

    def answer_writer(self, reply: Reply) -> AnswerWriter:
        return ResponsesAnswerWriter(reply)

    def with_system(self, body: bytes, text: str) -> bytes:
        return with_system(body, text)

    def needs_state(self, head: RequestHead) -> str | None:
        return needs_state(head)

    def previous(self, head: RequestHead) -> str | None:
        return previous(head)

    def keeps_state(self, head: RequestHead) -> bool:
        return keeps_state(head)
