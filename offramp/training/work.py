"""How much training a budget buys: a fixed rate, so that the same spec gives the same result on every machine.

A budget is a time on the two cores of the machine that the rates were taken on (`python -m bench.training` prints them
for another one). Work is counted in nanoseconds of one of these cores.
"""

from __future__ import annotations

from math import prod

from offramp.training.design import Design, shapes_of, weight_shapes

CORES = 2
BATCH = 64  # examples of a step

_SECOND = 10**9
_STEP = 3_000_000  # of a step, whatever the network
_VALUE = 8.0  # of a value that a layer reads after pooling, or writes
_MAC = 0.055  # of a multiply-accumulate: forward, and backward twice
_ANSWER = 30_000  # of an answer of a finished network, whatever the network
_FORWARD = 0.1  # of a multiply-accumulate of it


def budget_work(seconds: int) -> int:
    """Work of a budget."""
    return seconds * CORES * _SECOND


def seconds_of(work: float, cores: int = CORES) -> float:
    """What so much work takes on the machine of the rates."""
    return work / cores / _SECOND


def answer_work(macs: int) -> int:
    """Work of an answer of a finished network, a teacher."""
    return int(_ANSWER + _FORWARD * macs)


def step_work(design: Design) -> int:
    """Work of a training step of BATCH examples."""
    values = sum(one.channels * one.pixels for part in shapes_of(design) for one in (part.pooled, part.written))
    macs = sum(
        prod(shape) * (1 if layer.op == "linear" else one.written.pixels)
        for layer, shape, one in zip(design.layers, weight_shapes(design), shapes_of(design), strict=True)
    )
    return int(_STEP + BATCH * (_VALUE * values + _MAC * macs))
