"""`offramp registers`: the accelerator's registers by name, as debuggers and C compilers read them."""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.codegen.register_header import register_header
from offramp.codegen.svd import svd_text
from offramp.configs.errors import InputError
from offramp.host import console as terminal
from offramp.host.files import write_text
from offramp.pipeline.devices import add_device, stated_device

EPILOG = """\
examples:
  offramp registers --svd max78000-cnn.svd
  offramp registers --header cnn_regs.h
In gdb with PyCortexMDebug: svd_load max78000-cnn.svd, then svd CNN0 CTRL; in VS Code with cortex-debug:
"svdFile": "max78000-cnn.svd". The header is in include/ of every firmware too. docs/DEBUGGING.md has more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--svd", type=Path, metavar="FILE", help="write a CMSIS-SVD file, which debuggers load")
    parser.add_argument("--header", type=Path, metavar="FILE", help="write a C header with all registers and fields")
    add_device(parser, "device whose registers they are")
    terminal.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the files that are asked for. InputError if there is none, or one cannot be written."""
    if not (args.svd or args.header):
        raise InputError("nothing to write: give --svd FILE or --header FILE, or both")
    console = terminal.make_console(args)
    device = stated_device(args.device)
    fields = sum(len(register.fields) for register in device.registers.values())
    for path, make in ((args.svd, svd_text), (args.header, register_header)):
        if path:
            write_text(path, make(device))
            count = f"{len(device.registers)} registers, {fields} fields"
            console.print(f"{path}: {count} of the {device.name}", markup=False, soft_wrap=True)
    return 0
