"""What values mean, and the int8 that the accelerator gets for them.

Two rules are in use for 8-bit pixels p. The vendor trains with `ai8x.normalize` behind torchvision's `ToTensor`
(ai8x-training, ai8x.py, class `normalize`): clip(round((p / 255 - 0.5) * 256), -128, 127), in 32-bit floats. A camera's
byte is turned into p - 128 with one exclusive-or (its README.md, "Normalizing Input Data"). They differ for 128 to 254.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.source import Samples, Source

Numbers = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]

RANGES: Mapping[str, tuple[int, int]] = {"unit": (0, 1), "signed": (-1, 1), "pixels": (0, 255), "int8": (-128, 127)}
_MEANING = {
    "unit": "fractions from 0 to 1",
    "signed": "fractions from -1 to 1",
    "pixels": "whole numbers from 0 to 255",
    "int8": "whole numbers from -128 to 127, as the accelerator gets them",
}
_WHOLE = ("pixels", "int8")
_RAW = ("unit", "pixels")  # not normalized yet
METHODS = ("ai8x", "minus-128", "none")


@dataclass(frozen=True)
class Normalization:
    """What was done with the values. `differing`: how many of `values` the two rules for pixels give differently;
    `rounded`, `clipped`: values from -1 to 1 that are no multiples of 1/128, and that are above 127/128."""

    range: str
    stated: bool
    lowest: float
    highest: float
    method: str
    values: int
    differing: int
    rounded: int
    clipped: int

    def text(self) -> tuple[str, ...]:
        """For the user."""
        how = "as stated" if self.stated else "recognised"
        found = f"values: {_MEANING[self.range]} ({how}; {self.lowest:g} to {self.highest:g})"
        if self.range == "int8":
            return found, "normalization: none"
        if self.range == "signed":
            changed = f"{self.rounded:,} were rounded, {self.clipped:,} clipped at 127"
            return found, f"normalization: none but times 128; of {self.values:,} values {changed}"
        formula = "clip(round((p / 255 - 0.5) * 256))" if self.method == "ai8x" else "p - 128"
        share = 100 * self.differing / max(1, self.values)
        other = "minus-128" if self.method == "ai8x" else "ai8x"
        compared = f"{other} would give {self.differing:,} of {self.values:,} values differently ({share:.1f} %)"
        return found, f"normalization: {self.method}, {formula}; {compared}"


def normalized(source: Source, method: str | None = None, stated: str | None = None) -> tuple[Source, Normalization]:
    """The source with int8 values, and what was done.

    `method`: one of METHODS; None: the vendor's (`ai8x`) for pixels and fractions from 0 to 1, none for the others.
    `stated`: what the values are, one of RANGES; None: it is recognised. InputError if it cannot be, if values are not
    in the range, or if the method does not fit it.
    """
    where = Where(source.name)
    kind, lowest, highest = range_of(source, stated)
    chosen = method or ("ai8x" if kind in _RAW else "none")
    if (chosen == "none") == (kind in _RAW):
        fitting = "ai8x or minus-128" if kind in _RAW else "none"
        message = f"normalization `{chosen}` (--normalize) of {_MEANING[kind]}: {fitting} is possible"
        raise InputError(Diagnostic(where, message))
    counts = {"differing": 0, "rounded": 0, "clipped": 0}
    parts = [Samples(_converted(part, kind, chosen, counts), part.y, part.groups) for part in source.parts]
    done = Source(
        source.name, source.kind, parts[0], parts[1] if len(parts) > 1 else None, source.classes, source.notes
    )
    values = sum(part.x.size for part in parts)
    return done, Normalization(kind, stated is not None, lowest, highest, chosen, values, **counts)


def range_of(source: Source, stated: str | None) -> tuple[str, float, float]:
    """What the values of all parts are (a key of RANGES), the lowest and the highest. InputError if that is not clear,
    or they are not what is `stated`."""
    where = Where(source.name)
    lowest, highest, whole = _extent(source)
    if not source.samples.x.size:
        raise InputError(Diagnostic(where, "there are no values"))
    text = f"values from {lowest:g} to {highest:g}, {'all whole' if whole else 'not all whole'}"
    if stated:
        low, high = RANGES[stated]
        if not (low <= lowest and highest <= high and (whole or stated not in _WHOLE)):
            raise InputError(Diagnostic(where, f"{text}; {_MEANING[stated]} are stated (--range)"))
        return stated, lowest, highest
    kind = source.samples.x.dtype
    fitting = [name for name in RANGES if _fits(name, kind, lowest, highest, whole)]
    if len(fitting) != 1:
        known = ", ".join(f"{name} ({_MEANING[name]})" for name in fitting or RANGES)
        problem = "which may be" if fitting else "which are none of"
        raise InputError(Diagnostic(where, f"{kind} {text}, {problem}: {known}. Say which (--range), or change them"))
    return fitting[0], lowest, highest


def _extent(source: Source) -> tuple[float, float, bool]:
    """The lowest and highest value, and whether all are whole. InputError for what is no number."""
    lowest, highest, whole = np.inf, -np.inf, True
    for part in source.parts:
        if part.x.dtype.kind not in "biuf":
            raise InputError(Diagnostic(Where(source.name), f"`x` is {part.x.dtype}; numbers are expected"))
        for batch in part.batches():
            low, high = float(batch.min()), float(batch.max())
            if not np.isfinite(low) or not np.isfinite(high):
                raise InputError(Diagnostic(Where(source.name), "`x` has values that are no finite numbers"))
            lowest, highest = min(lowest, low), max(highest, high)
            whole = whole and (batch.dtype.kind != "f" or bool((batch == np.rint(batch)).all()))
    return lowest, highest, whole


def _fits(name: str, kind: np.dtype[Any], lowest: float, highest: float, whole: bool) -> bool:
    """Whether these values are probably meant in this way. Small whole numbers fit several."""
    low, high = RANGES[name]
    if not low <= lowest <= highest <= high or (name in _WHOLE and not whole):
        return False
    if kind == np.int8:
        return name == "int8"
    if kind == np.uint8:
        return name == "pixels" or (name == "unit" and highest <= 1)
    if kind.kind in "bf" and lowest >= -1 and highest <= 1:
        return name == ("unit" if lowest >= 0 else "signed")
    return name in _WHOLE


def _converted(part: Samples, kind: str, method: str, counts: dict[str, int]) -> Int8:
    """The samples as int8; what is worth telling is added to `counts`."""
    converted = np.empty(part.x.shape, np.int8)
    first = 0
    for batch in part.batches():
        into = converted[first : first + len(batch)]
        if kind in _RAW:
            pixels = batch if kind == "pixels" else np.rint(batch.astype(np.float32) * 255)
            results = {"ai8x": ai8x_values(batch, kind), "minus-128": minus_128(pixels)}
            into[:] = results[method]
            counts["differing"] += int((results["ai8x"] != results["minus-128"]).sum())
        elif kind == "signed":
            scaled = batch.astype(np.float32) * 128
            counts["rounded"] += int((scaled != np.rint(scaled)).sum())
            counts["clipped"] += int((np.rint(scaled) > 127).sum())
            into[:] = np.clip(np.rint(scaled), -128, 127)
        else:
            into[:] = batch
        first += len(batch)
    return converted


def ai8x_values(values: Numbers, kind: str) -> Int8:
    """What ai8x.normalize gives, in the same 32-bit floats, for pixels or (`kind` unit) fractions from 0 to 1."""
    fractions = values.astype(np.float32) if kind == "unit" else values.astype(np.float32) / np.float32(255)
    scaled = np.rint((fractions - np.float32(0.5)) * np.float32(256))
    result: Int8 = np.clip(scaled, -128, 127).astype(np.int8)
    return result


def minus_128(pixels: Numbers) -> Int8:
    """Pixels less 128."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def folded(samples: Samples, factor: int, where: Where) -> Samples:
    """Each square of `factor` x `factor` pixels as channels of one pixel, as ai8x-training's class `fold` (ai8x.py)
    orders them: the row within the square first, then the column, then the channel.

    InputError if rows or columns are no multiples of it.
    """
    count, channels, rows, cols = samples.x.shape
    if rows % factor or cols % factor:
        message = f"images of {rows} x {cols} pixels cannot be folded by {factor}: both must be multiples of it"
        raise InputError(Diagnostic(where, message))
    squares = samples.x.reshape(count, channels, rows // factor, factor, cols // factor, factor)
    x = squares.transpose(0, 3, 5, 1, 2, 4).reshape(count, -1, rows // factor, cols // factor)
    return Samples(np.ascontiguousarray(x), samples.y, samples.groups)
