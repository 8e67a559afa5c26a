import pytest

from headgate.config.environment import expand

ENV = {"KEY": "secret", "EMPTY": "", "NESTED": "${KEY}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${KEY}", "secret"),
        ("a-${KEY}-${KEY}", "a-secret-secret"),
        ("${NONE:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${KEY:-fallback}", "secret"),
        ("$$", "$"),
        ("$${KEY}", "${KEY}"),
        ("${NESTED}", "${KEY}"),
        ("${NONE:-a:-b}", "a:-b"),
    ],
)
def test_variables_are_filled_in(text: str, expanded: str) -> None:
    assert expand(text, ENV) == expanded


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ValueError, match="variable NONE is not set"):
        expand("${NONE}", ENV)


@pytest.mark.parametrize("text", ["$KEY", "cost: 5$", "${}", "${1A}", "${KEY", "${KEY-x}", "${A B}"])
def test_a_stray_dollar_is_refused_and_nothing_leaks(text: str) -> None:
    with pytest.raises(ValueError, match=r"write \$\$ for a plain dollar") as caught:
        expand(text, ENV)
    assert "secret" not in str(caught.value)
