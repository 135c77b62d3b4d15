"""The cycle model against the vendor's tool, case by case of the corpus, and against times measured on silicon.

    python -m bench.cycles [CORPUS]

Exit code 1 if a case that does not stream differs, or if a measured time is off by more than half a percent; 2 without
the corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.absent import absent
from offramp.commands.cost import case_costs
from offramp.commands.cost_json import costs_json
from offramp.configs.device import Device, load_device

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
LIMIT = 0.005


class Measured(NamedTuple):
    """Microseconds that ekut-es/netdeployonnx measured on a MAX78000 EV kit (November 2024, medians): of the first
    `layers` layers of a network (None: all) with the topology of a corpus case, at an accelerator clock."""

    case: str
    layers: int | None
    mhz: float
    microseconds: float


SILICON = (
    Measured("net-cifar-10", None, 50, 4555.1),
    Measured("net-kws20_v3", None, 50, 1436.9),
    Measured("syn-cifar100-nas", None, 50, 4570.6),
    Measured("net-cifar-10", 1, 50, 1361.43),
    Measured("net-cifar-10", 2, 50, 2055.15),
    Measured("net-cifar-10", 3, 50, 3411.01),
    Measured("net-cifar-10", 4, 50, 3603.94),
    Measured("net-cifar-10", 5, 50, 3940.61),
    Measured("net-cifar-10", 5, 25, 7876.78),
    Measured("net-cifar-10", 5, 12.5, 15748.83),
    Measured("net-cifar-10", 5, 6.25, 31492.2),
    Measured("net-cifar-10", 5, 3.125, 62978.2),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    corpus = parser.parse_args().corpus
    device = load_device()
    folders = sorted(path.parent for path in corpus.glob("cases/*/meta.json"))
    if not folders:
        return absent(corpus, "corpus")
    different = compare(folders, device)
    off = [row for row in SILICON if abs(report(row, corpus, device)) > LIMIT]
    return 1 if different or off else 0


def compare(folders: Sequence[Path], device: Device) -> list[str]:
    """Print how many cases and layers are equal; names of those that are not."""
    different, layers, streaming = [], 0, 0
    for folder in folders:
        latency: dict[str, Any] = json.loads((folder / "meta.json").read_text())["latency"]
        cycles = costs_json(case_costs(folder, device))["cycles"]
        found = [layer["cycles"] for layer in cycles["layers"]]
        equal = (cycles["total"], found) == (latency["total"], [entry["cycles"] for entry in latency["layers"]])
        if latency["total_is_estimate"]:
            streaming += 1
            continue
        layers += len(found)
        if not equal:
            different.append(folder.name)
    compared = len(folders) - streaming
    print(f"cases equal to the vendor's cycles: {compared - len(different)} of {compared} ({layers:,} layers)")
    print(f"cases that stream, for which the vendor's tool has a guess only: {streaming}, not compared")
    for name in different:
        print(f"  {name} differs")
    return different


def report(row: Measured, corpus: Path, device: Device) -> float:
    """Print and return the relative error on a measured row."""
    layers = case_costs(corpus / "cases" / row.case, device).layers[: row.layers]
    model = sum(layer.cycles.cycles for layer in layers) / row.mhz
    error = model / row.microseconds - 1
    what = f"{row.case}, {'whole' if row.layers is None else f'first {row.layers} layers'}, {row.mhz:g} MHz"
    print(f"  {what:<44} {model:>9,.1f} us, measured {row.microseconds:>9,.1f} us, {error:+.2%}")
    return error


if __name__ == "__main__":
    sys.exit(main())
