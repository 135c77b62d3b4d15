"""Reading a spec: its tables of keys, and what its parts must agree on. Everything that is wrong is collected."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from offramp.configs.device import Device
from offramp.configs.errors import InputError, Where
from offramp.configs.files import is_file
from offramp.configs.lines import load_yaml
from offramp.configs.schema import Entry, read_entry
from offramp.planner.ir.measure import GATE, HARDWARE, LARGEST_LOGIT, MEASURES
from offramp.planner.spec.auto import read_choice
from offramp.planner.spec.clocks import impossible_clocks
from offramp.planner.spec.entries import Problems, check_name, known, read_answers, read_delta, read_head
from offramp.planner.spec.keys import AUTO_KEYS, LONGEST_NAME, MANUAL_KEYS
from offramp.planner.spec.spec import (
    AutoSpec,
    BranchSpec,
    Calibration,
    ExitSpec,
    ManualSpec,
    NetworkSpec,
    ReloadSpec,
    StageSpec,
)


def spec_device(path: Path) -> tuple[str | None, Where]:
    """The device that a spec names, None without one, and the place. InputError if the file is no mapping."""
    data = load_yaml(path)
    return (str(data["device"]) if "device" in data else None), data.at("device")


def load_spec(path: Path, device: Device) -> ManualSpec | AutoSpec:
    """Read a spec for a device (`spec_device` finds its name). InputError lists all that is wrong, with its line."""
    data = load_yaml(path)
    problems = Problems()
    automatic = "exits" in data
    entry = read_entry(data, AUTO_KEYS if automatic else MANUAL_KEYS, problems)
    common = _common(entry, path.parent, device, problems)
    spec = (_auto if automatic else _manual)(entry, common, device, problems)
    if problems:
        raise InputError(sorted(problems, key=lambda problem: problem.where.line if problem.where else 0))
    return spec


def _common(entry: Entry, folder: Path, device: Device, problems: Problems) -> dict[str, Any]:
    """What both kinds of specs say, by the fields of `Spec`."""
    networks = _networks(entry, folder, problems)
    check_device(entry, device, problems)
    for name in entry["compare"]:
        if name not in networks:
            problems.wrong(entry.at("compare"), f"there is no network `{name}`; there are: {', '.join(networks)}")
    if entry["answers"] and entry["labels"]:
        problems.wrong(entry.at("labels"), "`labels` name classes that are the answers; there are `answers`")
    for key in ("answers", "labels"):
        for twice in sorted({one for one in entry[key] if entry[key].count(one) > 1}):
            problems.wrong(entry.at(key), f"`{key}` has `{twice}` twice")
    default = re.sub("[^A-Za-z0-9_]", "_", folder.resolve().name)[:LONGEST_NAME] or "spec"
    return {
        "name": entry["name"] or default,
        "where": entry.where,
        "networks": networks,
        "data": _files(entry, folder, problems),
        "labels": entry["labels"],
        "answers": entry["answers"],
        "compare": entry["compare"],
        "reload": _reload(entry, problems),
        "clocks": named(entry["clocks"]),
        "asked": entry["asked"] or 1,
        "places": entry.lines,
    }


def _reload(entry: Entry, problems: Problems) -> ReloadSpec | None:
    external = entry["external"]
    if external and entry["reload"] != "external":
        problems.wrong(entry.at("external"), "`external` is for `reload: external`; give that, or remove it")
    if entry["reload"] == "not":
        return None
    return ReloadSpec(entry["reload"] == "external", external["bytes_per_second"] if external else None)


def _auto(entry: Entry, common: dict[str, Any], device: Device, problems: Problems) -> AutoSpec:
    return AutoSpec(choice=read_choice(entry, common["networks"], common["data"], device, problems), **common)


def _manual(entry: Entry, common: dict[str, Any], device: Device, problems: Problems) -> ManualSpec:
    stages = _stages(entry, common["networks"], problems)
    if "calibrate" not in entry:
        stages = tuple(map(_with_earlyexit, stages))
    calibration = _calibration(entry, common["data"], problems)
    _check_thresholds(entry, problems)
    check_hardware(entry, device, problems)
    return ManualSpec(stages=stages, calibration=calibration, **common)


def named(section: Entry | None) -> dict[str, Any]:
    """What a section holds by names of the user's choice, as far as it could be read."""
    stated = section.stated if section else {}
    return {name: section[name] for name in stated if section and section[name] is not None}


def _networks(entry: Entry, folder: Path, problems: Problems) -> dict[str, NetworkSpec]:
    found = named(entry["networks"])
    return {name: read_network_entry(name, network, folder, problems) for name, network in found.items()}


def read_network_entry(name: str, entry: Entry, folder: Path, problems: Problems) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        where=entry.where,
        network=file_of(entry, "network", folder, problems),
        checkpoint=file_of(entry, "checkpoint", folder, problems),
        input_shape=entry["input"],
        keep_offsets=entry["offsets"] == "keep",
        keep_processors=entry["processors"] == "keep",
        fifo=entry["fifo"],
        avg_pool_rounding=entry["avg_pool_rounding"],
        may_miss_inputs=entry["buffer_inputs"] == "reached",
        labels=entry["labels"],
        prefix=entry["prefix"] or "",
    )


def _files(entry: Entry, folder: Path, problems: Problems) -> dict[str, Path]:
    data = entry["data"]
    return {name: file_of(data, name, folder, problems) for name in named(data)}


def file_of(entry: Entry, key: str, folder: Path, problems: Problems) -> Path:
    path = folder / (entry[key] or "")
    if entry[key] is not None and not is_file(path):
        problems.wrong(entry.at(key), f"`{key}`: there is no file {path}")
    return path


def check_device(entry: Entry, device: Device, problems: Problems) -> None:
    """A spec that names a device is for that one only; the device's clocks are the highest that are allowed."""
    if entry["device"] is not None and entry["device"] != device.name:
        found = f"`device: {entry['device']}`, but the spec is used for a {device.name}"
        problems.wrong(entry.at("device"), found)
    clocks = entry["clocks"]
    before = len(problems)
    for name, value in named(clocks).items():
        limit = device.clocks.get(name)
        if limit is None:
            problems.wrong(clocks.at(name), f"unknown key `{name}`; allowed: {', '.join(device.clocks)}")
        elif value > limit:
            problems.wrong(clocks.at(name), f"`{name}: {value}`; a whole number of Hz, 1..{limit}, is expected")
    if clocks and len(problems) == before:
        for name, message in impossible_clocks(device, named(clocks)).items():
            problems.wrong(clocks.at(name), f"`{name}: {clocks[name]}`; {message}")


def _stages(entry: Entry, networks: Collection[str], problems: Problems) -> tuple[StageSpec, ...]:
    items = entry["stages"]
    found = [_stage(item, networks, item is items[-1], problems) for item in items if item]
    names = [stage.name for stage in found]
    for stage in found:
        if names.count(stage.name) > 1:
            problems.wrong(stage.where, f"there are several stages named `{stage.name}`; give each a `name`")
    # The last stage reports the confidence of the first one's measure; alone, the one that needs no exponentials.
    if len(found) > 1:
        none = replace(found[0].exit, threshold=None, by_class=(), per_class=False, earlyexit=None)
        none = replace(none, measure=MEASURES[0]) if none.measure in HARDWARE else none
        found[-1] = replace(found[-1], exit=none)
    return tuple(found)


def _with_earlyexit(stage: StageSpec) -> StageSpec:
    """The distiller's threshold as the stage's, if there is one."""
    given = stage.exit.earlyexit
    return stage if given is None else replace(stage, exit=replace(stage.exit, threshold=given))


def _stage(entry: Entry, networks: Collection[str], last: bool, problems: Problems) -> StageSpec:
    network = known(entry, "network", networks, problems)
    until, head = entry["until"], read_head(entry, networks, problems)
    name = check_name(entry, network if until is None else f"{network}-{until}", problems)
    if last:
        for key in ("head", "exit"):
            if key in entry:
                problems.wrong(entry.at(key), f"the last stage answers whatever is left; it has no `{key}`")
    elif "exit" not in entry:
        problems.wrong(entry.where, f"stage `{name}` is not the last one; it needs an `exit`")
    if not last and ("until" in entry) != ("head" in entry):
        problems.wrong(entry.where, f"stage `{name}`: a branch has both `until` and `head`, a front network neither")
    branch = BranchSpec(until, head) if until is not None and head else None
    end = until if last else None
    return StageSpec(name, entry.where, network, branch, _exit(entry), end, read_answers(entry))


def _exit(entry: Entry) -> ExitSpec:
    found = entry["exit"]
    if found is None:
        return ExitSpec(entry.where, MEASURES[0], None, 1.0)
    given = found["threshold"]
    by_class = tuple(given.items()) if isinstance(given, Mapping) else ()
    threshold = None if by_class else given
    if found["hardware"]:
        measure = GATE if found["hardware"]["gate"] else LARGEST_LOGIT
        return ExitSpec(entry.at("exit"), measure, found["hardware"]["at_least"], 1.0)
    measure, temperature = found["confidence"] or MEASURES[0], found["temperature"]
    given = found["earlyexit_threshold"]
    return ExitSpec(entry.at("exit"), measure, threshold, temperature, by_class, found["per_class"], given)


def _calibration(entry: Entry, files: Collection[str], problems: Problems) -> Calibration | None:
    found = entry["calibrate"]
    if found is None:
        return None
    data = known(found, "data", files, problems)
    return Calibration(found.where, data, found["accuracy_drop"] or 0.0, read_delta(found, problems), found["against"])


def _has_threshold(exits: Entry) -> bool:
    return "threshold" in exits or bool(exits["hardware"] and "at_least" in exits["hardware"])


def check_hardware(entry: Entry, device: Device, problems: Problems) -> None:
    """Hardware exits are for devices with snoop units; nothing else of an exit goes with them."""
    for found in (stage["exit"] for stage in entry["stages"] if stage and stage["exit"]):
        if "hardware" not in found:
            continue
        place = found.at("hardware")
        if "hardware_exits" not in device.features:
            hint = (
                "`device` of the spec names another one" if "device" in entry else "the default; `device` names another"
            )
            problems.wrong(place, f"`hardware`: the {device.name} ({hint}) has no snoop units")
        for key in found.stated:
            if key != "hardware":
                problems.wrong(found.at(key), f"`{key}`: an exit with `hardware` has no other key")


def _check_thresholds(entry: Entry, problems: Problems) -> None:
    """Thresholds are given for all exits, or for none and a calibration chooses them."""
    exits = [stage["exit"] for stage in entry["stages"] if stage and stage["exit"]]
    for found in (one for one in exits if "earlyexit_threshold" in one):
        place = found.at("earlyexit_threshold")
        if found["confidence"] != "entropy":
            problems.wrong(place, "`earlyexit_threshold` is in nats: `confidence: entropy` is expected")
        if "threshold" in found:
            problems.wrong(place, "there is a `threshold`, or an `earlyexit_threshold` that is taken for one, not both")
    if "calibrate" not in entry:
        for found in exits:
            if found["per_class"]:
                problems.wrong(found.at("per_class"), "`per_class` is for `calibrate`; here give `{class: number}`")
            unread = "hardware" in found and found["hardware"] is None
            if not _has_threshold(found) and "earlyexit_threshold" not in found and not unread:
                key = "at_least" if found["hardware"] else "threshold"
                problems.wrong(found.where, f"`{key}` is missing; give one, or `calibrate` it on a data set")
    elif not exits:
        problems.wrong(entry.at("calibrate"), "`calibrate` chooses thresholds of exits, but no stage has an `exit`")
    elif any(_has_threshold(found) for found in exits):
        problems.wrong(entry.at("calibrate"), "`calibrate` chooses all thresholds; remove it, or those that are given")
