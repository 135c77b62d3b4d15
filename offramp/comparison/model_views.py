"""What a page shows of a model's facts: rows, pictures and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from offramp.comparison.drawn import Drawing, draw
from offramp.comparison.encoded import trial_json
from offramp.comparison.facts import Facts
from offramp.comparison.layouts import Layout
from offramp.comparison.palette import INPUT_LOOK, Look, look
from offramp.comparison.pictures import Block, Box, Lane, Picture, layer_looks, ticks_of_range
from offramp.comparison.reasons import Reasons
from offramp.comparison.samples import Sample, StageSamples
from offramp.comparison.trial import CALIBRATION, Slider, Trial
from offramp.comparison.trial_chart import TrialChart, trial_chart
from offramp.comparison.ways import Part, Way

WAY, LOWEST = 2.2, 5.5  # rem; height of a lane, and of all of them at least


@dataclass(frozen=True)
class StageSliders:
    """The sliders of a stage, with their numbers. `relation`: what a confidence must be to leave."""

    name: str
    look: Look
    relation: str
    sliders: tuple[tuple[int, Slider], ...]


@dataclass(frozen=True)
class SampleView:
    sample: Sample
    drawing: Drawing


@dataclass(frozen=True)
class SamplesView:
    """`share`: of the test images."""

    look: Look
    samples: StageSamples
    share: float
    kinds: tuple[tuple[str, tuple[SampleView, ...]], ...]


@dataclass(frozen=True)
class ModelView:
    """`key`: unique in the page. `model`: its name, empty where it is the only one. `trial`: None where `no_trial` says
    why nothing can be tried."""

    key: str
    model: str
    trial: Trial | None
    no_trial: str
    data: Markup
    stages: tuple[StageSliders, ...]
    charts: tuple[TrialChart, ...]
    ways: Picture
    leaving: tuple[tuple[str, Look, float | None], ...]  # stages with the share that leaves there, if it is known
    samples: tuple[SamplesView, ...]
    reasons: Reasons


def model_view(layout: Layout, number: int, key: str) -> ModelView:
    """Of one of a layout's models."""
    facts = layout.models[number]
    first = sum(len(one.ways) for one in layout.models[:number])
    looks = tuple(look(first + stage, 0) for stage in range(len(facts.ways)))
    trial = facts.trial if isinstance(facts.trial, Trial) else None
    return ModelView(
        key=key,
        model=facts.model if len(layout.models) > 1 else "",
        trial=trial,
        no_trial=facts.trial if isinstance(facts.trial, str) else "",
        data=Markup(trial_json(trial)) if trial else Markup(),
        stages=_sliders(trial, looks) if trial else (),
        charts=_charts(facts, trial, key) if trial else (),
        ways=_ways(layout, facts.ways, number, key),
        leaving=tuple((way.stage, own, way.share) for way, own in zip(facts.ways, looks, strict=True)),
        samples=tuple(_samples(one, own, facts) for one, own in zip(facts.samples, looks, strict=False)),
        reasons=facts.reasons,
    )


def _sliders(trial: Trial, looks: Sequence[Look]) -> tuple[StageSliders, ...]:
    found = []
    for stage, name in enumerate(trial.stages[:-1]):
        own = tuple((number, one) for number, one in enumerate(trial.sliders) if one.stage == stage)
        measure = own[0][1].measure
        relation = f"{measure.replace('_', ' ')} {'at most' if measure == 'entropy' else 'at least'}"
        found.append(StageSliders(name, looks[stage], relation, own))
    return tuple(found)


def _charts(facts: Facts, trial: Trial, key: str) -> tuple[TrialChart, ...]:
    charts = []
    unverified = any(part.tag == "unverified" for way in facts.ways for part in way.parts)
    tag = "unverified" if unverified else "estimated"
    for energy, costs in enumerate((trial.cycles, tuple(one / 10**6 for one in trial.picojoules))):
        for place, images in enumerate(trial.sets if any(costs) else ()):
            known = facts.reached if images.name == CALIBRATION else None
            reached = (known.energy if energy else known.cycles) if known else ()
            charts.append(trial_chart(trial, images, costs, reached, bool(energy), f"{key}-{place}{energy}", tag))
    return tuple(charts)


def _samples(one: StageSamples, own: Look, facts: Facts) -> SamplesView:
    total = sum(other.images for other in facts.samples)
    kinds = tuple((kind, tuple(SampleView(image, draw(image.x)) for image in images)) for kind, images in one.kinds)
    return SamplesView(own, one, one.images / total if total else 0.0, kinds)


def _ways(layout: Layout, ways: Sequence[Way], model: int, key: str) -> Picture:
    """A lane for each way to leave; all on the scale of the longest."""
    first = sum(one.layer_count for one in layout.models[:model])
    looks, longest = layer_looks(layout), max(way.cycles for way in ways)
    blocks = []
    for lane, way in enumerate(ways):
        begin = 0
        for place, part in enumerate(way.parts):
            box = Box(
                100 * begin / longest, 100 * (lane + 0.08) / len(ways), 100 * part.cycles / longest, 84 / len(ways)
            )
            own = INPUT_LOOK if part.layer is None else looks[first + part.layer]
            layer = f"{key}core{place}" if part.layer is None else f"{key[0]}{first + part.layer}"
            short = "" if part.layer is None else f"{layout.layers[first + part.layer].number}"
            blocks.append(Block(layer, short, _told(part, way, begin), own, (box,)))
            begin += part.cycles
    lanes = tuple(Lane(f"{lane + 1}", 100 * lane / len(ways), 100 / len(ways)) for lane in range(len(ways)))
    title = "one answer in time, to scale"
    marks = ticks_of_range(longest)
    height = max(WAY * len(ways), LOWEST)
    return Picture(title, "cycles from the input on", "way to leave", height, lanes, marks, tuple(blocks))


def _told(part: Part, way: Way, begin: int) -> str:
    """All that is known of a part."""
    time = f"{part.cycles * 1e6 / way.clock_hz:,.1f} us"
    work = f"; {part.instructions:,} instructions, {part.accesses:,} of them on the bus" if part.instructions else ""
    where = f"leaves at {way.stage}, from cycle {begin:,}"
    return f"{part.name}: {part.cycles:,} cycles, {time}{work}; {part.tag}, {part.source} ({where})"
