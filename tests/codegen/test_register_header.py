"""cnn_regs.h: what it says of each register and field, under the compilers and languages of firmware."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from offramp.codegen.register_header import register_header
from offramp.codegen.render import render
from offramp.configs.device import Device, device_names, load_device
from tests.helpers.devices import VARIANTS
from tests.helpers.devices import changed as changed_device
from tests.helpers.firmware_builds import COMPILERS
from tests.helpers.small_firmware import DEVICE, small_firmware

LANGUAGES = ("c99", "c11", "c++98", "c++11", "c++17")
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef", "-Werror")
USE = """\
#include "cnn_regs.h"
#include "cnn_regs.h"

uint32_t done(uint32_t quadrant, int layer);
uint32_t done(uint32_t quadrant, int layer)
{
    CNN_REG(CNN_RCNT(quadrant, layer)) = CNN_VALUE(CNN_RCNT_LAST, 31u) | CNN_VALUE(CNN_RCNT_PAD, layer);
    CNN_REG(CNN_CTRL(quadrant)) = CNN_REPLACED(CNN_CTRL_ENABLE, CNN_REG(CNN_CTRL(quadrant)), 1);
    CNN_REG(CNN_DATA(quadrant, 1, layer)) = 0;
    return CNN_FIELD(CNN_CTRL_DONE, CNN_REG(CNN_CTRL(0)));
}
"""


def compiled(source: str, header: str, folder: Path, compiler: str, language: str) -> str:
    """What the compiler says: nothing if it accepts the source."""
    gnu = compiler == "arm-none-eabi-gcc"
    name = "use.cpp" if "+" in language else "use.c"
    (folder / "cnn_regs.h").write_text(header, encoding="utf-8")
    (folder / name).write_text(source, encoding="utf-8")
    zig = [sys.executable, "-m", "ziglang", "c++" if "+" in language else "cc", "-target", "thumb-freestanding-eabi"]
    command = ["arm-none-eabi-g++" if "+" in language else compiler, "-mcpu=cortex-m4", "-mthumb"] if gnu else zig
    outcome = subprocess.run(
        [*command, f"-std={language}", *WARNINGS, "-c", name, "-o", "use.o"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(outcome.returncode) == bool(outcome.stderr), outcome.stderr
    return outcome.stderr


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_compiles_without_a_warning(compiler: str, language: str, tmp_path: Path) -> None:
    assert compiled(USE, register_header(DEVICE), tmp_path, compiler, language) == ""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("language", ("c99", "c11", "c++98", "c++11"))
@pytest.mark.parametrize(
    ("right", "wrong", "check"),
    [
        ("#define CNN_STRIDE_LAST_POS  0u", "#define CNN_STRIDE_LAST_POS  1u", "cnn_stride_last_place"),
        ("#define CNN_STRIDE_LAST_MASK 0x0000000fu", "#define CNN_STRIDE_LAST_MASK 0x0000001fu", "cnn_stride_fields"),
        ("0x50100290u + 0x400000u", "0x50100290u + 0x500000u", "cnn_stride_address"),
    ],
)
def test_a_wrong_header_is_refused(
    right: str, wrong: str, check: str, language: str, compiler: str, tmp_path: Path
) -> None:
    header = register_header(DEVICE)
    assert header.count(right) == 1
    assert check in compiled(USE, header.replace(right, wrong), tmp_path, compiler, language)


def assertions(device: Device) -> list[str]:
    """Every address, field, value after reset and reserved bit, as the device file has it."""
    found = []
    for address, place in device.register_places():
        block = device.blocks[device.registers[place.name].block]
        arguments = [place.quadrant] if "quadrant_stride" in block else []
        arguments += [place.unit] if place.unit >= 0 else []
        call = f"({', '.join(map(str, arguments))})" if arguments else ""
        found.append(f"CNN_{place.name}{call} == {address}u")
    for register in device.registers.values():
        name = f"CNN_{register.name}"
        found.append(f"{name}_RESERVED == {0xFFFFFFFF & ~register.mask}u")
        if register.reset is not None:
            found.append(f"{name}_RESET == {register.reset}u")
        for field in register.fields:
            macro = f"{name}_{field.name.upper()}"
            found.append(f"{macro}_POS == {field.low}u && {macro}_MASK == {field.limit << field.low}u")
    for instance in range(device.geometry.instances):
        quadrant, unit = divmod(instance, device.geometry.instances_per_quadrant)
        found.append(f"CNN_DATA({quadrant}, {unit}, 5) == {device.data_address(instance, 5)}u")
    for processor in range(device.geometry.processors):
        at = divmod(processor, device.geometry.processors_per_quadrant)
        first = device.weight_address(processor)
        found.append(f"CNN_WEIGHTS({at[0]}, {at[1]}, 0) == {first}u")
        found.append(f"CNN_WEIGHTS_EXPRESS({at[0]}, {at[1]}, 7) == {first + 7 * device.express_stride}u")
    found += [f"CNN_BIAS({q}, 9) == {device.bias_address(q, 9)}u" for q in range(device.geometry.quadrants)]
    return found


@pytest.mark.parametrize("compiler", COMPILERS[:1])
@pytest.mark.parametrize("variant", [*device_names(), *VARIANTS])
def test_it_says_what_the_device_file_says(variant: str, compiler: str, tmp_path: Path) -> None:
    device = changed_device(VARIANTS[variant]) if variant in VARIANTS else load_device(variant)
    lines = [f'_Static_assert({text}, "{number}");' for number, text in enumerate(assertions(device))]
    assert len(lines) > 1000
    source = '#include "cnn_regs.h"\n' + "\n".join(lines) + "\nextern int nothing;\n"
    assert compiled(source, register_header(device), tmp_path, compiler, "c11") == ""


def test_no_name_stands_twice() -> None:
    names = re.findall(r"#define (\w+)", register_header(DEVICE))
    twice = {name for name, count in Counter(names).items() if count > 1}
    assert twice == {"CNN_REGS_CHECK"}  # once for each language


def test_every_field_says_what_it_is_for() -> None:
    header = register_header(DEVICE)
    for register in DEVICE.registers.values():
        assert f"/* {register.meaning} " in header and register.meaning.endswith(".")
        for field in register.fields:
            assert f"] {field.meaning} */" in header and field.meaning.endswith((".", ".)"))


def test_every_firmware_has_it() -> None:
    assert render(small_firmware(), DEVICE)["include/cnn_regs.h"] == register_header(DEVICE)
