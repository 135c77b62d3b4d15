"""Heads on a finished network, cut by cut: what leaving there costs, how often heads agree with it, and how many inputs
may leave.

`python -m bench.heads NETWORK.yaml CHECKPOINT.pth.tar [DATA.npz]`: for every place where the network can be cut, one
head is trained on main's answers (no labels are used) to a part of the images, and tried on the rest. `leave` is the
share with the largest margins of which at most DROP answer otherwise than the network. Without data only costs are
printed, of heads that are not trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.device import Device, load_device
from offramp.planner.ai8x.load import load_network
from offramp.planner.allocation.budget import alone_budget, alone_energy
from offramp.planner.hardware.cycles import layer_cycles
from offramp.planner.hardware.energy import layer_energy
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.network import Network
from offramp.planner.reference.confidence import confidence
from offramp.planner.spec.dataset import load_images
from offramp.planner.tasks.executor import IN_PROCESS
from offramp.training.costs import DesignCost
from offramp.training.data import Split
from offramp.training.design import network_of
from offramp.training.fit import fit, weights_of
from offramp.training.heads import cycles_behind, head_designs
from offramp.training.material import Basics, flat_logits, head_data, read_main
from offramp.training.search import without_pooling
from offramp.training.task import FitTask, Recipe

DROP = 0.005  # of all images
STEPS = 1500
HELD = 3  # one image of so many is held back


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--images", type=int, default=6000, help="of the data that are used")
    args = parser.parse_args()
    device = load_device()
    network = load_network(args.network, device, args.checkpoint)
    basics = _basics(network, args.data, args.images) if args.data else None
    whole = alone_budget(network, device).cost_by_exit[0], alone_energy(network, device).cost_by_exit[0]
    print(f"{network.name}: {whole[0]:,} cycles, {whole[1] / 1e6:.2f} uJ an answer (estimated), no switches counted")
    print(f"{'after':>5} {'tensor':>10} {'head cycles':>11} {'cycles':>7} {'energy':>7} {'agrees':>7} {'leave':>7}")
    for cut in legal_cuts(network):
        designs = head_designs(
            network.layers[cut].out_shape,
            network.layers[-1].out_shape.channels,
            8,
            cycles_behind(network, cut, device) // 2,
            device,
        )
        if designs:
            _row(network, cut, designs[-1], basics, whole, device)


def _basics(network: Network, path: Path, images: int) -> Basics:
    """Main on some images, whose labels are not looked at."""
    found = load_images(path.stem, path, network.input_shape)
    numbers = np.arange(min(images, len(found.x)))
    split = Split(found, {}, numbers[numbers % HELD != 0], numbers[numbers % HELD == 0])
    return read_main(network, split, IN_PROCESS)


def _row(
    network: Network, cut: int, head: DesignCost, basics: Basics | None, whole: tuple[int, int], device: Device
) -> None:
    """A head after a cut; shares of the whole network's cost, everything around the layers left out of neither."""
    behind = network.layers[cut + 1 :]
    cycles = whole[0] - sum(layer_cycles(one, network, device).cycles for one in behind) + head.cycles
    own = network_of(head.design, device)
    energy = whole[1] - sum(layer_energy(one, network, device).amount for one in behind)
    energy += sum(layer_energy(one, own, device).amount for one in own.layers)
    found = "{:7.2%} {:7.1%}".format(*_trained(cut, head, basics, device)) if basics else f"{'-':>7} {'-':>7}"
    shape = str(network.layers[cut].out_shape)
    shares = f"{cycles / whole[0]:7.0%} {energy / whole[1]:7.0%}"
    print(f"{cut:5} {shape:>10} {head.cycles:11,} {shares} {found}", flush=True)


def _trained(cut: int, head: DesignCost, basics: Basics, device: Device) -> tuple[float, float]:
    """How often a trained head agrees with main on what was held back, and how many inputs may leave there."""
    made = head_data(basics, cut, head.design.layers[0].pool, IN_PROCESS)
    design = without_pooling(head.design)
    state = fit(made.data, FitTask(design, Recipe(), 1, STEPS, STEPS))
    logits = flat_logits(network_of(design, device, weights_of(design, state)), made.validation)
    same = logits.argmax(axis=1) == basics.answers[basics.split.validation]
    return float(same.mean()), _leaving(confidence("margin", logits, 0), same)


def _leaving(margins: npt.NDArray[np.uint32], same: npt.NDArray[np.bool_]) -> float:
    """The largest share with the largest margins of which at most DROP of all images answer otherwise."""
    order = np.argsort(-margins.astype(np.int64), kind="stable")
    wrong = np.cumsum(~same[order])
    return float(wrong.searchsorted(DROP * len(same), side="right")) / len(same)


if __name__ == "__main__":
    main()
