"""Fit the energy coefficients of the device file to published measurements, and test them on rows kept out of the fit.

    python -m bench.energy_fit [--yaml]

Prints the error on every row, and whether coefficients and errors in configs/max78000.yaml are those of the fit (exit
code 1 if they are not). `--yaml`: what the device file has to hold instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offramp.configs.device import load_device
from offramp.configs.lines import load_yaml
from offramp.configs.registers import EnergyError

ROWS = Path(__file__).with_name("energy_rows.yaml")
FEMTOJOULES = 10**9  # in a microjoule
USES = {"fit": "rows of the fit", "again": "the same once more", "test": "rows kept out of the fit"}


@dataclass(frozen=True)
class Row:
    """A measured energy and what it is made of: `counts[i]` times the coefficient `names[i]` of the device file."""

    name: str
    source: str
    microjoules: float
    use: str  # fit, again (what is in the fit, measured in another way) or test
    names: tuple[str, ...]
    counts: tuple[float, ...]

    @property
    def part(self) -> str:
        return "core" if self.names == ("core_cycle_fj",) else "layers"

    def error(self, coefficients: Mapping[str, int]) -> float:
        """Relative error of the model: 0.01 is one percent too much."""
        modelled = sum(coefficients[name] * count for name, count in zip(self.names, self.counts, strict=True))
        return modelled / FEMTOJOULES / self.microjoules - 1


def read_rows(path: Path = ROWS) -> tuple[Row, ...]:
    """All measured rows, of layers and of the core."""
    data = load_yaml(path, path.name)
    idle = load_device().energy["idle_uw"]
    layers = [_layer_row(row, data["networks"][row["network"]]) for row in data["layers"]]
    return (*layers, *(_core_row(row, idle) for row in data["core"]))


def _layer_row(row: Mapping[str, Any], network: Sequence[Sequence[int]]) -> Row:
    layers = network[row.get("first", 0) : row.get("last", len(network) - 1) + 1]
    each_cycle = sum(processors * cycles for processors, _, cycles in layers)
    each_tap = sum(processors * taps * cycles for processors, taps, cycles in layers)
    energy = row["uj"] - row.get("less", 0)
    names = ("processor_cycle_fj", "tap_cycle_fj")
    return Row(row["name"], row["source"], energy, row["use"], names, (each_cycle, each_tap))


def _core_row(row: Mapping[str, Any], idle_microwatts: int) -> Row:
    energy = row["uj"] - (row["us"] * idle_microwatts / 10**6 if row.get("idle", False) else 0)
    cycles = row["us"] * row["mhz"]
    return Row(row["name"], row["source"], energy, row["use"], ("core_cycle_fj",), (cycles,))


def errors_of(rows: Sequence[Row], coefficients: Mapping[str, int]) -> tuple[EnergyError, ...]:
    """The error on every row, as the device file keeps it."""
    return tuple(
        EnergyError(row.name, row.source, row.part, row.use, round(1000 * row.error(coefficients))) for row in rows
    )


def fit(rows: Sequence[Row]) -> dict[str, int]:
    """Coefficients with the least sum of squared relative errors on the fitted rows, in whole femtojoules."""
    coefficients: dict[str, int] = {}
    for names in dict.fromkeys(row.names for row in rows):
        used = [row for row in rows if row.use == "fit" and row.names == names]
        relative = np.array([[count / row.microjoules for count in row.counts] for row in used])
        solution, *_ = np.linalg.lstsq(relative, np.full(len(used), FEMTOJOULES), rcond=None)
        coefficients |= {name: round(value) for name, value in zip(names, solution.tolist(), strict=True)}
    return coefficients


def report(rows: Sequence[Row], coefficients: Mapping[str, int], say: Callable[[str], None]) -> None:
    """The error on each row, and how large they are in each use and kind."""
    for use, title in USES.items():
        say(f"{title:<40} {'source':<16} {'measured uJ':>11} {'error':>8}")
        for names in dict.fromkeys(row.names for row in rows):
            errors = []
            for row in rows:
                if row.use == use and row.names == names:
                    errors.append(row.error(coefficients))
                    say(f"  {row.name:<38} {row.source:<16} {row.microjoules:>11.2f} {errors[-1]:>+8.1%}")
            if sizes := [abs(error) for error in errors]:
                what = next(row.part for row in rows if row.names == names)
                mean, median = np.mean(sizes), np.median(sizes)
                say(f"    errors, {what}: mean {mean:.1%}, median {median:.1%}, largest {max(sizes):.1%}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yaml", action="store_true", help="print what the device file has to hold")
    args = parser.parse_args(arguments)
    rows = read_rows()
    fitted = fit(rows)
    errors = errors_of(rows, fitted)
    if args.yaml:
        print("".join(f"  {name}: {value}\n" for name, value in fitted.items()) + "\nenergy_errors:")
        for one in errors:
            names = f'row: "{one.row}", source: {one.source}'
            print(f"  - {{{names}, part: {one.part}, use: {one.use}, permille: {one.permille}}}")
        return 0
    report(rows, fitted, print)
    device = load_device()
    stated = {name: device.energy[name] for name in fitted}
    for name, value in fitted.items():
        print(f"{name:<20} {value:>8}   device file: {stated[name]:>8}")
    same = stated == fitted and device.energy_errors == errors
    print("the device file holds the fit and its errors" if same else "the device file DIFFERS from the fit")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
