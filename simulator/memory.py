"""The accelerator's memories. Every byte knows whether it was ever written, because power-up content is not 0.

With `noise` there is no undefined byte: what would be undefined becomes noise, which counts as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.noise import Noise

GARBAGE = 0xA5  # stands for power-up content; nothing may depend on it
WORD_BYTES = 4
ALL_VALID = 0x01010101  # a word's four validity bytes


class DataMemory:
    """Data memory instances of 32-bit words, four byte lanes each (UG7456 27.3).

    `bytes`: int8 (instances, words, 4); `valid`: bool of the same shape; `words` and `word_valid`: the same storage as
    uint32 (instances, words). Bytes are little-endian within a word.
    """

    def __init__(self, instances: int, words: int, noise: Noise | None = None) -> None:
        self.bytes: NDArray[np.int8] = np.full((instances, words, WORD_BYTES), GARBAGE, dtype=np.uint8).view(np.int8)
        self.valid: NDArray[np.bool_] = np.zeros((instances, words, WORD_BYTES), dtype=np.bool_)
        self.words: NDArray[np.uint32] = self.bytes.view("<u4")[..., 0]
        self.word_valid: NDArray[np.uint32] = self.valid.view("<u4")[..., 0]
        self._causes: list[str] = []
        self._cause: NDArray[np.int16] = np.zeros((instances, words), dtype=np.int16)
        self._noise = noise
        if noise:
            self.forget(slice(None))

    @property
    def size(self) -> int:
        """Words of an instance."""
        return int(self.words.shape[1])

    def write(self, instance: NDArray[np.intp], word: NDArray[np.intp], values: NDArray[np.uint32]) -> None:
        """Bus writes in order: whole words become valid; the last write to a word stays."""
        self.words[instance, word] = values
        self.word_valid[instance, word] = ALL_VALID

    def clear(self, instances: slice) -> None:
        """Write 0 everywhere (memory self test)."""
        self.words[instances] = 0
        self.word_valid[instances] = ALL_VALID

    def forget(self, instances: slice, words: slice = slice(None)) -> None:
        """The content becomes undefined (power-down, circular buffers of streaming layers)."""
        if self._noise:
            self.words[instances, words] = self._noise.like(self.words[instances, words])
        self.word_valid[instances, words] = ALL_VALID if self._noise else 0
        self._cause[instances, words] = 0

    def spoil(self, instance: int, words: slice, lanes: slice) -> None:
        """Some byte lanes of some words become undefined."""
        if self._noise:
            self.bytes[instance, words, lanes] = self._noise.like(self.bytes[instance, words, lanes])
        self.valid[instance, words, lanes] = self._noise is not None

    def explain(self, instance: int, words: slice, cause: str) -> None:
        """Remember why bytes of these words are undefined although they were written."""
        if cause not in self._causes:
            self._causes.append(cause)
        self._cause[instance, words] = self._causes.index(cause) + 1

    def why_undefined(self, instance: int, word: int) -> str:
        cause = int(self._cause[instance, word])
        return self._causes[cause - 1] if cause else "was never written"


class WeightMemory:
    """Kernel columns of all processors, and the two ways to load them.

    `stream`: uint8 (processors, bytes of all columns), each column's bytes in reverse order, so that a kernel is one
    run of bytes (izer kernels.py); `valid`: bool (processors, columns). `version` changes with every write.
    """

    def __init__(self, device: Device, noise: Noise | None = None) -> None:
        memory = device.memories["weights"]
        self._device = device
        self._columns = np.array([device.columns(one) for one in range(device.geometry.processors)])
        self._bytes = memory.word_bytes
        self._plain_stride = memory.word_stride
        self._express_stride = device.express_stride
        processors = device.geometry.processors
        self.stream: NDArray[np.uint8] = np.full((processors, memory.most_words * self._bytes), GARBAGE, dtype=np.uint8)
        self.valid: NDArray[np.bool_] = np.zeros((processors, memory.most_words), dtype=np.bool_)
        self.version = 0
        self._cursor: dict[int, int] = {}  # express: next column of a processor
        self._pending: dict[int, bytes] = {}  # express: bytes of a column that is not complete
        self._latch: dict[int, bytearray] = {}  # plain: the column being put together
        self._noise = noise
        if noise:
            self.forget(slice(None))

    @property
    def column_bytes(self) -> int:
        return self._bytes

    def columns(self, processors: Sequence[int]) -> int:
        """Columns that all of some processors have."""
        return int(self._columns[list(processors)].min())

    @property
    def banks(self) -> int:
        """Physical memories of a processor."""
        memory = self._device.memories["weights"]
        return memory.words // memory.bank_words if memory.bank_words else 1

    def bank_columns(self, columns: int) -> int:
        """Columns of each physical memory, of a processor with so many columns."""
        return columns // self.banks

    def in_bank(self, bank: NDArray[np.intp], column: NDArray[np.intp]) -> NDArray[np.intp]:
        """Columns of the processor, from columns counted in physical memories."""
        return self._bank_columns[bank, column]

    @cached_property
    def _bank_columns(self) -> NDArray[np.intp]:
        columns = range(self.bank_columns(int(self._columns.max())))
        return np.array([[self._device.bank_column(bank, column) for column in columns] for bank in range(self.banks)])

    def columns_of(
        self, processors: NDArray[np.intp], columns: NDArray[np.intp], offsets: NDArray[np.intp]
    ) -> NDArray[np.uint8]:
        """Bytes of columns, counted in `stream`'s order; the arrays are broadcast."""
        found: NDArray[np.uint8] = self.stream[processors, columns * self._bytes + offsets]
        return found

    def set_start(self, processor: int, offset: int) -> None:
        """Express: the byte write that loads the column counter; what is left of an incomplete column is dropped."""
        if offset % self._express_stride == 0:
            raise AcceleratorError(
                f"processor {processor}: byte write at offset {offset:#x} of the weight memory; only a non-zero byte "
                "address within the word sets the start column"
            )
        self._cursor[processor] = offset // self._express_stride
        self._pending[processor] = b""

    def append(self, processor: int, words: NDArray[np.uint32]) -> None:
        """Express: append words, most significant byte first; they complete columns (UG7456 mexpress)."""
        if processor not in self._cursor:
            raise AcceleratorError(f"processor {processor}: weights written before a byte write set the start column")
        data = self._pending[processor] + words.astype(">u4").tobytes()
        count = len(data) // self._bytes
        start = self._cursor[processor]
        if start + count > self._columns[processor]:
            raise AcceleratorError(
                f"processor {processor}: weights written to column {start + count - 1}; the last one is "
                f"{self._columns[processor] - 1}"
            )
        self._pending[processor] = data[count * self._bytes :]
        self._cursor[processor] = start + count
        columns = np.frombuffer(data, dtype=np.uint8, count=count * self._bytes).reshape(count, self._bytes)
        self._store(processor, start, columns)

    def write_plain(self, processor: int, offset: int, value: int) -> None:
        """Plain: byte 0, bytes 1..4, bytes 5..8 of a column, then a write of any value that stores it."""
        column, part = divmod(offset, self._plain_stride)
        latch = self._latch.setdefault(processor, bytearray(self._bytes))
        quarter = part // WORD_BYTES
        if quarter == 0:
            latch[0] = value & 0xFF
        elif quarter == self._plain_stride // WORD_BYTES - 1:
            self._store(processor, column, np.frombuffer(bytes(latch), dtype=np.uint8)[None, :])
        else:
            latch[quarter * 4 - 3 : quarter * 4 + 1] = value.to_bytes(WORD_BYTES, "big")

    def write_plain_columns(self, processor: int, column: int, words: NDArray[np.uint32]) -> None:
        """Plain: whole columns in a row, four words each; the same as `write_plain` of each word."""
        parts = words.reshape(-1, 4)
        columns = np.empty((len(parts), self._bytes), dtype=np.uint8)
        columns[:, 0] = parts[:, 0] & 0xFF
        columns[:, 1:5] = parts[:, 1].astype(">u4").view(np.uint8).reshape(-1, 4)
        columns[:, 5:9] = parts[:, 2].astype(">u4").view(np.uint8).reshape(-1, 4)
        self._latch[processor] = bytearray(columns[-1].tobytes())
        self._store(processor, column, columns)

    def read(self, processor: int, offsets: NDArray[np.intp]) -> NDArray[np.uint32]:
        """Read words of columns back: byte 0, bytes 1..4, bytes 5..8, 0, at the addresses of plain writes.

        This is how the vendor's check reads kernels (cnn_verify_weights of `--verify-kernels`: ai8x-synthesis at
        ab4f4c0, izer/kernels.py; `--verify-writes`: apbaccess.py write_kern). It runs right behind the loader, whose
        CTRL.express is still set, so express mode does not change what is read. Assumed, as no source says it: a
        read ends express loading of the processor, whose next words need a byte write first.

        AcceleratorError for a column that was never written.
        """
        column, part = offsets // self._plain_stride, offsets % self._plain_stride // WORD_BYTES
        undefined = np.flatnonzero(~self.valid[processor, column])
        if len(undefined):
            where = f"kernel column {int(column[undefined[0]])} of processor {processor}"
            raise AcceleratorError(f"read of {where}, which was never written")
        self._cursor.pop(processor, None)
        columns = self.stream[processor].reshape(-1, self._bytes)[column, ::-1]
        quarters = np.zeros((len(columns), 4 * WORD_BYTES), dtype=np.uint8)
        quarters[:, WORD_BYTES - 1 : WORD_BYTES - 1 + self._bytes] = columns
        words = quarters.view(">u4")[np.arange(len(columns)), part]
        return words.astype(np.uint32)

    def overwrite(self, processor: int, column: int, data: bytes) -> None:
        """Replace a column from outside the bus: its bytes in the order in which they are loaded."""
        self._store(processor, column, np.frombuffer(data, dtype=np.uint8)[None, :])

    def clear(self, processors: slice) -> None:
        self.stream[processors] = 0
        self.valid[processors] = True
        self.version += 1

    def forget(self, processors: slice) -> None:
        if self._noise:
            self.stream[processors] = self._noise.like(self.stream[processors])
        self.valid[processors] = self._noise is not None
        self.version += 1
        for processor in range(*processors.indices(len(self.valid))):
            self._cursor.pop(processor, None)
            self._latch.pop(processor, None)

    def _store(self, processor: int, start: int, columns: NDArray[np.uint8]) -> None:
        end = start + len(columns)
        run = slice(start * self._bytes, end * self._bytes)
        self.stream[processor, run] = columns[:, ::-1].reshape(-1)
        self.valid[processor, start:end] = True
        self.version += 1


class BiasMemory:
    """Bias bytes: int8 (quadrants, bytes), validity, and a `version` that changes with every write."""

    def __init__(self, quadrants: int, size: int, noise: Noise | None = None) -> None:
        self.bytes: NDArray[np.int8] = np.full((quadrants, size), GARBAGE, dtype=np.uint8).view(np.int8)
        self.valid: NDArray[np.bool_] = np.zeros((quadrants, size), dtype=np.bool_)
        self.version = 0
        self._noise = noise
        for quadrant in range(quadrants if noise else 0):
            self.forget(quadrant)

    def write(self, quadrant: int, index: NDArray[np.intp], values: NDArray[np.uint32]) -> None:
        """One byte per 32-bit address: the low 8 bits (izer kbias.py)."""
        self.bytes[quadrant, index] = (values & 0xFF).astype(np.uint8).view(np.int8)
        self.valid[quadrant, index] = True
        self.version += 1

    def clear(self, quadrant: int) -> None:
        self.bytes[quadrant] = 0
        self.valid[quadrant] = True
        self.version += 1

    def forget(self, quadrant: int) -> None:
        if self._noise:
            self.bytes[quadrant] = self._noise.like(self.bytes[quadrant])
        self.valid[quadrant] = self._noise is not None
        self.version += 1
