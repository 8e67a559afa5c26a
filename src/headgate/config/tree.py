"""YAML as plain values beside the lines they stand on. Duplicate keys are refused, variables filled in."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from headgate.config.environment import expand
from headgate.config.problems import ConfigError, Problem, Where, dotted

MAX_NODES = 100_000
MAX_DEPTH = 40
MAX_FILE = 4 << 20

_INT = re.compile(r"^[-+]?\d+$", re.ASCII)
_BOOLS = {"true": True, "false": False}


class Tree(msgspec.Struct):
    """A document: `data` of plain values, the line (from 1) of every place, and what was found wrong so far.

    `poisoned` are the places whose value could not be had; nothing more is to be said of them.
    Numbers with a fraction come as Decimal, so that no price passes through a float.
    """

    file: str
    data: Any = None
    lines: dict[Where, int] = {}
    problems: list[Problem] = []
    poisoned: set[Where] = set()

    def line(self, where: Where) -> int | None:
        """Return the line of a place, or of the nearest place around it that has one."""
        for end in range(len(where), -1, -1):
            found = self.lines.get(where[:end])
            if found is not None:
                return found
        return None

    def report(self, where: Where, message: str) -> None:
        self.problems.append(Problem(self.file, self.line(where), dotted(where), message))


def read_tree(text: str, file: str, env: Mapping[str, str]) -> Tree:
    """Parse YAML 1.2. Raises ConfigError where it is no YAML at all; other faults are in `Tree.problems`."""
    tree = Tree(file)
    try:
        nodes = list(YAML(typ="safe", pure=True).compose_all(text))
    except MarkedYAMLError as error:
        # The error's own text would quote the line, which may hold a secret.
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        raise ConfigError([Problem(file, line, "", f"not YAML: {error.problem or error.context}")]) from None
    except YAMLError as error:
        raise ConfigError([Problem(file, None, "", f"not YAML: {type(error).__name__}")]) from None
    if len(nodes) > 1:
        line = nodes[1].start_mark.line + 1
        raise ConfigError([Problem(file, line, "", "a second document begins here; only one is allowed")])
    if nodes and nodes[0] is not None:
        tree.data = _Reader(tree, env).value(nodes[0], ())
    return tree


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, tree: Tree, env: Mapping[str, str]) -> None:
        self.tree = tree
        self.env = env
        self.seen = 0

    def value(self, node: Node, where: Where) -> Any:
        self.seen += 1
        self.tree.lines.setdefault(where, node.start_mark.line + 1)
        if self.seen > MAX_NODES or len(where) > MAX_DEPTH:
            problem = Problem(self.tree.file, node.start_mark.line + 1, "", "too deep or too large, aliases counted")
            raise ConfigError([*self.tree.problems, problem])
        if isinstance(node, MappingNode):
            return self._mapping(node, where)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*where, index)) for index, item in enumerate(node.value)]
        return self._scalar(str(node.value), where, plain=getattr(node, "style", None) is None)

    def _mapping(self, node: MappingNode, where: Where) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: list[Node] = []
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.tree.problems.append(Problem(self.tree.file, line, dotted(where), "a key must be plain text"))
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            place = (*where, key)
            if key in first:
                message = f"the key stands twice; the first is on line {first[key]}"
                self.tree.problems.append(Problem(self.tree.file, line, dotted(place), message))
                continue
            first[key] = line
            self.tree.lines.setdefault(place, line)
            own[key] = self.value(value_node, place)
        for source in merged:
            other = self.value(source, where)
            if not isinstance(other, dict):
                self.tree.report(where, "'<<' must name a mapping")
                continue
            own = other | own
        return own

    def _scalar(self, text: str, where: Where, *, plain: bool) -> Any:
        meant = _plain(text) if plain else text
        if not isinstance(meant, str):
            return meant
        try:
            return expand(text, self.env)
        except ValueError as error:
            self.tree.report(where, str(error))
            self.tree.poisoned.add(where)
            return None


def _plain(text: str) -> Any:
    """Return what an unquoted scalar means in YAML 1.2's core schema; text where it means nothing else."""
    lower = text.lower()
    if lower in {"", "~", "null"}:
        return None
    if lower in _BOOLS:
        return _BOOLS[lower]
    if _INT.match(text) and len(text) <= 30:
        return int(text)
    if text[0].isdigit() or text[0] in "+-.":
        try:
            number = Decimal(text)
        except InvalidOperation:
            return text
        return number if number.is_finite() and "_" not in text else text
    return text
