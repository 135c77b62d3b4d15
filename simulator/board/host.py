"""The host's side of semihosting: a stream of inputs, a stream of results, a console, and the end.

Numbers of the operations: Arm, "Semihosting for AArch32 and AArch64".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

SYS_OPEN, SYS_WRITE0, SYS_WRITE, SYS_READ, SYS_EXIT_EXTENDED = 0x01, 0x04, 0x05, 0x06, 0x20
APPLICATION_EXIT = 0x20026
INPUT, RESULTS = 1, 2
_HEAD_BYTES = 16  # of a result: error, class, stage, confidence
_STREAMS = {b"input": INPUT, b"results": RESULTS}
_FAILED = 0xFFFFFFFF
_LONGEST_TEXT = 4096
_MOST_TEXT = 1 << 20
_LONGEST_RECORD = 1 << 14  # bytes: 4 words and a logit for each of 1,024 classes are 4112


class Memory(Protocol):
    """The core's memory."""

    def mem_read(self, address: int, size: int) -> bytearray: ...

    def mem_write(self, address: int, data: bytes) -> None: ...


class Host:
    """Answers the calls of one program. A read of the input stream gives one whole image, or nothing at the end.

    `given` is called with an image's number when the program has got it, `progress` with the number of answers."""

    def __init__(
        self,
        images: Sequence[bytes],
        progress: Callable[[int], None] | None = None,
        given: Callable[[int], None] | None = None,
    ) -> None:
        self._images = list(images)
        self._next = 0
        self._progress = progress
        self._given = given
        self.records: list[bytes] = []
        self.console = ""
        self.ended: tuple[int, int] | None = None  # reason and status of the exit call

    def call(self, operation: int, argument: int, memory: Memory) -> int:
        """The answer to a call (register 0 afterwards). ValueError for one that is not known."""
        if operation == SYS_WRITE0:
            self.say(self._text(argument, memory))
            return 0
        if operation == SYS_OPEN:
            name, _, length = self._block(argument, 3, memory)
            return _STREAMS.get(bytes(memory.mem_read(name, min(length, _LONGEST_TEXT))), _FAILED)
        if operation == SYS_READ:
            return self._read(self._block(argument, 3, memory), memory)
        if operation == SYS_WRITE:
            return self._write(self._block(argument, 3, memory), memory)
        if operation == SYS_EXIT_EXTENDED:
            reason, status = self._block(argument, 2, memory)
            self.ended = (reason, status - (1 << 32) if status >> 31 else status)
            return 0
        raise ValueError(f"semihosting operation {operation:#x}")

    def say(self, text: str) -> None:
        """Print on the console. ValueError if a program prints without end."""
        self.console += text
        if len(self.console) > _MOST_TEXT:
            raise ValueError(f"more than {_MOST_TEXT} characters printed")

    def _read(self, arguments: list[int], memory: Memory) -> int:
        handle, address, size = arguments
        if handle != INPUT:
            raise ValueError(f"a read of stream {handle}")
        if self._next == len(self._images):
            return size
        image = self._images[self._next]
        if len(image) != size:
            raise ValueError(f"a read of {size} bytes; an image has {len(image)}")
        memory.mem_write(address, image)
        if self._given:
            self._given(self._next)
        self._next += 1
        return 0

    def _write(self, arguments: list[int], memory: Memory) -> int:
        handle, address, size = arguments
        if handle != RESULTS:
            raise ValueError(f"a write to stream {handle}")
        expected = len(self.records[0]) if self.records else size
        if size != expected or size % 4 or not _HEAD_BYTES <= size <= _LONGEST_RECORD:
            raise ValueError(f"a result of {size} bytes; {expected} bytes, whole words, are expected")
        if len(self.records) == len(self._images):
            raise ValueError(f"more than {len(self._images)} results")
        self.records.append(bytes(memory.mem_read(address, size)))
        if self._progress:
            self._progress(len(self.records))
        return 0

    def _block(self, address: int, words: int, memory: Memory) -> list[int]:
        data = memory.mem_read(address, 4 * words)
        return [int.from_bytes(data[4 * word : 4 * word + 4], "little") for word in range(words)]

    def _text(self, address: int, memory: Memory) -> str:
        text = bytearray()
        while len(text) < _LONGEST_TEXT:
            byte = memory.mem_read(address + len(text), 1)
            if not byte[0]:
                break
            text += byte
        return text.decode("utf-8", "replace")
