"""The models of an image: a spec each. They are given one by one, or in a file that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.configs.lines import load_yaml
from offramp.configs.schema import Key, read_entry
from offramp.planner.spec.entries import Problems
from offramp.planner.spec.keys import FORMAT, file_name, names, spec_format

MOST_MODELS = 16


def spec_files(value: Any) -> tuple[str, ...]:
    """Paths of specs, each once."""
    found = names(value)
    if not 2 <= len(found) <= MOST_MODELS or len(set(found)) < len(found):
        raise ValueError(f"2 to {MOST_MODELS} different specs are expected")
    return found


MODELS_KEYS = (
    Key("offramp", spec_format, f"Format of the file, {FORMAT}.", required=True),
    Key("models", spec_files, "The specs, one a model, in the order of their numbers in the firmware.", required=True),
    Key("name", file_name, "Name of the image; default: the names of its models, joined by `-`."),
)


@dataclass(frozen=True)
class ModelFiles:
    """Specs of one image. `name`: None if it follows from theirs."""

    name: str | None
    specs: tuple[Path, ...]


def model_files(paths: Sequence[Path]) -> ModelFiles:
    """What the command line names: a spec, several, or one file that lists them. InputError for anything else."""
    lists = [path for path in paths if is_models_file(path)]
    if lists and len(paths) > 1:
        raise InputError(Diagnostic(Where(str(lists[0])), "lists the models of an image itself; give it alone"))
    if lists:
        return _read(lists[0])
    if len(paths) > MOST_MODELS or len({path.resolve() for path in paths}) < len(paths):
        raise InputError(f"{len(paths)} specs; 1 to {MOST_MODELS} different ones are expected")
    return ModelFiles(None, tuple(paths))


def is_models_file(path: Path) -> bool:
    """Whether a YAML file lists models. InputError if it cannot be read."""
    return "models" in load_yaml(path)


def _read(path: Path) -> ModelFiles:
    problems = Problems()
    entry = read_entry(load_yaml(path), MODELS_KEYS, problems)
    specs = tuple(path.parent / name for name in entry["models"] or ())
    for spec in specs:
        if not is_file(spec):
            problems.wrong(entry.at("models"), f"`models`: there is no file {spec}")
        elif is_models_file(spec):
            problems.wrong(entry.at("models"), f"`models`: {spec} is no spec, but a list of models itself")
    if problems:
        raise InputError(problems)
    return ModelFiles(entry["name"], specs)
