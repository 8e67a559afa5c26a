from decimal import Decimal

import pytest

from headgate.config.problems import ConfigError
from headgate.config.tree import read_tree


def test_scalars_mean_what_yaml_1_2_says() -> None:
    tree = read_tree("[1, 1.50, true, off, yes, ~, null, '1', \"true\", 1e3, .nan, 0x1f, 2024-01-01, -]", "f", {})
    assert tree.data[:-2] == [1, Decimal("1.50"), True, "off", "yes", None, None, "1", "true", 1000, ".nan", "0x1f"]
    assert tree.data[-2:] == ["2024-01-01", "-"]


def test_fractions_never_pass_through_a_float() -> None:
    price = read_tree("0.1", "f", {}).data
    assert isinstance(price, Decimal)
    assert price == Decimal("0.1")


def test_every_duplicate_key_is_named_with_both_lines() -> None:
    tree = read_tree("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "f.yaml", {})
    assert [str(problem) for problem in tree.problems] == [
        "f.yaml:4: b.c: the key stands twice; the first is on line 3",
        "f.yaml:5: a: the key stands twice; the first is on line 1",
    ]


def test_a_merged_mapping_yields_to_the_keys_beside_it() -> None:
    tree = read_tree("base: &base {a: 1, b: 2}\nx:\n  <<: *base\n  b: 3\n", "f", {})
    assert tree.data["x"] == {"a": 1, "b": 3}
    assert tree.line(("x", "b")) == 4
    assert not tree.problems


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1", 1), ("a: 1\n\t- b", 2), ("a: *nothing", 1), ("---\na: 1\n---\nb: 2\n", 4), ("a: &a [*a]", 1)],
)
def test_what_is_no_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        read_tree(text, "f", {})
    assert caught.value.problems[0].line == line


def test_a_syntax_error_does_not_quote_the_line() -> None:
    with pytest.raises(ConfigError) as caught:
        read_tree('api_key: "sk-very-secret\nb: 1', "f", {})
    assert "sk-very-secret" not in str(caught.value)


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="aliases counted"):
        read_tree("\n".join(lines), "f", {})
