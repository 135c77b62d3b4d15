"""A trial as JSON inside a page: arrays as base64 of 16-bit integers, the low byte first."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.comparison.trial import Risk, Trial, TrialSet, sliders_by_stage
from offramp.host.output import shown

NOWHERE = 0xFFFF  # level of an image that no stop lets leave


def trial_json(trial: Trial) -> str:
    """What page.js reads, safe inside a script element: there is no `<` in it. Names cannot control anything; the lines
    of the spec are as they are."""
    content = {
        "stages": [shown(name) for name in trial.stages],
        "sliders": [
            {"stage": one.stage, "measure": one.measure, "unit": one.unit, "stops": one.stops, "planned": one.planned}
            for one in trial.sliders
        ],
        "sets": [_set(trial, one) for one in trial.sets],
        "cycles": trial.cycles,
        "picojoules": trial.picojoules,
        "clock": trial.clock_hz,
        "drop": trial.accuracy_drop,
        "risk": _risk(trial.risk) if trial.risk else None,
        "lines": {"texts": trial.lines.texts, "sliders": trial.lines.sliders} if trial.lines else None,
    }
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _set(trial: Trial, one: TrialSet) -> dict[str, Any]:
    stages = range(len(trial.stages) - 1)
    own = sliders_by_stage(trial.sliders, len(stages))
    weights = 1 << np.arange(len(one.right))
    return {
        "name": one.name,
        "images": one.right.shape[1],
        "tested": one.tested,
        "levels": [_text(np.where(one.slider[stage] < 0, NOWHERE, one.level[stage])) for stage in stages],
        "sliders": [_text(np.maximum(one.slider[stage], 0)) if len(own[stage]) > 1 else None for stage in stages],
        "first": [numbers[0] for numbers in own],
        "right": _text(weights @ one.right.astype(np.int64)),
    }


def _text(values: npt.NDArray[np.int64]) -> str:
    return base64.b64encode(values.astype("<u2").tobytes()).decode()


def _risk(risk: Risk) -> dict[str, Any]:
    return {
        "delta": risk.found.delta,
        "rate": risk.found.accuracy_drop,
        "images": risk.found.images,
        "allowed": risk.found.allowed,
        "pValues": risk.p_values,
        "coversAll": risk.covers_all,
    }
