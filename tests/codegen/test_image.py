"""Images: their bytes from the rules of the layout, damage, and two of them in one program."""

from __future__ import annotations

import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from offramp.codegen.assemble import cycle_bounds
from offramp.codegen.firmware import Firmware, WordRun
from offramp.codegen.image import CRC_FROM, HEADER_BYTES, MODEL_BYTES, STAGE_BYTES, lay_out
from offramp.codegen.render import render
from offramp.pipeline.compile import compile_firmware
from offramp.planner.hardware.cycles import Cycles
from offramp.planner.spec.clocks import clock_setting, with_clocks
from offramp.simulator.board.run import run_program
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.small_firmware import DEVICE, row_of, small_firmware, small_model, stage

MAGIC = 0x3152464F


def words_at(data: bytes, at: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", data, at)


def test_the_header_says_what_the_bytes_are() -> None:
    data = lay_out(small_firmware(), DEVICE).data
    magic, crc, size, form, *digest, quadrants, every, source, divider = words_at(data, 0, 12)
    assert (magic, crc, size, form) == (MAGIC, zlib.crc32(data[CRC_FROM:]), len(data), 1)
    assert struct.pack("<4I", *digest) == small_firmware().digest
    assert (quadrants, every, source, divider) == (0b11, 0b1111, 0, 4)
    assert len(data) % 4 == 0


def test_spans_lead_to_the_tables() -> None:
    firmware = small_firmware()
    data = lay_out(firmware, DEVICE).data
    spans = words_at(data, 4 * 15, 16)
    init, _, _, weights, loaded, biases, models, stages = zip(spans[::2], spans[1::2], strict=True)
    assert init[1] == len(firmware.init)
    assert words_at(data, init[0], 2) == (firmware.init[0].address, firmware.init[0].value)
    assert loaded == biases
    assert (models, stages) == ((HEADER_BYTES, 1), (HEADER_BYTES + MODEL_BYTES, 2))
    address, plain, columns, at, count = words_at(data, weights[0] + 20, 5)
    chunk = firmware.weights[1]
    assert (address, plain, columns, count) == (chunk.address, chunk.plain, chunk.columns, len(chunk.words))
    assert words_at(data, at, count) == tuple(chunk.words.tolist())
    address, at, count = words_at(data, biases[0], 3)
    assert (address, data[at : at + count]) == (firmware.biases[0].address, firmware.biases[0].values.tobytes())


def test_registers_are_runs_of_neighbours_with_a_value_for_each_stage() -> None:
    data = lay_out(small_firmware(), DEVICE).data
    at, count = words_at(data, HEADER_BYTES, 2)
    runs = [words_at(data, at + 8 * index, 2) for index in range(count)]
    addresses = [address + 4 * index for address, length in runs for index in range(length)]
    for index, one in enumerate(small_model().stages):
        values_at, values = words_at(data, HEADER_BYTES + MODEL_BYTES + STAGE_BYTES * index, 2)
        found = zip(addresses, words_at(data, values_at, values), strict=True)
        assert list(found) == [(write.address, write.value) for write in one.registers]


def test_members_lie_one_behind_the_other() -> None:
    members = lay_out(small_firmware(), DEVICE).members
    end = 0
    for member in members:
        assert member.at == end and member.at % 4 == 0
        end += len(member.data)


@pytest.mark.parametrize(
    ("tag", "clocks", "bounds"),
    [
        ("simulated", {}, (1800, 10_000)),  # twice as many cycles of the core: 9/10 of 1,000; 4 * 1,000 + 1,000
        ("estimated", {}, (500, 10_000)),
        ("simulated", {"core_hz": 100_000_000, "cnn_hz": 30_000_000}, (3000, 16_667)),
    ],
)
def test_bounds_on_cycles(tag: str, clocks: dict[str, int], bounds: tuple[int, int]) -> None:
    cycles = Cycles(1000, tag, "somewhere")  # type: ignore[arg-type]
    assert cycle_bounds(cycles, with_clocks(DEVICE, clocks)) == bounds


@pytest.mark.parametrize(
    ("core", "cnn", "source", "divider"),
    [
        (100_000_000, 50_000_000, 0, 4),
        (100_000_000, 25_000_000, 0, 0),
        (100_000_000, 30_000_000, 1, 0),
        (60_000_000, 30_000_000, 0, 4),
        (100_000_000, 3_125_000, 0, 3),
    ],
)
def test_clocks_as_fields_of_the_register(core: int, cnn: int, source: int, divider: int) -> None:
    setting = clock_setting(with_clocks(DEVICE, {"core_hz": core, "cnn_hz": cnn}))
    assert (setting.source, setting.divider) == (source, divider)


def named(name: str, **model: object) -> Firmware:
    return replace(small_firmware(**model), name=name)


@pytest.mark.parametrize(
    ("name", "identifier"),
    [("net-2.b", "net_2_b"), ("9lives", "model_9lives"), ("_x", "model__x"), ("offramp", "model_offramp")],
)
def test_names_that_are_none_in_c(name: str, identifier: str) -> None:
    files = render(named(name, labels=()), DEVICE)
    assert f"include/{identifier}_image.h" in files
    assert f"const offramp_image_t {identifier}_image = " in files[f"src/{identifier}_image.c"]


TWO = """
#include "first_image.h"
#include "second_image.h"
#include "semihosting.h"

static const int8_t input[FIRST_INPUT_BYTES];

static void poll_at_once(void *context)
{
    (void)context;
}

static int answers(const offramp_image_t *image, const char *const *labels)
{
    const offramp_options_t options = {.wait = poll_at_once};
    offramp_result_t result;
    int failed = offramp_open(image, &options) != OFFRAMP_OK;
    failed |= offramp_infer(0u, OFFRAMP_CHW, input, &result) != OFFRAMP_OK;
    semihosting_print(labels[result.class_index]);
    semihosting_print(" ");
    return failed | (offramp_close() != OFFRAMP_OK);
}

int main(void)
{
    return answers(&first_image, first_labels) | answers(&second_image, second_labels);
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
def test_two_images_in_one_program(compiler: str, tmp_path: Path) -> None:
    """Opened one after the other; each gives its own answer."""
    last = stage("main", (0,), row_of(DEVICE.data_address(0, 256), 4))
    second = named("second", stages=(last,), labels=("red", "green", "blue", "grey"))
    folder = write_firmware(named("first", labels=("cat", "dog", "bird")), tmp_path / "first")
    other = write_firmware(second, tmp_path / "second")
    for name in ("include/second_image.h", "src/second_image.c", "src/second_samples.c"):
        shutil.copy(other / name, folder / name)
    (folder / "two.c").write_text(TWO)
    elf = compile_firmware(folder, tmp_path / "two.elf", compiler, "two.c").elf
    both = replace(second, models=(small_model(), *second.models))  # stages of both, for the accelerator that answers
    fake = FakeAccelerator(both, DEVICE, (0, 2), ((0, 1, 120), (3, 9, 1, 2)))
    assert run_program(elf, fake, DEVICE) == (0, "bird green ")
    assert fake.starts == 2


@pytest.mark.parametrize("place", ["crc", "magic", "weights"])
def test_a_damaged_image_is_not_opened(place: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    source = folder / "src" / "small_image.c"
    text = source.read_text()
    crc = text.split(".crc = ")[1].split(",")[0]
    old, new = {
        "crc": (crc, f"{int(crc[:-1], 16) ^ 1:#x}u"),
        "magic": (".magic = 0x3152464fu", ".magic = 0x3152464eu"),
        "weights": ("0x01010101u", "0x01010111u"),
    }[place]
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    elf = compile_firmware(folder, tmp_path / "main.elf", "auto", "src/main.c").elf
    status, console = run_program(elf, FakeAccelerator(small_firmware(), DEVICE), DEVICE)
    assert (status, console) == (1, "small\nimage\n*** FAIL ***\n")


def test_rolling_buffers_are_emptied_by_zeros_that_they_share() -> None:
    """Behind the biases, with which they are written when the image is loaded; each model names its own."""
    firmware = small_firmware()
    first = WordRun(DEVICE.data_address(1, 64), 5)
    second = WordRun(DEVICE.data_address(2, 64), 3)
    model = replace(firmware.models[0], buffers=(first, second))
    data = lay_out(replace(firmware, models=(model,)), DEVICE).data
    loaded, count = words_at(data, 4 * 23, 2)
    biases = words_at(data, 4 * 25, 2)
    assert (loaded, count) == (biases[0], biases[1] + 2)
    own, number = words_at(data, HEADER_BYTES + MODEL_BYTES - 36, 2)
    assert (own, number) == (loaded + 12 * biases[1], 2)
    runs = [words_at(data, own + 12 * index, 3) for index in range(2)]
    assert [(run[0], run[2]) for run in runs] == [(first.address, 5), (second.address, 3)]
    assert runs[0][1] == runs[1][1] and not any(data[runs[0][1] : runs[0][1] + 5])
