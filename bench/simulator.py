"""Speed of the accelerator model on corpus cases: inferences with unchanged weights, and the replay of all cases.

    python -m bench.simulator [CORPUS] [--workers N]

Beside it, in the same run and on the same inputs, a plain convolution: one tensor product per tap in 64-bit integers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from bench.absent import absent
from offramp.corpus import replay

import numpy as np  # isort: skip
from numpy.typing import NDArray  # isort: skip

from offramp.configs.device import load_device
from offramp.simulator import layer
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.config import Kernel

CASES = ("net-mnist", "net-kws20_v3", "net-cifar-10", "net-camvid_unet_nofakept")
REPEATS = 9


def plain_correlate(pixels: NDArray[np.int8], kernel: Kernel, matrices: NDArray[Any]) -> NDArray[np.int64]:
    """`offramp.simulator.layer.correlate` as one would write it first."""
    rows, cols, inputs = pixels.shape
    step = 2 if kernel.transposed else 1
    top, left = kernel.pad_rows, kernel.pad_cols
    image = np.zeros((rows * step + 2 * top, cols * step + 2 * left, inputs), dtype=np.int64)
    image[top : top + rows * step : step, left : left + cols * step : step] = pixels
    height, width = image.shape[0] - kernel.rows + 1, image.shape[1] - kernel.cols + 1
    total = np.zeros((height, width, matrices.shape[2]), dtype=np.int64)
    for tap, matrix in enumerate(matrices.astype(np.int64)):
        row, col = divmod(tap, kernel.cols)
        total += np.tensordot(image[row : row + height, col : col + width], matrix, axes=1)
    return total.reshape(height * width, -1)


def inferences(folder: Path) -> list[float]:
    """Seconds of REPEATS starts of a case after a first one; input and registers are written again each time."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    with np.load(folder / "program.npz", allow_pickle=False) as arrays:
        program = {name: arrays[name] for name in arrays.files}
    accelerator = Accelerator(load_device())
    for phase in meta["phase_order"]:
        replay.play(accelerator, program, phase)
    seconds = []
    for _ in range(REPEATS):
        for phase in ("isr", "configure", "input"):
            replay.play(accelerator, program, phase)
        begin = time.perf_counter()
        replay.play(accelerator, program, "start")
        seconds.append(time.perf_counter() - begin)
    return seconds


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "corpus")
    parser.add_argument("--workers", type=int, default=2, help="processes of the replay (default 2)")
    options = parser.parse_args()
    cases = options.corpus / "cases"
    if not cases.is_dir():
        return absent(options.corpus, "corpus")
    print(f"{'one inference, ms':28} {'model':>8} {'plain':>8} {'ratio':>6}")
    for name in CASES:
        ours = median(inferences(cases / name))
        with patch.object(layer, "correlate", plain_correlate):
            plain = median(inferences(cases / name))
        print(f"{name:28} {ours * 1e3:8.1f} {plain * 1e3:8.1f} {plain / ours:6.1f}")
    arguments = argparse.Namespace(
        cases=[cases], workers=options.workers, cluster=None, device=None, quiet=False, json=False
    )
    seconds = timed(lambda: replay.run(arguments))
    print(f"replay of all cases, {options.workers} processes: {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
