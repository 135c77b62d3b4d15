"""Runs a firmware on the virtual board with its instructions counted, and tells the parts of an inference apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.configs.device import Device
from offramp.pipeline.compile import compile_firmware
from offramp.simulator.board.bus import Bus
from offramp.simulator.board.external import External
from offramp.simulator.board.host import CALLS, SYS_WRITE0, Host
from offramp.simulator.board.meter import Access, Meter
from offramp.simulator.board.run import run_with

LIMIT = 50_000_000
ROOM = 16_384  # bytes of the largest result
PARTS = ("loading the input", "switching", "starting", "waiting", "reading logits", "deciding")
LOAD, SWITCH, START, WAIT, READ, DECIDE = PARTS
COPY = "copying the result"  # not part of an inference
CHECK = (WAIT, READ, DECIDE)  # from the look that finds the accelerator done to the answer
COMPILER = "arm-none-eabi-gcc"
_MAIN = """\
#include "board_image.h"
#include "semihosting.h"

static void poll_at_once(void *context)
{
    (void)context;
}

int main(void)
{
    static const offramp_options_t options = {.wait = poll_at_once}; /* without a clock: the core here has none */
    static uint32_t input[%(bytes)uu / 4u];
    static offramp_result_t result;
    static uint8_t copied[%(room)uu];
    int32_t inputs = semihosting_open("calls", false);
    offramp_status_t status = offramp_open(board_images[0], &options);
    semihosting_print("");
    semihosting_print("");
    while ((status == OFFRAMP_OK) && semihosting_read(inputs, input, %(bytes)uu)) {
        semihosting_print("");
        status = offramp_load(0u, %(form)s, input, 0u, %(pixels)uu);
        semihosting_print("");
        status = status == OFFRAMP_OK ? offramp_infer(0u, OFFRAMP_CHW, NULL, &result) : status;
        semihosting_print("");
        status = status == OFFRAMP_OK ? offramp_output(copied, sizeof(copied)) : status;
        semihosting_print("");
    }
    return (int)status;
}
"""


@dataclass(frozen=True)
class Form:
    """How inputs are loaded: a format of offramp.h, and how many pixels a whole input has."""

    name: str
    pixels: int


@dataclass(frozen=True)
class Work:
    """What the core did in a part: instructions, and among them loads and stores on the accelerator's bus."""

    instructions: int
    reads: int = 0
    writes: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.instructions + other.instructions, self.reads + other.reads, self.writes + other.writes)


def total(parts: Mapping[str, Work], names: Sequence[str] = PARTS) -> Work:
    """The work of some parts together."""
    return sum((parts[name] for name in names), Work(0))


def write_sources(files: Mapping[str, str], folder: Path) -> None:
    """A rendered firmware as files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class _MarkingHost(Host):
    """Notes how many instructions were done at each print."""

    def __init__(self, images: Sequence[bytes], meter: Meter, external: External) -> None:
        super().__init__(external=external)
        self.streams[CALLS].extend(images)
        self.marks: list[int] = []
        self._meter = meter

    def call(self, operation: int, argument: int, memory: Any) -> int:
        if operation == SYS_WRITE0:
            self.marks.append(self._meter.instructions)
        return super().call(operation, argument, memory)


def count(
    folder: Path, images: Sequence[bytes], accelerator: Bus, device: Device, form: Form, outside: bytes = b""
) -> list[Mapping[str, Work]]:
    """The work of each inference by part, in the order of PARTS, and of copying its result. `folder`: a firmware's
    sources; they get a main() that loads, infers and copies. `images`: what each load is given, in `form`; `outside`:
    the file of weights outside flash."""
    main = folder / "count.c"
    size = len(images[0]) + -len(images[0]) % 4
    given = [image + bytes(size - len(image)) for image in images]
    values = {"bytes": size, "form": form.name, "pixels": form.pixels, "room": ROOM}
    main.write_text(_MAIN % values, encoding="utf-8")
    elf = compile_firmware(folder, folder / "count.elf", COMPILER, main.name).elf
    meter = Meter()
    host = _MarkingHost(given, meter, External(outside))
    status = run_with(host, elf, accelerator, device, limit=LIMIT, meter=meter)
    if status:
        raise AssertionError(f"the firmware in {folder} returned {status}")
    first, second, *marks = host.marks
    return [_parts(meter.accesses, marks[at : at + 4], second - first, device) for at in range(0, len(marks), 4)]


def _parts(accesses: Sequence[Access], marks: Sequence[int], marking: int, device: Device) -> dict[str, Work]:
    """The parts between four marks: before loading, before the inference, after it, and after copying its result.
    A part ends with its last access; what follows the last logit is deciding. `marking`: instructions of a mark itself.
    """
    begin, between, end, copied = marks
    inside = [one for one in accesses if begin < one.instructions <= between]
    found = dict.fromkeys(PARTS, Work(0)) | {LOAD: _work(between - begin - marking, inside)}
    phase, at = START, between + marking
    for access in (one for one in accesses if between < one.instructions <= end):
        phase = _phase(access, phase, device)
        found[phase] += _work(access.instructions - at, (access,))
        at = access.instructions
    found[DECIDE] += Work(end - at)
    found[COPY] = _work(copied - end - marking, [one for one in accesses if end < one.instructions <= copied])
    return found


def _work(instructions: int, accesses: Sequence[Access]) -> Work:
    writes = sum(one.write for one in accesses)
    return Work(instructions, len(accesses) - writes, writes)


def _phase(access: Access, before: str, device: Device) -> str:
    """The part that an access within offramp_infer belongs to."""
    place = device.locate(access.address)
    assert place is not None, hex(access.address)
    if place.kind == "data":
        return READ
    if place.name.startswith("FIFO"):
        return LOAD
    if place.name != "CTRL":
        guard = DECIDE if before in CHECK else START
        return SWITCH if access.write else guard
    if not access.write:
        return WAIT
    return READ if before in (WAIT, READ) else START
