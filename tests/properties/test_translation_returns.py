"""What a provider signed and what a model called come back byte for byte, through a client of any dialect."""

import json
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.goldens.conversing import Said, given_back, next_request, sent_to
from tests.goldens.matrix import NAMES

from headgate.model.losses import Lost
from headgate.protocols.signatures import PREFIX

PAIRS: Final = [(client, upstream) for client in NAMES for upstream in NAMES]
TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SIGNATURE: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda text: not text.startswith(PREFIX)
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def arguments(draw: st.DrawFn) -> str:
    """A JSON object in any spelling."""
    members = draw(st.dictionaries(TEXT, VALUES, max_size=3))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:  ")]))
    indent = draw(st.sampled_from([None, 0, 2]))
    return json.dumps(members, ensure_ascii=draw(st.booleans()), separators=separators, indent=indent)


SAID: Final = st.builds(Said, TEXT, SIGNATURE, arguments())
SIZE: Final = st.none() | st.integers(1, 9)
"""How many characters a piece of a stream has; None: the answer is no stream."""


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(deadline=None, max_examples=15)
@given(SAID, SIZE)
def test_thinking_and_arguments_come_back_as_they_were(
    client: str, upstream: str, said: Said, size: int | None
) -> None:
    written = sent_to(client, next_request(client, upstream, said, size), upstream)
    back = given_back(upstream, written.body)
    assert back is not None
    assert (back.thought, back.signature) == (said.thought, said.signature)
    assert json.loads(back.arguments) == json.loads(said.arguments)
    if client != "messages" and upstream != "messages":  # in messages they are an object, which its SDK writes anew
        assert back.arguments == said.arguments
    assert written.lost == frozenset()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(PAIRS), SAID, SIZE)
def test_arguments_stay_as_they_were_written_for_messages_too(
    pair: tuple[str, str], said: Said, size: int | None
) -> None:
    client, upstream = pair
    if client == "messages" or (upstream == "messages" and size is None):
        return
    request = next_request(client, upstream, said, size)
    assert b'"input":' + said.arguments.encode() + b"}" in sent_to(client, request, "messages").body


@pytest.mark.parametrize("other", NAMES)
@settings(deadline=None, max_examples=25)
@given(st.sampled_from(PAIRS), SAID, SIZE)
def test_another_provider_never_sees_a_signature_and_the_first_gets_it_again(
    other: str, pair: tuple[str, str], said: Said, size: int | None
) -> None:
    client, upstream = pair
    if other == upstream:
        return
    request = next_request(client, upstream, said, size)
    elsewhere = sent_to(client, request, other)
    assert given_back(other, elsewhere.body) is None
    assert PREFIX.encode() not in elsewhere.body
    assert Lost.THINKING in elsewhere.lost
    back = given_back(upstream, sent_to(client, request, upstream).body)
    assert back is not None
    assert back.signature == said.signature
