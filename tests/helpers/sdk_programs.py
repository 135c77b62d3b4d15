"""Programs for the vendor's SDK, built with the stand-ins in tests/helpers/msdk and run on the virtual board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import load_device
from offramp.pipeline.compile import find_compiler, run_compiler
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.faults import Fault
from offramp.simulator.board.faulty_bus import FaultyBus
from offramp.simulator.board.host import Host
from offramp.simulator.board.interrupts import Interrupts
from offramp.simulator.board.run import run_with
from offramp.simulator.clock import Clock
from offramp.simulator.lenient import LenientAccelerator
from tests.helpers.paths import ROOT

MSDK = ROOT / "tests" / "helpers" / "msdk"
SIDE = 64
STRICT = ("-pedantic", "-Wshadow", "-Wundef", "-Wcast-align", "-Wwrite-strings", "-Wstrict-prototypes")
_DEMONSTRATION = ("main.c", "_samples.c")
LIMIT = 40_000_000


@dataclass(frozen=True, eq=False)
class Picture:
    """What the camera films: grey values, uint8 (64, 64). `lines` of it come; the driver's count of lost lines grows by
    `overflows`."""

    grey: NDArray[np.uint8]
    lines: int = SIDE
    overflows: int = 0


def link(
    firmware: Path,
    elf: Path,
    sources: Iterable[Path],
    *,
    pictures: Sequence[Picture] = (),
    compiler: str = "auto",
    extra: Sequence[str] = (),
) -> Path:
    """The runtime and the image in a firmware's folder, with the sources of an application and more flags."""
    films = elf.with_suffix(".pictures.c")
    films.write_text(_films(pictures), encoding="utf-8")
    own = [path for path in sorted((firmware / "src").glob("*.c")) if not path.name.endswith(_DEMONSTRATION)]
    support = [MSDK / "startup.c", MSDK / "console.c", MSDK / "drivers.c", films]
    support += [firmware / "emulator" / f"{name}.c" for name in ("library", "reset", "semihosting")]
    files = [str(path) for path in (*own, *sources, *support)]
    run_compiler(find_compiler(compiler), firmware, files, elf, [f"-I{MSDK}", *STRICT, *extra])
    return elf


def run(elf: Path, faults: Iterable[Fault] = ()) -> tuple[int, str]:
    """Exit status, and what the program printed."""
    device = load_device()
    clock, interrupts, host = Clock(device), Interrupts(), Host()
    bus: Accelerator | FaultyBus = Accelerator(device, clock)
    if faults:
        bus = FaultyBus(LenientAccelerator(device, clock, seed=1), clock, interrupts, faults)
    status = run_with(host, elf, bus, device, limit=LIMIT, clock=clock, interrupts=interrupts)
    return status, host.console


def _films(pictures: Sequence[Picture]) -> str:
    lines = ['#include "pictures.h"']
    for number, picture in enumerate(pictures):
        values = ", ".join(map(str, picture.grey.ravel().tolist()))
        lines.append(f"static const uint8_t grey_{number}[] = {{{values}}};")
    entries = [f"{{grey_{number}, {picture.lines}u, {picture.overflows}u}}" for number, picture in enumerate(pictures)]
    lines.append(f"const picture_t pictures[] = {{{', '.join([*entries, '{0, 0u, 0u}'])}}};")
    lines.append(f"const unsigned int picture_count = {len(pictures)}u;")
    return "\n".join(lines) + "\n"
