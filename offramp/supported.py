"""The page of what a network may contain (docs/SUPPORTED.md), made from the rules themselves.

`python -m offramp.supported docs/SUPPORTED.md` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from offramp.configs.device import Device, load_device
from offramp.planner.ai8x import unsupported as features
from offramp.planner.ai8x.yaml_keys import LAYER_KEYS, TOP_KEYS
from offramp.planner.rules.check import GROUPS, NETWORK_RULES
from offramp.planner.rules.messages import message_of, numbers_of

_HEAD = """\
# What a network may contain

Made from the rules that `offramp check` applies (`python -m offramp.supported docs/SUPPORTED.md`); each line is what a
user reads when a network breaks the rule of that name. The numbers are those of the {device}.
"""

_NOTES = """\
Keys with `=` between them mean the same. `bias` and `weights` name test data of the vendor's tool and are not used;
`bias_group` is not used either, since placement decides where biases lie. Where `processors`, `output_processors`,
`in_offset` or `out_offset` are missing and cannot be told from other layers, the planner chooses them.
"""


def supported_page(device: Device) -> str:
    """The page's text, Markdown."""
    numbers = numbers_of(device)
    parts = [_HEAD.format(device=device.name), _section("Network", NETWORK_RULES, numbers)]
    parts += [_section(title, rules, numbers) for title, rules in GROUPS]
    asked: tuple[Callable[..., Any], ...] = (*features.NETWORK_RULES, *features.LAYER_RULES)
    parts.append(_section("What a description can ask for and will not get", asked, numbers))
    parts.append(_keys("Keys of a network YAML", TOP_KEYS))
    parts.append(_keys("Keys of a layer", LAYER_KEYS))
    parts.append(_NOTES)
    return "\n".join(parts)


def _section(title: str, rules: Sequence[Callable[..., Any]], numbers: Mapping[str, int]) -> str:
    lines = [f"- **{rule.__name__.replace('_', ' ')}**: {message_of(rule, numbers)}" for rule in rules]
    return "\n".join([f"## {title}", "", *lines, ""])


def _keys(title: str, keys: Sequence[Any]) -> str:
    names = [" = ".join(f"`{name}`" for name in key.names) for key in keys]
    return "\n".join([f"## {title}", "", ", ".join(names) + ".", ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(supported_page(load_device()), encoding="utf-8")
