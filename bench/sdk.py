"""A generated project built with the vendor's SDK as it is, start-up code and drivers too, run on the virtual board.

    python -m bench.sdk SDK_FOLDER [BUILD_DIR] [--board NAME]

Needs arm-none-eabi-gcc, make, and the SDK (any MSDK, or its predecessor MAX78000_SDK), which is not ours to ship: its
folders Libraries and, from 2023 on, Tools. Exit code 0 if the program prints that it passes: main.c compares the
answers to its sample inputs with the known ones. For other boards than the evaluation kit it is only built: the
start-up of the Feather talks to a power chip that the virtual board does not have.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from offramp.configs.device import Device
from offramp.pipeline.devices import device_of_plan
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.run import run_program
from offramp.simulator.clock import Clock

BUILT = Path(__file__).parents[1] / "build" / "mnist"
PASS = "*** PASS ***"


def main() -> int:
    parser = argparse.ArgumentParser(description="build a generated project with the vendor's SDK and run it")
    parser.add_argument("sdk", type=Path, metavar="SDK_FOLDER")
    parser.add_argument("build", type=Path, nargs="?", default=BUILT, metavar="BUILD_DIR")
    parser.add_argument("--board", metavar="NAME", help="default: the evaluation kit")
    args = parser.parse_args()
    for needed in (args.sdk / "Libraries" / "PeriphDrivers", args.build / "firmware" / "Makefile"):
        if not needed.exists():
            parser.error(f"{needed} does not exist")
    device = device_of_plan(args.build / "plan.json")
    board = args.board or device.boards[0]
    if board not in device.boards:
        parser.error(f"--board {board}: for the {device.name} there are {', '.join(device.boards)}")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(shutil.copytree(args.build / "firmware", Path(folder) / "firmware"))
        settings = [f"MAXIM_PATH={args.sdk.resolve()}", f"BOARD={board}"]
        result = subprocess.run(["make", "-C", str(project), *settings], capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(result.stdout[-2000:] + result.stderr[-2000:])
        warnings = [line for line in result.stderr.splitlines() if line.startswith("src/") and "warning" in line]
        (elf,) = (project / "build").glob("*.elf")
        print(f"built for {board}, {device.name}: {elf.name}; {len(warnings)} warnings in the project's own files")
        if board != device.boards[0]:
            print(f"not run: only {device.boards[0]} can")
            return 0
        console = printed(elf, device)
    print(console.strip())
    return 0 if PASS in console else 1


def printed(elf: Path, device: Device) -> str:
    """What the program prints. The SDK's start-up code never returns, so it ends at the instruction limit."""
    clock = Clock(device)
    try:
        return run_program(elf, Accelerator(device, clock), device, clock=clock)[1]
    except BoardError as error:
        if error.ending != Ending.LIMIT:
            raise
        return error.console


if __name__ == "__main__":
    sys.exit(main())
