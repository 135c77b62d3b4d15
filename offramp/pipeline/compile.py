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
from typing import Literal

from offramp.configs.errors import CheckFailed, InputError
from offramp.host.files import fresh_folder, writing
from offramp.host.programs import run_program
from offramp.simulator.board.elf import EXTRA, load_image

COMPILERS = ("arm-none-eabi-gcc", "zig")
_FLAGS = (
    *("-std=c99", "-g0", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror"),
    *("-ffreestanding", "-ffunction-sections", "-fdata-sections"),
    *("-Iinclude", "-Iemulator"),
)
_LINK = ("-Wl,--gc-sections", "-T", "emulator/link.ld")
_ARM = ("-mcpu=cortex-m4", "-mthumb", "-nostdlib")
_THUMB = ("-fno-sanitize=all", "-target")
_MACHINE = {
    ("arm-none-eabi-gcc", "soft"): (*_ARM, "-mfloat-abi=soft"),
    ("arm-none-eabi-gcc", "hard"): (*_ARM, "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    ("zig", "soft"): (*_THUMB, "thumb-freestanding-eabi", "-mcpu=cortex_m4+soft_float"),
    ("zig", "hard"): (*_THUMB, "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
}
_STACK = {"arm-none-eabi-gcc": "-fstack-usage", "zig": "-fstack-size-section"}
SDK_PORT = "_msdk.c"  # how the name of the source ends that works with the vendor's SDK only
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
class Variant:
    """How sources are compiled: the level of optimisation, and how floating point is passed."""

    level: Literal["-O2", "-Os"] = "-O2"
    floats: Literal["soft", "hard"] = "soft"


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
    run_compiler(found, folder, [*library_sources(folder), main], elf)
    try:
        image = load_image(elf)
    except InputError as error:
        raise InputError(f"what {found.name} ({found.command[0]}) compiles is no program: {error}") from error
    return Compiled(elf, image.flash_bytes, image.ram_bytes, f"{found.name} {found.version}")


def compile_probe(folder: Path, elf: Path, compiler: str = "auto", values: int | None = None) -> None:
    """Compile the probe of a firmware folder to `elf`, for the virtual board. `values`: the number of a layer whose
    values it prints, instead of those of the first that differs.

    InputError and CheckFailed as of `compile_firmware`.
    """
    sources = [*library_sources(folder), *_sources(folder, "probe")]
    chosen = [] if values is None else [f"-DOFFRAMP_PROBE_VALUES={values}u"]
    run_compiler(find_compiler(compiler), folder, sources, elf, ["-Isrc", "-Iprobe", *chosen])


def library_sources(folder: Path) -> list[str]:
    """The sources of a firmware for the virtual board, but for main()."""
    sources = [name for name in _sources(folder, "src") if name != "src/main.c" and not name.endswith(SDK_PORT)]
    return sources + [name for name in _sources(folder, "emulator") if name != "emulator/main_emulator.c"]


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
    variant = Variant()
    flags = [*_MACHINE[compiler.name, variant.floats], variant.level, *_FLAGS, *_LINK, *extra]
    _call(compiler, folder, [*flags, *sources, *libraries], elf)


def compile_object(
    compiler: Compiler, folder: Path, source: str, output: Path, variant: Variant, extra: Sequence[str] = ()
) -> None:
    """Compile one source of `folder` to an object file that says how much stack each function takes: gcc in a file of
    its own beside `output` (.su), clang in section `.stack_sizes`."""
    flags = [*_MACHINE[compiler.name, variant.floats], variant.level, *_FLAGS, _STACK[compiler.name], *extra]
    _call(compiler, folder, [*flags, "-c", source], output)


def _call(compiler: Compiler, folder: Path, arguments: Sequence[str], output: Path) -> None:
    """CheckFailed with the compiler's words if it refuses the sources, InputError if it does not work."""
    with ExitStack() as stack:
        with writing(output):
            scratch = str(fresh_folder(output, stack))
        command = [*compiler.command, *arguments, "-o", str(output.absolute())]
        outcome = run_program(command, folder, "stderr", COMPILE_SECONDS, compiler_environment(scratch))
    if outcome.status:
        said = f"{compiler.name} refuses the firmware in {folder}:\n{outcome.text.strip()}"
        raise InputError(said) if any(one in outcome.text for one in _NO_ROOM) else CheckFailed(said)
    if not output.is_file():
        raise InputError(f"{compiler.name} ({compiler.command[0]}) has compiled nothing")


def _version(name: str, command: Sequence[str]) -> str:
    """What a compiler calls itself. InputError if that is no version."""
    outcome = run_program(command, Path.cwd(), "stdout", VERSION_SECONDS, compiler_environment())
    version = outcome.text.strip()
    if outcome.status or not re.fullmatch(r"\d[\w.+-]{0,60}", version):
        found = repr(version[:60]) if version else "nothing"
        raise InputError(f"{name}: `{' '.join(command)}` prints {found}; its version is expected. Is it a compiler?")
    return version


def compiler_environment(scratch: str | None = None) -> dict[str, str]:
    """Without locale, with zig's caches in a place of our own, and temporary files in `scratch`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "offramp" / "zig"
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    places = {"TMPDIR": scratch} if scratch else {}
    return {**os.environ, **caches, **places, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
