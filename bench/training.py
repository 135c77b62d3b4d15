"""How long training steps and a teacher's answers take on this machine, beside the rates that budgets are counted by.

`python -m bench.training`; the rates are in offramp/training/work.py. Times are of one core, of this process alone.
"""

from __future__ import annotations

import time

import numpy as np

from offramp.configs.device import load_device
from offramp.planner.ir.network import Shape
from offramp.training.costs import spread
from offramp.training.design import network_of
from offramp.training.fit import fit, weights_of
from offramp.training.fronts import front_designs
from offramp.training.material import flat_logits
from offramp.training.task import Copy, FitTask, Recipe, TrainingData
from offramp.training.work import BATCH, answer_work, step_work

STEPS = 20
ANSWERS = 500
_MS = 1e6  # nanoseconds


def main() -> None:
    """Print the table."""
    device = load_device()
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (4 * BATCH, 1, 28, 28)).astype(np.int8)
    data = TrainingData((Copy(x),), rng.integers(0, 10, len(x)))
    print(f"{'cycles':>8} {'MACs':>10} {'step, ms':>9} {'rate':>9} {'answer, ms':>11} {'rate':>9}")
    for one in spread(front_designs(Shape(1, 28, 28), "CHW", 10, 8, device, 60_000), 8):
        task = FitTask(one.design, Recipe(batch=BATCH), 1, 100, 2)
        state = fit(data, task)  # what is slow only once
        began = time.process_time()
        fit(data, FitTask(one.design, Recipe(batch=BATCH), 1, 100, 2 + STEPS, state))
        step = (time.process_time() - began) / STEPS
        network = network_of(one.design, device, weights_of(one.design, state))
        images = rng.integers(-128, 128, (ANSWERS, 1, 28, 28)).astype(np.int8)
        began = time.process_time()
        flat_logits(network, images)
        answer = (time.process_time() - began) / ANSWERS
        rates = (step_work(one.design) / _MS, answer_work(one.macs) / _MS)
        print(f"{one.cycles:8,} {one.macs:10,} {1e3 * step:9.2f} {rates[0]:9.2f} {1e3 * answer:11.3f} {rates[1]:9.3f}")


if __name__ == "__main__":
    main()
