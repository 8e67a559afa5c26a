"""A provider's key is taken out of what its upstream says, also where the message was cut in its middle."""

import pytest

from headgate.protocols.failure_text import MAX_LENGTH, clean
from headgate.upstream.answers import hidden, hide

KEY = "sk-proj-0123456789abcdef"


@pytest.mark.parametrize("room", range(len(KEY) + 3))
def test_no_recognisable_part_of_a_key_is_left_in_a_message(room: int) -> None:
    said = hide(clean("x" * (MAX_LENGTH - 1 - room) + KEY + " is not good" * 20), KEY)
    assert KEY[:4] not in said
    assert len(said) <= MAX_LENGTH + len("[key]")


def test_other_text_is_kept() -> None:
    assert hide("nothing here…", KEY) == "nothing here…"
    assert hide(f"{KEY} and {KEY}", KEY) == "[key] and [key]"
    assert hide("no key at all", None) == "no key at all"


def test_bytes_without_the_key_are_the_very_same() -> None:
    data = b"data: {}\n\n"
    assert hidden(data, KEY) is data
    assert hidden(data, None) is data
    assert hidden(b"a " + KEY.encode() + b" b \xff", KEY) == b"a [key] b \xff"
