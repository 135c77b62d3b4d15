"""A stage's confidence in its answer, in integer arithmetic: the twin of codegen/static/src/offramp_confidence.c.

Both give the same bits. Logits are int32 with `fraction_bits` fraction bits (real value = logit * 2**-fraction_bits),
multiplied by a temperature with 16 fraction bits. Measures:

margin           largest minus second largest logit, in the units of the logits; independent of the temperature
max_probability  largest softmax probability, 16 fraction bits, 0..65536
entropy          of the softmax, in nats, 16 fraction bits, 0..454266 (1024 classes)
largest_logit    in the units of the logits, 0 if it is negative; of hardware exits, C has it in offramp_stage.c
gate             the same of the last output, which is no class; of hardware exits, as above

Softmax: with d = largest logit - logit, exp(-d) = 2**-e, e = d * log2(exp(1)) with 24 fraction bits; the upper five
fraction bits of e index a table of 2**(-i/32), the rest goes into 1 - u + u*u/2. A class with e >= 28 counts as 0.
Error against exact arithmetic, for up to 1024 classes: max_probability below 2**-15, entropy below 2**-12 nats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from offramp.planner.ir.measure import HARDWARE, LARGEST_LOGIT, Measure
from offramp.planner.ir.network import Layer

Logits = npt.NDArray[np.int32]  # (N, classes)
Words = npt.NDArray[np.uint64]

MAX_CLASSES = 1024  # for which the errors above hold
MAX_FRACTION_BITS = 31
MAX_TEMPERATURE_Q16 = 64 << 16
Q16 = 1 << 16

LOG2E_Q31 = 3098164009  # round(log2(exp(1)) * 2**31)
LN2_Q31 = 1488522236  # round(log(2) * 2**31)
LN2_Q32 = 2977044472  # round(log(2) * 2**32)
POWERS_Q31 = np.array([round(2 ** (31 - i / 32)) for i in range(32)], np.uint64)
_CUT_OFF = 28  # 2**-28 is the unit of the weights
_WEIGHT_BITS = 28
_EXPONENT_BITS = 24
_ENTROPY_BITS = 20


def gives_logits(layer: Layer) -> bool:
    """Whether a layer's outputs are one logit a class, by their shape: a single pixel of 2..1024 channels."""
    return layer.out_shape.pixels == 1 and 2 <= layer.out_shape.channels <= MAX_CLASSES


def confidence(
    measure: Measure, logits: Logits, fraction_bits: int, temperature_q16: int = Q16
) -> npt.NDArray[np.uint32]:
    """Confidence of each row of `logits`, int32 (N, classes), for `gate` (N, classes + 1): uint32 (N,) in the unit of
    the measure.

    ValueError unless there are 2..1024 classes, 0..31 fraction bits and a temperature of 1..64 * 2**16.
    """
    _check(logits, fraction_bits, temperature_q16)
    wide = logits.astype(np.int64)
    if measure == "margin":
        ordered = np.partition(wide, -2, axis=1)
        return (ordered[:, -1] - ordered[:, -2]).astype(np.uint32)
    if measure in HARDWARE:
        values = wide.max(axis=1) if measure == LARGEST_LOGIT else wide[:, -1]
        found: npt.NDArray[np.uint32] = np.maximum(values, 0).astype(np.uint32)
        return found
    below = (wide.max(axis=1, keepdims=True) - wide).astype(np.uint64)
    exponents, weights = _powers(below, fraction_bits, temperature_q16)
    if measure == "max_probability":
        return _max_probability(weights.sum(axis=1))
    return _entropy(exponents, weights)


def confident(
    measure: Measure, values: npt.NDArray[np.uint32], threshold: int | npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether each value lets its stage answer: at least the threshold, or at most it for entropy. One threshold, or
    one for each value."""
    sure: npt.NDArray[np.bool_] = values <= threshold if measure == "entropy" else values >= threshold
    return sure


def to_threshold(measure: Measure, real_value: float, fraction_bits: int) -> int:
    """A threshold in real units (logits, probability, nats) in the unit of the measure, rounded to nearest.

    ValueError if it does not fit 32 bits.
    """
    largest = ((1 << 32) - 1) / unit(measure, fraction_bits)
    if not 0 <= real_value <= largest:
        raise ValueError(f"a threshold of {real_value:g} is outside 0..{largest:g}")
    return round(real_value * unit(measure, fraction_bits))


def to_real(measure: Measure, value: int, fraction_bits: int) -> float:
    """Inverse of `to_threshold`: a confidence or threshold in logits, as a probability, or in nats."""
    return value / unit(measure, fraction_bits)


def to_q16(temperature: float) -> int:
    """A temperature, the factor of the logits, with 16 fraction bits. ValueError outside 2**-16..64."""
    if not 1 / Q16 <= temperature <= MAX_TEMPERATURE_Q16 / Q16:
        raise ValueError(f"a temperature of {temperature:g} is outside {1 / Q16:.1e}..{MAX_TEMPERATURE_Q16 >> 16}")
    return round(temperature * Q16)


def unit(measure: Measure, fraction_bits: int) -> int:
    """How much of a confidence's integer unit is 1 in real units."""
    return 1 << fraction_bits if measure in ("margin", *HARDWARE) else Q16


def _check(logits: Logits, fraction_bits: int, temperature_q16: int) -> None:
    if logits.dtype != np.int32 or logits.ndim != 2:
        raise ValueError(f"logits are {logits.dtype} with {logits.ndim} dimensions, not int32 (N, classes)")
    if not 2 <= logits.shape[1] <= MAX_CLASSES:
        raise ValueError(f"{logits.shape[1]} classes; 2..{MAX_CLASSES} are allowed")
    if not 0 <= fraction_bits <= MAX_FRACTION_BITS:
        raise ValueError(f"{fraction_bits} fraction bits; 0..{MAX_FRACTION_BITS} are allowed")
    if not 1 <= temperature_q16 <= MAX_TEMPERATURE_Q16:
        raise ValueError(f"temperature {temperature_q16}; 1..{MAX_TEMPERATURE_Q16} are allowed")


def _powers(below: Words, fraction_bits: int, temperature_q16: int) -> tuple[Words, Words]:
    """(e, 24 fraction bits; 2**-e, 28 fraction bits) of distances to the largest logit, each uint64 (N, classes)."""
    scale, exponent = temperature_q16 * LOG2E_Q31, 16 + 31
    while scale >> 32:  # a 32-bit mantissa, so that the product with a distance fits 64 bits
        scale >>= 1
        exponent -= 1
    exponents = (below * np.uint64(scale)) >> np.uint64(exponent + fraction_bits - _EXPONENT_BITS)
    counts = exponents < np.uint64(_CUT_OFF << _EXPONENT_BITS)
    exponents = np.where(counts, exponents, np.uint64(0))
    whole = exponents >> np.uint64(_EXPONENT_BITS)
    index = (exponents >> np.uint64(19)) & np.uint64(31)
    rest = (exponents & np.uint64(0x7FFFF)) << np.uint64(7)  # 31 fraction bits
    u = (rest * np.uint64(LN2_Q31)) >> np.uint64(31)
    polynomial = np.uint64(1 << 31) - u + ((u * u) >> np.uint64(32))
    weights = (POWERS_Q31[index] * polynomial) >> (np.uint64(62 - _WEIGHT_BITS) + whole)
    return exponents, np.where(counts, weights, np.uint64(0))


def _max_probability(total: Words) -> npt.NDArray[np.uint32]:
    """The largest weight is 1; its share of the sum, rounded to 16 bits."""
    doubled = np.uint64(1 << (_WEIGHT_BITS + 17)) // total
    rounded: npt.NDArray[np.uint32] = ((doubled + np.uint64(1)) >> np.uint64(1)).astype(np.uint32)
    return rounded


def _entropy(exponents: Words, weights: Words) -> npt.NDArray[np.uint32]:
    """ln 2 * (log2(sum of weights) + mean exponent)."""
    total = weights.sum(axis=1)
    moment = ((weights * exponents) >> np.uint64(_EXPONENT_BITS)).sum(axis=1)
    bits = _log2(total) + (moment << np.uint64(_ENTROPY_BITS)) // total
    shift = 32 + _ENTROPY_BITS - 16
    nats = (bits * np.uint64(LN2_Q32) + np.uint64(1 << (shift - 1))) >> np.uint64(shift)
    rounded: npt.NDArray[np.uint32] = nats.astype(np.uint32)
    return rounded


def _log2(total: Words) -> Words:
    """log2 of a sum of weights (28 fraction bits, at least 1) with 20 fraction bits, bit by bit by squaring."""
    whole = np.zeros_like(total)
    for step in range(1, MAX_CLASSES.bit_length()):
        whole += total >> np.uint64(_WEIGHT_BITS + step) != 0
    mantissa = (total << np.uint64(31 - _WEIGHT_BITS)) >> whole  # 1..2, 31 fraction bits
    result = whole
    for _ in range(_ENTROPY_BITS):
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        carry = mantissa >> np.uint64(32)
        mantissa >>= carry
        result = (result << np.uint64(1)) | carry
    return result
