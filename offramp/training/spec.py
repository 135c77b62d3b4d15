"""A training spec as a value, and its reader: what is there already, what is wanted, and how much work it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from offramp.configs.device import Device
from offramp.configs.errors import InputError, Where
from offramp.configs.lines import load_yaml
from offramp.configs.schema import Entry, read_entry
from offramp.planner.ir.measure import LARGEST_LOGIT
from offramp.planner.spec.auto import check_measures, goal_of, without_energy
from offramp.planner.spec.entries import Problems
from offramp.planner.spec.reader import check_device, file_of, named, read_network_entry
from offramp.planner.spec.spec import ChoiceSpec, NetworkSpec
from offramp.training.keys import NONE, TRAIN_KEYS, WIDTHS

MAIN = "main"  # the network's name in the spec that is written
CALIBRATION = "calibration"
TEST = "test"
TRAINING = "training"

_SOME = 3  # networks of a kind that are kept where the spec says nothing


@dataclass(frozen=True)
class Wanted:
    """Fronts or heads to find: how many, and the bits of their weights, the most first. `augment`: name of the
    augmentation, of fronts only."""

    where: Where
    count: int
    bits: tuple[int, ...]
    augment: str = NONE


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """`data`: files by name: training, calibration and, where there is one, test. `fronts`, `heads`: None: none are
    wanted. `budget`: seconds on the reference machine (training/work.py). `gate`: they have a gate."""

    name: str
    where: Where
    main: NetworkSpec
    data: dict[str, Path]
    choice: ChoiceSpec
    fronts: Wanted | None
    heads: Wanted | None
    budget: int
    seed: int
    single: bool
    gate: bool
    labels: tuple[str, ...]
    device: str | None
    clocks: dict[str, int]
    places: dict[str, Where]


def load_train_spec(path: Path, device: Device) -> TrainSpec:
    """Read a training spec for a device. InputError lists all that is wrong, with its line."""
    data = load_yaml(path)
    problems = Problems()
    entry = read_entry(data, TRAIN_KEYS, problems)
    check_device(entry, device, problems)
    check_measures(entry, device, problems)
    spec = _spec(entry, path.parent, problems)
    _check(spec, problems)
    problems += without_energy(spec.choice, device)
    if problems:
        raise InputError(sorted(problems, key=lambda problem: problem.where.line if problem.where else 0))
    return spec


def _spec(entry: Entry, folder: Path, problems: Problems) -> TrainSpec:
    default = re.sub("[^A-Za-z0-9_]", "_", folder.resolve().name)[:64] or "spec"
    data = entry["data"]
    return TrainSpec(
        name=entry["name"] or default,
        where=entry.where,
        main=_main(entry, folder, problems),
        data={name: file_of(data, name, folder, problems) for name in named(data)},
        choice=_choice(entry, problems),
        fronts=_wanted(entry, "fronts"),
        heads=_wanted(entry, "heads"),
        budget=entry["budget"],
        seed=entry["seed"],
        single=entry["single"],
        gate=entry["gate"],
        labels=entry["labels"],
        device=entry["device"],
        clocks=named(entry["clocks"]),
        places=dict(entry.lines),
    )


def _main(entry: Entry, folder: Path, problems: Problems) -> NetworkSpec:
    found = entry["main"]
    if found is None:
        return NetworkSpec(MAIN, entry.where, folder, folder, None, True, True, False, False)
    return read_network_entry(MAIN, found, folder, problems)


def _choice(entry: Entry, problems: Problems) -> ChoiceSpec:
    goal = entry["choose"]
    if goal is None:
        return ChoiceSpec(entry.where, MAIN, (), entry["confidence"], CALIBRATION, {}, None, None, None)
    return goal_of(goal, problems, main=MAIN, candidates=(), measures=entry["confidence"], data=CALIBRATION)


def _wanted(entry: Entry, key: str) -> Wanted | None:
    """What `fronts` or `heads` says."""
    found = entry[key]
    if found == NONE:
        return None
    if found is None:
        return Wanted(entry.where, _SOME if key == "fronts" else _SOME - 1, WIDTHS)
    given = cast(Entry, found)
    return Wanted(given.where, given["count"], given["bits"], given["augment"] if key == "fronts" else NONE)


def _check(spec: TrainSpec, problems: Problems) -> None:
    """What the parts of the spec must agree on."""
    if spec.fronts is None and spec.heads is None:
        problems.wrong(spec.places["heads"], "`fronts: none` and `heads: none` leave nothing to find")
    if LARGEST_LOGIT in spec.choice.measures and spec.choice.of_core:
        found = "either `hardware` or measures of the core: candidates are compared by one of them"
        problems.wrong(spec.places["confidence"], f"`confidence`: {found}")
    if spec.gate and spec.choice.of_core:
        problems.wrong(spec.places["gate"], "`gate` is for hardware exits; `confidence: hardware` is expected")
    if spec.main.fifo and spec.fronts is not None:
        found = "the input of main comes through the FIFO and is not kept for it after a front: give `fronts: none`"
        problems.wrong(spec.places.get("fronts", spec.main.where), found)
    if spec.main.fifo and LARGEST_LOGIT in spec.choice.measures:
        found = "the input of main comes through the FIFO, which the core fills; a measure of the core is expected"
        problems.wrong(spec.places["confidence"], f"`hardware`: {found}")
