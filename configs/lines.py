"""YAML with line numbers: mappings and lists that remember where each of their entries stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from offramp.configs.bounds import DEPTH, TEXT_FILE, YAML_VALUES
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import read_bytes

LONGEST_NUMBER = 400  # characters
_YAML = "tag:yaml.org,2002:"
_TAGS = ("map", "seq", "null", "bool", "int", "float", "str", "timestamp")


class LineMap(dict[str, Any]):
    """A YAML mapping. `where` is its first line; `at(key)` the line of a key (its own line if absent)."""

    def __init__(self, where: Where) -> None:
        super().__init__()
        self.where = where
        self.key_lines: dict[str, int] = {}

    def at(self, key: str) -> Where:
        return Where(self.where.file, self.key_lines.get(key, self.where.line))


class LineList(list[Any]):
    """A YAML list. `at(i)` is the place of item i."""

    def __init__(self, where: Where) -> None:
        super().__init__()
        self.where = where
        self.item_lines: list[int] = []

    def at(self, index: int) -> Where:
        return Where(self.where.file, self.item_lines[index])


def load_yaml(path: Path | str, shown_as: str | None = None) -> LineMap:
    """Read a YAML file whose top level is a mapping.

    `shown_as` replaces the path in messages. Raises InputError for a missing, malformed or unreasonably large file
    (configs/bounds.py), a duplicate key, a tag other than those of plain values, or another top level.
    """
    name = shown_as or str(path)
    try:
        text = read_bytes(Path(path), TEXT_FILE, name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(Diagnostic(Where(name), "cannot be read: not UTF-8 text")) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> LineMap:
    """`load_yaml` for text that is already in memory; `name` stands for the file in messages."""
    loader = yaml.CSafeLoader(text) if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(Diagnostic(Where(name, 1), "a mapping (key: value) is expected at the top level"))
        value = _Builder(loader, name).build(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(Diagnostic(Where(name, line), f"not valid YAML: {error.problem}")) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(Diagnostic(Where(name), f"not valid YAML: {error}")) from error
    finally:
        loader.dispose()
    assert isinstance(value, LineMap)
    return value


class _Builder:
    """Turns YAML nodes into values and counts them: an alias counts as everything that it stands for."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader = loader
        self.name = name
        self.values = 0
        self.depth = 0

    def build(self, node: yaml.Node) -> Any:
        where = self.at(node)
        self.values += 1
        if self.values > YAML_VALUES:
            raise InputError(Diagnostic(where, f"more than {YAML_VALUES:,} values, those of aliases counted again"))
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        self.depth += 1
        if self.depth > DEPTH:
            raise InputError(Diagnostic(where, f"more than {DEPTH} mappings and lists within each other"))
        value = self.mapping(node) if isinstance(node, yaml.MappingNode) else self.items(node)
        self.depth -= 1
        return value

    def at(self, node: yaml.Node) -> Where:
        return Where(self.name, node.start_mark.line + 1)

    def mapping(self, node: yaml.Node) -> LineMap:
        self.allow(node, _TAGS[:1])
        mapping = LineMap(self.at(node))
        for key_node, value_node in node.value:
            where = self.at(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError(Diagnostic(where, "a mapping or list as a key; a name is expected"))
            key = str(self.scalar(key_node))
            if key in mapping:
                raise InputError(Diagnostic(where, f"`{key}` stands twice in the same mapping"))
            mapping[key] = self.build(value_node)
            mapping.key_lines[key] = where.line
        return mapping

    def items(self, node: yaml.Node) -> LineList:
        self.allow(node, _TAGS[1:2])
        items = LineList(self.at(node))
        for item in node.value:
            items.append(self.build(item))
            items.item_lines.append(item.start_mark.line + 1)
        return items

    def scalar(self, node: yaml.ScalarNode) -> Any:
        """Dates are text. InputError with the line for what its tag does not allow."""
        kind = self.allow(node, _TAGS[2:])
        if kind in ("str", "timestamp"):
            return node.value
        if len(node.value) > LONGEST_NUMBER:
            raise InputError(Diagnostic(self.at(node), f"a number of {len(node.value)} digits"))
        try:
            return self.loader.construct_object(node, deep=True)
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise InputError(Diagnostic(self.at(node), f"`{node.value}` is no {kind}")) from error

    def allow(self, node: yaml.Node, kinds: tuple[str, ...]) -> str:
        kind = str(node.tag).removeprefix(_YAML)
        if kind not in kinds:
            raise InputError(Diagnostic(self.at(node), f"tag `{kind}`; plain values, lists and mappings are expected"))
        return kind
