"""Accuracy and modelled cycles of the exported networks, alone and as two stages.

Everything is computed from the committed files (YAML, checkpoints, data sets) with exact integer arithmetic.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from checkpoint import LayerWeights, read_checkpoint
from data import FOLDER, read_part
from integer_net import Integers, logits, run_layer
from latency import START_CYCLES, Cost, layer_cost, network_cost
from layers import ExampleError, Layer, load_network
from stages import Recorded, StageCosts, accuracy, choose_threshold, run

NETWORKS = ("main", "front", "single", "head")
CUT = 1  # layers of main in front of the branch head
SETS = ("calibration", "test")
ALLOWED_LOSSES = (0.2, 0.4, 0.6, 1.0)  # points of accuracy that early exits may cost
BATCH = 50


@dataclass(frozen=True)
class Exported:
    """A network as it lies on disk."""

    layers: tuple[Layer, ...]
    weights: tuple[LayerWeights, ...]


def layers_of(name: str, folder: Path = FOLDER) -> tuple[Layer, ...]:
    """Layers of one of the NETWORKS; the head's input is the output of main's layer CUT - 1."""
    if name != "head":
        return load_network(folder / f"{name}.yaml")
    last = load_network(folder / "main.yaml")[CUT - 1]
    return load_network(folder / "head.yaml", (last.out_channels, *last.out_dim))


def load_exported(name: str, folder: Path = FOLDER) -> Exported:
    """A network with the weights of its checkpoint."""
    layers = layers_of(name, folder)
    return Exported(layers, read_checkpoint(folder / f"{name}.pth.tar", layers))


def network_logits(name: str, part: str, folder: Path = FOLDER) -> Integers:
    """Integer logits (N, 10) of a network on one of the SETS."""
    network, data = load_exported(name, folder), read_part(part)
    if name != "head":
        return logits(network.layers, network.weights, data.x)
    main = load_exported("main", folder)
    parts = []
    for start in range(0, len(data), BATCH):
        tensor = data.x[start : start + BATCH].astype(np.int64)
        for layer, weights in zip(main.layers[:CUT], main.weights[:CUT], strict=True):
            tensor = run_layer(layer, weights, tensor)
        parts.append(logits(network.layers, network.weights, tensor.astype(np.int8)))
    return np.concatenate(parts)


def print_network(name: str, folder: Path = FOLDER) -> None:
    """One network's layers with their cycles, and its accuracy on both sets."""
    layers = layers_of(name, folder)
    total = network_cost(layers)
    print(f"{name}: {total.cycles:,.0f} cycles, about {total.microjoules:.1f} uJ")
    for layer in layers:
        rows, cols = layer.out_dim
        shape = f"{layer.in_channels}x{layer.in_dim[0]}x{layer.in_dim[1]} -> {layer.out_channels}x{rows}x{cols}"
        print(f"  {layer.name:<6} {shape:<22} {layer_cost(layer).cycles:>7,.0f} cycles")
    for part in SETS:
        print(f"  {part:<12} {accuracy(network_logits(name, part, folder), read_part(part).y):6.2f} %")


def stage_costs(first: str, folder: Path = FOLDER) -> StageCosts:
    """Costs of `first` in front of main: a stage on the image, or the branch head."""
    main = layers_of("main", folder)
    full, own = network_cost(main), network_cost(layers_of(first, folder))
    if first != "head":
        return StageCosts(own, full, full)
    before = network_cost(main[:CUT])
    both = Cost(before.cycles + own.cycles - START_CYCLES, before.microjoules + own.microjoules)
    return StageCosts(both, network_cost(main[CUT:]), full)


def print_stages(first: str, folder: Path = FOLDER) -> None:
    """The table of two-stage figures: one row for each allowed loss, thresholds from the calibration set only."""
    costs = stage_costs(first, folder)
    recorded = {
        part: Recorded(network_logits(first, part, folder), network_logits("main", part, folder), read_part(part).y)
        for part in SETS
    }
    print(f"{first}, then main where the margin is below the threshold")
    for part in SETS:
        print(f"  {part}: main alone {accuracy(recorded[part].second, recorded[part].labels):.2f} %")
        print("    allowed loss  threshold  leave early  accuracy  mean cycles  full/mean  mean uJ")
        for allowed in ALLOWED_LOSSES:
            row = run(recorded[part], costs, choose_threshold(recorded["calibration"], allowed))
            print(
                f"    {allowed:>12.1f}  {row.threshold:>9}  {row.share_early:>11.1%}  {row.accuracy:>7.2f}%"
                f"  {row.mean.cycles:>11,.0f}  {row.speed_up:>9.2f}  {row.mean.microjoules:>7.1f}"
            )


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python evaluate.py")
    parser.parse_args(arguments)
    try:
        for name in NETWORKS:
            print_network(name)
        for first in ("front", "head"):
            print_stages(first)
    except ExampleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
