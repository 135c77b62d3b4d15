"""The measures of how sure a stage is of its answer."""

from __future__ import annotations

from typing import Literal

Measure = Literal["margin", "max_probability", "entropy"]
MEASURES: tuple[Measure, ...] = ("margin", "max_probability", "entropy")
