"""What a host and `main_emulator.c` say to each other: the calls of offramp.h, their arguments and what they answer."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from typing import ClassVar, Self

BY_CONFIDENCE = 0xFFFFFFFF  # no stage is forced
NO_IMAGE = 0xFFFFFFFF  # a null pointer in place of an image
CALL = struct.Struct("<8I")  # number, operation, six arguments
ANSWER = struct.Struct("<Ii3I")  # number, status, three words


class Operation(IntEnum):
    """The calls, in the order of the table in main_emulator.c."""

    HELLO = 0
    OPEN = 1
    CLOSE = 2
    LOAD = 3
    BEGIN = 4
    POLL = 5
    INFER = 6
    CANCEL = 7
    OUTPUT = 8
    OUTPUT_WORDS = 9
    SET_THRESHOLD = 10
    FORCE_STAGE = 11
    STATISTICS = 12
    STAGE_STATISTICS = 13
    CLEAR_STATISTICS = 14
    SELF_TEST = 15
    SLEEP = 16
    WAKE = 17
    IMAGE_INFO = 18
    SHAPE = 19
    STATUS_TEXT = 20
    ON_INTERRUPT = 21
    FORGET = 22


class Status(IntEnum):
    """offramp_status_t."""

    OK = 0
    BUSY = 1
    WANTS_INPUT = 2
    NOT_READY = -1
    E_ARGUMENT = -2
    E_TIMEOUT = -3
    E_EARLY = -4
    E_POWER = -5
    E_MEMORY = -6
    E_IMAGE = -7
    E_EXTERNAL = -8


class Format(IntFlag):
    """How an input lies in memory."""

    CHW = 0
    HWC = 1
    PACKED = 2
    UNSIGNED = 0x10


class Sleep(IntEnum):
    """offramp_sleep_t."""

    CLOCK = 0
    RETAIN = 1
    OFF = 2


class SelfTest(IntFlag):
    """What offramp_self_test reads back."""

    IMAGE = 1
    REGISTERS = 2
    BIASES = 4
    WEIGHTS = 8
    ALL = 15


class Context(Enum):
    """Where a call is made: by the main program, by an interrupt handler, by the `wait` that offramp_infer calls. The
    value is the stream that brings it there."""

    MAIN = "calls"
    INTERRUPT = "interrupt"
    WAIT = "wait"


class Open(IntFlag):
    """Options of offramp_open. CLOCK: a clock of the application with a step; WAIT: a `wait` that makes the calls of
    Context.WAIT; SLEEP: one that then sleeps until an interrupt; DEFAULTS: a null pointer."""

    CLOCK = 0x01
    WAIT = 0x02
    SLEEP = 0x04
    INTERRUPT = 0x08
    CHECK_REGISTERS = 0x10
    CHECK_WEIGHTS = 0x20
    DEFAULTS = 0x40


class Record:
    """A C struct that a call fills."""

    LAYOUT: ClassVar[struct.Struct]

    @classmethod
    def read(cls, data: bytes) -> Self:
        return cls(*cls.LAYOUT.unpack(data))


@dataclass(frozen=True)
class Result(Record):
    """offramp_result_t."""

    LAYOUT = struct.Struct("<5I")

    stage: int
    answer: int
    class_index: int
    confidence: int
    cycles: int


@dataclass(frozen=True)
class Statistics(Record):
    """offramp_statistics_t."""

    LAYOUT = struct.Struct("<4Ii")

    begun: int
    cancelled: int
    errors: int
    reloads: int
    last_error: int


@dataclass(frozen=True)
class StageStatistics(Record):
    """offramp_stage_statistics_t."""

    LAYOUT = struct.Struct("<3I4xQ")

    threshold: int
    answers: int
    worst_cycles: int
    cycles: int


@dataclass(frozen=True)
class Shape(Record):
    """offramp_shape_t."""

    LAYOUT = struct.Struct("<4I")

    channels: int
    rows: int
    columns: int
    bits: int

    @property
    def values(self) -> int:
        """How many values a result of this shape has."""
        return self.channels * self.rows * self.columns


@dataclass(frozen=True)
class ImageInfo(Record):
    """offramp_image_info_t."""

    LAYOUT = struct.Struct("<3I16s")

    format: int
    image_bytes: int
    models: int
    digest: bytes
