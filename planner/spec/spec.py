"""What a spec says: networks, data, and the stages they run in, or what stages are to be chosen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offramp.configs.errors import Where
from offramp.planner.ir.measure import Measure
from offramp.planner.ir.network import Shape


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
class HeadSpec:
    """The exit head of a branch: a network of its own, or some layers of the network that it belongs to."""

    where: Where
    network: str | None
    layers: tuple[str | int, ...]


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
class CandidateSpec:
    """A stage that may run before the rest of the main network.

    `network`: the front network (`until` and `head` None), or main, cut after layer `until`, with an exit head. `until`
    None with a head: wherever main can be cut and the head fits; `name` is only the beginning of a name then.
    """

    name: str
    where: Where
    network: str
    until: str | int | None
    head: HeadSpec | None
    temperature: float

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that a chain with the candidate needs."""
        return (self.network, self.head.network) if self.head and self.head.network else (self.network,)


@dataclass(frozen=True)
class ChoiceSpec:
    """What to choose, on data set `data`.

    Either `accuracy_drop` (percentage points) is kept and the cost `weights` (by quantity; several: relative to main
    alone) minimised, or `budget` (quantity, mean of an inference) is kept and the loss of accuracy minimised.
    No `candidates`: every other network is one, as a front or as a head, wherever it fits.
    `delta`: the loss on new data may exceed `accuracy_drop` with at most this probability; None: no guarantee.
    """

    where: Where
    main: str
    candidates: tuple[CandidateSpec, ...]
    measures: tuple[Measure, ...]
    data: str
    weights: Mapping[str, float]
    accuracy_drop: float | None
    budget: tuple[str, float] | None
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
