"""A memory outside the chip's flash, as the firmware's fetch function meets it: a file that can be read."""

from __future__ import annotations

from collections.abc import Callable

Change = Callable[[bytes], bytes | None]


class External:
    """Bytes that are read in pieces. `read_bytes`: how many have been read so far."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read_bytes = 0
        self._changes: list[tuple[int, Change]] = []  # how many readings it is for, what it does

    def alter(self, readings: int, change: Change) -> None:
        """The next readings give what `change` makes of the bytes; None: they fail."""
        self._changes.append((readings, change))

    def read(self, offset: int, size: int) -> bytes | None:
        """At most `size` bytes from a place on, fewer at the end; None if the reading fails."""
        found: bytes | None = self.data[offset : offset + size]
        for _, change in self._changes:
            found = found if found is None else change(found)
        self._changes = [(readings - 1, change) for readings, change in self._changes if readings > 1]
        self.read_bytes += len(found or b"")
        return found
