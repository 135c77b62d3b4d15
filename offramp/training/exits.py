"""`offramp train`: from a training spec to a folder with networks, the spec to build, and a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from offramp.configs.device import Device
from offramp.configs.errors import CheckFailed, Diagnostic
from offramp.host.files import write_text
from offramp.host.progress import Progress
from offramp.pipeline.evaluate import evaluate_plan
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import Planned, make_plan
from offramp.pipeline.report import Report
from offramp.planner.spec.clocks import with_clocks
from offramp.planner.spec.reader import load_spec
from offramp.planner.tasks.executor import IN_PROCESS, Executor
from offramp.training.candidates import open_bench
from offramp.training.contest import Contest, hold, logits_of
from offramp.training.data import read_split
from offramp.training.export import write_network
from offramp.training.fit import weights_of
from offramp.training.keeping import Kept, keep
from offramp.training.material import read_main
from offramp.training.output import DRAFT, REPORT, SPEC, remove_others, write_inputs, write_spec
from offramp.training.proposing import Field, propose_fronts, propose_heads
from offramp.training.report import SingleReport, TrainReport, train_report_json
from offramp.training.reporting import layers_text, report_of, warnings_of
from offramp.training.saved import Result, begin, identity_of, open_store
from offramp.training.search import Setting, Trained, fronts_contest, heads_contest, singles_contest, trained
from offramp.training.spec import TrainSpec, load_train_spec

NOTHING = (
    "no front or head saves anything within the limit of accuracy on the images that they were compared on: give more "
    "`budget`, a larger `accuracy_drop` or more training data"
)


@dataclass(frozen=True, eq=False)
class Race:
    """A contest of fronts or heads with what may take part, and how far it is."""

    field: Field
    contest: Contest
    found: Result | None = None

    @property
    def trained(self) -> list[Trained]:
        """Those that have weights, the best first."""
        return trained(self.contest, self.field, self.found) if self.found else []


def train_exits(path: Path, output: Path, device: Device, tasks: Executor, progress: Progress) -> TrainReport:
    """Train fronts and heads for the network of a training spec, and write them with a spec and a report to `output`.

    What an earlier call with the same arguments has begun is gone on with. If it is interrupted, what is best so far is
    written before KeyboardInterrupt goes on. CheckFailed if nothing saves anything.
    """
    spec = load_train_spec(path, device)
    at_clocks = with_clocks(device, spec.clocks)
    identity = _identity(spec, path, device)
    store = open_store(output, identity)
    progress.step("reading main and the data")
    bench = open_bench(spec, at_clocks)
    split = read_split(spec, bench.main.input_shape, bench.main.layers[-1].out_shape.channels)
    progress.step("asking main for its answers")
    setting = Setting(bench, read_main(bench.main, split, tasks), store, tasks, progress)
    for warning in warnings_of(setting):
        progress.warn(warning)
    begin(store, identity)
    races: list[Race] = []
    try:
        for race in _races(setting):
            races.append(race)
            found = hold(race.contest, store, tasks, progress)
            races[-1] = replace(race, found=found)
        kept = _kept(setting, races)
        _write_candidates(setting, output, kept)
        single, plan = _planned(setting, output, kept, device) if kept.entries else (None, None)
    except KeyboardInterrupt:
        _write_so_far(setting, output, races)
        raise
    report = report_of(setting, [(one.field, one.found) for one in races], kept, single, plan)
    write_text(output / REPORT, train_report_json(report))
    if not kept.entries:
        raise CheckFailed(Diagnostic(spec.where, NOTHING))
    return report


def _identity(spec: TrainSpec, path: Path, device: Device) -> str:
    """All that the result depends on."""
    files = [path, spec.main.network, spec.main.checkpoint, *spec.data.values()]
    return identity_of([device.name, torch.__version__], files)


def _races(setting: Setting) -> Iterator[Race]:
    """Those that the spec wants, each prepared when it is its turn."""
    spec, tasks = setting.bench.spec, setting.tasks
    if spec.fronts:
        field = propose_fronts(setting.bench, tasks)
        yield Race(field, fronts_contest(setting, field))
    if spec.heads:
        field = propose_heads(setting.bench, tasks)
        if field.priced:
            yield Race(field, heads_contest(setting, field))


def _kept(setting: Setting, races: list[Race]) -> Kept:
    """What is kept of all that have weights."""
    some = [(race, one) for race in races for one in race.trained]
    logits = {
        one.proposal.name: logits_of(race.contest.course, (one.proposal.name, one.standing.state))
        for race, one in some
        if one.standing.state is not None
    }
    fronts = [one for _, one in some if one.proposal.cut is None]
    return keep(setting, fronts, [one for _, one in some if one.proposal.cut is not None], logits)


def _write_candidates(setting: Setting, output: Path, kept: Kept) -> None:
    bench = setting.bench
    remove_others(output, [one.proposal.name for one in kept.entries])
    for one in kept.entries:
        what = "A front" if one.proposal.cut is None else f"A head after layer {one.proposal.cut} of main"
        about = f"{what}, found by `offramp train`: {layers_text(one.proposal.design)}"
        write_network(output, one.proposal.design, one.weights, bench.main.dataset, bench.device, about)


def _write_so_far(setting: Setting, output: Path, races: list[Race]) -> None:
    """What is best at an interrupt, if anything is known yet; not planned and not compared with a single network."""
    here = replace(setting, tasks=IN_PROCESS)
    known = [replace(one, found=one.found or setting.store.load(one.contest.name)) for one in races]
    kept = _kept(here, known)
    if not kept.entries:
        setting.progress.step("interrupted: nothing is worth writing yet")
        return
    setting.progress.step("interrupted: writing what is best so far")
    _write_candidates(here, output, kept)
    write_inputs(output, setting.bench.spec)
    write_spec(output / SPEC, setting.bench.spec, kept.entries, None)
    report = report_of(here, [(one.field, one.found) for one in known], kept, None, None)
    write_text(output / REPORT, train_report_json(report))


def _planned(setting: Setting, output: Path, kept: Kept, device: Device) -> tuple[SingleReport | None, Report]:
    """Write the spec and what it names, and plan it: the last word on what the chain is worth. A single network is
    looked for at the mean cost that a draft of the spec, without that network, has on the calibration data."""
    spec = setting.bench.spec
    write_inputs(output, spec)
    single = None
    if spec.single:
        draft = write_spec(output / DRAFT, spec, kept.entries, None)
        try:
            choice = _plan(setting, draft, device).plan.choice
        finally:
            draft.unlink()
        single = _single(setting, output, choice.chosen.mean_cycles) if choice else None
    made = _plan(setting, write_spec(output / SPEC, spec, kept.entries, single.name if single else None), device)
    setting.progress.step("running the test data through the integer reference")
    return single, plan_report(made, evaluate_plan(made.plan))


def _plan(setting: Setting, path: Path, device: Device) -> Planned:
    return make_plan(load_spec(path, device), device, setting.progress, setting.tasks)


def _single(setting: Setting, output: Path, limit: float) -> SingleReport | None:
    """The best network that gives all answers in at most so many cycles; None if none fits."""
    bench = setting.bench
    contest = singles_contest(setting, limit)
    if contest is None:
        return None
    found = hold(contest, setting.store, setting.tasks, setting.progress)
    best = found.standings[0]
    assert best.state is not None and best.found is not None
    design = replace(contest.course.designs[best.name], name=best.name)
    about = f"A single network at the mean cost of the chain: {layers_text(design)}"
    weights = weights_of(contest.course.designs[best.name], best.state)
    write_network(output, design, weights, bench.main.dataset, bench.device, about)
    return SingleReport(
        name=best.name,
        layers=tuple(layers_text(design).split(", ")),
        cycles=contest.costs[best.name],
        limit=limit,
        accuracy=best.found.own,
        tried=len(found.standings),
    )
