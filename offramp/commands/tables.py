"""The figures of a plan on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from offramp.commands.choice_table import print_choice
from offramp.comparison.headline import times
from offramp.pipeline.report import (
    AccuracyReport,
    FirmwareReport,
    MemoryReport,
    ReloadReport,
    Report,
    StageReport,
    Verified,
)

_CLASSES = 6  # of a stage that are listed
NOT_COUNTED = "whose reading is not in the cycles: `external: {bytes_per_second: N}` in the spec would count it"
ADD_UP = "weight columns are those of the fullest processor; each stage may have another, so they do not add up"


def print_plan(report: Report, console: Console, alone: bool = True, resident: bool = True) -> None:
    """Stages, memory and switches: what is known without running the firmware. `alone`: it has the device to itself;
    `resident`: nothing of other models is written again either."""
    if report.choice:
        print_choice(report.choice, console)
    console.print(_stages(report))
    console.print(_memory(report, alone, resident and report.reload is None))
    if report.reload:
        console.print(_reload_text(report.reload), markup=False)
    if report.switches:
        console.print(_switches(report))


def verified_text(answers: int) -> str:
    """The last line of a verified run."""
    words = "1 answer equals" if answers == 1 else f"{answers:,} answers equal"
    return f"verified: {words} the integer reference, bit for bit"


def print_results(report: Report, console: Console) -> None:
    """Shares, accuracy, cycles; warnings."""
    if report.accuracy:
        console.print(_results(report, report.accuracy))
    for warning in report.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def print_verified(verified: Verified, reload: bool, console: Console) -> None:
    """What was loaded, and how many answers were right. `reload`: something is written again when it is needed."""
    text = verified_text(verified.answers - verified.mismatches)
    if verified.mismatches:
        text = f"NOT verified: {verified.mismatches} of {verified.answers} answers differ"
    if not verified.mismatches:
        words = f"{verified.weight_words:,} weight words and {verified.bias_words:,} bias words"
        when = "at the start, and again when needed" if reload else "once, at the start, and never again"
        console.print(f"loaded {when}: {words}")
    console.print(text, style="bold green" if not verified.mismatches else "bold red")


def print_firmware(one: FirmwareReport, console: Console) -> None:
    """Sizes, and the stack of the deepest call."""
    console.print(f"firmware: {one.flash_bytes:,} bytes flash, {one.ram_bytes:,} bytes RAM ({one.compiler})")
    found = one.footprint
    if found:
        image = sum(other.code_bytes + other.constant_bytes for other in found.objects if other.part == "image")
        small = f"runtime {found.runtime_bytes:,} bytes ({found.runtime_small_bytes:,} bytes at -Os)"
        console.print(f"flash by object file: {small}, image {image:,} bytes")
        deepest = max(found.stack, key=lambda call: call.bytes)
        more = f"{found.interrupt_bytes} more for an interrupt, {found.interrupt_fpu_bytes} with floating point"
        console.print(f"stack at most {deepest.bytes} bytes, in {deepest.call}; {more}")


def make_table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    """A table with a title in bold; all but the first `left` columns are numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", caption_justify="left")
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right", overflow="fold")
    return table


def _stages(report: Report) -> Table:
    table = make_table(f"{report.name}: stages", ("stage", "layers", "leaves if", "cycles", "uJ (estimated)"), left=3)
    for stage in report.stages:
        rule = "always (last stage)" if stage is report.stages[-1] else _rule(stage)
        table.add_row(
            stage.name,
            _shortened(stage.layers),
            rule,
            f"{stage.cycles:,} ({stage.cycles_tag})",
            _microjoules(stage.energy_uj),
        )
    return table


def _rule(stage: StageReport) -> str:
    """When a stage before the last one leaves, and where that depends on its class, with what."""
    relation = f"{stage.confidence} {'<=' if stage.confidence == 'entropy' else '>='}"
    same = "" if stage.threshold is None else f"{relation} {stage.threshold:.4g}"
    means = [one for one in stage.classes if one.answer is not None]
    if not means:
        return same
    parts = []
    for one in means[:_CLASSES]:
        limit = "" if one.threshold is None else f" ({relation} {one.threshold:.4g})"
        parts.append(f"{one.name}: {one.answer}{limit}")
    rest = len(means) - len(parts)
    return "\n".join([*filter(None, [same]), *parts, *([f"and {rest} more classes"] if rest else [])])


def _shortened(layers: Sequence[str]) -> str:
    return f"{layers[0]} .. {layers[-1]} ({len(layers)})" if len(layers) > 2 else ", ".join(layers)


def _memory(report: Report, alone: bool, resident: bool) -> Table:
    names = ("stage", "weight columns", "weight bytes", "bias bytes", "data bytes touched")
    table = make_table("memory, everything resident" if resident else "memory", names)
    for stage in report.stages:
        numbers = (stage.weight_columns, stage.weight_bytes, stage.bias_bytes, stage.data_bytes)
        table.add_row(stage.name, *(f"{number:,}" for number in numbers))
    if alone:
        table.add_section()
        table.add_row("of the device", *memory_cells(report.memory), "")
    if len(report.stages) > 1:
        table.caption = ADD_UP
    return table


def memory_cells(memory: MemoryReport) -> tuple[str, str, str]:
    """Weight columns, weight bytes and bias bytes in use, as shares of the device."""
    proof = "lowest possible" if memory.proved_lowest else "not proved lowest"
    return (
        f"{memory.highest_column} of {memory.columns} ({memory.highest_column / memory.columns:.1%}, {proof})",
        f"{memory.weight_bytes / memory.weight_memory_bytes:.1%}",
        f"{memory.bias_bytes / memory.bias_memory_bytes:.1%}",
    )


def _reload_text(one: ReloadReport) -> str:
    """What is written again, and what that costs."""
    what = written_text(one.weights, one.biases)
    mean = f"{one.words:,.0f} words an inference ({proof_text(one)}), at most {one.worst:,}"
    text = f"written again when needed: {what}: {mean}; all but the first stage's: {one.everything:,.0f}"
    return text if one.external_bytes is None else f"{text}\n{_external_text(one)}"


def _external_text(one: ReloadReport) -> str:
    speed = f"read at {one.bytes_per_second:,} bytes a second" if one.bytes_per_second else NOT_COUNTED
    return f"outside flash: {one.external_bytes:,} bytes of these weights, {speed}"


def written_text(weights: Sequence[str], biases: Sequence[str]) -> str:
    """`weights of main/3, main/4 and biases of main/3`"""
    kinds = ((weights, "weights"), (biases, "biases"))
    return " and ".join(f"{kind} of {', '.join(names)}" for names, kind in kinds if names)


def proof_text(one: ReloadReport) -> str:
    """Whether fewer words could do."""
    return "the fewest possible" if one.bound == one.words else f"{one.bound:,.0f} at least"


def _switches(report: Report) -> Table:
    outside = any(one.fetched_words for one in report.switches)
    names = (
        "switch",
        "register writes",
        "weight words",
        "bias words",
        "writes of a reload, registers too",
        "cycles (estimated)",
        *(["words from outside flash"] if outside else []),
    )
    table = make_table("between stages", names)
    for one in report.switches:
        counts = [one.register_writes, one.weight_words, one.bias_words, one.reload_words, one.cycles]
        counts += [one.fetched_words] if outside else []
        table.add_row(f"{one.source} -> {one.target}", *(f"{count:,}" for count in counts))
    return table


def _results(report: Report, accuracy: AccuracyReport) -> Table:
    what = "agreement" if accuracy.against == "main" else "accuracy"
    names = ("", "share", f"{what} here", f"{what} alone", "cycles", "uJ (estimated)")
    without = "" if accuracy.against == "labels" else " without labels"
    table = make_table(f"{accuracy.images:,} test images{without}", names)
    for stage in report.stages:
        here = _of_leaving(stage, accuracy.images)
        shares = (_percent(stage.share), here, _percent(stage.accuracy_alone))
        table.add_row(f"leaves at {stage.name}", *shares, "", "")
    table.add_section()
    cycles, energy = report.cycles, report.energy
    mean = (f"{cycles.mean:,.0f}" if cycles.mean else "-", _microjoules(energy.mean_uj))
    table.add_row(f"staged, mean (worst {cycles.worst:,})", "", _percent(accuracy.staged), "", *mean)
    full = (f"{cycles.full:,}", _microjoules(energy.full_uj))
    table.add_row("the last network alone", "", _percent(accuracy.full), "", *full)
    points = _points(accuracy)
    table.add_row("staged against alone", "", points, "", times(cycles.ratio, "fewer"), times(energy.ratio, "less"))
    only = f"{cycles.accelerator_mean:,.0f}" if cycles.accelerator_mean else "-"
    only = f"the accelerator only, {only} against {cycles.accelerator_full:,}"
    table.add_row(only, "", "", "", times(cycles.accelerator_ratio, "fewer"), "")
    for one in report.alone:
        alone = (f"{one.cycles:,}", _microjoules(one.energy_uj))
        table.add_row(f"for comparison: {one.name} alone", "", _percent(one.accuracy), "", *alone)
    return table


def _microjoules(value: float | None) -> str:
    """`-` where there is no energy model of the device, or nothing that it could be the mean of."""
    return "-" if value is None else f"{value:.2f}"


def _points(accuracy: AccuracyReport) -> str:
    if accuracy.staged is None or accuracy.full is None:
        return "-"
    return f"{100 * (accuracy.staged - accuracy.full):+.2f} points"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _of_leaving(stage: StageReport, images: int) -> str:
    """Accuracy on the test images that leave at a stage, and how many these are."""
    return f"{_percent(stage.accuracy)} of {round((stage.share or 0) * images):,}"
