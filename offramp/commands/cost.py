"""`offramp cost`: cycles, time and energy of a network or of the stages of a spec, layer by layer."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from offramp.commands.check import WITHOUT_WEIGHTS, add_classes
from offramp.commands.cost_json import IDLE, costs_json, energy_error, image_costs_json
from offramp.comparison.layout_vendor import kernel_starts, vendor_weights
from offramp.configs.device import Column, Device
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.configs.files import is_file
from offramp.configs.lines import load_yaml
from offramp.configs.records import json_text
from offramp.corpus.case import load_case
from offramp.corpus.registers import vendor_image
from offramp.host import console as terminal
from offramp.host.progress import SILENT
from offramp.pipeline.costing import Costs, chain_costs, network_costs
from offramp.pipeline.devices import add_device, device_of_case, device_of_plan, devices_of_specs, stated_device
from offramp.pipeline.figures import entries_of
from offramp.pipeline.images import PlannedImage, make_image, open_image
from offramp.pipeline.networks import load_checked, parse_shape
from offramp.pipeline.report import EntryReport
from offramp.planner.ai8x.checkpoint import load_checkpoint
from offramp.planner.ai8x.load import Options
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.hardware.energy import Energy
from offramp.planner.spec.models import model_files

EPILOG = """\
examples:
  offramp cost network.yaml --checkpoint network.pth.tar
  offramp cost network.yaml --input 3x32x32       without weights: as many channels as output processors
  offramp cost spec.yaml --json                   all stages; thresholds do not matter
  offramp cost build/mnist
  offramp cost words.yaml faces.yaml              two models of one image (several specs, or a YAML that lists them)
  offramp cost ../shared/corpus/cases/net-mnist
"""
KINDS = "a spec, a network (YAML), a plan (plan.json), a build folder or a corpus case is expected"
COLUMNS = ("layer", "cycles", "of all", "us", "processors", "uJ", "of all", "MACs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp cost`."""
    parser.epilog = EPILOG
    parser.add_argument("subjects", type=Path, nargs="+", metavar="NETWORK.yaml|SPEC|PLAN|BUILD_DIR|CASE")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="ai8x checkpoint (.pth.tar) of NETWORK.yaml")
    parser.add_argument("--input", metavar="CxHxW", help="input shape of NETWORK.yaml (default: the data set's)")
    parser.add_argument("--fifo", action="store_true", help="the input of NETWORK.yaml comes through the FIFO")
    add_classes(parser)
    add_device(parser, "device that a network YAML or a corpus case is for")
    terminal.add_arguments(parser, json="the costs (docs/REPORT.md)")


def run(args: argparse.Namespace) -> int:
    """Print the costs, exit code 0."""
    costs, entries = load_costs(args)
    console = terminal.make_console(args)
    for one in costs:
        print_costs(one, console)
    for entry in entries:
        what = f"to {entry.model} from another model: {entry.register_writes:,} register writes, "
        console.print(
            f"{what}{entry.weight_words:,} weight words, {entry.cycles:,} cycles (estimated)", highlight=False
        )
    terminal.print_json(json_text(costs_json(costs[0]) if len(costs) == 1 else image_costs_json(costs, entries)), args)
    return 0


def load_costs(args: argparse.Namespace) -> tuple[list[Costs], Sequence[EntryReport]]:
    """Costs of what the command line names: one of a network, of several models one each, and what switching to each
    takes. InputError if it is nothing that has costs."""
    path: Path = args.subjects[0]
    several = len(args.subjects) > 1
    if not several and _is_network(path):
        return [_network_file(args, stated_device(args.device))], ()
    if args.checkpoint or args.input or args.fifo or args.classes:
        raise InputError(f"{path}: --checkpoint, --input, --fifo and --classes are for a network YAML")
    if args.device and (several or not is_file(path / "meta.json")):
        raise InputError(f"{path}: --device is for a network YAML or a corpus case; a spec says `device`")
    if several or (is_file(path) and path.suffix != ".json"):
        files = model_files(args.subjects)
        return _image_costs(make_image(files, devices_of_specs(files.specs), SILENT))
    if path.suffix == ".json" or is_file(path / "plan.json"):
        saved = path if is_file(path) else path / "plan.json"
        return _image_costs(open_image(saved, device_of_plan(saved)))
    if is_file(path / "meta.json"):
        return [case_costs(path, device_of_case(path, args.device))], ()
    there = "is none of these" if os.path.exists(path) else "does not exist"
    found = "is a folder that is none of these" if os.path.isdir(path) else there
    raise InputError(Diagnostic(Where(str(path)), f"{found}; {KINDS}"))


def _is_network(path: Path) -> bool:
    return is_file(path) and path.suffix != ".json" and "offramp" not in load_yaml(path)


def _image_costs(image: PlannedImage) -> tuple[list[Costs], Sequence[EntryReport]]:
    return [chain_costs(made) for made in image.models], entries_of(image)


def _network_file(args: argparse.Namespace, device: Device) -> Costs:
    source = load_checkpoint(args.checkpoint) if args.checkpoint else None
    shape = parse_shape(args.input) if args.input else None
    options = Options(fifo=args.fifo, classes=args.classes)
    network = load_checked(args.subjects[0], source, shape, options, device)
    costs = network_costs(network.name, network, device)
    return costs if source else replace(costs, note=WITHOUT_WEIGHTS)


def case_costs(folder: Path, device: Device) -> Costs:
    """Costs of a corpus case, its kernels where its program has them; without one, at the start of weight memory."""
    network = load_case(folder, device).network
    starts: Mapping[int, Column] = {}
    if is_file(folder / "program.npz"):
        starts = kernel_starts(vendor_weights(vendor_image(folder, device), len(network.layers), device))
    return network_costs(folder.name, network, device, starts)


def print_costs(costs: Costs, console: Console) -> None:
    """Layers and stages, what is added to them, and where the figures come from."""
    clocks = costs.device.clocks
    rates = f"core {clocks['core_hz'] / 10**6:g} MHz, accelerator {clocks['cnn_hz'] / 10**6:g} MHz"
    console.print(_layer_table(costs, f"{costs.name}: {rates}"))
    console.print(_overhead_table(costs))
    if costs.device.energy:
        idle = f"{costs.device.energy['idle_uw'] / 1000:g} mW"
        console.print(f"energy above idle (idle power: {idle}, published: {IDLE})")
        console.print(_energy_error_text(costs.device), highlight=False)
    if costs.note:
        console.print(costs.note, highlight=False)
    for kind, parts in _sources(costs).items():
        console.print(f"{kind}: {'; '.join(parts)}", markup=False)


def _energy_error_text(device: Device) -> str:
    rows, middle, largest = energy_error(device)
    worst = f"{abs(largest.permille) / 1000:.1%} ({largest.row}, {largest.source})"
    return (
        f"energy model: off by {middle:.1%} in the median of {rows} measurements left out of its fit; at most {worst}"
    )


def _table(title: str, columns: tuple[str, ...], left: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position < left else "right", overflow="fold")
    return table


def _layer_table(costs: Costs, title: str) -> Table:
    table = _table(title, COLUMNS, 1)
    for stage in costs.stages:
        for layer in stage.layers:
            _row(table, layer.name, (layer.cycles, layer.energy, layer.processors, layer.macs), costs)
        macs = sum(layer.macs for layer in stage.layers)
        name = f"{stage.name}, with the start" if len(costs.stages) > 1 else "all, with the start"
        table.add_section()
        _row(table, name, (stage.cycles, stage.energy, None, macs), costs)
        table.add_section()
    if len(costs.stages) > 1:
        _row(table, "all stages", (costs.cycles, costs.energy, None, _macs(costs)), costs)
    return table


def _row(table: Table, name: str, part: tuple[Cycles, Energy, int | None, int], costs: Costs) -> None:
    cycles, energy, processors, macs = part
    table.add_row(
        name,
        _tagged(cycles),
        _share(cycles.cycles, costs.cycles.cycles),
        f"{cycles.microseconds(costs.device):,.1f}",
        "" if processors is None else str(processors),
        _microjoules(energy, 2),
        _share(energy.picojoules, costs.energy.picojoules),
        _share(macs, _macs(costs)),
    )


def _microjoules(energy: Energy, digits: int) -> str:
    return f"~{energy.microjoules:,.{digits}f}" if energy.known else "-"


def _macs(costs: Costs) -> int:
    return sum(layer.macs for layer in costs.layers)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _tagged(cycles: Cycles) -> str:
    return f"{'~' if cycles.estimate else ''}{cycles.cycles:,}"


def _overhead_table(costs: Costs) -> Table:
    table = _table("besides", ("", "when", "tag", "cycles", "us", "uJ"), 3)
    for one in costs.overheads:
        time, energy = f"{one.cycles.microseconds(costs.device):,.1f}", _microjoules(one.energy, 3)
        table.add_row(one.name, one.when, one.cycles.tag, _tagged(one.cycles), time, energy)
    table.add_section()
    for answer in costs.answers:
        time, energy = f"{answer.cycles.microseconds(costs.device):,.1f}", _microjoules(answer.energy, 3)
        table.add_row(f"answer: {answer.name}", "in all", answer.cycles.tag, _tagged(answer.cycles), time, energy)
    return table


def _sources(costs: Costs) -> dict[str, list[str]]:
    """Sources of all figures by tag."""
    parts: list[Cycles | Energy] = [layer.cycles for layer in costs.layers]
    parts += [overhead.cycles for overhead in costs.overheads]
    parts += [one.energy for one in costs.layers]
    parts += [one.energy for one in costs.overheads]
    marked = {"estimated": "estimated (~)", "unverified": "unverified (~)"}
    kinds = ("simulated", "published", "estimated (~)", "unverified (~)", "unknown")
    found: dict[str, list[str]] = {kind: [] for kind in kinds}
    for part in parts:
        named = found[marked.get(part.tag, part.tag)]
        named += [source for source in part.source.split("; ") if source not in named]
    return {kind: sources for kind, sources in found.items() if sources}
