"""Compiles a firmware folder for the virtual board, with whichever of two compilers there is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from offramp.configs.errors import CheckFailed, InputError
from offramp.host.files import fresh_folder, writing
from offramp.host.programs import run_program
from offramp.simulator.board.elf import EXTRA, load_image

COMPILERS = ("arm-none-eabi-gcc", "zig")
_FLAGS = (
    *("-std=c99", "-O2", "-g0", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror"),
    *("-ffreestanding", "-ffunction-sections", "-fdata-sections"),
    *("-Wl,--gc-sections", "-T", "emulator/link.ld"),
    *("-Iinclude", "-Iemulator"),
)
_MACHINE = {
    "arm-none-eabi-gcc": ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft", "-nostdlib"),
    "zig": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4+soft_float", "-fno-sanitize=all"),
}
COMPILE_SECONDS = 120  # zig compiles its own libraries the first time: some ten seconds
VERSION_SECONDS = 10
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "Read-only file system", "NoSpaceLeft", "DiskQuota")
_NEITHER = (
    "no compiler for the Cortex-M4: install arm-none-eabi-gcc (Debian: apt install gcc-arm-none-eabi), "
    f"or the Python package ziglang; {EXTRA}"
)


@dataclass(frozen=True)
class Compiled:
    """An ELF file, what it takes of the part's memories (start-up and stack apart), and what compiled it."""

    elf: Path
    flash_bytes: int
    ram_bytes: int
    compiler: str


@dataclass(frozen=True)
class Compiler:
    """A compiler that was found: the command it is called with, and what it calls itself."""

    name: str
    command: tuple[str, ...]
    version: str


def compile_firmware(
    folder: Path, elf: Path, compiler: str = "auto", main: str = "emulator/main_emulator.c"
) -> Compiled:
    """Compile `folder` (as `codegen.render.render` names its files) to `elf`; `main` is the source with main().

    The same sources give the same bytes, wherever the folder is. InputError if there is no compiler, CheckFailed with
    the compiler's words if it refuses the sources.
    """
    found = find_compiler(compiler)
    sources = [name for name in _sources(folder, "src") if name not in ("src/main.c", "src/offramp_port_msdk.c")]
    sources += [name for name in _sources(folder, "emulator") if name != "emulator/main_emulator.c"]
    run_compiler(found, folder, [*sources, main], elf)
    try:
        image = load_image(elf)
    except InputError as error:
        raise InputError(f"what {found.name} ({found.command[0]}) compiles is no program: {error}") from error
    return Compiled(elf, image.flash_bytes, image.ram_bytes, f"{found.name} {found.version}")


def _sources(folder: Path, part: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / part).glob("*.c"))


def find_compiler(wanted: str = "auto") -> Compiler:
    """The compiler of that name, or with "auto" the first that is installed. InputError says how to get one."""
    if wanted not in ("auto", *COMPILERS):
        raise InputError(f"compiler `{wanted}`; auto, {' or '.join(COMPILERS)} is expected")
    names = COMPILERS if wanted == "auto" else (wanted,)
    for name in names:
        command = _command(name)
        if command:
            version = ["-dumpfullversion"] if name == "arm-none-eabi-gcc" else ["version"]
            base = command if name == "arm-none-eabi-gcc" else command[:-1]
            return Compiler(name, command, _version(name, [*base, *version]))
    raise InputError(_NEITHER if wanted == "auto" else f"{wanted} is not installed; {_NEITHER}")


def _command(name: str) -> tuple[str, ...] | None:
    if name == "zig":
        there = importlib.util.find_spec("ziglang") is not None
        return (sys.executable, "-m", "ziglang", "cc") if there else None
    path = shutil.which(name)
    return (path,) if path else None


def run_compiler(
    compiler: Compiler, folder: Path, sources: Sequence[str], elf: Path, extra: Sequence[str] = ()
) -> None:
    """One call that compiles and links. Paths are relative to `folder`, so that no absolute path gets into the ELF."""
    libraries = ["-lgcc"] if compiler.name == "arm-none-eabi-gcc" else []
    flags = [*_MACHINE[compiler.name], *_FLAGS, *extra]
    command = [*compiler.command, *flags, *sources, *libraries, "-o", str(elf.absolute())]
    with ExitStack() as stack:
        with writing(elf):
            scratch = str(fresh_folder(elf, stack))
        outcome = run_program(command, folder, "stderr", COMPILE_SECONDS, _environment(scratch))
    if outcome.status:
        said = f"{compiler.name} refuses the firmware in {folder}:\n{outcome.text.strip()}"
        raise InputError(said) if any(one in outcome.text for one in _NO_ROOM) else CheckFailed(said)
    if not elf.is_file():
        raise InputError(f"{compiler.name} ({compiler.command[0]}) has compiled nothing")


def _version(name: str, command: Sequence[str]) -> str:
    """What a compiler calls itself. InputError if that is no version."""
    outcome = run_program(command, Path.cwd(), "stdout", VERSION_SECONDS, _environment())
    version = outcome.text.strip()
    if outcome.status or not re.fullmatch(r"\d[\w.+-]{0,60}", version):
        found = repr(version[:60]) if version else "nothing"
        raise InputError(f"{name}: `{' '.join(command)}` prints {found}; its version is expected. Is it a compiler?")
    return version


def _environment(scratch: str | None = None) -> dict[str, str]:
    """Without locale, with zig's caches in a place of our own, and temporary files in `scratch`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "offramp" / "zig"
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    places = {"TMPDIR": scratch} if scratch else {}
    return {**os.environ, **caches, **places, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
