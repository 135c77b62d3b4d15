"""Reading a spec: its tables of keys, and what its parts must agree on. Everything that is wrong is collected."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from offramp.configs.device import Device
from offramp.configs.errors import InputError, Where
from offramp.configs.files import is_file
from offramp.configs.lines import load_yaml
from offramp.configs.schema import Entry, read_entry
from offramp.planner.ir.measure import MEASURES
from offramp.planner.spec.auto import read_choice
from offramp.planner.spec.entries import Problems, check_name, known, read_delta, read_head
from offramp.planner.spec.keys import AUTO_KEYS, MANUAL_KEYS
from offramp.planner.spec.spec import Calibration, ExitSpec, NetworkSpec, Spec, StageSpec


def spec_device(path: Path) -> tuple[str | None, Where]:
    """The device that a spec names, None without one, and the place. InputError if the file is no mapping."""
    data = load_yaml(path)
    return (str(data["device"]) if "device" in data else None), data.at("device")


def load_spec(path: Path, device: Device) -> Spec:
    """Read a spec for a device (`spec_device` finds its name). InputError lists all that is wrong, with its line."""
    data = load_yaml(path)
    problems = Problems()
    automatic = "exits" in data
    entry = read_entry(data, AUTO_KEYS if automatic else MANUAL_KEYS, problems)
    networks = _networks(entry, path.parent, problems)
    files = _files(entry, path.parent, problems)
    choice = read_choice(entry, networks, files, problems) if automatic else None
    stages = () if automatic else _stages(entry, networks, problems)
    calibration = None if automatic else _calibration(entry, files, problems)
    _check_thresholds(stages, calibration, problems)
    _check_device(entry, device, problems)
    for name in entry["compare"]:
        if name not in networks:
            problems.wrong(entry.at("compare"), f"there is no network `{name}`; there are: {', '.join(networks)}")
    folder = re.sub("[^A-Za-z0-9_]", "_", path.parent.resolve().name)[:64] or "spec"
    if problems:
        raise InputError(sorted(problems, key=lambda problem: problem.where.line if problem.where else 0))
    return Spec(
        name=entry["name"] or folder,
        where=entry.where,
        networks=networks,
        data=files,
        stages=stages,
        calibration=calibration,
        labels=entry["labels"],
        compare=entry["compare"],
        choice=choice,
        clocks=_named(entry["clocks"]),
        places=entry.lines,
    )


def _named(section: Entry | None) -> dict[str, Any]:
    """What a section holds by names of the user's choice, as far as it could be read."""
    stated = section.stated if section else {}
    return {name: section[name] for name in stated if section and section[name] is not None}


def _networks(entry: Entry, folder: Path, problems: Problems) -> dict[str, NetworkSpec]:
    found = _named(entry["networks"])
    return {name: _network(name, network, folder, problems) for name, network in found.items()}


def _network(name: str, entry: Entry, folder: Path, problems: Problems) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        where=entry.where,
        network=_file(entry, "network", folder, problems),
        checkpoint=_file(entry, "checkpoint", folder, problems),
        input_shape=entry["input"],
        keep_offsets=entry["offsets"] == "keep",
        keep_processors=entry["processors"] == "keep",
        fifo=entry["fifo"],
        avg_pool_rounding=entry["avg_pool_rounding"],
    )


def _files(entry: Entry, folder: Path, problems: Problems) -> dict[str, Path]:
    data = entry["data"]
    return {name: _file(data, name, folder, problems) for name in _named(data)}


def _file(entry: Entry, key: str, folder: Path, problems: Problems) -> Path:
    path = folder / (entry[key] or "")
    if entry[key] is not None and not is_file(path):
        problems.wrong(entry.at(key), f"`{key}`: there is no file {path}")
    return path


def _check_device(entry: Entry, device: Device, problems: Problems) -> None:
    """A spec that names a device is read for no other one; the device's clocks are the highest that are allowed."""
    if entry["device"] is not None and entry["device"] != device.name:
        found = f"`device: {entry['device']}`, but the spec is used for a {device.name}"
        problems.wrong(entry.at("device"), found)
    clocks = entry["clocks"]
    for name, value in _named(clocks).items():
        limit = device.clocks.get(name)
        if limit is None:
            problems.wrong(clocks.at(name), f"unknown key `{name}`; allowed: {', '.join(device.clocks)}")
        elif value > limit:
            problems.wrong(clocks.at(name), f"`{name}: {value}`; a whole number of Hz, 1..{limit}, is expected")


def _stages(entry: Entry, networks: Collection[str], problems: Problems) -> tuple[StageSpec, ...]:
    items = entry["stages"]
    found = [_stage(item, networks, item is items[-1], problems) for item in items if item]
    names = [stage.name for stage in found]
    for stage in found:
        if names.count(stage.name) > 1:
            problems.wrong(stage.where, f"there are several stages named `{stage.name}`; give each a `name`")
    return tuple(found)


def _stage(entry: Entry, networks: Collection[str], last: bool, problems: Problems) -> StageSpec:
    network = known(entry, "network", networks, problems)
    until = entry["until"]
    name = check_name(entry, network if until is None else f"{network}-{until}", problems)
    if last:
        for key in ("until", "head", "exit"):
            if key in entry:
                problems.wrong(entry.at(key), f"the last stage runs its network to the end; it has no `{key}`")
    elif "exit" not in entry:
        problems.wrong(entry.where, f"stage `{name}` is not the last one; it needs an `exit`")
    head = read_head(entry, networks, problems)
    if not last and ("until" in entry) != ("head" in entry):
        problems.wrong(entry.where, f"stage `{name}`: a branch has both `until` and `head`, a front network neither")
    return StageSpec(name, entry.where, network, until, head, _exit(entry))


def _exit(entry: Entry) -> ExitSpec | None:
    found = entry["exit"]
    if found is None:
        return None
    measure = found["confidence"] or MEASURES[0]
    return ExitSpec(entry.at("exit"), measure, found["threshold"], found["temperature"])


def _calibration(entry: Entry, files: Collection[str], problems: Problems) -> Calibration | None:
    found = entry["calibrate"]
    if found is None:
        return None
    data = known(found, "data", files, problems)
    return Calibration(found.where, data, found["accuracy_drop"] or 0.0, read_delta(found, problems))


def _check_thresholds(stages: tuple[StageSpec, ...], calibration: Calibration | None, problems: Problems) -> None:
    """Thresholds are given for all exits, or for none and a calibration chooses them."""
    exits = [stage.exit for stage in stages if stage.exit]
    if calibration is None:
        for found in exits:
            if found.threshold is None:
                problems.wrong(found.where, "`threshold` is missing; give one, or `calibrate` it on a data set")
    elif not exits:
        problems.wrong(calibration.where, "`calibrate` chooses thresholds of exits, but no stage has an `exit`")
    elif any(found.threshold is not None for found in exits):
        problems.wrong(calibration.where, "`calibrate` chooses all thresholds; remove it, or those that are given")
