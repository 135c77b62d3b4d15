"""The sources and headers that ship: both compilers, C99, C11 and C++, the warnings of careful projects."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from offramp.codegen.firmware import Firmware, InputLayout, InputRun
from offramp.configs.errors import CheckFailed
from offramp.host.programs import run_program
from offramp.pipeline.compile import SDK_PORT, Variant, compiler_environment, find_compiler
from offramp.pipeline.footprint import compile_objects, declared_functions
from offramp.simulator.board.objects import read_object
from tests.helpers.external_firmware import external_firmware
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.paths import ROOT
from tests.helpers.small_firmware import DEVICE, row_of, small_firmware, stage

STRICT = (
    *("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef", "-Werror"),
    *("-Wcast-align", "-Wpointer-arith", "-Wswitch-enum", "-Wwrite-strings"),
)
C_ONLY = ("-Wstrict-prototypes", "-Wmissing-prototypes", "-Wold-style-definition")
SDK = f"-I{ROOT / 'tests' / 'helpers' / 'msdk'}"  # a stand-in for the SDK's headers


def by_words() -> Firmware:
    return small_firmware()


def by_channel() -> Firmware:
    runs = tuple(InputRun(DEVICE.data_address(instance, 2), 4, (instance,)) for instance in range(2))
    return single(InputLayout((2, 2, 3), True, runs))


def through_fifo() -> Firmware:
    full = DEVICE.registers["FIFO_STAT"].encode({"full": 1})
    return single(InputLayout((1, 4, 4), True, (InputRun(DEVICE.register_address("FIFO_DATA0"), 0, (0,), full),)))


def single(layout: InputLayout) -> Firmware:
    last = stage("main", (0,), row_of(DEVICE.data_address(2, 128)), reads_fifo=layout.fifo)
    return small_firmware(stages=(last,), input=layout)


FIRMWARES = [by_words, by_channel, through_fifo, external_firmware]


@pytest.mark.parametrize("make", FIRMWARES)
@pytest.mark.parametrize("standard", ["c99", "c11"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_sources_compile_without_a_warning(
    compiler: str, standard: str, make: Callable[[], Firmware], tmp_path: Path
) -> None:
    folder = write_firmware(make(), tmp_path)
    sources = sorted(path.relative_to(folder).as_posix() for path in (folder / "src").glob("*.c"))
    (port,) = (name for name in sources if name.endswith(SDK_PORT))
    options = [f"-std={standard}", *STRICT, *C_ONLY]
    found = find_compiler(compiler)
    compile_objects(found, folder, [name for name in sources if name != port], Variant(), options)
    compile_objects(found, folder, [port], Variant(), [*options, SDK])


@pytest.mark.parametrize("compiler", COMPILERS)
def test_warnings_are_looked_for(compiler: str, tmp_path: Path) -> None:
    """Each of these sources is refused for what it does, by both compilers."""
    folder = write_firmware(small_firmware(), tmp_path)
    wrong = {
        "int f(int n);\nint f(int n) { { int n = 2; (void)n; } return n; }\n": "shadow",
        "signed char f(int n);\nsigned char f(int n) { return n; }\n": "conversion",
        "int f(void) { return 1; }\n": "missing-prototypes",
        "#if SOMETHING\n#endif\nextern int n;\n": "undef",
    }
    for source, word in wrong.items():
        (folder / "src" / "wrong.c").write_text(source)
        with pytest.raises(CheckFailed, match=word):
            compile_objects(find_compiler(compiler), folder, ["src/wrong.c"], Variant(), [*STRICT, *C_ONLY])


@pytest.mark.parametrize("make", FIRMWARES)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_header_stands_alone(compiler: str, make: Callable[[], Firmware], tmp_path: Path) -> None:
    folder = write_firmware(make(), tmp_path)
    for header in sorted((folder / "include").glob("*.h")):
        (folder / "src" / "alone.c").write_text(f'#include "{header.name}"\n#include "{header.name}"\nextern int n;\n')
        compile_objects(find_compiler(compiler), folder, ["src/alone.c"], Variant(), ["-std=c99", *STRICT, *C_ONLY])


CPP = {
    "arm-none-eabi-gcc": ("arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-fno-exceptions"),
    "zig": (sys.executable, "-m", "ziglang", "c++", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4+soft_float"),
}


@pytest.mark.parametrize("make", [by_words, external_firmware])
@pytest.mark.parametrize("standard", ["c++11", "c++17"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_function_can_be_called_from_cpp(
    compiler: str, standard: str, make: Callable[[], Firmware], tmp_path: Path
) -> None:
    """A program in C++ refers to each function under the name that it has in the objects made from C."""
    command = CPP[compiler]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    folder = write_firmware(make(), tmp_path)
    names = declared_functions(folder)
    assert {"offramp_open", "offramp_infer"} <= set(names)
    pointers = "".join(f"    reinterpret_cast<pointer>(&{name}),\n" for name in names)
    includes = "".join(f'#include "{header.name}"\n' for header in sorted((folder / "include").glob("*.h")))
    array = "extern pointer const calls[];\npointer const calls[] = {\n" + pointers + "};\n"
    (folder / "caller.cpp").write_text(f"{includes}using pointer = void (*)();\n{array}")
    options = [f"-std={standard}", *STRICT, "-ffreestanding", "-fno-rtti", "-Iinclude", "-c", "caller.cpp"]
    made = run_program([*command, *options, "-o", "caller.o"], folder, "stderr", 60, compiler_environment())
    assert made.status == 0, made.text
    caller = read_object("caller.o", (folder / "caller.o").read_bytes(), {})
    assert set(names) <= caller.missing
