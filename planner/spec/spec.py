"""The spec: networks, data, and the stages they run in. Read strictly; paths are relative to its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offramp.configs.device import Device
from offramp.configs.errors import InputError, Where
from offramp.configs.files import is_file
from offramp.configs.lines import LineList, LineMap, load_yaml
from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.ir.network import Shape
from offramp.planner.spec.auto import NEEDED, OPTIONAL, ChoiceSpec, read_choice, read_delta
from offramp.planner.spec.clocks import read_clocks
from offramp.planner.spec.device_name import check_device
from offramp.planner.spec.head import HeadSpec, read_head
from offramp.planner.spec.reader import Reader, layer_reference, number, one_of, positive

FORMAT = 1
ALLOWED = ("name", "data", "calibrate", "labels", "compare", "clocks", "device")


@dataclass(frozen=True)
class NetworkSpec:
    """A network YAML and its checkpoint.

    `keep_offsets`: activations stay where the YAML puts them. `keep_processors`: layers stay on the processors that the
    YAML gives them; else only the input does. `fifo`: the input comes through the FIFO, as streaming
    layers need it. `avg_pool_rounding`: average pooling rounds half away from zero instead of truncating.
    """

    name: str
    where: Where
    network: Path
    checkpoint: Path
    input_shape: Shape | None
    keep_offsets: bool
    keep_processors: bool
    fifo: bool
    avg_pool_rounding: bool


@dataclass(frozen=True)
class ExitSpec:
    """A stage's confidence. `threshold` in real units (probability, logits, nats); None: to be calibrated."""

    where: Where
    measure: Measure
    threshold: float | None
    temperature: float


@dataclass(frozen=True)
class StageSpec:
    """One stage. `until`: the last layer of the network that runs in it, None for all that are left."""

    name: str
    where: Where
    network: str
    until: str | int | None
    head: HeadSpec | None
    exit: ExitSpec | None


@dataclass(frozen=True)
class Calibration:
    """Choose the open thresholds on a data set so that accuracy falls by at most `accuracy_drop` points.

    `delta`: on new data it falls by more with at most this probability; None: on this data set only.
    """

    where: Where
    data: str
    accuracy_drop: float
    delta: float | None


@dataclass(frozen=True)
class Spec:
    name: str
    where: Where
    networks: Mapping[str, NetworkSpec]
    data: Mapping[str, Path]
    stages: tuple[StageSpec, ...]
    calibration: Calibration | None
    labels: tuple[str, ...]
    compare: tuple[str, ...]  # networks that are in no stage, but are run alone for comparison
    choice: ChoiceSpec | None = None  # `exits: auto`: there are no stages before they are chosen
    clocks: Mapping[str, int] = field(default_factory=dict)  # Hz by name; the device's where not given
    places: Mapping[str, Where] = field(default_factory=dict)  # of the spec's keys
    left_out: tuple[tuple[str, HeadSpec], ...] = ()  # (network, head made of its layers) that no stage runs


def load_spec(path: Path, device: Device) -> Spec:
    """Read a spec for a device (`spec_device` finds its name). InputError lists all that is wrong, with its line."""
    return _Reader(path).spec(load_yaml(path), device)


class _Reader(Reader):
    """Reads one spec and collects its problems."""

    def spec(self, data: LineMap, device: Device) -> Spec:
        automatic = "exits" in data
        if automatic:
            self.keys(data, NEEDED, OPTIONAL)
        else:
            self.keys(data, ("offramp", "networks", "stages"), ALLOWED)
        if "offramp" in data and data["offramp"] != FORMAT:
            self.wrong(data.at("offramp"), f"spec format {data['offramp']!r}; this program reads format {FORMAT}")
        networks = {name: self.network(name, entry) for name, entry in self.section(data, "networks").items()}
        files = {name: self.path(self.section(data, "data"), name) for name in self.section(data, "data")}
        choice = read_choice(self, data, networks, files) if automatic else None
        stages = () if automatic else self.stages(data, networks)
        calibration = None if automatic else self.calibration(data, files)
        self.thresholds(stages, calibration)
        check_device(self, data, device)
        clocks = read_clocks(self, data, device)
        labels, compare = self.labels(data), self.names(data, "compare")
        for one in compare:
            if one not in networks:
                self.wrong(data.at("compare"), f"there is no network `{one}`; there are: {', '.join(networks)}")
        name = self.name(data, re.sub("[^A-Za-z0-9_]", "_", self.folder.resolve().name)[:64] or "spec")
        if self.problems:
            raise InputError(self.problems)
        places = {key: data.at(key) for key in data}
        return Spec(name, data.where, networks, files, stages, calibration, labels, compare, choice, clocks, places)

    def thresholds(self, stages: tuple[StageSpec, ...], calibration: Calibration | None) -> None:
        """Thresholds are given for all exits, or for none and a calibration chooses them."""
        exits = [stage.exit for stage in stages if stage.exit]
        if calibration is None:
            for one in exits:
                if one.threshold is None:
                    self.wrong(one.where, "`threshold` is missing; give one, or `calibrate` it on a data set")
        elif not exits:
            self.wrong(calibration.where, "`calibrate` chooses thresholds of exits, but no stage has an `exit`")
        elif any(one.threshold is not None for one in exits):
            self.wrong(calibration.where, "`calibrate` chooses all thresholds; remove it, or those that are given")

    def path(self, data: LineMap, key: str) -> Path:
        path = self.folder / str(data.get(key, ""))
        if key in data and not is_file(path):
            self.wrong(data.at(key), f"`{key}`: there is no file {path}")
        return path

    def network(self, name: str, data: Any) -> NetworkSpec:
        data = self.mapping(data, f"network `{name}`")
        self.keys(data, ("network", "checkpoint"), ("input", "offsets", "processors", "fifo", "avg_pool_rounding"))
        kept = one_of("keep", "free"), "`keep` or `free`"
        return NetworkSpec(
            name=name,
            where=data.where,
            network=self.path(data, "network"),
            checkpoint=self.path(data, "checkpoint"),
            input_shape=self.value(data, "input", parse_shape, "CxHxW, as in 1x28x28,"),
            keep_offsets=self.value(data, "offsets", *kept) != "free",
            keep_processors=self.value(data, "processors", *kept) != "free",
            fifo=bool(self.value(data, "fifo", _flag, "`true` or `false`")),
            avg_pool_rounding=bool(self.value(data, "avg_pool_rounding", _flag, "`true` or `false`")),
        )

    def stages(self, data: LineMap, networks: Mapping[str, NetworkSpec]) -> tuple[StageSpec, ...]:
        items = data.get("stages", [])
        if not isinstance(items, LineList) or not items:
            self.wrong(data.at("stages"), "`stages` is a list of at least one stage")
            return ()
        stages = []
        for position, item in enumerate(items):
            if isinstance(item, LineMap):
                stages.append(self.stage(item, networks, position == len(items) - 1))
            else:
                self.wrong(items.at(position), "a stage is a mapping with `network`, and `until`, `head`, `exit`")
        names = [stage.name for stage in stages]
        for stage in stages:
            if names.count(stage.name) > 1:
                self.wrong(stage.where, f"there are several stages named `{stage.name}`; give each a `name`")
        return tuple(stages)

    def stage(self, data: LineMap, networks: Mapping[str, NetworkSpec], last: bool) -> StageSpec:
        self.keys(data, ("network",), ("name", "until", "head", "exit"))
        network = str(data.get("network", ""))
        if "network" in data and network not in networks:
            self.wrong(data.at("network"), f"there is no network `{network}`; there are: {', '.join(networks)}")
        until = self.value(data, "until", layer_reference, "a layer's name or number")
        name = self.name(data, network if until is None else f"{network}-{until}")
        if last:
            for key in ("until", "head", "exit"):
                if key in data:
                    self.wrong(data.at(key), f"the last stage runs its network to the end; it has no `{key}`")
        elif "exit" not in data:
            self.wrong(data.where, f"stage `{name}` is not the last one; it needs an `exit`")
        head = read_head(self, data, networks) if "head" in data else None
        exits = self.exit(data) if "exit" in data else None
        if not last and (until is None) != (head is None):
            self.wrong(data.where, f"stage `{name}`: a branch has both `until` and `head`, a front network neither")
        return StageSpec(name, data.where, network, until, head, exits)

    def exit(self, data: LineMap) -> ExitSpec | None:
        value, where = data["exit"], data.at("exit")
        if not isinstance(value, LineMap):
            self.wrong(where, "`exit` is a mapping with `confidence`, and `threshold`, `temperature`")
            return None
        self.keys(value, ("confidence",), ("threshold", "temperature"))
        measure = self.value(value, "confidence", one_of(*MEASURES), " or ".join(f"`{one}`" for one in MEASURES))
        threshold = self.value(value, "threshold", number, "a number >= 0")
        temperature = self.value(value, "temperature", positive, "a number > 0")
        return ExitSpec(where, measure or MEASURES[0], threshold, 1.0 if temperature is None else temperature)

    def calibration(self, data: LineMap, files: Mapping[str, Path]) -> Calibration | None:
        if "calibrate" not in data:
            return None
        value = data["calibrate"]
        if not isinstance(value, LineMap):
            self.wrong(data.at("calibrate"), "`calibrate` is a mapping with `data` and `accuracy_drop`")
            return None
        self.keys(value, ("data", "accuracy_drop"), ("risk",))
        name = str(value.get("data", ""))
        if "data" in value and name not in files:
            self.wrong(value.at("data"), f"there is no data set `{name}`; there are: {', '.join(files) or 'none'}")
        drop = self.value(value, "accuracy_drop", number, "a number of percentage points >= 0")
        return Calibration(value.where, name, drop or 0.0, read_delta(self, value, drop))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def parse_shape(text: object) -> Shape:
    """`CxHxW` (or `CxL`) as a Shape. ValueError for anything else."""
    sizes = [int(part) for part in str(text).lower().split("x")]
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise ValueError(f"{text!r} is not CxHxW")
    return Shape(sizes[0], sizes[1], sizes[2] if len(sizes) == 3 else 1)
