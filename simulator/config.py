"""What the registers of one layer say, decoded: frozen values in the hardware's terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from offramp.simulator.arithmetic import Eltwise


@dataclass(frozen=True)
class Run:
    """Settings of a start, from CTRL: which quadrants take part and the switches that hold for all layers."""

    master: int
    quadrants: tuple[int, ...]  # ascending, master included
    stream: bool
    fifo: bool
    pool_round: bool


@dataclass(frozen=True)
class Input:
    """Where a layer reads: `rows` x `cols` pixels from word `word` on, `passes` x `operands` words a pixel (HWC)."""

    word: int
    rows: int
    cols: int
    passes: int
    operands: int
    op: Eltwise | None
    pool_first: bool
    parallel: bool  # CHW: one channel an instance, four pixels a word

    @cached_property
    def words_per_pixel(self) -> int:
        return self.passes * self.operands

    @cached_property
    def words(self) -> int:
        """Words that the layer occupies in each instance."""
        return -(-self.rows * self.cols // 4) if self.parallel else self.rows * self.cols * self.words_per_pixel


@dataclass(frozen=True)
class Pooling:
    """Window and stride; a stride without a window samples every stride-th row and column."""

    rows: int
    cols: int
    stride: int
    average: bool
    round: bool  # average: to nearest instead of toward zero

    def pooled(self, size: int, window: int) -> int:
        """Windows that fit in `size` samples."""
        return (size - window) // self.stride + 1


@dataclass(frozen=True)
class Kernel:
    """Kernels of a convolution. `slots` counts output positions of all output passes."""

    rows: int
    cols: int
    pad_rows: int
    pad_cols: int
    transposed: bool
    bits: int
    slots: int
    slots_per_pass: int

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

    @cached_property
    def pooled_rows(self) -> int:
        return self.pooling.pooled(self.input.rows, self.pooling.rows)

    @cached_property
    def pooled_cols(self) -> int:
        return self.pooling.pooled(self.input.cols, self.pooling.cols)
