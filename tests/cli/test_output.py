import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.surfaces.cli.output import duration_text, plain, usd_text


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "unknown"),
        (0, "$0.000000"),
        (1, "<$0.000001"),
        (500, "$0.000001"),
        (125_500, "$0.000126"),
        (1_500_000_000, "$1.500000"),
        (-2_000_000, "-$0.002000"),
    ],
)
def test_money_for_people(nano: int | None, text: str) -> None:
    assert usd_text(nano) == text


@pytest.mark.parametrize(("ns", "text"), [(None, "-"), (1_500_000, "1.5ms"), (2_340_000_000, "2.34s")])
def test_durations_for_people(ns: int | None, text: str) -> None:
    assert duration_text(ns) == text


@given(st.text())
def test_plain_text_steers_no_terminal(text: str) -> None:
    shown = plain(text)
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)
    assert not {"\u202e", "\u2028", "\u200b"} & set(shown)


@pytest.mark.parametrize("text", ["qwen3:8b", "日本語", "größe"])
def test_plain_text_keeps_what_can_be_read(text: str) -> None:
    assert plain(text) == text
