"""The measures of a stage's confidence in its answer."""

from __future__ import annotations

from typing import Literal

Measure = Literal["margin", "max_probability", "entropy", "largest_logit", "gate"]
LARGEST_LOGIT: Measure = "largest_logit"
GATE: Measure = "gate"  # an output behind those of the classes, which says how sure the others are
HARDWARE: tuple[Measure, ...] = (LARGEST_LOGIT, GATE)  # of the accelerator itself, where it has snoop units
NO_ANSWER = -1  # what a class means that no stage leaves with
MEASURES: tuple[Measure, ...] = ("margin", "max_probability", "entropy")  # of the core


def classes_among(outputs: int, measure: Measure) -> int:
    """How many of the outputs of the layer that makes the logits are classes: all but a gate."""
    return outputs - (measure == GATE)
