"""The figures of a plan: what report.json has, made from the plan and, if there are any, its answers to test data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from offramp.codegen.load_images import entry_biases, entry_chunks, reload_words, reloaded_biases, reloaded_chunks
from offramp.configs.device import Device
from offramp.pipeline.alone import AloneCost, alone_cost
from offramp.pipeline.chains import answer_count
from offramp.pipeline.emulate import count_kinds
from offramp.pipeline.evaluate import Evaluation, accuracy_of
from offramp.pipeline.images import PlannedImage
from offramp.pipeline.planning import Planned
from offramp.pipeline.report import (
    FORMAT,
    AccuracyReport,
    AloneReport,
    ClassReport,
    CyclesReport,
    EnergyReport,
    EntryReport,
    ImageReport,
    MemoryReport,
    ReloadReport,
    Report,
    SegmentReport,
    StageReport,
    SwitchReport,
)
from offramp.pipeline.warnings import plan_warnings
from offramp.planner.allocation.budget import entering_cycles, segment_cycles, switching_cycles
from offramp.planner.allocation.place import Placed
from offramp.planner.allocation.reload import Reload
from offramp.planner.allocation.together import problem_together
from offramp.planner.chain.answers import class_labels
from offramp.planner.hardware.cycles import sum_cycles
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, quadrants_of, set_bits
from offramp.planner.ir.chain import ExitRule, Segment, Stage
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.placement.problem import HIGHEST
from offramp.planner.reference.confidence import to_real
from offramp.planner.spec.spec import ManualSpec


def plan_report(made: Planned, evaluation: Evaluation | None) -> Report:
    """Everything about a plan that does not need the firmware to run. `evaluation`: of the spec's test data."""
    plan, device = made.plan, made.device
    last = made.chain.slots[-1].network  # the network that the chain replaces
    full = alone_cost(last, made.chain.networks[last], device, plan.spec.reload)
    compared = _compared(made) if evaluation else {}
    notes = [cost.note for cost in (full, *compared.values()) if cost.note]
    return Report(
        format=FORMAT,
        name=plan.spec.name,
        device=device.name,
        stages=tuple(_stage(made, index, evaluation) for index in range(len(made.chain.stages))),
        memory=_memory(plan.placed, device),
        switches=_switches(made),
        cycles=_cycles(made, full, evaluation),
        energy=_energy(made, full, evaluation),
        accuracy=_accuracy(evaluation),
        alone=_alone(made, compared, evaluation) if evaluation else (),
        calibration=plan.calibration,
        choice=plan.choice,
        warnings=(*plan_warnings(plan, evaluation), *dict.fromkeys(notes)),
        reload=_reload(plan.placed),
    )


def _reload(placed: Placed) -> ReloadReport | None:
    found = placed.reload
    if found is None:
        return None
    return ReloadReport(
        weights=found.weights,
        biases=found.biases,
        words=found.words / found.inferences,
        bound=found.bound / found.inferences,
        worst=sum(_worst_words(placed)),
        everything=found.everything / found.inferences,
        inferences=found.inferences,
        external_bytes=WORD_BYTES * _worst_words(placed)[0] if found.external else None,
        bytes_per_second=found.bytes_per_second,
    )


def _accuracy(evaluation: Evaluation | None) -> AccuracyReport | None:
    """The last stage answers as its network does alone: its layers are those of the network, whatever ran before."""
    if evaluation is None:
        return None
    full = evaluation.accuracy_alone(-1)
    return AccuracyReport(evaluation.accuracy, full, evaluation.images, evaluation.against)


def _compared(made: Planned) -> dict[str, AloneCost]:
    """The networks that the spec wants compared, each alone."""
    reload = made.plan.spec.reload
    return {name: alone_cost(name, one, made.device, reload) for name, one in made.plan.compared.items()}


def _alone(made: Planned, costs: Mapping[str, AloneCost], evaluation: Evaluation) -> tuple[AloneReport, ...]:
    """The networks that the spec wants compared, from the input to the answer."""
    return tuple(
        AloneReport(
            name=name,
            accuracy=accuracy_of(network, evaluation.data, answer_count(made.plan.spec, made.chain)),
            cycles=costs[name].cycles.cost_by_exit[0],
            energy_uj=costs[name].energy.cost_by_exit[0] / 10**6 if made.device.energy else None,
        )
        for name, network in made.plan.compared.items()
    )


def _stage(made: Planned, index: int, evaluation: Evaluation | None) -> StageReport:
    stage, placed = made.chain.exits[index], made.plan.placed
    layers = [placed.requirements.layer(slot) for slot in stage.slots]
    return StageReport(
        name=stage.name,
        layers=tuple(slot.name for slot in stage.slots),
        share=evaluation.share(index) if evaluation else None,
        accuracy=evaluation.accuracy_leaving(index) if evaluation else None,
        accuracy_alone=evaluation.accuracy_alone(index) if evaluation else None,
        cycles=made.cycles.stages[index].cycles,
        cycles_tag=made.cycles.stages[index].tag,
        energy_uj=made.energy.stages[index].microjoules if made.device.energy else None,
        weight_columns=fullest_processor(layers),
        weight_bytes=weight_bytes(layers),
        bias_bytes=sum(map(_bias_bytes, layers)),
        data_bytes=_data_bytes(placed, stage),
        confidence=stage.exit.measure if stage.exit else None,
        threshold=_threshold(stage.exit),
        segments=_segments(placed, stage),
        classes=_classes(made, index),
    )


def _segments(placed: Placed, stage: Stage) -> tuple[SegmentReport, ...]:
    """Of a stage that takes several runs."""
    return tuple(
        SegmentReport(segment.name, tuple(slot.name for slot in segment.slots), segment_cycles(placed, segment).cycles)
        for segment in stage.segments
        if stage.cuts
    )


def _classes(made: Planned, index: int) -> tuple[ClassReport, ...]:
    """What the classes of a stage mean; empty where they are the answers, with one threshold."""
    spec, stage = made.plan.spec, made.chain.exits[index]
    rule = stage.exit
    by_class = rule.by_class if rule else ()
    if rule is None or not (stage.answers or by_class):
        return ()
    assert isinstance(spec, ManualSpec)
    answers = stage.answers or range(len(by_class))
    labels, names = class_labels(spec, spec.stages[index]), spec.names
    return tuple(
        ClassReport(
            labels[number] if labels else str(number),
            None if answer == NO_ANSWER else names[answer] if names else str(answer),
            to_real(rule.measure, by_class[number], rule.fraction_bits) if by_class and answer != NO_ANSWER else None,
        )
        for number, answer in enumerate(answers)
    )


def _threshold(rule: ExitRule | None) -> float | None:
    """In real units; None where nothing leaves early."""
    if rule is None or rule.threshold is None:
        return None
    return to_real(rule.measure, rule.threshold, rule.fraction_bits)


def fullest_processor(layers: Sequence[HwLayer]) -> int:
    """Kernel columns that some layers take in the processor that has most of them."""
    used = [processor for layer in layers for processor in set_bits(layer.processors)]
    return max(sum(layer.all_columns for layer in layers if layer.processors >> one & 1) for one in set(used))


def weight_bytes(layers: Iterable[HwLayer]) -> int:
    """Bytes of weight memory that some layers take."""
    return sum(layer.weight_bytes for layer in layers)


def _data_bytes(placed: Placed, stage: Stage) -> int:
    """Data memory that the stage reads or writes."""
    used = {tensor for slot in stage.slots for tensor in (*slot.reads, slot.writes)}
    tensors = [placed.requirements.tensors[tensor] for tensor in used]
    return sum(WORD_BYTES * tensor.words * len(tensor.instances) for tensor in tensors)


def _bias_bytes(layer: HwLayer) -> int:
    """In all quadrants: a depthwise layer has biases in each of its own."""
    quadrants = list(quadrants_of(layer.processors, layer.device))
    return layer.bias_bytes * (len(quadrants) if layer.layer.depthwise else 1)


def _memory(placed: Placed, device: Device) -> MemoryReport:
    requirements = placed.requirements
    layers = list(requirements.hw.values())
    stored = [requirements.layer(slot) for slot in requirements.chain.slots if slot.name in placed.placement.weights]
    biases = device.memories["bias"]
    return MemoryReport(
        highest_column=placed.placement.highest.value,
        columns=fullest_height([placed], placed.placement.highest.value, device),
        proved_lowest=placed.placement.highest.optimal,
        objectives=placed.placement.objectives,
        weight_bytes=weight_bytes(stored),
        weight_memory_bytes=device.weight_memory_bytes,
        bias_bytes=sum(map(_bias_bytes, layers)),
        bias_memory_bytes=device.geometry.quadrants * biases.words,
    )


def fullest_height(models: Iterable[Placed], highest: int, device: Device) -> int:
    """Kernel columns of the processors in which the highest column is in use: not all have the same number."""
    fullest = 0
    for placed in models:
        starts = placed.placement.weights
        for block in placed.problem.weights:
            if block.name in starts and starts[block.name] + block.top == highest:
                fullest |= block.processors
    return device.common_columns(fullest)


def _reload_together(image: PlannedImage) -> ReloadReport | None:
    """Of several models."""
    models = [(name, made.plan.placed) for name, made in zip(image.names, image.models, strict=True)]
    written = [(name, placed, placed.reload) for name, placed in models if placed.reload]
    if not written:
        return None
    words = written[0][2]

    def named(kind: Callable[[Reload], tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(f"{name}:{layer}" for name, _, reload in written for layer in kind(reload))

    return ReloadReport(
        weights=named(lambda reload: reload.weights),
        biases=named(lambda reload: reload.biases),
        words=words.words / words.inferences,
        bound=words.bound / words.inferences,
        worst=max(sum(_entry_words(placed)) + sum(_worst_words(placed)) for _, placed in models),
        everything=words.everything / words.inferences,
        inferences=words.inferences,
        entry_weights=named(lambda reload: reload.entry_weights),
        entry_biases=named(lambda reload: reload.entry_biases),
    )


def _worst_words(placed: Placed) -> tuple[int, int]:
    """Weight and bias words that are written again in an inference that reaches the last stage, behind one of the same
    model."""
    found = [_again_words(placed, segment) for segment in placed.requirements.chain.segments]
    return sum(weights for weights, _ in found), sum(biases for _, biases in found)


def _again_words(placed: Placed, segment: Segment) -> tuple[int, int]:
    """Weight and bias words that are written again before a run."""
    chunks, runs = reloaded_chunks(placed, segment), reloaded_biases(placed, segment)
    return sum(len(chunk.words) for chunk in chunks), sum(len(run.values) for run in runs)


def _entry_words(placed: Placed) -> tuple[int, int]:
    """Those that are written when a model runs after another one."""
    chunks, runs = entry_chunks(placed), entry_biases(placed)
    return sum(len(chunk.words) for chunk in chunks), sum(len(run.values) for run in runs)


def image_report(image: PlannedImage, evaluations: Sequence[Evaluation | None]) -> ImageReport:
    """Everything about an image that does not need the firmware to run. `evaluations`: of each model's test data."""
    reports = tuple(plan_report(made, found) for made, found in zip(image.models, evaluations, strict=True))
    if len(reports) == 1:
        return ImageReport(FORMAT, image.name, image.device.name, reports, reports[0].memory, ())
    reports = tuple(replace(one, reload=None) for one in reports)
    entries, reload = entries_of(image), _reload_together(image)
    return ImageReport(FORMAT, image.name, image.device.name, reports, _common_memory(image), entries, reload=reload)


def entries_of(image: PlannedImage) -> tuple[EntryReport, ...]:
    """What switching to each of several models takes."""
    return tuple(_entry(image, model) for model in range(len(image.models))) if len(image.models) > 1 else ()


def _common_memory(image: PlannedImage) -> MemoryReport:
    """Of all models; kernels that they share count once."""
    own = [_memory(made.plan.placed, image.device) for made in image.models]
    problem = problem_together({made.plan.spec.name: made.chain for made in image.models}, image.device)
    columns = sum(block.all_columns * block.processors.bit_count() for block in problem.weights)
    highest = next(one for one in image.plan.objectives if one.name == HIGHEST)
    return replace(
        own[0],
        highest_column=highest.value,
        columns=fullest_height([made.plan.placed for made in image.models], highest.value, image.device),
        proved_lowest=highest.optimal,
        objectives=image.plan.objectives,
        weight_bytes=columns * image.device.memories["weights"].word_bytes,
        bias_bytes=sum(one.bias_bytes for one in own),
    )


def _entry(image: PlannedImage, model: int) -> EntryReport:
    made, writes = image.models[model], image.entry(model)
    placed = made.plan.placed
    kinds = count_kinds(np.array([write.address for write in writes], np.uint32), made.device)
    own = zip(_entry_words(placed), _again_words(placed, made.chain.segments[0]), strict=True)
    weights, biases = (sum(words) for words in own)
    return EntryReport(
        model=image.names[model],
        register_writes=kinds["register"],
        weight_words=kinds["weights"] + weights,
        bias_words=kinds["bias"] + biases,
        reload_words=sum(sum(reload_words(placed, segment)) for segment in made.chain.segments),
        cycles=entering_cycles(placed, len(writes)).cycles,
    )


def _switches(made: Planned) -> tuple[SwitchReport, ...]:
    """From each segment to the next, and from the last one of each stage back to the first of all."""
    chain = made.chain
    pairs = [(run, run + 1) for run in range(len(chain.segments) - 1)] + [(run, 0) for run in chain.answering if run]
    return tuple(_switch(made, before, after) for before, after in pairs)


def _switch(made: Planned, before: int, after: int) -> SwitchReport:
    """What a switch writes, by what its addresses reach; and what loading a model in the vendor's way would write."""
    segments, states = made.chain.segments, made.lowered.switching
    writes = states.transition(before, after)
    kinds = count_kinds(np.array([write.address for write in writes], np.uint32), made.device)
    placed = made.plan.placed
    weights, biases = _again_words(placed, segments[after])
    return SwitchReport(
        source=segments[before].name,
        target=segments[after].name,
        register_writes=kinds["register"],
        weight_words=kinds["weights"] + weights,
        bias_words=kinds["bias"] + biases,
        reload_words=sum(reload_words(placed, segments[after])) + len(states.configure(after)),
        cycles=switching_cycles(placed, len(writes), segments[after]).cycles,
        fetched_words=weights if placed.reload and placed.reload.external else 0,
    )


def _cycles(made: Planned, full_cost: AloneCost, evaluation: Evaluation | None) -> CyclesReport:
    costs, alone = made.cycles, full_cost.cycles
    stages = np.cumsum([stage.cycles for stage in costs.stages])
    mean = costs.mean(evaluation.exit_index) if evaluation else None
    accelerator = float(stages[evaluation.exit_index].mean()) if evaluation else None
    full = alone.cost_by_exit[0]
    parts = [part for part in costs.parts if part.cycles]
    return CyclesReport(
        mean=mean,
        worst=max(costs.cost_by_exit),
        full=full,
        ratio=full / mean if mean else None,
        input=costs.loads[0].cycles,
        accelerator_mean=accelerator,
        accelerator_full=alone.stages[0].cycles,
        accelerator_ratio=alone.stages[0].cycles / accelerator if accelerator else None,
        tag=sum_cycles(parts).tag,
        sources=tuple(sorted({one.source for one in parts})),
    )


def _energy(made: Planned, full_cost: AloneCost, evaluation: Evaluation | None) -> EnergyReport:
    energy = made.energy
    known = bool(made.device.energy)
    mean = energy.mean(evaluation.exit_index) / 10**6 if evaluation and known else None
    full = full_cost.energy.cost_by_exit[0] / 10**6 if known else None
    return EnergyReport(
        mean_uj=mean,
        full_uj=full,
        ratio=full / mean if mean and full else None,
        tag=energy.parts[0].tag,
        source="; ".join(dict.fromkeys(part.source for part in energy.parts)),
    )
