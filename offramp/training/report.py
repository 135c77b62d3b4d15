"""report.json of a training: its keys are these fields, in this order (docs/TRAIN.md)."""

from __future__ import annotations

from dataclasses import dataclass

from offramp.configs.records import converter, to_json
from offramp.pipeline.report import Report, SwitchReport
from offramp.planner.exits.records import ChoiceRecord
from offramp.training.objective import Worth

FORMAT = 1


@dataclass(frozen=True)
class DataReport:
    """How a part of the data was used. `labels`: whether it has any."""

    name: str
    images: int
    labels: bool
    use: str


@dataclass(frozen=True)
class MainReport:
    """The network that was given, alone: a whole answer, and the share of right answers among the images that
    candidates are compared on."""

    cycles: int
    energy_uj: float
    accuracy: float


@dataclass(frozen=True)
class CandidateReport:
    """A candidate that was trained. `cut`: the layer of main that a head reads, None of a front. `layers`: kinds and
    sizes. `cycles`, `energy_uj`: of a whole answer that leaves at it. `part`: of a full training that it has had.
    `validation`: what it was worth then."""

    name: str
    cut: int | None
    layers: tuple[str, ...]
    bits: int
    weights: int
    cycles: int
    energy_uj: float
    part: float
    validation: Worth | None
    kept: bool
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """What was not trained, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class SingleReport:
    """The best single network at the chain's mean cost. `limit`: that mean, on the calibration data; `accuracy`: of the
    network on the images that candidates are compared on. On test data both are in `plan`."""

    name: str
    layers: tuple[str, ...]
    cycles: int
    limit: float
    accuracy: float
    tried: int


@dataclass(frozen=True)
class TrainReport:
    """Everything that report.json holds. `judged_with_risk`: whether candidates were compared with the test of `risk`;
    `choice`: among the kept ones, on the images that they were compared on; `plan`: what `offramp plan` says of the
    spec that was written, with the guarantee and the figures on the test data; None where the search was stopped."""

    format: int
    name: str
    device: str
    seed: int
    budget_s: int
    against: str
    judged_with_risk: bool
    data: tuple[DataReport, ...]
    main: MainReport
    candidates: tuple[CandidateReport, ...]
    left_out: tuple[LeftOut, ...]
    choice: ChoiceRecord | None
    single: SingleReport | None
    tag: str
    sources: tuple[str, ...]
    plan: Report | None
    warnings: tuple[str, ...] = ()


def train_report_json(report: TrainReport) -> str:
    """The same report gives the same text."""
    return to_json(report, _FORM)


_FORM = converter({SwitchReport: {"source": "from", "target": "to"}})
