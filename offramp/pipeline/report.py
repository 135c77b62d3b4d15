"""The figures of a plan or a build: one value, kept as report.json (documented in docs/REPORT.md) and read back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from offramp.configs.records import converter, read_json, read_record, to_json
from offramp.planner.exits.records import CalibrationRecord, ChoiceRecord
from offramp.planner.placement.problem import Objective

FORMAT = 1


@dataclass(frozen=True)
class Verified:
    """Answers of the firmware on the virtual board, and how many differ from the integer reference in any bit.

    `weight_words`, `bias_words`: written from power-up to the last answer; a build fails unless that is one load.
    """

    answers: int
    mismatches: int
    weight_words: int
    bias_words: int


@dataclass(frozen=True)
class SegmentReport:
    """One of several runs that a stage takes; its cycles."""

    name: str
    layers: tuple[str, ...]
    cycles: int


@dataclass(frozen=True)
class ClassReport:
    """What a class of a stage means, None for nothing, and its threshold where it has one of its own."""

    name: str
    answer: str | None
    threshold: float | None


@dataclass(frozen=True)
class StageReport:
    """One stage. Shares and accuracies over all test images; None where the spec names no test data, accuracies also
    where nothing tells what is right.

    `accuracy`: of the images that leave here; `accuracy_alone`: if all left here. `cycles`, `energy_uj`: of one run
    of the stage, all of its segments. `segments`: none of a stage that is a single run of the accelerator. `classes`:
    where classes are not the answers, or have thresholds of their own.
    """

    name: str
    layers: tuple[str, ...]
    share: float | None
    accuracy: float | None
    accuracy_alone: float | None
    cycles: int
    cycles_tag: str
    energy_uj: float | None
    weight_columns: int
    weight_bytes: int
    bias_bytes: int
    data_bytes: int
    confidence: str | None
    threshold: float | None
    segments: tuple[SegmentReport, ...] = ()
    classes: tuple[ClassReport, ...] = ()


@dataclass(frozen=True)
class AccuracyReport:
    """`full`: the last network alone on all images. `against`: what is right, `labels`, or where there are none the
    answers of the last network alone (`main`); None, as accuracies are, where its result is no answer."""

    staged: float | None
    full: float | None
    images: int
    against: str | None = "labels"  # of reports from before results could be without labels


@dataclass(frozen=True)
class CyclesReport:
    """Cycles of one inference at the accelerator's clock, from its input to the answer: loading, starts, stages, looks
    at results and switches. `full`: the last network alone. `ratio`: full / mean. `input`: loading the input, as far as
    nothing overlaps it. `accelerator_...`: the same of the stages only.
    """

    mean: float | None
    worst: int
    full: int
    ratio: float | None
    input: int
    accelerator_mean: float | None
    accelerator_full: int
    accelerator_ratio: float | None
    tag: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class EnergyReport:
    """Microjoules of one inference above idle, of the parts that `CyclesReport` counts; None where there is no
    energy model of the device. `ratio`: full_uj / mean_uj."""

    mean_uj: float | None
    full_uj: float | None
    ratio: float | None
    tag: str
    source: str


@dataclass(frozen=True)
class SwitchReport:
    """Bus writes between two stages. `reload_words`: what reloading the stage's registers, weights and biases would
    write. `fetched_words`: of the weight words those that are read from outside flash. In the file `source` and
    `target` are called `from` and `to`."""

    source: str
    target: str
    register_writes: int
    weight_words: int
    bias_words: int
    reload_words: int
    cycles: int
    fetched_words: int = 0


@dataclass(frozen=True)
class ReloadReport:
    """Layers whose weights or biases are written again whenever their run is reached. Words of one inference: `words`
    in the mean, `bound`: the least that any choice takes; `worst`: if it goes through all stages; `everything`: in the
    mean if all but the first stage's were written again. Means over `inferences` inferences of the calibration data; 1:
    every stage is taken to be reached. `external_bytes`: of these weights in a file outside flash; None: in flash.
    `bytes_per_second`: how fast that is read, as the spec says; None: the time is not in the costs.

    Of several models: `entry_weights`, `entry_biases`: what is written when a model runs after another one; layers are
    `model:layer`; `everything`: if all were that may be; means over inferences of all models, each as often as its spec
    says; `worst`: of an inference behind one of another model."""

    weights: tuple[str, ...]
    biases: tuple[str, ...]
    words: float
    bound: float
    worst: int
    everything: float
    inferences: int
    external_bytes: int | None = None
    bytes_per_second: int | None = None
    entry_weights: tuple[str, ...] = ()
    entry_biases: tuple[str, ...] = ()


@dataclass(frozen=True)
class AloneReport:
    """A network that the spec wants compared, run alone."""

    name: str
    accuracy: float | None
    cycles: int
    energy_uj: float | None


@dataclass(frozen=True)
class ObjectReport:
    """An object file with all that is in it, used or not. part: `runtime`, which never changes; `image`, made from the
    model; `board`, in the place of the vendor's SDK on the virtual board."""

    name: str
    part: str
    code_bytes: int
    constant_bytes: int
    ram_bytes: int


@dataclass(frozen=True)
class StackReport:
    """The most stack that a call of a function takes, and the calls in which it does."""

    call: str
    bytes: int
    path: tuple[str, ...]


@dataclass(frozen=True)
class FootprintReport:
    """runtime_bytes: flash of the runtime, as in the ELF and at -Os; interrupt_bytes: what an interrupt puts on the
    stack before its handler runs, without and with the floating-point unit in use."""

    runtime_bytes: int
    runtime_small_bytes: int
    interrupt_bytes: int
    interrupt_fpu_bytes: int
    stack: tuple[StackReport, ...]
    objects: tuple[ObjectReport, ...]


@dataclass(frozen=True)
class FirmwareReport:
    flash_bytes: int
    ram_bytes: int
    compiler: str
    footprint: FootprintReport | None = None  # of builds from before there was one


@dataclass(frozen=True)
class MemoryReport:
    """Use of the device's memories, all stages together. Columns: of the fullest processor."""

    highest_column: int
    columns: int
    proved_lowest: bool
    objectives: tuple[Objective, ...]
    weight_bytes: int
    weight_memory_bytes: int
    bias_bytes: int
    bias_memory_bytes: int


@dataclass(frozen=True)
class Report:
    """Everything that report.json holds; its keys are these fields, in this order."""

    format: int
    name: str
    device: str
    stages: tuple[StageReport, ...]
    memory: MemoryReport
    switches: tuple[SwitchReport, ...]
    cycles: CyclesReport
    energy: EnergyReport
    accuracy: AccuracyReport | None
    alone: tuple[AloneReport, ...]
    calibration: CalibrationRecord | None
    verified: Verified | None = None
    firmware: FirmwareReport | None = None
    choice: ChoiceRecord | None = None
    warnings: tuple[str, ...] = ()
    reload: ReloadReport | None = None


@dataclass(frozen=True)
class EntryReport:
    """What switching to a model writes, whichever ran before: the full state of its first stage, and what is written
    again then. `reload_words`: what loading the model's weights and biases anew would write besides."""

    model: str
    register_writes: int
    weight_words: int
    bias_words: int
    reload_words: int
    cycles: int


@dataclass(frozen=True)
class ImageReport:
    """report.json of an image with several models. In `models`, `memory` is that of a model's own part of the
    placement, and there is no `firmware`. `memory`, `verified`: of all models together, what they share once.
    `verified_switches`: how often the verified answers went from one model to another. `reload`: of all models; they
    have none of their own."""

    format: int
    name: str
    device: str
    models: tuple[Report, ...]
    memory: MemoryReport
    entries: tuple[EntryReport, ...]
    verified: Verified | None = None
    verified_switches: int | None = None
    firmware: FirmwareReport | None = None
    reload: ReloadReport | None = None


def image_report_json(report: ImageReport) -> str:
    """report.json: of a single model its own, with what is known of the firmware."""
    if len(report.models) == 1:
        return report_json(replace(report.models[0], firmware=report.firmware))
    return to_json(report, _FORM)


def read_image_report(path: Path) -> ImageReport:
    """The report of an earlier build of one or several models. InputError as from `read_report`."""
    found = read_json(path, "the report of a build")
    if isinstance(found, dict) and "models" in found:
        return read_record(path, ImageReport, "the report of a build of several models", FORMAT, _FORM)
    only = read_report(path)
    return ImageReport(FORMAT, only.name, only.device, (only,), only.memory, (), only.verified, None, only.firmware)


def report_json(report: Report) -> str:
    """report.json: the fields of `Report` by name."""
    return to_json(report, _FORM)


def read_report(path: Path) -> Report:
    """The report of an earlier build. InputError with the key and the reason if it is damaged."""
    return read_record(path, Report, "the report of a build", FORMAT, _FORM)


_FORM = converter({SwitchReport: {"source": "from", "target": "to"}})
