"""Whatever another dialect's conversation looks like, the API gets one that it takes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.messages.foreign import NEW, OLD, asking, assistant, result, system, use, user, written

from headgate.model.content import Audio, Image, Refusal, Signer, Source, SourceKind, Text, Thinking, Turn
from headgate.model.dialect import Dialect

SIGNED_HERE = Signer("anthropic", Dialect.ANTHROPIC_MESSAGES)
PNG = Source(SourceKind.BASE64, "iVBORw0KGgoAAAA", "image/png")


of_users = st.sampled_from([Text("a"), Text(" "), Image(PNG), result("c1"), result("é"), Audio(None, "a")])
of_assistants = st.sampled_from(
    [Text("b"), Text(""), use("c1"), use("é"), Refusal("No."), Thinking(("t",)), Thinking(("t",), "s", SIGNED_HERE)]
)
any_turn = st.one_of(
    st.builds(lambda blocks: user(*blocks), st.lists(of_users, max_size=3)),
    st.builds(lambda blocks: assistant(*blocks), st.lists(of_assistants, max_size=3)),
    st.builds(system, st.sampled_from(["s", ""])),
)


@settings(deadline=None, max_examples=200)
@given(st.lists(any_turn, max_size=8), st.sampled_from([OLD, NEW]))
def test_any_conversation_is_one_that_the_api_takes(turns: list[Turn], model: str) -> None:
    body, _ = written(asking(*turns), model)
    talk = [(each["role"], each["content"]) for each in body["messages"]]
    roles = [role for role, _ in talk]
    assert not roles or roles[0] == "user"
    for at, role in enumerate(roles):
        after = roles[at + 1] if at + 1 < len(roles) else None
        assert role != after
        if role == "system":
            assert roles[at - 1] == "user"
            assert after in (None, "assistant")
    for role, content in talk:
        assert content
        kinds = [] if isinstance(content, str) else [block["type"] == "tool_result" for block in content]
        assert kinds == sorted(kinds, reverse=True)
        assert role == "user" or not any(kinds)
