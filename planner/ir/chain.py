"""A chain of stages: which layers run in which slot of which stage, and which tensors pass between them.

An inference loads the input, runs stage 0, checks the confidence of its result, and goes on to the next stage only if
that is too low. A stage is one run of the accelerator, or several, its segments, if it has more layers than a run can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from offramp.planner.ir.measure import HARDWARE, MEASURES, Measure, classes_among
from offramp.planner.ir.network import INPUT, Layer, Network, RollingBuffer

TensorId = str  # "input", "<network>/<layer index>", or of a rolling buffer "<network>:<its name>"

INPUT_TENSOR: TensorId = "input"


@dataclass(frozen=True)
class ExitRule:
    """When a stage's result is final. `threshold` and `fraction_bits` in the units of `reference.confidence`.

    `by_class`: thresholds of the stage's classes, where each has its own; `threshold` is None then. Both missing:
    whatever the confidence; the last stage of a chain only reports it.
    """

    measure: Measure
    threshold: int | None
    fraction_bits: int
    temperature_q16: int = 1 << 16
    by_class: tuple[int, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there are thresholds."""
        return self.threshold is not None or bool(self.by_class)

    @property
    def hardware(self) -> bool:
        """Whether the accelerator decides, and goes on by itself with what comes next."""
        return self.measure in HARDWARE

    def classes(self, outputs: int) -> int:
        """How many of the outputs of the layer that makes the logits are classes."""
        return classes_among(outputs, self.measure)


@dataclass(frozen=True, eq=False)
class Slot:
    """A layer in a layer slot: what it reads and writes. `into`: the rolling buffer in which `writes` lies."""

    network: str
    layer: Layer
    reads: tuple[TensorId, ...]
    writes: TensorId
    into: TensorId | None = None

    @property
    def name(self) -> str:
        """Unique within a chain: names of layers in a YAML need not be."""
        label = f"{self.layer.index}:{self.layer.name}" if self.layer.name else str(self.layer.index)
        return f"{self.network}/{label}"


@dataclass(frozen=True, eq=False)
class Stage:
    """What runs before software looks at a result. `result`: what it leaves, the logits or what the next stage goes on
    from. `cuts`: the slots, counted from 0, in front of which a run ends and another begins."""

    name: str
    slots: tuple[Slot, ...]
    result: TensorId
    cuts: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The runs of the accelerator that the stage takes."""
        return tuple(Segment(self, number) for number in range(len(self.cuts) + 1))

    @property
    def hardware(self) -> bool:
        """Whether the accelerator decides at its end, and goes on by itself with the next stage."""
        return False


@dataclass(frozen=True, eq=False)
class ExitStage(Stage):
    """A stage of an application. `exit`: None where the result is none of logits, which only the last stage may give:
    the answer is then the result itself, and nothing looks at it.

    `answers`: what each class means, NO_ANSWER for nothing that the stage could leave with; empty: classes are the
    answers. Of a stage without an exit one, which it always gives, or none.
    """

    exit: ExitRule | None
    answers: tuple[int, ...] = ()

    @property
    def rule(self) -> ExitRule:
        """The exit of a stage that has one, as all but the last have."""
        assert self.exit is not None
        return self.exit

    @property
    def hardware(self) -> bool:
        return self.exit is not None and self.exit.hardware


@dataclass(frozen=True)
class Segment:
    """One run of the accelerator: the slots of a stage between two of its cuts, or all of them."""

    stage: Stage
    number: int  # from 0

    @property
    def slots(self) -> tuple[Slot, ...]:
        bounds = (0, *self.stage.cuts, len(self.stage.slots))
        return self.stage.slots[bounds[self.number] : bounds[self.number + 1]]

    @property
    def last(self) -> bool:
        """Whether the stage's result is there when the run ends."""
        return self.number == len(self.stage.cuts)

    @property
    def name(self) -> str:
        """That of the stage, `main`, or of a stage with several segments `main (1 of 2)`."""
        count = len(self.stage.cuts) + 1
        return f"{self.stage.name} ({self.number + 1} of {count})" if count > 1 else self.stage.name

    @property
    def result(self) -> TensorId:
        return self.stage.result if self.last else self.slots[-1].writes

    @property
    def exit(self) -> ExitRule | None:
        """How software judges the result; None where it does not look at it."""
        return self.stage.exit if self.last and isinstance(self.stage, ExitStage) else None

    @property
    def hardware(self) -> bool:
        """Whether the accelerator decides at its end, and goes on by itself with the next stage."""
        return self.last and self.stage.hardware

    @property
    def answers(self) -> tuple[int, ...]:
        """What the classes of the result mean, as in ExitStage."""
        return self.stage.answers if self.last and isinstance(self.stage, ExitStage) else ()


@dataclass(frozen=True, eq=False)
class Chain:
    """All stages of an application, first to last, and the networks their layers come from."""

    networks: Mapping[str, Network]
    stages: tuple[Stage, ...]
    keep_offsets: Mapping[str, bool]  # per network: are the offsets of its YAML kept?
    remark: str = ""  # what else is known where the chain cannot be placed

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Slots of all stages in the order of execution."""
        return tuple(slot for stage in self.stages for slot in stage.slots)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The runs of the accelerator, in the order of execution."""
        return tuple(segment for stage in self.stages for segment in stage.segments)

    @cached_property
    def stage_numbers(self) -> tuple[int, ...]:
        """For each segment the number of its stage."""
        return tuple(number for number, stage in enumerate(self.stages) for _ in stage.segments)

    @cached_property
    def answering(self) -> tuple[int, ...]:
        """For each stage the number of its last segment, the only one that may give an answer."""
        return tuple(number for number, segment in enumerate(self.segments) if segment.last)

    @cached_property
    def exits(self) -> tuple[ExitStage, ...]:
        """All stages of an application; none of other chains."""
        return tuple(stage for stage in self.stages if isinstance(stage, ExitStage))

    @cached_property
    def producers(self) -> dict[TensorId, Slot]:
        return {slot.writes: slot for slot in self.slots}

    @cached_property
    def steps(self) -> tuple[dict[TensorId, int], dict[str, int]]:
        """The step at which each tensor is written (the input at 0), and at which each stage's result is read."""
        written: dict[TensorId, int] = {INPUT_TENSOR: 0}
        exit_check: dict[str, int] = {}
        step = 0
        for stage in self.stages:
            for slot in stage.slots:
                step += 1
                written[slot.writes] = step
            step += 1
            exit_check[stage.name] = step
        return written, exit_check

    @cached_property
    def runs(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the segments of each start of the accelerator: behind a hardware exit it goes on by itself."""
        found: list[list[int]] = []
        goes_on = False
        for number, segment in enumerate(self.segments):
            if goes_on:
                found[-1].append(number)
            else:
                found.append([number])
            goes_on = segment.hardware
        return tuple(map(tuple, found))

    def run_with(self, number: int) -> tuple[int, ...]:
        """Numbers of the segments of the start that runs a segment."""
        return next(run for run in self.runs if number in run)

    def run_of(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that run together with a stage, with itself."""
        first = next(number for number, segment in enumerate(self.segments) if segment.stage is stage)
        return tuple(self.segments[number].stage for number in self.run_with(first))

    @property
    def hardware(self) -> bool:
        """Whether a stage has a hardware exit; then thresholds are in registers."""
        return any(stage.hardware for stage in self.stages)

    @cached_property
    def buffers(self) -> dict[TensorId, RollingBuffer]:
        """Rolling buffers of all networks."""
        found: dict[TensorId, RollingBuffer] = {}
        for slot in self.slots:
            network, layer = self.networks[slot.network], slot.layer
            if layer.source:
                found[slot.reads[0]] = network.buffer(layer.source)
            if slot.into and layer.target:
                found[slot.into] = network.buffer(layer.target.buffer)
        return found

    @property
    def misses_inputs(self) -> bool:
        """Whether an input that leaves early is missing in a rolling buffer of a later stage."""
        return any(slot.into for stage in self.stages[1:] for slot in stage.slots)

    def readers(self, tensor: TensorId) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if tensor in slot.reads)

    @cached_property
    def first_reader(self) -> Slot:
        """The first layer that reads the input; it decides how the input lies in memory."""
        return self.readers(INPUT_TENSOR)[0]


def tensor_of(network: str, index: int) -> TensorId:
    return INPUT_TENSOR if index == INPUT else f"{network}/{index}"


def buffer_of(network: str, buffer: str) -> TensorId:
    return f"{network}:{buffer}"


def slots_of(name: str, network: Network, layers: Sequence[Layer]) -> tuple[Slot, ...]:
    """Slots for some layers of a network that reads the chain's input."""
    return tuple(_slot(name, layer, INPUT_TENSOR, name) for layer in layers)


def head_slots(name: str, head: Network, tensor: TensorId, owner: str | None = None) -> tuple[Slot, ...]:
    """Slots for a head network, whose input is the tensor at the cut. `owner`: the network whose rolling buffers it
    reads, if it is a part of that."""
    return tuple(_slot(name, layer, tensor, owner or name) for layer in head.layers)


def _slot(name: str, layer: Layer, source: TensorId, owner: str) -> Slot:
    reads = tuple(source if index == INPUT else tensor_of(name, index) for index in layer.inputs)
    if layer.source:
        reads = (buffer_of(owner, layer.source),)
    into = buffer_of(owner, layer.target.buffer) if layer.target else None
    return Slot(name, layer, reads, tensor_of(name, layer.index), into)


def whole(name: str, network: Network) -> Chain:
    """A chain of one stage that runs the whole network."""
    stage = Stage(name, slots_of(name, network, network.layers), tensor_of(name, network.layers[-1].index))
    return Chain({name: network}, (stage,), {name: True})


def cut(name: str, network: Network, after: int) -> Chain:
    """The network in two stages, cut after layer `after`; the first stage has no exit."""
    first = Stage(f"{name}-a", slots_of(name, network, network.layers[: after + 1]), tensor_of(name, after))
    rest = network.layers[after + 1 :]
    second = Stage(f"{name}-b", slots_of(name, network, rest), tensor_of(name, rest[-1].index))
    return Chain({name: network}, (first, second), {name: True})


def with_cuts(chain: Chain, cuts: Sequence[tuple[int, ...]]) -> Chain:
    """The chain with its stages in segments. `cuts`: of each stage."""
    stages = tuple(replace(stage, cuts=own) for stage, own in zip(chain.stages, cuts, strict=True))
    return replace(chain, stages=stages)


def _with_rules(chain: Chain, changed: Callable[[ExitStage], ExitRule]) -> Chain:
    """The chain with another exit rule where a stage has one."""
    stages = tuple(
        replace(stage, exit=changed(stage)) if isinstance(stage, ExitStage) and stage.exit else stage
        for stage in chain.stages
    )
    return replace(chain, stages=stages)


def without_exits(chain: Chain) -> Chain:
    """The chain with no thresholds: all stages run for every input."""
    return _with_rules(chain, lambda stage: replace(stage.rule, threshold=None, by_class=()))


def of_core(chain: Chain) -> Chain:
    """The chain with every exit looked at by the core."""
    return _with_rules(chain, lambda stage: replace(stage.rule, measure=MEASURES[0]) if stage.hardware else stage.rule)


Threshold = int | tuple[int, ...]  # of all classes of a stage, or of each


def with_threshold(chain: Chain, thresholds: Mapping[str, Threshold]) -> Chain:
    """The chain with the exit thresholds of the named stages replaced."""
    return _with_rules(
        chain,
        lambda stage: _with(stage.rule, thresholds[stage.name]) if stage.name in thresholds else stage.rule,
    )


def _with(rule: ExitRule, threshold: Threshold) -> ExitRule:
    if isinstance(threshold, int):
        return replace(rule, threshold=threshold, by_class=())
    return replace(rule, threshold=None, by_class=threshold)
