"""The layout of an image of ours: of its only model, or of all its models side by side in one device.

The steps of the models come one after the other, as only one runs at a time: what lies in the same words of data memory
belongs to different models, or to different steps of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from offramp.comparison.facts import Facts
from offramp.comparison.headline import Statement, trust_statement, verified_statement
from offramp.comparison.layout_plan import layout_of_plan
from offramp.comparison.layouts import Layout, SwitchUse, WeightUse
from offramp.pipeline.images import PlannedImage
from offramp.pipeline.report import EntryReport, ImageReport


def layout_of_image(
    image: PlannedImage, report: ImageReport, kind: str, path: str, models: Sequence[Facts] = ()
) -> Layout:
    """The layout of an image, with the figures of its report. `models`: what a page says of each of them."""
    own = [layout_of_plan(made, one, kind, path) for made, one in zip(image.models, report.models, strict=True)]
    if len(own) == 1:
        return replace(own[0], models=tuple(models))
    named = [_named(layout, one.name) for layout, one in zip(own, report.models, strict=True)]
    return replace(_joined(named, report), name=report.name, headline=_headline(report), models=tuple(models))


def _named(layout: Layout, model: str) -> Layout:
    """The layout with the model's name in front of those of stages, layers and tensors. Who leaves where belongs to
    the model alone."""

    def named(name: str) -> str:
        return f"{model}: {name}"

    return replace(
        layout,
        stages=tuple(
            replace(one, name=named(one.name), share=None, runs=tuple(map(named, one.runs))) for one in layout.stages
        ),
        layers=tuple(replace(one, name=named(one.name)) for one in layout.layers),
        data=tuple(replace(one, name=named(one.name)) for one in layout.data),
        steps=tuple(f"{name} of {model}" for name in layout.steps),
        switches=tuple(replace(one, source=named(one.source), target=named(one.target)) for one in layout.switches),
    )


def _joined(own: Sequence[Layout], report: ImageReport) -> Layout:
    stages = [0, *accumulate(len(one.stages) for one in own)]
    layers = [0, *accumulate(len(one.layers) for one in own)]
    steps = [0, *accumulate(len(one.steps) for one in own)]
    starts = list(zip(own, stages, layers, steps, strict=False))
    return replace(
        own[0],
        stages=tuple(stage for one in own for stage in one.stages),
        layers=tuple(replace(layer, stage=layer.stage + at) for one, at, _, _ in starts for layer in one.layers),
        weights=_weights([(one.weights, at) for one, _, at, _ in starts]),
        biases=tuple(replace(bias, layer=bias.layer + at) for one, _, at, _ in starts for bias in one.biases),
        data=tuple(
            replace(
                tensor,
                layer=None if tensor.layer is None else tensor.layer + at,
                first=0 if tensor.kept else tensor.first + step,
                last=steps[-1] - 1 if tensor.kept else tensor.last + step,
            )
            for one, _, at, step in starts
            for tensor in one.data
        ),
        steps=tuple(name for one in own for name in one.steps),
        switches=(*(switch for one in own for switch in one.switches), *_entries(own, report.entries)),
        mean_cycles=None,
        mean_energy=None,
        accuracy=None,
        points=(),
        points_note="",
    )


def _weights(parts: Sequence[tuple[tuple[WeightUse, ...], int]]) -> tuple[WeightUse, ...]:
    """Blocks of all models; those that several models share once, with all their layers."""
    found: dict[tuple[int, int, int], WeightUse] = {}
    for blocks, at in parts:
        for block in blocks:
            place = (block.processors, block.start, block.columns)
            known = found[place].layers if place in found else ()
            found[place] = replace(block, layers=(*known, *(layer + at for layer in block.layers)))
    return tuple(found.values())


def _entries(own: Sequence[Layout], entries: Sequence[EntryReport]) -> tuple[SwitchUse, ...]:
    """From each model's last run to the first one of the next model, and from the last model to the first."""
    pairs = zip(own, [*own[1:], own[0]], [*entries[1:], entries[0]], strict=True)
    return tuple(
        SwitchUse(
            one.stages[-1].run_names[-1],
            other.stages[0].run_names[0],
            entry.register_writes + entry.weight_words + entry.bias_words,
        )
        for one, other, entry in pairs
    )


def _headline(report: ImageReport) -> tuple[Statement, ...]:
    words = sum(entry.weight_words + entry.bias_words for entry in report.entries)
    most = max(entry.register_writes for entry in report.entries)
    names = ", ".join(one.name for one in report.models)
    how = "not all resident" if report.reload else "all resident"
    resident = Statement(f"{len(report.models)} models", f"in one image, {how}: {names}")
    switch = f"written to go from one model to another; at most {most:,} registers are"
    written = Statement(f"{words:,} weight and bias words", switch)
    return resident, written, verified_statement(report.verified), trust_statement(report.models)
