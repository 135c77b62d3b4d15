"""The parts of the documentation that are made from the code, all written by `python -m offramp.documents`.

docs/SUPPORTED.md, and its like for other devices, come from the rules of the device; the tables of keys in README.md,
docs/CHOOSING.md and docs/TRAIN.md, between `<!-- NAME -->` and `<!-- end -->`, from the readers' tables; the questions
of docs/SILICON.md from those that are asked; the listings of docs/TOUR.md from running the code above them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from offramp.configs.device import DEFAULT, Device, device_names, load_device
from offramp.configs.schema import Items, Key, Kind, Section
from offramp.listings import with_listings
from offramp.planner.ai8x import unsupported as features
from offramp.planner.ai8x.yaml_keys import LAYER_KEYS, TOP_KEYS
from offramp.planner.rules.check import GROUPS, NETWORK_RULES, LayerRule, NetworkRule, holds_for
from offramp.planner.rules.docstrings import message_of, numbers_of
from offramp.planner.spec.keys import CHOICE_KEYS, MANUAL_KEYS
from offramp.planner.spec.models import MODELS_KEYS
from offramp.silicon.questions import all_questions
from offramp.silicon.steps import Question
from offramp.training.keys import TRAIN_KEYS

ROOT = Path(__file__).resolve().parents[1]

_WITH_TABLES = ("README.md", "docs/CHOOSING.md", "docs/TRAIN.md")
_TABLES = {
    "keys of a spec": MANUAL_KEYS,
    "keys of `exits: auto`": CHOICE_KEYS,
    "keys of a list of models": MODELS_KEYS,
    "keys of a training spec": TRAIN_KEYS,
}
_MARKED = re.compile(f"(<!-- ({'|'.join(_TABLES)}) -->)\\n.*?(<!-- end -->)", re.DOTALL)

_QUESTIONS = re.compile(r"(<!-- questions -->)\n.*?(<!-- end -->)", re.DOTALL)

_HEAD = """\
# What a network may contain

Made from the rules that `offramp check` applies (`make documents`); each line is what a
user reads when a network breaks the rule of that name. The numbers are those of the {device}.
"""

_NOTES = """\
Names in one row mean the same; why a key is refused is said above. Where `processors`, `output_processors`, `in_offset`
or `out_offset` are missing and do not follow from other layers, the planner chooses them.

A layer may write over what it reads if nothing else needs that, the YAML places both, and every word is written behind
the last one that is still to be read; so the vendor's kinetics network fits, whose script says `--overlap-data`. With
`offsets: free`, or without places, the planner gives each tensor words of its own: that network's input and first
output, of 7,200 and 3,600 words, are refused then, as they do not fit into 8,192.

Checkpoints are those of PyTorch that the vendor's `quantize.py` writes; one may hold a network and the heads that were
trained with it ([AI8X.md](AI8X.md)). ONNX files, which ai8x-synthesis takes as well,
are refused: its training tool exports them before they are quantized and "primarily for visualization", nothing public
writes ones with integers, and they have no place for `output_shift`.
"""


def supported_page(device: Device) -> str:
    """The page's text, Markdown."""
    numbers = numbers_of(device)
    groups: tuple[tuple[str, Sequence[LayerRule | NetworkRule]], ...] = (("Network", NETWORK_RULES), *GROUPS)
    held = [(title, [rule for rule in rules if holds_for(rule, device)]) for title, rules in groups]
    parts = [_HEAD.format(device=device.name)]
    parts += [_section(title, rules, numbers) for title, rules in held if rules]
    asked: tuple[Callable[..., Any], ...] = (*features.NETWORK_RULES, *features.LAYER_RULES)
    refused = [rule for rule in asked if features.FEATURES.get(rule) not in device.features]
    parts.append(_section("What a description can ask for and will not get", refused, numbers))
    parts.append(_titled("Keys of a network YAML", [key for key in TOP_KEYS if key.name != "layers"]))
    parts.append(_titled("Keys of a layer", LAYER_KEYS))
    parts.append(_NOTES)
    return "\n".join(parts)


def _section(title: str, rules: Sequence[Callable[..., Any]], numbers: Mapping[str, int]) -> str:
    lines = [f"- **{rule.__name__.replace('_', ' ')}**: {message_of(rule, numbers)}" for rule in rules]
    return "\n".join([f"## {title}", "", *lines, ""])


def _titled(title: str, keys: Sequence[Key]) -> str:
    return f"## {title}\n\n{key_table(keys)}\n"


def key_table(keys: Sequence[Key]) -> str:
    """Markdown table of keys; those of a mapping follow the key that holds it."""
    rows = [f"| {path} | {_meaning(key)} |" for path, key in _rows(keys, "")]
    return "\n".join(["| key | meaning |", "| --- | --- |", *rows])


def _rows(keys: Sequence[Key], prefix: str) -> Iterator[tuple[str, Key]]:
    for key in keys:
        yield ", ".join(f"`{prefix}{name}`" for name in key.names), key
        kind: Kind | None = key.kind
        path = prefix + key.name
        while isinstance(kind, Items) or (isinstance(kind, Section) and kind.others):
            kind, path = (kind.kind, f"{path}[]") if isinstance(kind, Items) else (kind.others, f"{path}.NAME")
        if isinstance(kind, Section):
            yield from _rows(kind.keys, f"{path}.")


def _meaning(key: Key) -> str:
    default = str(key.default).lower() if isinstance(key.default, bool) else key.default
    if key.required and not key.unless:
        return f"{key.meaning} Required."
    if isinstance(default, int | float | str) and "default:" not in key.meaning and "Refused" not in key.meaning:
        return f"{key.meaning} Default: `{default}`."
    return key.meaning


def with_tables(text: str) -> str:
    """A page with the tables between its markers as the code has them."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{key_table(_TABLES[found[2]])}\n{found[3]}", text)


def with_questions(text: str, device: Device) -> str:
    """A page with the table of questions to a chip between its markers."""
    rows = [
        f"| `{one.name}` | {one.asks} | {one.matters} | {one.assumed} | {_others(one)} |"
        for one in all_questions(device)
    ]
    head = ["| name | question | why it matters | we assume | other answers that are told apart |", "| --- " * 5 + "|"]
    table = "\n".join([*head, *rows])
    return _QUESTIONS.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", text)


def _others(question: Question) -> str:
    return "; ".join(dict.fromkeys(other for one in question.measurements for other in one.others))


def documents(device: Device) -> dict[Path, str]:
    """What is made from the code, whole or in part: its content by its place in the repository."""
    pages = {ROOT / name: with_tables((ROOT / name).read_text(encoding="utf-8")) for name in _WITH_TABLES}
    silicon = ROOT / "docs" / "SILICON.md"
    pages[silicon] = with_questions(silicon.read_text(encoding="utf-8"), device)
    supported = {_supported(name): supported_page(load_device(name)) for name in device_names()}
    return {**supported, **pages}


def _supported(device: str) -> Path:
    """The page of what networks may contain on a device."""
    return ROOT / "docs" / ("SUPPORTED.md" if device == DEFAULT else f"SUPPORTED-{device}.md")


def tour() -> dict[Path, str]:
    """The pages whose listings are printed by running them, by their place in the repository."""
    path = ROOT / "docs" / "TOUR.md"
    return {path: with_listings(path.read_text(encoding="utf-8"), ROOT)}


if __name__ == "__main__":
    for path, text in {**documents(load_device()), **tour()}.items():
        path.write_text(text, encoding="utf-8")
