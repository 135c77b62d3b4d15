"""Random applications planned, lowered and run: on the accelerator model without firmware, or as firmware on the
virtual board. Whatever they answer is compared with the integer reference, bit for bit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device, load_device
from offramp.configs.errors import CheckFailed, Infeasible, InputError, OfframpError
from offramp.corpus.cuts import junk_data, junk_memories, registers
from offramp.corpus.direct import ModelRunner
from offramp.host.progress import SILENT
from offramp.pipeline.building import task_of, write_firmware
from offramp.pipeline.compile import compile_firmware
from offramp.pipeline.emulate import Task, alternating, compare, of_model, verify_together
from offramp.pipeline.evaluate import Evaluation, evaluate_plan
from offramp.pipeline.images import PlannedImage, make_image
from offramp.pipeline.outside import has_outside, read_outside
from offramp.pipeline.planning import Planned
from offramp.planner.allocation.place import Placed
from offramp.planner.ir.chain import ExitStage
from offramp.planner.ir.measure import NO_ANSWER
from offramp.planner.placement.problem import Problem
from offramp.planner.reference.exits import leaving, stage_answers, stage_classes, stage_confidence
from offramp.planner.reference.profile import Profile, exit_indices
from offramp.planner.spec.models import ModelFiles
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.run import run
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator
from tests.helpers.applications import Application, write_application
from tests.helpers.devices import with_columns

STEP = 4  # kernel columns that starts are multiples of


@dataclass(frozen=True)
class Outcome:
    """`refused`: why the application cannot be built, in the words of a rule; else empty. `features`: what it has, as
    planned; `wrong`: a line for each answer that differs."""

    refused: str
    features: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    firmware: bool = False
    answers: int = 0


def judged(application: Application, folder: Path, firmware: bool) -> Outcome:
    """Plan it and run it, as firmware or without. `folder`: an empty one."""
    specs = write_application(folder, application)
    try:
        image = planned(application, specs)
        found = [evaluate_plan(made.plan) for made in image.models]
    except CheckFailed:
        raise
    except OfframpError as error:
        return Outcome(reason(error))
    evaluations = [one for one in found if one]
    assert len(evaluations) == len(image.models)
    judge = _firmware_wrong if firmware else _registers_wrong
    wrong = tuple(judge(application, image, evaluations, folder))
    return Outcome("", features(image), wrong, firmware, sum(one.images for one in evaluations))


def planned(application: Application, specs: Sequence[Path]) -> PlannedImage:
    """The plan, on a device with less room for weights if the application says so."""
    files, device = ModelFiles(None, tuple(specs)), load_device()
    image = make_image(files, [device] * len(specs), SILENT)
    if application.room is None:
        return image
    needed = _columns([made.plan.placed.problem for made in image.models], device)
    columns = max(STEP, STEP * ceil(application.room * needed / STEP))
    return make_image(files, [with_columns(columns)] * len(specs), SILENT)


def _columns(problems: Sequence[Problem], device: Device) -> int:
    """Kernel columns that the blocks of the fullest processor take."""
    blocks = [block for problem in problems for block in problem.weights]
    processors = range(device.geometry.processors)
    return max(sum(one.columns for one in blocks if one.processors >> bit & 1) for bit in processors)


def reason(error: OfframpError) -> str:
    """Why an application is refused, without the names and numbers of this one."""
    message = error.problems[-1].message.splitlines()[0]
    rules = re.findall(r"(?<=\. )[A-Z][^.]*\.", message + " ")
    text = rules[-1] if rules else message
    text = re.sub(r"0x[0-9a-f]+", "0", text)
    text = re.sub(r"`[^`]*`|\S*/\S+|\S+:\S+|\b(front|head|main|model)\d*\b", "*", text)
    kind = "refused" if isinstance(error, InputError) else "not decided"  # a search has reached its limits
    kind = "proved not to fit" if isinstance(error, Infeasible) else kind
    return f"{kind}: {re.sub(r'[-+]?[0-9][0-9,.x]*', 'N', text)[:110]}"


def features(image: PlannedImage) -> tuple[str, ...]:
    """What an application has."""
    found = [name for name, has in FEATURES.items() if any(map(has, image.models))]
    return (*found, *([f"{len(image.models)} models"] if len(image.models) > 1 else []))


def _early(made: Planned) -> tuple[ExitStage, ...]:
    return made.chain.exits[:-1]


def _classes(made: Planned) -> set[int]:
    """Numbers of classes of all stages before the last."""
    return {made.chain.producers[stage.result].layer.out_shape.channels for stage in _early(made)}


FEATURES: Mapping[str, Callable[[Planned], bool]] = {
    "early exits": lambda made: bool(_early(made)),
    "three stages or more": lambda made: len(_early(made)) > 1,
    "a head": lambda made: any(len({slot.network for slot in stage.slots}) > 1 for stage in _early(made)),
    "classes that mean answers": lambda made: any(stage.answers for stage in _early(made)),
    "a class that never leaves": lambda made: any(NO_ANSWER in stage.answers for stage in _early(made)),
    "stages of different classes": lambda made: len(_classes(made)) > 1,
    "thresholds by class": lambda made: any(stage.rule.by_class for stage in _early(made)),
    "thresholds calibrated": lambda made: made.plan.calibration is not None,
    "`exits: auto`": lambda made: made.plan.choice is not None,
    "a tensor as result": lambda made: made.chain.exits[-1].exit is None,
    "input through the FIFO": lambda made: any(network.fifo for network in made.chain.networks.values()),
    "streaming layers": lambda made: any(slot.layer.streaming for slot in made.chain.slots),
    "a rolling buffer": lambda made: bool(made.chain.buffers),
    "a rolling buffer behind an exit": lambda made: made.chain.misses_inputs,
    "a stage of more than 32 layers": lambda made: any(len(stage.slots) > 32 for stage in made.chain.stages),
    "a stage in several runs": lambda made: len(made.chain.segments) > len(made.chain.stages),
    "weights written again from flash": lambda made: (
        made.plan.placed.reload is not None and not has_outside([made.plan.placed])
    ),
    "weights outside flash": lambda made: has_outside([made.plan.placed]),
    "rows cropped": lambda made: any(any(slot.layer.crop) for slot in made.chain.slots),
    "inputs joined": lambda made: any(len(slot.reads) > 1 for slot in made.chain.slots),
    "weights of less than 8 bits": lambda made: any(slot.layer.weight_bits < 8 for slot in made.chain.slots),
}


def _registers_wrong(
    application: Application, image: PlannedImage, evaluations: Sequence[Evaluation], folder: Path
) -> Iterator[str]:
    """The models in random order on one accelerator; registers full of junk whenever the model changes, and data memory
    wherever nothing lives."""
    rng = np.random.default_rng(application.seed)
    accelerator = Accelerator(image.device)
    machines = [ModelRunner(made.plan.placed, accelerator, made.lowered) for made in image.models]
    if application.junk:
        junk_memories(machines[0], rng)
    for machine in machines:
        machine.load()
    turns = rng.permutation([model for model, one in enumerate(evaluations) for _ in range(one.images)])
    done, before = [0] * len(machines), -1
    for model in turns.tolist():
        machine, evaluation = machines[model], evaluations[model]
        if model != before:
            machine.write(registers(image.device).junk(rng) if application.junk else ())
            machine.stage = None
        others = [other.placed for other in machines if other is not machine]
        x = evaluation.data.x[done[model]]
        for line in _wrong(machine, x, others, rng if application.junk else None, evaluation.profiled, done[model]):
            yield f"{image.names[model]}, input {done[model]}: {line}"
        done[model] += 1
        before = model


def _wrong(
    machine: ModelRunner,
    x: npt.NDArray[np.int8],
    others: Sequence[Placed],
    junk: np.random.Generator | None,
    expected: Profile,
    image: int,
) -> Iterator[str]:
    """One inference, stage by stage until one leaves."""
    chain = machine.placed.requirements.chain
    wanted = int(exit_indices(chain, expected)[image])
    machine.write_input(x)
    for number, segment in enumerate(chain.segments):
        if junk:
            junk_data(machine, number, junk, others)
        machine.run_stage(number)
        if not segment.last:
            continue
        stage = chain.stage_numbers[number]
        found = machine.read(segment.result).reshape(1, -1)
        if (found[0] != expected.results[stage][image]).any():
            count = np.count_nonzero(found[0] != expected.results[stage][image])
            yield f"{count} of {found.size} values of stage {segment.stage.name} differ"
            return
        exits = chain.exits[stage]
        classes = stage_classes(exits, found)
        if number + 1 == len(chain.segments) or leaving(exits, classes, stage_confidence(exits, found))[0]:
            if stage != wanted:
                yield f"it leaves at stage {stage}, expected {wanted}"
            if int(stage_answers(exits, classes)[0]) != int(expected.answers[stage][image]):
                yield f"stage {stage} answers {stage_answers(exits, classes)[0]}"
            return


def _firmware_wrong(
    application: Application, image: PlannedImage, evaluations: Sequence[Evaluation], folder: Path
) -> Iterator[str]:
    """On the virtual board, the models in turn: on memories that hold nothing, then on memories full of noise."""
    write_firmware(image, evaluations, folder / "firmware")
    elf = compile_firmware(folder / "firmware", folder / "firmware.elf").elf
    tasks = [task_of(made, found, None) for made, found in zip(image.models, evaluations, strict=True)]
    for name, emulated in zip(image.names, verify_together(elf, tasks, lambda done: None), strict=True):
        yield from (f"{name}, firmware: {line}" for line in emulated.mismatches)
    yield from _noisy_wrong(application, image, tasks, elf)


def _noisy_wrong(application: Application, image: PlannedImage, tasks: Sequence[Task], elf: Path) -> Iterator[str]:
    order = alternating([len(task.x) for task in tasks])
    clock = Clock(image.device)
    noisy = LenientAccelerator(image.device, clock, seed=application.seed)
    inputs, models = [tasks[model].x[number] for model, number in order], [model for model, _ in order]
    external = read_outside(elf.parent, [task.placed for task in tasks])
    found = run(elf, inputs, noisy, image.device, model=models, clock=clock, external=external)
    yield from (f"refused by the accelerator: {line}" for line in noisy.refused)
    for number, task in enumerate(tasks):
        own = of_model(found, [index for index, model in enumerate(models) if model == number])
        assert task.expected
        lines = compare(own, task.placed.requirements.chain, task.expected)
        yield from (f"{image.names[number]}, firmware on noise: {line}" for line in lines)
