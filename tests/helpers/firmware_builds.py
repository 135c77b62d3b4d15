"""Firmware folders and ELF files for tests."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from offramp.codegen.firmware import Firmware
from offramp.codegen.render import render
from offramp.pipeline.compile import compile_firmware
from tests.helpers.small_firmware import DEVICE, small_firmware

COMPILERS = [
    pytest.param(
        "arm-none-eabi-gcc",
        marks=pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed"),
    ),
    pytest.param(
        "zig", marks=pytest.mark.skipif(not importlib.util.find_spec("ziglang"), reason="ziglang is not installed")
    ),
]


def write_firmware(firmware: Firmware, folder: Path) -> Path:
    for name, text in render(firmware, DEVICE).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def build(firmware: Firmware, folder: Path, main: str = "emulator/main_emulator.c", compiler: str = "auto") -> Path:
    """The ELF of a firmware, in its folder."""
    return compile_firmware(write_firmware(firmware, folder), folder / "firmware.elf", compiler, main).elf


def build_program(source: str, folder: Path) -> Path:
    """The ELF of a C main() of the test's own, linked with the small parts of the emulator."""
    write_firmware(small_firmware(), folder)
    (folder / "program.c").write_text(source, encoding="utf-8")
    return compile_firmware(folder, folder / "program.elf", "auto", "program.c").elf
