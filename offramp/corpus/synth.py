"""`offramp synth`: networks of corpus cases through our placement and generator, judged by the vendor's answers."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from offramp.configs.device import Device
from offramp.configs.errors import Damaged, OfframpError
from offramp.configs.files import is_file
from offramp.corpus import cases
from offramp.corpus.case import Case, load_case
from offramp.corpus.case_files import read_outputs
from offramp.corpus.direct import ModelRunner, run_all
from offramp.planner.allocation.place import Placed, place
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.ir.chain import whole
from offramp.planner.ir.network import Layer, Network
from offramp.planner.rules.check import check_network
from offramp.simulator.accelerator import Accelerator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `offramp synth`."""
    parser.epilog = "example:\n  offramp synth ../shared/corpus/cases/net-mnist* --workers 2"
    cases.add_arguments(parser)
    parser.add_argument(
        "--free", action="store_true", help="forget processors, offsets and write gaps of the YAML: the planner chooses"
    )


def run(args: argparse.Namespace) -> int:
    """Judge all cases; exit code 1 if one fails."""
    return cases.judge_cases(args, partial(synth_case, free=args.free))


def synth_case(folder: Path, device: Device, free: bool = False) -> tuple[str, ...]:
    """Reasons why a case fails; none if the last layer's output equals the vendor's answer bit for bit."""
    try:
        case = load_case(folder, device)
        machine = ModelRunner(place_case(case, device, free), Accelerator(device, overlap=case.overlap and not free))
        machine.load()
        result = run_all(machine, [case.sample])[0].reshape(-1)
    except Damaged:
        raise
    except OfframpError as error:
        return tuple(str(problem) for problem in error.problems)
    answers = folder / "outputs.npz"
    if not is_file(answers):
        return ("there is no outputs.npz to compare with",)
    outputs = read_outputs(folder)
    if "final" not in outputs:
        return ("outputs.npz has no `final`",)
    expected = outputs["final"].astype(np.int64).reshape(-1)
    if result.shape != expected.shape:
        return (f"the output has {result.size} values, {expected.size} are expected",)
    different = int(np.count_nonzero(result != expected))
    return (f"{different} of {expected.size} output values differ",) if different else ()


def place_case(case: Case, device: Device, free: bool = False) -> Placed:
    """Our placement of a case's network. Tensors may share words where the vendor's run allowed it.

    `free`: nothing of the YAML's processors, offsets and write gaps is kept.
    """
    network = complete(forget_places(case.network) if free else case.network, device, no_columns_occupied(device))
    if problems := check_network(network, device):
        raise OfframpError(problems)
    return place(whole("network", network), device, case.overlap and not free)


def forget_places(network: Network) -> Network:
    """The network as if its YAML stated no processors, offsets and write gaps."""
    buffers = tuple(replace(buffer, offset=None) for buffer in network.buffers)
    return replace(network, layers=tuple(map(_forget, network.layers)), buffers=buffers)


def _forget(layer: Layer) -> Layer:
    """Rolling buffers stay on their processors: these are no layer's to choose."""
    return replace(
        layer,
        processors=layer.processors if layer.source else 0,
        output_processors=layer.output_processors if layer.target else 0,
        in_offset=None,
        out_offset=None,
        write_gap=0,
    )
