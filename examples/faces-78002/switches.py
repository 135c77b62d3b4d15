"""Prints the README's table: what a switch to each model writes here, and in the vendor's demonstration.

Ours is read from the build's report.json, the vendor's counted in the sources of its demonstration
(Examples/MAX78002/CNN/facial_recognition of https://github.com/analogdevicesinc/msdk): the writes of constants to the
accelerator's control registers in front of each start, and the bias bytes that are loaded in front of it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from offramp.configs.records import read_json

HERE = Path(__file__).parent
# Model, number of the vendor's network, and the source that starts it.
MODELS = (("detect", 1, "facedetection.c"), ("embed", 2, "faceID.c"), ("persons", 3, "faceID.c"))
CONSTANT = re.compile(r"\*\(\(volatile uint32_t \*\)0x5[0-4]0000(?:00|08)\) = 0x[0-9a-f]+;")
LOAD_OR_START = re.compile(r"cnn_(\d)_(load_bias|start)\(\);")
BIAS_BYTES = re.compile(r"memcpy_8to32\(\(uint32_t \*\)0x[0-9a-f]+, bias_\d, sizeof\(uint8_t\) \* (\d+)\);")
WORD = re.compile(r"0x[0-9a-f]{8}")


class Switch(NamedTuple):
    """Words that are written before a model can be started, the start and the input not counted."""

    registers: int
    biases: int


def vendor_switch(folder: Path, number: int, source: str) -> Switch:
    """Of the vendor's network `number`. ValueError if its start is not found."""
    registers = biases = 0
    for line in (folder / "src" / source).read_text(encoding="utf-8").splitlines():
        registers += bool(CONSTANT.search(line))
        if found := LOAD_OR_START.search(line):
            if found[2] == "load_bias":
                biases = bias_bytes(folder, int(found[1]))
            elif int(found[1]) == number:
                return Switch(registers, biases)
            else:
                registers = biases = 0
    raise ValueError(f"{folder / 'src' / source} does not start network {number}")


def bias_bytes(folder: Path, number: int) -> int:
    """Bias bytes of the vendor's network, each of which is written as a word."""
    text = (folder / "src" / f"cnn_{number}.c").read_text(encoding="utf-8")
    return sum(map(int, BIAS_BYTES.findall(text)))


def weight_bytes(folder: Path, number: int) -> int:
    """Bytes of the vendor's table of kernels."""
    text = (folder / "include" / f"weights_{number}.h").read_text(encoding="utf-8")
    return 4 * len(WORD.findall(text.split(f"KERNELS_{number}")[1]))


def our_switches(build: Path) -> dict[str, tuple[Switch, int]]:
    """By model, with its weight words."""
    report = read_json(build / "report.json", "a report")
    entries = report["entries"]
    return {one["model"]: (Switch(one["register_writes"], one["bias_words"]), one["weight_words"]) for one in entries}


def print_table(build: Path, folder: Path) -> None:
    print(
        "| to | registers | bias words | weight words | registers, vendor | bias words, vendor | weight words, vendor |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ours = our_switches(build)
    for model, number, source in MODELS:
        switch, weights = ours[model]
        vendor = vendor_switch(folder, number, source)
        cells = (switch.registers, switch.biases, weights, vendor.registers, vendor.biases, 0)
        print(f"| {model} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    print()
    tables = sum(weight_bytes(folder, number) + bias_bytes(folder, number) for _, number, _ in MODELS)
    print(f"Tables of weights and biases of the vendor's: {tables:,} bytes.")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="what `offramp build faces.yaml` wrote")
    parser.add_argument("vendor", type=Path, help="the vendor's facial_recognition")
    options = parser.parse_args(arguments)
    print_table(options.build, options.vendor)


if __name__ == "__main__":
    main()
