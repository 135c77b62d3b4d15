"""The report of a build: one value, printed on the terminal and kept as report.json (documented in docs/REPORT.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from rich.console import Console
from rich.table import Table

from offramp.pipeline.choice_table import print_choice
from offramp.planner.exits.choice import Choice
from offramp.planner.placement.problem import Objective

FORMAT = 1


@dataclass(frozen=True)
class VerifiedReport:
    """Answers of the firmware on the virtual board, and how many differ from the integer reference in any bit.

    `weight_words`, `bias_words`: written from power-up to the last answer; a build fails unless that is one load.
    """

    answers: int
    mismatches: int
    weight_words: int
    bias_words: int


@dataclass(frozen=True)
class StageReport:
    """One stage. Shares and accuracies over all test images; None where the spec names no test data.

    `accuracy`: of the images that leave here; `accuracy_alone`: if all left here. `cycles`, `energy_uj`: of one run
    of the stage.
    """

    name: str
    layers: tuple[str, ...]
    share: float | None
    accuracy: float | None
    accuracy_alone: float | None
    cycles: int
    cycles_tag: str
    energy_uj: float
    weight_columns: int
    weight_bytes: int
    bias_bytes: int
    data_bytes: int
    confidence: str | None
    threshold: float | None


@dataclass(frozen=True)
class AccuracyReport:
    """`full`: the last network alone on all images."""

    staged: float
    full: float
    images: int


@dataclass(frozen=True)
class CyclesReport:
    """Cycles of one inference at the accelerator's clock: stages, reading of logits and switches. `full`: the last
    network alone. `accelerator_mean`: the stages only. `ratio`: full / mean.
    """

    mean: float | None
    worst: int
    full: int
    ratio: float | None
    accelerator_mean: float | None
    accelerator_full: int
    tag: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class EnergyReport:
    """Microjoules of one inference above idle, of the parts that `CyclesReport` counts. `ratio`: full_uj / mean_uj."""

    mean_uj: float | None
    full_uj: float
    ratio: float | None
    tag: str
    source: str


@dataclass(frozen=True)
class SwitchReport:
    """Bus writes between two stages. `of`: what reloading the stage's registers, weights and biases would write."""

    source: str
    target: str
    register_writes: int
    weight_words: int
    bias_words: int
    reload_words: int
    cycles: int


@dataclass(frozen=True)
class AloneReport:
    """A network that the spec wants compared, run alone."""

    name: str
    accuracy: float
    cycles: int
    energy_uj: float


@dataclass(frozen=True)
class FirmwareReport:
    flash_bytes: int
    ram_bytes: int
    compiler: str


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
    name: str
    device: str
    stages: tuple[StageReport, ...]
    memory: MemoryReport
    switches: tuple[SwitchReport, ...]
    cycles: CyclesReport
    energy: EnergyReport
    accuracy: AccuracyReport | None
    alone: tuple[AloneReport, ...]
    calibration: dict[str, object] | None
    verified: VerifiedReport | None = None
    firmware: FirmwareReport | None = None
    choice: Choice | None = None


def report_json(report: Report) -> str:
    """report.json; the switches' `source` and `target` are called `from` and `to` there."""
    content = {"format": FORMAT, **asdict(replace(report, choice=None))}
    content["choice"] = report.choice.summary() if report.choice else None
    for switch in content["switches"]:
        renamed = {"from": switch.pop("source"), "to": switch.pop("target")}
        rest = dict(switch)
        switch.clear()
        switch.update(renamed | rest)
    return json.dumps(content, indent=1) + "\n"


def print_plan(report: Report, console: Console) -> None:
    """Stages, memory and switches: what is known without running the firmware."""
    if report.choice:
        print_choice(report.choice, console)
    console.print(_stages(report))
    console.print(_memory(report))
    if report.switches:
        console.print(_switches(report))


def verified_text(answers: int) -> str:
    """That so many answers are right."""
    words = "1 answer equals" if answers == 1 else f"{answers:,} answers equal"
    return f"verified: {words} the integer reference, bit for bit"


def print_results(report: Report, console: Console) -> None:
    """Shares, accuracy, cycles; what was verified."""
    if report.accuracy:
        console.print(_results(report, report.accuracy))
    if report.firmware:
        one = report.firmware
        console.print(f"firmware: {one.flash_bytes:,} bytes flash, {one.ram_bytes:,} bytes RAM ({one.compiler})")
    if report.verified:
        right = report.verified.answers - report.verified.mismatches
        text = verified_text(right)
        if report.verified.mismatches:
            text = f"NOT verified: {report.verified.mismatches} of {report.verified.answers} answers differ"
        if not report.verified.mismatches:
            words = f"{report.verified.weight_words:,} weight words and {report.verified.bias_words:,} bias words"
            console.print(f"loaded once, at the start, and never again: {words}")
        console.print(text, style="bold green" if not report.verified.mismatches else "bold red")


def _table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right", overflow="fold")
    return table


def _stages(report: Report) -> Table:
    table = _table(f"{report.name}: stages", ("stage", "layers", "leaves if", "cycles", "uJ (estimated)"), left=3)
    for stage in report.stages:
        rule = "always (last stage)"
        if stage.threshold is not None:
            relation = "<=" if stage.confidence == "entropy" else ">="
            rule = f"{stage.confidence} {relation} {stage.threshold:.4g}"
        table.add_row(
            stage.name,
            _shortened(stage.layers),
            rule,
            f"{stage.cycles:,} ({stage.cycles_tag})",
            f"{stage.energy_uj:.2f}",
        )
    return table


def _shortened(layers: Sequence[str]) -> str:
    return f"{layers[0]} .. {layers[-1]} ({len(layers)})" if len(layers) > 2 else ", ".join(layers)


def _memory(report: Report) -> Table:
    memory = report.memory
    names = ("stage", "weight columns", "weight bytes", "bias bytes", "data bytes")
    table = _table("memory, everything resident", names)
    for stage in report.stages:
        numbers = (stage.weight_columns, stage.weight_bytes, stage.bias_bytes, stage.data_bytes)
        table.add_row(stage.name, *(f"{number:,}" for number in numbers))
    proof = "lowest possible" if memory.proved_lowest else "not proved lowest"
    table.add_section()
    table.add_row(
        "of the device",
        f"{memory.highest_column} of {memory.columns} ({memory.highest_column / memory.columns:.1%}, {proof})",
        f"{memory.weight_bytes / memory.weight_memory_bytes:.1%}",
        f"{memory.bias_bytes / memory.bias_memory_bytes:.1%}",
        "",
    )
    return table


def _switches(report: Report) -> Table:
    names = ("switch", "register writes", "weight words", "bias words", "a reload would write", "cycles (estimated)")
    table = _table("between stages", names)
    for one in report.switches:
        counts = (one.register_writes, one.weight_words, one.bias_words, one.reload_words, one.cycles)
        table.add_row(f"{one.source} -> {one.target}", *(f"{count:,}" for count in counts))
    return table


def _results(report: Report, accuracy: AccuracyReport) -> Table:
    names = ("", "share", "accuracy here", "accuracy alone", "cycles", "uJ (estimated)")
    table = _table(f"{accuracy.images:,} test images", names)
    for stage in report.stages:
        shares = (stage.share, stage.accuracy, stage.accuracy_alone)
        table.add_row(f"leaves at {stage.name}", *map(_percent, shares), "", "")
    table.add_section()
    cycles, energy = report.cycles, report.energy
    mean = (f"{cycles.mean:,.0f}" if cycles.mean else "-", f"{energy.mean_uj:.2f}" if energy.mean_uj else "-")
    table.add_row(f"staged, mean (worst {cycles.worst:,})", "", _percent(accuracy.staged), "", *mean)
    full = (f"{cycles.full:,}", f"{energy.full_uj:.2f}")
    table.add_row("the last network alone", "", _percent(accuracy.full), "", *full)
    points = f"{100 * (accuracy.staged - accuracy.full):+.2f} points"
    table.add_row("staged against alone", "", points, "", _times(cycles.ratio), _times(energy.ratio))
    for one in report.alone:
        alone = (f"{one.cycles:,}", f"{one.energy_uj:.2f}")
        table.add_row(f"for comparison: {one.name} alone", "", _percent(one.accuracy), "", *alone)
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _times(ratio: float | None) -> str:
    if not ratio:
        return "-"
    return f"{ratio:.2f} x less" if ratio >= 1 else f"{1 / ratio:.2f} x more"
