"""A firmware on the virtual board that performs calls of offramp.h, each when it is wanted and from where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device
from offramp.configs.errors import InputError
from offramp.simulator.board import calls
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.calls import Context, Format, Open, Operation, Status
from offramp.simulator.board.core import Core
from offramp.simulator.board.elf import load_image
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.external import External
from offramp.simulator.board.host import Host
from offramp.simulator.board.interrupts import FREE_INTERRUPT, Interrupts
from offramp.simulator.board.meter import Meter
from offramp.simulator.clock import Clock

LIMIT = 200_000_000  # instructions of a call: an MNIST image takes some 100,000, a reload from outside flash 20,000,000
LONGEST_TEXT = 64
UNTOUCHED = 0xA5  # what memory holds that a call may write to

T = TypeVar("T")
S = TypeVar("S", bound=calls.Record)


class Answer(Generic[T]):
    """What a call has returned. `value`: what it has written, None if it has written nothing. A call that is to be made
    later, by an interrupt handler or `wait`, is not `made` at first, and then has neither."""

    def __init__(self, operation: Operation, read: Callable[[], T | None]) -> None:
        self.operation = operation
        self.made = False
        self.value: T | None = None
        self._status: Status | None = None
        self._read = read

    @property
    def status(self) -> Status:
        """The status; ValueError if the call has not been made."""
        if self._status is None:
            raise ValueError(f"{self.operation.name} has not been made yet")
        return self._status

    @property
    def result(self) -> T:
        """What a call has written that has returned OK; ValueError for another."""
        if self.status is not Status.OK or self.value is None:
            raise ValueError(f"{self.operation.name} returned {self.status.name}")
        return self.value

    def fill(self, status: int) -> None:
        """The answer has come."""
        self._status, self.value, self.made = Status(status), self._read(), True


class Session:
    """Boots a firmware; each method makes a call of offramp.h and returns when it has returned. With another `context`
    the call is made there, when the interrupt comes or `wait` is called, in the order of the calls for that context.

    Inputs are bytes that are put into the board's memory, None for a null pointer. They stay there until later ones
    need the place: for as long as an input through the FIFO is in use, if inputs take up less than half of the memory.
    `shift`: how many bytes behind a word boundary they begin.

    `external`: what its fetch function reads, if it has one.

    BoardError if the firmware gets stuck, or the board or the accelerator refuses what it does.
    """

    def __init__(
        self,
        elf: Path,
        accelerator: Bus,
        device: Device,
        *,
        limit: int = LIMIT,
        meter: Meter | None = None,
        clock: Clock | None = None,
        interrupts: Interrupts | None = None,
        precise: bool = False,
        external: External | None = None,
    ) -> None:
        self.interrupts = interrupts or Interrupts()
        self.host = Host(self._answered, external)
        self.shift = 0
        self._core = Core(
            load_image(elf),
            device,
            accelerator,
            self.host,
            meter,
            clock=clock,
            interrupts=self.interrupts,
            precise=precise,
        )
        self._limit = limit
        self._answers: dict[int, Answer[Any]] = {}
        self._made = 0
        self._words = (0, 0, 0)
        self._send(Context.MAIN, Operation.HELLO, (), _nothing)
        self._first, self._end, self.images = self._words  # memory that the host may use; how many images there are
        self._next = self._first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception == (None, None, None):
            self.finish()

    def finish(self) -> None:
        """Let the firmware end; no call is possible any more."""
        self.host.closed = True
        status = self._core.run(self._limit)
        if status:
            raise self._gave_up(f"status {status}")

    def interrupt(self) -> None:
        """Raise the free interrupt: its handler makes the calls that wait for it."""
        self.interrupts.raise_interrupt(FREE_INTERRUPT)

    def invert(self, address: int, bit: int) -> None:
        """Invert a bit of the board's memory or flash, while no call is made."""
        self._core.write(address, bytes([self._core.read(address, 1)[0] ^ 1 << bit]))

    # ---- the calls

    def open(
        self, image: int = 0, options: Open = Open.DEFAULTS, *, step: int = 0, context: Context = Context.MAIN
    ) -> Answer[None]:
        return self._send(context, Operation.OPEN, (image, options, step), _nothing)

    def close(self, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.CLOSE, (), _nothing)

    def load(
        self,
        model: int,
        data: bytes | None,
        first: int,
        pixels: int,
        form: int = Format.CHW,
        *,
        context: Context = Context.MAIN,
    ) -> Answer[None]:
        return self._send(context, Operation.LOAD, (model, form, self._place(data), first, pixels), _nothing)

    def begin(
        self, model: int, data: bytes | None = None, form: int = Format.CHW, *, context: Context = Context.MAIN
    ) -> Answer[None]:
        return self._send(context, Operation.BEGIN, (model, form, self._place(data)), _nothing)

    def poll(self, *, null: bool = False, context: Context = Context.MAIN) -> Answer[calls.Result]:
        return self._ask(context, Operation.POLL, (), calls.Result, null)

    def infer(
        self,
        model: int,
        data: bytes | None = None,
        form: int = Format.CHW,
        *,
        null: bool = False,
        context: Context = Context.MAIN,
    ) -> Answer[calls.Result]:
        return self._ask(context, Operation.INFER, (model, form, self._place(data)), calls.Result, null)

    def cancel(self, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.CANCEL, (), _nothing)

    def output(self, size: int, *, null: bool = False, context: Context = Context.MAIN) -> Answer[bytes]:
        """The result as it is, in a buffer of `size` bytes."""
        at = 0 if null else self._reserve(size)
        return self._send(context, Operation.OUTPUT, (at, size), lambda: self._written(at, size))

    def output_words(
        self, count: int, *, null: bool = False, context: Context = Context.MAIN
    ) -> Answer[NDArray[np.int32]]:
        """The result widened to 32 bits, in a buffer of `count` words."""
        at = 0 if null else self._reserve(4 * count)
        return self._send(context, Operation.OUTPUT_WORDS, (at, count), lambda: self._values(at, count))

    def set_threshold(self, model: int, stage: int, threshold: int, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.SET_THRESHOLD, (model, stage, threshold), _nothing)

    def force_stage(self, model: int, stage: int, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.FORCE_STAGE, (model, stage), _nothing)

    def statistics(self, *, null: bool = False, context: Context = Context.MAIN) -> Answer[calls.Statistics]:
        return self._ask(context, Operation.STATISTICS, (), calls.Statistics, null)

    def stage_statistics(
        self, model: int, stage: int, *, null: bool = False, context: Context = Context.MAIN
    ) -> Answer[calls.StageStatistics]:
        return self._ask(context, Operation.STAGE_STATISTICS, (model, stage), calls.StageStatistics, null)

    def forget(self, model: int = 0, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.FORGET, (model,), _nothing)

    def clear_statistics(self, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.CLEAR_STATISTICS, (), _nothing)

    def self_test(self, tests: int = calls.SelfTest.ALL, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.SELF_TEST, (tests,), _nothing)

    def sleep(self, mode: int, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.SLEEP, (mode,), _nothing)

    def wake(self, *, context: Context = Context.MAIN) -> Answer[None]:
        return self._send(context, Operation.WAKE, (), _nothing)

    def image_info(self, image: int = 0, *, null: bool = False) -> Answer[calls.ImageInfo]:
        return self._ask(Context.MAIN, Operation.IMAGE_INFO, (image,), calls.ImageInfo, null)

    def shape(self, image: int, model: int, stage: int, *, null: bool = False) -> Answer[calls.Shape]:
        return self._ask(Context.MAIN, Operation.SHAPE, (image, model, stage), calls.Shape, null)

    def status_text(self, status: int) -> str:
        """offramp_status_text."""
        self._send(Context.MAIN, Operation.STATUS_TEXT, (status & 0xFFFFFFFF,), _nothing)
        return self._core.read(self._words[0], LONGEST_TEXT).split(b"\0")[0].decode()

    def on_interrupt(self, *, context: Context = Context.MAIN) -> Answer[None]:
        """offramp_on_interrupt, as a handler calls it whose interrupt has come for no reason."""
        return self._send(context, Operation.ON_INTERRUPT, (), _nothing)

    # ---- how they are made

    def _ask(
        self, context: Context, operation: Operation, arguments: tuple[int, ...], kind: type[S], null: bool
    ) -> Answer[S]:
        """A call that fills a struct, whose address is its last argument."""
        at = 0 if null else self._reserve(kind.LAYOUT.size)
        return self._send(context, operation, (*arguments, at), lambda: self._struct(at, kind))

    def _send(
        self, context: Context, operation: Operation, arguments: tuple[int, ...], read: Callable[[], T | None]
    ) -> Answer[T]:
        answer = Answer(operation, read)
        padded = (*arguments, *[0] * (6 - len(arguments)))
        self._made += 1
        self._answers[self._made] = answer
        self.host.streams[context.value].append(calls.CALL.pack(self._made, operation, *padded))
        if context is Context.MAIN:
            status = self._core.run(self._limit)
            if not answer.made:
                raise self._gave_up(f"status {status}, without an answer to {operation.name}")
        return answer

    def _gave_up(self, detail: str) -> BoardError:
        return BoardError(Ending.STATUS, detail, self.host.answers, self.host.console)

    def _answered(self, record: bytes) -> None:
        number, status, first, second, third = calls.ANSWER.unpack(record)
        self._words = (first, second, third)
        self._answers.pop(number).fill(status)

    # ---- memory

    def _reserve(self, size: int) -> int:
        """Memory that a call may write to, whole words of it."""
        room = size + -size % 4
        if room > self._end - self._first:
            raise InputError(f"{size} bytes do not fit into the {self._end - self._first} that the board has left")
        if self._next + room > self._end:
            self._next = self._first
        at, self._next = self._next, self._next + room
        self._core.write(at, bytes([UNTOUCHED]) * room)
        return at

    def _place(self, data: bytes | None) -> int:
        if data is None:
            return 0
        at = self._reserve(len(data) + self.shift) + self.shift
        self._core.write(at, data)
        return at

    def _written(self, at: int, size: int) -> bytes | None:
        """What a call has written there; None if nothing has changed, or nothing can."""
        data = self._core.read(at, size) if at else b""
        return None if data.count(UNTOUCHED) == len(data) else data

    def _struct(self, at: int, kind: type[S]) -> S | None:
        data = self._written(at, kind.LAYOUT.size)
        return None if data is None else kind.read(data)

    def _values(self, at: int, count: int) -> NDArray[np.int32] | None:
        data = self._written(at, 4 * count)
        return None if data is None else np.frombuffer(data, dtype="<i4").astype(np.int32)


def _nothing() -> None:
    return None
