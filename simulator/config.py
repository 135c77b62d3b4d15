"""What the registers of one layer say, decoded: frozen values in the hardware's terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offramp.simulator.arithmetic import Eltwise


@dataclass(frozen=True)
class Run:
    """Settings of a start, from CTRL: which quadrants take part and the switches that hold for all layers.

    `binary`: weights of one bit are +1 and -1.
    """

    master: int
    quadrants: tuple[int, ...]  # ascending, master included
    stream: bool
    fifo: bool
    pool_round: bool
    stream_chw: bool | None = None  # None: the device does not ask for it
    pipeline: bool = False
    binary: bool = False
    first: int = 0  # the layer with which it begins
    one_shot: bool = False
    bus_clock: bool = False


@dataclass(frozen=True)
class Input:
    """Where a layer reads: `rows` x `cols` pixels from word `word` on, `passes` x `operands` words a pixel (HWC)."""

    word: int
    rows: int
    cols: int
    whole: bool  # False: rows that no pooling window reaches are not counted in `rows`
    passes: int
    operands: int
    op: Eltwise | None
    pool_first: bool
    parallel: bool  # CHW: one channel an instance, four pixels a word
    pixel_step: int  # words from a pixel to the next one (HWC)
    ahead: bool  # read ahead of the computation
    ahead_in_passes: bool  # and in several passes at a time

    @cached_property
    def words_per_pixel(self) -> int:
        return self.passes * self.operands

    @cached_property
    def words(self) -> int:
        """Words from the first to the last one that the layer reads in each instance."""
        if self.parallel:
            return -(-self.rows * self.cols // 4)
        return (self.rows * self.cols - 1) * self.pixel_step + self.words_per_pixel

    @cached_property
    def index(self) -> slice | NDArray[np.intp]:
        """Which words those are, in order."""
        if self.parallel or self.pixel_step == self.words_per_pixel:
            return slice(self.word, self.word + self.words)
        pixels = np.arange(self.rows * self.cols)[:, None] * self.pixel_step
        return (self.word + pixels + np.arange(self.words_per_pixel)).reshape(-1)


@dataclass(frozen=True)
class Pooling:
    """Window and stride; a stride without a window samples every stride-th row and column.

    `windows`: how many there are down and across; `dilation`: of rows and columns, distance of a window's samples.
    """

    windows: tuple[int, int]
    rows: int
    cols: int
    dilation: tuple[int, int]
    stride: int
    average: bool
    round: bool  # average: to nearest instead of toward zero

    @cached_property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first to the last sample of a window."""
        return (self.rows - 1) * self.dilation[0] + 1, (self.cols - 1) * self.dilation[1] + 1


class Depthwise(Enum):
    """Where a depthwise layer writes: each channel in the lane where it was read, or one after the other."""

    BROADCAST = "broadcast"
    MOVING = "moving"


@dataclass(frozen=True)
class Kernel:
    """Kernels of a convolution. `slots` counts output positions of all output passes (depthwise: of a channel, 1).

    `bypass`: every weight is 1. `binary`: weights are +1 and -1. `four_outputs`: slots take turns in the four physical
    weight memories.
    """

    rows: int
    cols: int
    pad_rows: int
    pad_cols: int
    transposed: bool
    bits: int
    slots: int
    slots_per_pass: int
    depthwise: Depthwise | None = None
    bypass: bool = False
    binary: bool = False
    four_outputs: bool = False

    @cached_property
    def taps(self) -> int:
        return self.rows * self.cols


@dataclass(frozen=True)
class Output:
    """Where and how results are written. Steps are in words."""

    group_step: int  # per four slots; pass-through: per time slot
    pass_step: int
    pixel_step: int
    wide: bool
    shift: int
    relu: bool
    absolute: bool


@dataclass(frozen=True)
class Stream:
    """How a layer follows the one before it (registers that slots 0..7 have). All in words of the input."""

    start: int  # words that must be there before the layer begins
    input_volume: int
    row_delta: int
    multi_row_delta: int
    words: int  # circular buffer; 0: the layer does not stream
    row_buffer: int  # where its row buffer begins


@dataclass(frozen=True)
class Quadrant:
    """A quadrant's own part of a layer. Processors count over all quadrants, 0..63."""

    quadrant: int
    processors: tuple[int, ...]
    counter: int  # kernel counter of the first kernel: unit * 8 + bit
    start_byte: int
    bias_start: int | None
    write_base: int


@dataclass(frozen=True, eq=False)
class LayerConfig:
    """One layer. `quadrants`: a convolution's contributors, master first; a pass-through layer's users.

    Compared by identity: decoding is cached by register content, so equal registers give the same object.
    """

    layer: int
    input: Input
    pooling: Pooling
    kernel: Kernel | None  # None: pass-through or element-wise only
    output: Output
    quadrants: tuple[Quadrant, ...]
    stream: Stream | None  # None where the slot has no stream registers
    row_buffer: int  # length of the row buffer - 1, from TPTR
    streaming: bool

    @cached_property
    def processors(self) -> tuple[int, ...]:
        """All processors that read, ascending by quadrant as in `quadrants`."""
        return tuple(processor for quadrant in self.quadrants for processor in quadrant.processors)

    @cached_property
    def writers(self) -> tuple[Quadrant, ...]:
        """The quadrants that write results of their own: the master of a convolution, otherwise all that read."""
        if self.kernel and not self.kernel.depthwise:
            return self.quadrants[:1]
        return tuple(quadrant for quadrant in self.quadrants if quadrant.processors)

    @cached_property
    def out_rows(self) -> int:
        return self._out_size(self.pooled_rows, 0)

    @cached_property
    def out_cols(self) -> int:
        return self._out_size(self.pooled_cols, 1)

    @cached_property
    def out_pixels(self) -> int:
        """Words written per slot group and output pass (pass-through: input passes are written one after another)."""
        return self.out_rows * self.out_cols * (1 if self.kernel else self.input.passes)

    def _out_size(self, size: int, axis: int) -> int:
        kernel = self.kernel
        if kernel is None:
            return size
        pad, taps = ((kernel.pad_rows, kernel.rows), (kernel.pad_cols, kernel.cols))[axis]
        return size * (2 if kernel.transposed else 1) + 2 * pad - taps + 1

    @property
    def pooled_rows(self) -> int:
        return self.pooling.windows[0]

    @property
    def pooled_cols(self) -> int:
        return self.pooling.windows[1]
