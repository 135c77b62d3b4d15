"""YAML with line numbers: mappings and lists that remember where each of their entries stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from offramp.configs.errors import Diagnostic, InputError, Where


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

    `shown_as` replaces the path in messages. Raises InputError for a missing or malformed file, a duplicate key,
    a tag that would construct an object, or another top level.
    """
    name = shown_as or str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(Diagnostic(Where(name), f"cannot be read: {reason}")) from error
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> LineMap:
    """`load_yaml` for text that is already in memory; `name` stands for the file in messages."""
    loader = yaml.CSafeLoader(text) if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise InputError(Diagnostic(Where(name, 1), "a mapping (key: value) is expected at the top level"))
        value = _build(loader, node, name)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(Diagnostic(Where(name, line), f"not valid YAML: {error.problem}")) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(Diagnostic(Where(name), f"not valid YAML: {error}")) from error
    finally:
        loader.dispose()
    assert isinstance(value, LineMap)
    return value


def _build(loader: Any, node: yaml.Node, name: str) -> Any:
    where = Where(name, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping = LineMap(where)
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            line = key_node.start_mark.line + 1
            if key in mapping:
                raise InputError(Diagnostic(Where(name, line), f"`{key}` stands twice in the same mapping"))
            mapping[key] = _build(loader, value_node, name)
            mapping.key_lines[key] = line
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items = LineList(where)
        for item in node.value:
            items.append(_build(loader, item, name))
            items.item_lines.append(item.start_mark.line + 1)
        return items
    return loader.construct_object(node, deep=True)
