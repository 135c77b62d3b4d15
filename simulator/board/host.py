"""The host's side of semihosting: streams of records, a console, and the end.

Numbers of the operations: Arm, "Semihosting for AArch32 and AArch64".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from offramp.simulator.board.external import External

SYS_OPEN, SYS_WRITE0, SYS_WRITE, SYS_READ, SYS_SEEK, SYS_EXIT_EXTENDED = 0x01, 0x04, 0x05, 0x06, 0x0A, 0x20
APPLICATION_EXIT = 0x20026
CALLS, ANSWERS, EXTERNAL = "calls", "answers", "external"
_READ = (CALLS, "interrupt", "wait")  # streams that a program reads: their handles are 1, 2, ...
_HANDLES = {name.encode(): handle for handle, name in enumerate((*_READ, ANSWERS, EXTERNAL), 1)}
_OUTSIDE = _HANDLES[EXTERNAL.encode()]
_FAILED = 0xFFFFFFFF
_LONGEST_TEXT = 4096
_MOST_TEXT = 1 << 20
_LONGEST_RECORD = 1 << 10


class Memory(Protocol):
    """The core's memory."""

    def mem_read(self, address: int, size: int) -> bytearray: ...

    def mem_write(self, address: int, data: bytes) -> None: ...


class Host:
    """Answers the calls of one program. `streams`: what it will read, record by record; a read takes a whole record. A
    program that finds no more `calls` waits until there are some, or until they are `closed`; other streams end.

    `answered` is called with each record that the program writes. `external`: a file that it can read from any place.
    """

    def __init__(self, answered: Callable[[bytes], None] | None = None, external: External | None = None) -> None:
        self.streams: dict[str, deque[bytes]] = {name: deque() for name in _READ}
        self.closed = False
        self.waiting = False  # the program waits for a call; the read that it waits in has to be made again
        self.answers = 0
        self.console = ""
        self.ended: tuple[int, int] | None = None  # reason and status of the exit call
        self._answered = answered
        self._external = external
        self._at = 0  # the byte of it that is read next

    def call(self, operation: int, argument: int, memory: Memory) -> int:
        """The answer to a call (register 0 afterwards). ValueError for one that is not known."""
        if operation == SYS_WRITE0:
            self.say(self._text(argument, memory))
            return 0
        if operation == SYS_OPEN:
            name, _, length = self._block(argument, 3, memory)
            found = _HANDLES.get(bytes(memory.mem_read(name, min(length, _LONGEST_TEXT))), _FAILED)
            return _FAILED if found == _OUTSIDE and self._external is None else found
        if operation == SYS_SEEK:
            handle, self._at = self._block(argument, 2, memory)
            return 0 if handle == _OUTSIDE else _FAILED
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
        """Bytes that are left over: none, or all at the end of a stream."""
        handle, address, size = arguments
        if handle == _OUTSIDE and self._external:
            return self._read_external(self._external, address, size, memory)
        if not 1 <= handle <= len(_READ):
            raise ValueError(f"a read of stream {handle}")
        name = _READ[handle - 1]
        records = self.streams[name]
        if not records:
            self.waiting = name == CALLS and not self.closed
            return size
        record = records.popleft()
        if len(record) != size:
            raise ValueError(f"a read of {size} bytes; a record has {len(record)}")
        memory.mem_write(address, record)
        return 0

    def _read_external(self, external: External, address: int, size: int, memory: Memory) -> int:
        """Bytes that are left over; -1 if the reading fails."""
        if size > _LONGEST_RECORD:
            raise ValueError(f"a read of {size} bytes; at most {_LONGEST_RECORD} are expected")
        found = external.read(self._at, size)
        if found is None:
            return _FAILED
        memory.mem_write(address, found)
        self._at += len(found)
        return size - len(found)

    def _write(self, arguments: list[int], memory: Memory) -> int:
        handle, address, size = arguments
        if handle != _HANDLES[ANSWERS.encode()] or self._answered is None:
            raise ValueError(f"a write to stream {handle}")
        if size > _LONGEST_RECORD:
            raise ValueError(f"a record of {size} bytes; at most {_LONGEST_RECORD} are expected")
        self.answers += 1
        self._answered(bytes(memory.mem_read(address, size)))
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
