"""A spec as values: networks, data, and the stages they run in, or the candidates for stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from offramp.configs.errors import Where
from offramp.planner.ir.measure import HARDWARE, Measure, classes_among
from offramp.planner.ir.network import Shape

Against = Literal["labels", "main"]  # what a right answer is: the label, or the answer of the last network


@dataclass(frozen=True)
class NetworkSpec:
    """A network YAML and its checkpoint.

    `keep_offsets`: activations stay where the YAML puts them. `keep_processors`: layers stay on the processors that the
    YAML gives them; else only the input does. `fifo`: the input comes through the FIFO, as streaming
    layers need it. `avg_pool_rounding`: average pooling rounds half away from zero instead of truncating.
    `prefix`: what the names of its layers in the checkpoint begin with, empty for all of them.
    `may_miss_inputs`: its rolling buffers need not see inputs that an earlier stage has answered.
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
    may_miss_inputs: bool = False
    labels: tuple[str, ...] = ()  # names of its classes
    prefix: str = ""


@dataclass(frozen=True)
class ExitSpec:
    """A stage's confidence. `threshold` in real units (probability, logits, nats); None: it is not chosen yet, or
    `by_class` has those of the classes, by name or number. `per_class`: each class is to get one of its own.
    `earlyexit`: the distiller's, of a cross-entropy with the label, in nats; None without one."""

    where: Where
    measure: Measure
    threshold: float | None
    temperature: float
    by_class: tuple[tuple[str | int, float], ...] = ()
    per_class: bool = False
    earlyexit: float | None = None

    def classes(self, outputs: int) -> int:
        """How many of the outputs of the layer that makes the logits are classes."""
        return classes_among(outputs, self.measure)


@dataclass(frozen=True)
class AnswersSpec:
    """What the classes of a stage mean, by names or numbers: `by_class`, others mean nothing; or, of a result that is
    no class, always the same."""

    where: Where
    by_class: tuple[tuple[str | int, str | int], ...] = ()
    always: str | int | None = None


@dataclass(frozen=True)
class HeadSpec:
    """The exit head of a branch: a network of its own, or some layers of the network that it belongs to."""

    where: Where
    network: str | None
    layers: tuple[str | int, ...]


@dataclass(frozen=True)
class BranchSpec:
    """A stage that ends inside its network: after layer `until`, whose output the head reads."""

    until: str | int
    head: HeadSpec


@dataclass(frozen=True)
class StageSpec:
    """One stage. `branch`: None for a stage that runs all of its network that is left, or up to layer `until`, which
    only the last stage may have.

    `exit`: of the last stage the confidence that it reports, without a threshold. `answers`: None: classes are answers,
    by their names or, where they have none, by their numbers.
    """

    name: str
    where: Where
    network: str
    branch: BranchSpec | None
    exit: ExitSpec
    until: str | int | None = None
    answers: AnswersSpec | None = None

    @property
    def head(self) -> HeadSpec | None:
        return self.branch.head if self.branch else None

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that a chain with the stage needs."""
        return (self.network, self.head.network) if self.head and self.head.network else (self.network,)


@dataclass(frozen=True)
class OpenHeadSpec:
    """A head wherever the main network can be cut and it fits; `name` is the beginning of its stages' names."""

    name: str
    where: Where
    head: HeadSpec
    exit: ExitSpec
    answers: AnswersSpec | None = None


@dataclass(frozen=True)
class Calibration:
    """Choose the open thresholds on a data set so that accuracy falls by at most `accuracy_drop` points.

    `delta`: on new data it falls by more with at most this probability; None: on this data set only.
    """

    where: Where
    data: str
    accuracy_drop: float
    delta: float | None
    against: Against


@dataclass(frozen=True)
class ChoiceSpec:
    """What to choose, on data set `data`.

    Either `accuracy_drop` (percentage points) is kept and the cost `weights` (by quantity; several: relative to main
    alone) minimised, or `budget` (quantity, mean of an inference) is kept and the loss of accuracy minimised.
    `candidates`: stages that may run before the rest of main; none: every other network is one, as a front or as a
    head, wherever it fits.
    `delta`: the loss on new data may exceed `accuracy_drop` with at most this probability; None: no guarantee.
    `per_class`: each class that means an answer gets a threshold of its own; there is one measure then.
    `measures`: with LARGEST_LOGIT each candidate may also be a hardware exit; alone, it is one.
    """

    where: Where
    main: str
    candidates: tuple[StageSpec | OpenHeadSpec, ...]
    measures: tuple[Measure, ...]
    data: str
    weights: Mapping[str, float]
    accuracy_drop: float | None
    budget: tuple[str, float] | None
    delta: float | None
    against: Against = "labels"
    main_answers: AnswersSpec | None = None
    per_class: bool = False

    @property
    def of_core(self) -> tuple[Measure, ...]:
        """The measures of exits that the core decides about."""
        return tuple(one for one in self.measures if one not in HARDWARE)


@dataclass(frozen=True)
class ReloadSpec:
    """Where weights that are written again come from: flash or, `external`, a file outside, read at so many
    `bytes_per_second`; None: that is not known."""

    external: bool = False
    bytes_per_second: int | None = None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What all specs have. `clocks`: Hz by name, the device's where not given; `places`: of the spec's keys.

    `answers`: names of all that the application can answer; without them the classes of the last stage are the answers,
    and `labels` may name these. `compare`: networks that are in no stage, but are run alone for comparison. `reload`:
    what does not fit may be written again when it is needed; None: everything is resident. `asked`: how often, beside
    other models of an image.
    """

    name: str
    where: Where
    networks: Mapping[str, NetworkSpec]
    data: Mapping[str, Path]
    labels: tuple[str, ...]
    answers: tuple[str, ...] = ()
    compare: tuple[str, ...]
    reload: ReloadSpec | None
    asked: int = 1
    clocks: Mapping[str, int]
    places: Mapping[str, Where]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the answers, if they have any."""
        return self.answers or self.labels


@dataclass(frozen=True, kw_only=True)
class ManualSpec(Spec):
    """A spec that names its stages. `calibration`: None where all thresholds are given.

    `left_out`: (network, head made of its layers) that no stage runs.
    """

    stages: tuple[StageSpec, ...]
    calibration: Calibration | None
    left_out: tuple[tuple[str, HeadSpec], ...] = ()


@dataclass(frozen=True, kw_only=True)
class AutoSpec(Spec):
    """A spec with `exits: auto`: the stages are to be chosen."""

    choice: ChoiceSpec
