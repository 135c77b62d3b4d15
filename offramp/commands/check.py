"""`offramp check`: the layers of an ai8x network as the device would run them, or everything that is wrong with it."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from offramp.codegen.lower import Lowered
from offramp.configs.errors import InputError
from offramp.configs.records import json_text
from offramp.host import console as terminal
from offramp.pipeline.alone import lowered_alone
from offramp.pipeline.devices import add_device, stated_device
from offramp.pipeline.networks import load_checked, parse_shape, unused_text
from offramp.planner.ai8x.checkpoint import Checkpoint, load_checkpoint
from offramp.planner.ai8x.load import Options, Source
from offramp.planner.ai8x.parts import check_part
from offramp.planner.ai8x.weights import parse_shapes
from offramp.planner.hardware.cycles import Cycles, layer_cycles, run_cycles, sum_cycles
from offramp.planner.hardware.hw_layer import WORD_BYTES, HwLayer, map_layer, set_bits
from offramp.planner.ir.network import Layer, Network
from offramp.planner.spec.keys import prefix

EPILOG = """\
examples:
  offramp check network.yaml --checkpoint network.pth.tar
  offramp check network.yaml --input 3x32x32 --weights "60x3x3x3 10x960"
  offramp check network.yaml --input 3x32x32        without weights: as many channels as output processors
"""
COLUMNS = (
    "layer",
    "op",
    "input",
    "pool",
    "kernel",
    "output",
    "bits",
    "shift",
    "columns",
    "bias",
    "in",
    "out",
    "cycles",
)
WITHOUT_WEIGHTS = "Without weights: as many output channels as output processors (more need a checkpoint), no biases."
FORMAT = 1
TEXT_WIDTH = 140  # of the table where the output is not a terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", type=Path, metavar="NETWORK.yaml")
    parser.add_argument("--input", metavar="CxHxW", help="input shape, CxL for 1-D data (default: the data set's)")
    parser.add_argument("--fifo", action="store_true", help="the input comes through the FIFO, as streaming needs it")
    add_classes(parser)
    add_device(parser, "device that the network is for")
    terminal.add_arguments(parser, json="the layers")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--checkpoint", type=Path, metavar="FILE", help="ai8x checkpoint (.pth.tar)")
    parser.add_argument("--prefix", metavar="NAME", help="what the names of its layers in the checkpoint begin with")
    parser.add_argument(
        "--without", action="append", default=[], metavar="NAME", help="leave out layers whose names begin so (heads)"
    )
    source.add_argument("--weights", metavar="SHAPES", help='weight shapes of the layers instead, "OxIxKxK ..."')


def add_classes(parser: argparse.ArgumentParser) -> None:
    """The option of commands that take a network without its weights."""
    parser.add_argument(
        "--classes",
        type=_count,
        metavar="N",
        help="without weights: output channels of the last layer (default: its output processors, or the data set's)",
    )


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise argparse.ArgumentTypeError(f"a number from 1 on is expected, not {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Print the layer table, exit code 0. InputError with all problems at once if the device cannot run the network,
    Infeasible if it is proved that it does not fit."""
    device = stated_device(args.device)
    shape = parse_shape(args.input) if args.input else None
    source: Source = parse_shapes(args.weights) if args.weights else None
    if args.checkpoint:
        source = _part(args)
    elif args.prefix or args.without:
        raise InputError("--prefix and --without are about the layers of a --checkpoint")
    network = load_checked(args.network, source, shape, Options(fifo=args.fifo, classes=args.classes), device)
    lowered = lowered_alone(network, device)
    terminal.print_json(network_json(lowered), args)
    console = terminal.make_console(args, TEXT_WIDTH)
    for line in (*_report(lowered), *_runs(lowered)):
        console.print(line, highlight=False)
    unused = unused_text(source.where, network.unused) if isinstance(source, Checkpoint) else ()
    for line in (*unused, *([] if source else [WITHOUT_WEIGHTS])):
        console.print(line, highlight=False, markup=False)
    return 0


def _part(args: argparse.Namespace) -> Checkpoint:
    """The part of the checkpoint that is the network's."""
    for name in (args.prefix, *args.without):
        try:
            prefix("" if name == "" else name or "all")
        except ValueError as error:
            raise InputError(f"--prefix, --without: `{name}`; {error}") from error
    whole = load_checkpoint(args.checkpoint)
    for name in args.without:
        check_part(replace(whole, prefix=name), whole.where)
    part = replace(whole, prefix=args.prefix or "", without=tuple(args.without))
    check_part(part, whole.where)
    return part


def network_json(lowered: Lowered) -> str:
    """The layers as JSON, with the numbers that the table shows."""
    network, device = _network(lowered), lowered.placed.requirements.device
    layers = [_layer_json(map_layer(layer, network, device), network) for layer in network.layers]
    total = _total(lowered)
    content = {
        "format": FORMAT,
        "network": network.name,
        "device": device.name,
        "input": str(network.input_shape),
        "layers": layers,
        "runs": [{"first": first.index, "last": last.index} for first, last in _ends(lowered)],
        "cycles": {"total": total.cycles, "tag": total.tag, "source": total.source},
    }
    return json_text(content)


def _network(lowered: Lowered) -> Network:
    (network,) = lowered.placed.requirements.chain.networks.values()
    return network


def _total(lowered: Lowered) -> Cycles:
    """All runs, with kernels at the start of weight memory."""
    network, device = _network(lowered), lowered.placed.requirements.device
    chain = lowered.placed.requirements.chain
    return sum_cycles(
        run_cycles(layer_cycles(slot.layer, network, device) for slot in segment.slots) for segment in chain.segments
    )


def _ends(lowered: Lowered) -> list[tuple[Layer, Layer]]:
    """First and last layer of each run."""
    runs = [segment.slots for segment in lowered.placed.requirements.chain.segments]
    return [(slots[0].layer, slots[-1].layer) for slots in runs]


def _runs(lowered: Lowered) -> tuple[str, ...]:
    """In which runs the layers are executed, if there are several."""
    runs, states = _ends(lowered), lowered.switching
    if len(runs) == 1:
        return ()
    layers = ", ".join(f"{first.label} to {last.label}" for first, last in runs)
    writes = [len(states.transition(run, (run + 1) % len(runs))) for run in range(len(runs))]
    most = f"one has at most {lowered.placed.requirements.device.geometry.layers} layers"
    switches = f"switches write {', '.join(f'{count:,}' for count in writes[:-1])} registers, {writes[-1]:,} at the end"
    return (f"{len(runs)} runs, since {most}: layers {layers}; {switches}",)


def _layer_json(hw: HwLayer, network: Network) -> dict[str, object]:
    layer, cycles = hw.layer, layer_cycles(hw.layer, network, hw.device)
    return {
        "index": layer.index,
        "name": layer.name,
        "op": layer.op,
        "input": str(layer.in_shape),
        "output": str(layer.out_shape),
        "output_width": layer.output_width,
        "weight_bits": layer.weight_bits if layer.has_weights else None,
        "output_shift": layer.output_shift if layer.has_weights else None,
        "processors": f"{layer.processors:#x}",
        "output_processors": f"{layer.output_processors:#x}",
        "columns": hw.all_columns,
        "bias_bytes": hw.bias_bytes,
        "cycles": {"total": cycles.cycles, "tag": cycles.tag, "source": cycles.source},
    }


def _report(lowered: Lowered) -> tuple[Table | str, ...]:
    network, device = _network(lowered), lowered.placed.requirements.device
    mapped = [map_layer(layer, network, device) for layer in network.layers]
    table = Table(*COLUMNS[:3], title=f"{network.name}, input {network.input_shape}")
    for name in COLUMNS[3:]:
        table.add_column(name, justify="right" if name in COLUMNS[6:] else "left")
    for hw in mapped:
        table.add_row(*_row(hw, network))
    weights = device.memories["weights"]
    processors = range(device.geometry.processors)
    used = [sum(hw.all_columns for hw in mapped if processor in set_bits(hw.processors)) for processor in processors]
    fullest = sum(1 << processor for processor in processors if used[processor] == max(used))
    total = _total(lowered)
    time = f"{'about ' if total.estimate else ''}{total.cycles} cycles, {total.microseconds(device):.0f} us"
    return (
        table,
        f"kernel columns: at most {max(used)} of a processor's {device.common_columns(fullest)}; "
        f"bias: {sum(hw.bias_bytes for hw in mapped)} bytes; one inference: {time}",
        f"columns: {weights.word_bytes}-byte kernel columns of each processor; "
        f"in, out: bytes of data memory in each instance, of {device.instance_bytes}",
    )


def _row(hw: HwLayer, network: Network) -> tuple[str, ...]:
    layer = hw.layer
    cycles = layer_cycles(layer, network, hw.device)
    pool = f"{'avg' if layer.pool_average else 'max'} {layer.pool[0]}x{layer.pool[1]}/{layer.pool_stride}"
    kernel = f"{layer.kernel[0]}x{layer.kernel[1]} pad {layer.pad[0]}"
    kernel += f" dil {layer.dilation}" if layer.dilation > 1 else ""
    weighted = layer.has_weights
    return (
        f"{layer.index} {layer.name}".rstrip(),
        _operation(layer),
        str(layer.in_shape),
        pool if layer.pool != (1, 1) or layer.pool_stride > 1 else "",
        kernel if weighted and layer.op != "linear" else "",
        f"{layer.out_shape}" + (" 32 bit" if layer.output_width > 8 else ""),
        str(layer.weight_bits) if weighted else "",
        str(layer.output_shift) if weighted else "",
        str(hw.all_columns) if weighted else "",
        str(hw.bias_bytes or ""),
        "stream" if layer.streaming else str(WORD_BYTES * hw.input_words),
        "stream" if layer.streaming and _next_streams(layer, network) else str(WORD_BYTES * hw.output_words),
        f"{'~' if cycles.estimate else ''}{cycles.cycles}",
    )


def _next_streams(layer: Layer, network: Network) -> bool:
    return any(following.streaming for following in network.layers[layer.index + 1 : layer.index + 2])


def _operation(layer: Layer) -> str:
    parts = [f"{layer.eltwise} {layer.operands}" if layer.eltwise else "", "flatten" if layer.flatten else ""]
    parts += ["" if layer.eltwise and not layer.has_weights else layer.op]
    parts += [layer.activation if layer.activation != "none" else "", "stream" if layer.streaming else ""]
    return " ".join(part for part in parts if part)
