"""The measures of a stage's confidence in its answer."""

from __future__ import annotations

from typing import Literal

Measure = Literal["margin", "max_probability", "entropy", "largest_logit"]
HARDWARE: Measure = "largest_logit"  # what the accelerator itself can look at, where it has snoop units
NO_ANSWER = -1  # what a class means that no stage leaves with
MEASURES: tuple[Measure, ...] = ("margin", "max_probability", "entropy")  # of the core
