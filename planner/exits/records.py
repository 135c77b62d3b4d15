"""What plan.json and report.json keep of a choice and a calibration: their keys are these fields, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from offramp.planner.exits.guarantee import Guarantee
from offramp.planner.ir.measure import Measure


@dataclass(frozen=True)
class OutcomeRecord:
    """A chain with its settings on the data that it was chosen on. `thresholds`: in logits, as probabilities, in nats,
    None where they differ by class; `shares`: of the images that each stage answers; means: of one inference."""

    stages: tuple[str, ...]
    measures: tuple[Measure, ...]
    thresholds: tuple[float | None, ...]
    accuracy: float
    shares: tuple[float, ...]
    mean_cycles: float
    mean_energy_uj: float | None  # None: there is no energy model of the device

    def __post_init__(self) -> None:
        """ValueError for what no outcome is."""
        if not len(self.stages) == len(self.shares) == len(self.measures) + 1 == len(self.thresholds) + 1:
            raise ValueError("each stage has a share, and each but the last a measure and a threshold")
        if not all(0 <= one <= 1 for one in (self.accuracy, *self.shares)):
            raise ValueError("accuracy and shares are from 0 to 1")
        if self.mean_cycles <= 0 or (self.mean_energy_uj is not None and self.mean_energy_uj <= 0):
            raise ValueError("means are above 0")


@dataclass(frozen=True)
class CandidateRecord:
    """A candidate, and why it was chosen or not."""

    name: str
    reason: str


@dataclass(frozen=True)
class ChainRecord:
    """A chain that was considered; `best` None where no settings of it keep to the goal."""

    stages: tuple[str, ...]
    best: OutcomeRecord | None
    reason: str


@dataclass(frozen=True)
class ChoiceRecord:
    """The stages that `exits: auto` has chosen, from what, and why (docs/CHOOSING.md)."""

    chosen: OutcomeRecord
    runner_up: OutcomeRecord | None
    method: str
    gap: float
    images: int
    full_accuracy: float
    most_early_stages: int
    chains_not_placed: int
    risk: Guarantee | None
    against: str
    candidates: tuple[CandidateRecord, ...]
    chains: tuple[ChainRecord, ...]
    pareto: Mapping[str, tuple[OutcomeRecord, ...]]

    def __post_init__(self) -> None:
        """ValueError without both fronts."""
        if self.pareto.keys() != {"cycles", "energy"}:
            raise ValueError("`pareto` has fronts over cycles and energy")


@dataclass(frozen=True)
class CalibrationAccuracy:
    """On the calibration data: of the chain, and of the network that it replaces."""

    staged: float
    full: float


@dataclass(frozen=True)
class CalibrationRecord:
    """How thresholds were found, in the firmware's integer units (None where those of classes differ), and what they
    gave on the calibration data."""

    thresholds: tuple[int | None, ...]
    method: str
    gap: float
    images: int
    accuracy: CalibrationAccuracy
    shares: tuple[float, ...]
    mean_cycles: float
    risk: Guarantee | None
    against: str
    accuracy_drop: float | None
    warnings: tuple[str, ...]
