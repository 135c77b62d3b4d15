"""The virtual board: what the dispatcher does on it, and every way a program can go wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.errors import InputError
from offramp.simulator.board.calls import Status
from offramp.simulator.board.errors import BoardError, Ending
from offramp.simulator.board.host import Host
from offramp.simulator.board.run import BoardRun, run, run_program, run_with
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import build, build_program
from tests.helpers.small_firmware import DEVICE, MOST_CYCLES, SHAPE, THRESHOLD, small_firmware, small_model

SURE = (-1, 120, 10)  # byte logits: margin 110
UNSURE = (20, 0, 10)
FINAL = (-100000, 70000, 69000)


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(small_firmware(), tmp_path_factory.mktemp("small"))


def images(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.random.default_rng(1).integers(-128, 128, (count, *SHAPE)).astype(np.int8)


def fake(*starts: tuple[int, tuple[int, ...] | None]) -> FakeAccelerator:
    return FakeAccelerator(small_firmware(), DEVICE, [stage for stage, _ in starts], [logits for _, logits in starts])


def answer(board: BoardRun, index: int) -> tuple[int, int, int, list[int]]:
    confidence = int(board.confidences[index])
    return int(board.stages[index]), int(board.classes[index]), confidence, board.values[index].tolist()


def values(writes: tuple[object, ...]) -> list[tuple[int, int]]:
    control = {DEVICE.register_address("CTRL", quadrant) for quadrant in range(4)}
    return [(write.address, write.value) for write in writes if write.address not in control]  # type: ignore[attr-defined]


def test_a_sure_answer_leaves_early_and_an_unsure_one_goes_on(elf: Path) -> None:
    accelerator = fake((0, SURE), (0, UNSURE), (1, FINAL), (0, SURE))
    board = run(elf, images(3), accelerator, DEVICE)
    assert board.statuses == (Status.OK,) * 3 and board.failures() == ()
    assert answer(board, 0) == (0, 1, 110, list(SURE))
    assert answer(board, 1) == (1, 1, 1000, list(FINAL))
    assert answer(board, 2) == (0, 1, 110, list(SURE))
    front, main = small_model().stages
    expected = [*values(small_firmware().init), *values(front.registers), *values(front.advance), *values(main.restore)]
    assert accelerator.registers == expected  # nothing is configured twice, nothing between two early answers
    assert accelerator.starts == 4 and accelerator.powered == 0


@pytest.mark.parametrize(("margin", "stage"), [(THRESHOLD, 0), (THRESHOLD - 1, 1)])
def test_threshold_is_inclusive(elf: Path, margin: int, stage: int) -> None:
    board = run(elf, images(1), fake((0, (0, margin, -3)), (1, FINAL)), DEVICE)
    assert board.stages.tolist() == [stage]


def test_weights_and_biases_are_loaded_once(elf: Path) -> None:
    accelerator = fake((0, SURE), (0, SURE))
    run(elf, images(2), accelerator, DEVICE)
    firmware = small_firmware()
    assert accelerator.bytes_written == [chunk.address | 1 for chunk in firmware.weights]
    for chunk in firmware.weights:
        assert [accelerator.memory[chunk.address + 4 * i] for i in range(len(chunk.words))] == chunk.words.tolist()
    run_of_biases = firmware.biases[0]
    stored = [accelerator.memory[run_of_biases.address + 4 * i] for i in range(len(run_of_biases.values))]
    assert stored == [value & 0xFF for value in run_of_biases.values.tolist()]


def test_input_is_packed_pixel_by_pixel(elf: Path) -> None:
    accelerator, inputs = fake((0, SURE)), images(1)
    run(elf, inputs, accelerator, DEVICE)
    bytes_ = inputs[0].reshape(SHAPE[0], -1).view(np.uint8).astype(int)
    for number, layout in enumerate(small_model().input.runs):
        for pixel in range(bytes_.shape[1]):
            lanes = bytes_[4 * number : 4 * number + 4, pixel].tolist()
            word = sum(byte << 8 * lane for lane, byte in enumerate(lanes))
            assert accelerator.memory[layout.address + pixel * layout.step] == word


@pytest.mark.parametrize("stage", [0, 1])
def test_an_accelerator_that_hangs_is_an_error_code_and_the_next_image_starts_from_scratch(
    elf: Path, stage: int
) -> None:
    before: list[tuple[int, tuple[int, ...] | None]] = [(0, UNSURE)] if stage else []
    accelerator = fake(*before, (stage, None), (0, UNSURE), (1, FINAL))
    board = run(elf, images(2), accelerator, DEVICE)
    assert board.statuses == (Status.E_TIMEOUT, Status.OK)
    assert board.failures() == ("image 0: E_TIMEOUT",)
    assert answer(board, 1) == (1, 1, 1000, list(FINAL))
    front = small_model().stages[0]
    again = values(small_firmware().init) + values(front.registers) + values(front.advance)
    assert accelerator.registers[-len(again) :] == again
    assert 10 < accelerator.reads_of_control < MOST_CYCLES / 10  # a look takes more than ten cycles


def test_what_the_accelerator_refuses_is_told_with_the_number_of_calls(elf: Path) -> None:
    accelerator = fake((0, SURE), (0, SURE))
    accelerator.memory.clear()

    def broken(address: int) -> int:
        if accelerator.starts == 2 and address not in (DEVICE.register_address("CTRL", q) for q in range(4)):
            from offramp.simulator.errors import AcceleratorError

            raise AcceleratorError("layer 3: no such data")
        return FakeAccelerator.read(accelerator, address)

    accelerator.read = broken  # type: ignore[method-assign]
    with pytest.raises(BoardError, match=r"refused a bus access: layer 3: no such data \(after 7 calls") as caught:
        run(elf, images(2), accelerator, DEVICE)
    assert (caught.value.ending, caught.value.calls) == (Ending.ACCELERATOR, 7)


def test_an_exception_in_a_progress_function_stops_the_run(elf: Path) -> None:
    def stop(answers: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(elf, images(1), fake((0, SURE)), DEVICE, progress=stop)


def test_progress_counts_answers(elf: Path) -> None:
    seen: list[int] = []
    run(elf, images(3), fake((0, SURE), (0, SURE), (0, SURE)), DEVICE, progress=seen.append)
    assert seen == [1, 2, 3]


def test_no_images(elf: Path) -> None:
    board = run(elf, images(0), fake(), DEVICE)
    assert board.statuses == () and board.failures() == ()


def test_a_record_of_another_size_is_told(tmp_path: Path) -> None:
    body = 'int32_t calls = semihosting_open("calls", false);\nstatic uint32_t call[4];\n'
    program = build_program(PRELUDE + body + "return semihosting_read(calls, call, sizeof call) ? 0 : 1;}", tmp_path)
    host = Host()
    host.streams["calls"].append(bytes(12))
    with pytest.raises(BoardError, match="a read of 16 bytes; a record has 12") as caught:
        run_with(host, program, fake(), DEVICE)
    assert caught.value.ending is Ending.HOST


PRELUDE = '#include <stdint.h>\n#include "semihosting.h"\nint main(void)\n{\n    semihosting_print("here");\n'
SLEEP = '__asm__ volatile("wfi");'
ENABLE = "*(volatile uint32_t *)0xE000E10C = 1u << 5;"


@pytest.mark.parametrize(
    ("body", "ending", "detail"),
    [
        ("for (;;) { __asm__ volatile(\"\"); }", Ending.LIMIT, "100000 instructions without an answer, now at 0x1000"),
        (SLEEP, Ending.ASLEEP, "WFI at 0x1000"),
        (ENABLE + SLEEP, Ending.ASLEEP, "WFI at 0x1000"),
        ("return (int)*(volatile uint32_t *)0x30000000;", Ending.FAULT, "read of nothing at 0x30000000"),
        ("*(volatile uint32_t *)0x60000004 = 1;", Ending.FAULT, "write to nothing at 0x60000004"),
        ("*(volatile uint32_t *)0x10000000 = 1;", Ending.FAULT, "write to flash at 0x10000000"),
        ("((void (*)(void))0x70000001)();", Ending.FAULT, "jump to nothing at 0x70000000"),
        ('__asm__ volatile("udf #1");', Ending.FAULT, "Invalid instruction"),
        ('__asm__ volatile("bkpt #1");', Ending.FAULT, "exception 7 at 0x1000"),
        ("semihosting_exit(SEMIHOSTING_FAULT, 0);", Ending.FAULT, "exception, reported with 0x20023"),
        ("*(volatile uint16_t *)0x50100000 = 1;", Ending.HOST, "16-bit write at 0x50100000"),
        ("return *(volatile uint8_t *)0x50400001;", Ending.HOST, "8-bit read at 0x50400001"),
        ("(void)semihosting_write(7, (void *)0x20000000, 4);", Ending.HOST, "a write to stream 7"),
        ("(void)semihosting_read(7, (void *)0x20000000, 4);", Ending.HOST, "a read of stream 7"),
        ('__asm__ volatile("movs r0, #0x13\\n bkpt 0xAB" ::: "r0");', Ending.HOST, "semihosting operation 0x13"),
    ],
)  # fmt: skip
def test_a_program_that_goes_wrong(body: str, ending: Ending, detail: str, tmp_path: Path) -> None:
    program = build_program(PRELUDE + body + "\n    return 0;\n}\n", tmp_path)
    with pytest.raises(BoardError) as caught:
        run_program(program, fake(), DEVICE, limit=100_000)
    assert caught.value.ending is ending
    assert detail in caught.value.detail
    assert caught.value.console == "here" and "it printed: here" in str(caught.value)


def test_sleep_that_only_a_handler_could_end(tmp_path: Path) -> None:
    """An interrupt that is on and pending, and not masked: silicon would run a handler, the program has none."""
    pending = "*(volatile uint32_t *)0xE000E100 = 1u << 5; *(volatile uint32_t *)0xE000E200 = 1u << 5;"
    program = build_program(PRELUDE + pending + SLEEP + "return 0;}", tmp_path)
    with pytest.raises(BoardError) as caught:
        run_program(program, fake((0, SURE)), DEVICE)
    assert caught.value.ending is Ending.INTERRUPT


def test_masked_sleep_ends_when_the_accelerator_is_done(tmp_path: Path) -> None:
    start = f"*(volatile uint32_t *){DEVICE.register_address('CTRL'):#x} = 1;"
    masked = '__asm__ volatile("cpsid i");' + ENABLE + start + SLEEP
    assert run_program(build_program(PRELUDE + masked + "return 5;}", tmp_path), fake((0, SURE)), DEVICE) == (5, "here")


def test_status_of_a_firmware_that_gives_up(tmp_path: Path) -> None:
    program = build_program(PRELUDE + "return -3;}", tmp_path)
    with pytest.raises(
        BoardError,
        match=r"the firmware gave up: status -3, without an answer to HELLO \(after 0 calls; it printed: here",
    ):
        run(program, images(1), fake(), DEVICE)


def test_a_firmware_that_leaves_calls_unanswered(tmp_path: Path) -> None:
    program = build_program(PRELUDE + "return 0;}", tmp_path)
    with pytest.raises(BoardError, match="status 0, without an answer to HELLO"):
        run(program, images(1), fake(), DEVICE)


def test_registers_that_start_up_code_waits_for(tmp_path: Path) -> None:
    """Clocks are ready, resets over, the cache is on, the tick has counted; other registers keep their value."""
    body = """
    volatile uint32_t *gcr = (volatile uint32_t *)0x40000000, *tick = (volatile uint32_t *)0xE000E010;
    gcr[1] = 0xFFFFFFFFu; gcr[6] = 0x5000u; tick[0] = 1u;
    int ready = (gcr[2] >> 27 & 1u) && gcr[1] == 0 && gcr[6] == 0x5000u;
    ready = ready && (*(volatile uint32_t *)0x4002A100 >> 16 & 1u);
    volatile uint32_t *timer = (volatile uint32_t *)0x40010000, *serial = (volatile uint32_t *)0x40042000;
    ready = ready && (timer[3] >> 8 & 1u) && (timer[6] >> 3 & 1u) && (serial[0] >> 19 & 1u);
    return ready && (tick[0] >> 16 & 1u) && *(volatile uint32_t *)0x40005808 == 0xFu ? 42 : 1;
}
"""
    assert run_program(build_program(PRELUDE + body, tmp_path), fake(), DEVICE)[0] == 42


def test_the_serial_port_prints(tmp_path: Path) -> None:
    body = """
    volatile uint32_t *serial = (volatile uint32_t *)0x40042000;
    serial[8] = 'o'; serial[8] = 'k';
    return 0;
}
"""
    assert run_program(build_program(PRELUDE + body, tmp_path), fake(), DEVICE) == (0, "hereok")


@pytest.mark.parametrize(("content", "message"), [(b"text", "not an ELF file"), (None, "cannot be read")])
def test_files_that_are_no_program(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.elf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        run_program(path, fake(), DEVICE)


def test_a_program_for_another_machine() -> None:
    with pytest.raises(InputError, match="an Arm executable is expected"):
        run_program(Path(sys.executable).resolve(), fake(), DEVICE)


@pytest.mark.parametrize(("missing", "name"), [("unicorn", "unicorn"), ("elftools.elf.elffile", "pyelftools")])
def test_a_missing_package_is_named(missing: str, name: str, elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=rf"{name} is needed.*pip install -e '.\[board\]'"):
        run(elf, images(1), fake(), DEVICE)


def test_streams_that_do_not_exist_cannot_be_opened() -> None:
    class Memory:
        def mem_read(self, address: int, size: int) -> bytearray:
            block = b"".join(word.to_bytes(4, "little") for word in (16, 1, 5)) + b"\0" * 4 + b"other"
            return bytearray(block[address : address + size])

        def mem_write(self, address: int, data: bytes) -> None:
            raise AssertionError

    assert Host().call(0x01, 0, Memory()) == 0xFFFFFFFF
