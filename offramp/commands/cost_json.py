"""The costs of `offramp cost` as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from offramp.configs.device import Device
from offramp.configs.registers import EnergyError
from offramp.pipeline.costing import AnswerCost, Costs, LayerCost, Overhead, StageCost
from offramp.pipeline.report import EntryReport
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy

FORMAT = 1
IDLE = "difference of AN7417 tables 5 and 6"


def image_costs_json(costs: Sequence[Costs], entries: Sequence[EntryReport]) -> dict[str, Any]:
    """Of several models each, and what switching to each takes."""
    models = [costs_json(one) for one in costs]
    return {"format": FORMAT, "models": models, "entries": [asdict(entry) for entry in entries]}


def costs_json(costs: Costs) -> dict[str, Any]:
    """The JSON form, as docs/REPORT.md describes it."""
    return {
        "format": FORMAT,
        "name": costs.name,
        "device": costs.device.name,
        "clocks": dict(costs.device.clocks),
        **_totals(costs.cycles, costs.energy, costs.device),
        "cycles": _cycles(costs.cycles, costs.layers),
        "layers": [_layer(layer, costs.device) for layer in costs.layers],
        "stages": [_stage(stage, costs.device) for stage in costs.stages],
        "overheads": [_overhead(overhead, costs.device) for overhead in costs.overheads],
        "answers": [_answer(answer, costs.device) for answer in costs.answers],
        "energy_error": _energy_error_json(costs.device),
        "note": costs.note,
        "idle": _idle(costs.device),
    }


def _idle(device: Device) -> dict[str, Any] | None:
    return {"uw": device.energy["idle_uw"], "tag": "published", "source": IDLE} if device.energy else None


def _energy_error_json(device: Device) -> dict[str, Any] | None:
    if not device.energy:
        return None
    rows, middle, largest = energy_error(device)
    worst = {"error": largest.permille / 1000, "row": largest.row, "source": largest.source}
    return {"rows": rows, "median": middle, "largest": worst}


def _totals(cycles: Cycles, energy: Energy, device: Device) -> dict[str, Any]:
    """Time and energy with their tags."""
    return {
        "time_us": cycles.microseconds(device),
        "time": {"tag": cycles.tag, "source": cycles.source},
        "energy_uj": energy.microjoules if energy.known else None,
        "energy": {"tag": energy.tag, "source": energy.source},
    }


def _cycles(total: Cycles, layers: tuple[LayerCost, ...]) -> dict[str, Any]:
    return {
        "total": total.cycles,
        "tag": total.tag,
        "source": total.source,
        "layers": [{"name": layer.name, "cycles": layer.cycles.cycles} for layer in layers],
    }


def _layer(layer: LayerCost, device: Device) -> dict[str, Any]:
    totals = _totals(layer.cycles, layer.energy, device)
    return {"name": layer.name, **totals, "processors": layer.processors, "macs": layer.macs}


def _stage(stage: StageCost, device: Device) -> dict[str, Any]:
    totals = _totals(stage.cycles, stage.energy, device)
    return {"name": stage.name, **totals, "cycles": _cycles(stage.cycles, stage.layers)}


def _overhead(one: Overhead, device: Device) -> dict[str, Any]:
    totals = _totals(one.cycles, one.energy, device)
    return {"name": one.name, "when": one.when, "cycles": one.cycles.cycles, **totals}


def _answer(one: AnswerCost, device: Device) -> dict[str, Any]:
    return {"name": one.name, "cycles": one.cycles.cycles, **_totals(one.cycles, one.energy, device)}


def energy_error(device: Device) -> tuple[int, float, EnergyError]:
    """Published measurements of layers that are no part of the model's fit: their number, the median and the largest
    error."""
    tested = [
        energy_error
        for energy_error in device.energy_errors
        if (energy_error.part, energy_error.use) == ("layers", "test")
    ]
    sizes = [abs(one.permille) for one in tested]
    return len(tested), median(sizes) / 1000, max(tested, key=lambda one: abs(one.permille))
