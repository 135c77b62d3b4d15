"""A generated project built with the vendor's SDK as it is, start-up code and drivers too, run on the virtual board.

    python -m bench.sdk SDK_FOLDER [BUILD_DIR] [--board FTHR_RevA]

Needs arm-none-eabi-gcc, make, and the SDK (any MSDK, or its predecessor MAX78000_SDK), which is not ours to ship: its
folders Libraries and, from 2023 on, Tools. Exit code 0 if the program prints that it passes: main.c compares the
answers to its sample inputs with the known ones. For the Feather it is only built: its start-up talks to a power chip
that the virtual board does not have.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from offramp.configs.device import load_device
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.run import run_program
from offramp.simulator.clock import Clock

BUILT = Path(__file__).parents[1] / "build" / "mnist"
RUNS = "EvKit_V1"
PASS = "*** PASS ***"


def main() -> int:
    parser = argparse.ArgumentParser(description="build a generated project with the vendor's SDK and run it")
    parser.add_argument("sdk", type=Path, metavar="SDK_FOLDER")
    parser.add_argument("build", type=Path, nargs="?", default=BUILT, metavar="BUILD_DIR")
    parser.add_argument("--board", default=RUNS, choices=(RUNS, "FTHR_RevA"))
    args = parser.parse_args()
    for needed in (args.sdk / "Libraries" / "PeriphDrivers", args.build / "firmware" / "Makefile"):
        if not needed.exists():
            parser.error(f"{needed} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(args.build / "firmware", Path(folder) / "firmware"))
        settings = [f"MAXIM_PATH={args.sdk.resolve()}", f"BOARD={args.board}"]
        result = subprocess.run(["make", "-C", str(project), *settings], capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(result.stdout[-2000:] + result.stderr[-2000:])
        warnings = [line for line in result.stderr.splitlines() if line.startswith("src/") and "warning" in line]
        (elf,) = (project / "build").glob("*.elf")
        print(f"built for {args.board}: {elf.name}; {len(warnings)} warnings in the project's own files")
        if args.board != RUNS:
            print(f"not run: only {RUNS} can")
            return 0
        console = printed(elf)
    print(console.strip())
    return 0 if PASS in console else 1


def printed(elf: Path) -> str:
    """What the program prints. The SDK's start-up code never returns, so it ends at the instruction limit."""
    device = load_device()
    clock = Clock(device)
    try:
        return run_program(elf, Accelerator(device, clock), device, clock=clock)[1]
    except BoardError as error:
        if error.ending != Ending.LIMIT:
            raise
        return error.console


if __name__ == "__main__":
    sys.exit(main())
