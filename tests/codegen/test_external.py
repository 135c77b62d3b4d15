"""Weights outside flash: the file, and a firmware that reads it, also where reading goes wrong."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offramp.codegen.external import external_file, external_name, external_places
from offramp.codegen.image import HEADER_BYTES, MODEL_BYTES, STAGE_BYTES, lay_out
from offramp.codegen.render import render
from offramp.configs.errors import CheckFailed, Infeasible
from offramp.simulator.board.calls import SelfTest, Status
from offramp.simulator.board.external import Change, External
from offramp.simulator.board.session import Session
from tests.helpers.external_firmware import CHUNKS, external_firmware
from tests.helpers.fake_accelerator import FakeAccelerator
from tests.helpers.firmware_builds import build
from tests.helpers.small_firmware import DEVICE, small_firmware, small_model

INPUT = bytes(30)
PIECE = 512
WORDS = sum(len(one.words) for one in CHUNKS)
READINGS = -(-4 * WORDS // PIECE)


# ---- the file


def test_the_file_begins_with_what_names_its_image() -> None:
    data, firmware = external_file(external_firmware()), external_firmware()
    magic, crc, size, form = struct.unpack_from("<4I", data)
    assert (magic.to_bytes(4, "little"), form, size) == (b"OFW1", 1, len(data))
    assert data[16:32] == firmware.digest
    assert crc == zlib.crc32(data[8:])
    assert external_name(firmware) == "small_weights.bin"


def test_words_of_a_stage_begin_with_a_piece() -> None:
    firmware = external_firmware(3)
    data, places = external_file(firmware), external_places(firmware)
    assert places == (0, PIECE, PIECE + 4 * len(CHUNKS[0].words) + -4 * len(CHUNKS[0].words) % PIECE)
    for at, one in zip(places[1:], CHUNKS, strict=True):
        assert data[at : at + 4 * len(one.words)] == one.words.astype("<u4").tobytes()
    assert len(data) == places[2] + 4 * len(CHUNKS[1].words)


def test_the_image_has_their_checksum_and_not_the_words() -> None:
    firmware = external_firmware()
    data = lay_out(firmware, DEVICE).data
    at, count, place, words, crc = struct.unpack_from("<5I", data, HEADER_BYTES + MODEL_BYTES + 2 * STAGE_BYTES - 20)
    every = b"".join(one.words.astype("<u4").tobytes() for one in CHUNKS)
    assert (count, place, words, crc) == (2, PIECE, WORDS, zlib.crc32(every))
    assert struct.unpack_from("<5I", data, at) == (CHUNKS[0].address, CHUNKS[0].plain, 80, 0, len(CHUNKS[0].words))
    assert CHUNKS[0].words[:16].tobytes() not in data


def test_only_such_a_firmware_has_the_sources() -> None:
    plain, external = render(small_firmware(), DEVICE), render(external_firmware(), DEVICE)
    more = {name for name in external.keys() - plain.keys()}
    assert more == {"include/offramp_external.h", "src/offramp_external.c", "emulator/fetch_emulator.c"}
    assert {name.split("/")[0] for name in plain.keys() - external.keys()} == {"probe", "shim"}
    for word in ("PROBE", "shim"):
        assert not any(word in external[name] for name in ("Makefile", "README.txt"))
        assert any(word in plain[name] for name in ("Makefile", "README.txt"))
    assert "FETCH" in external["Makefile"] and "FETCH" not in plain["Makefile"]
    assert external_file(small_firmware()) == b""
    assert "f_read" in external["README.txt"] and "f_read" not in plain["README.txt"]
    assert f"SMALL_WEIGHTS_BYTES {len(external_file(external_firmware()))}u" in external["include/small_image.h"]


def test_a_first_stage_with_such_weights_is_refused() -> None:
    first, last = small_model().stages
    with pytest.raises(CheckFailed, match="stage front: weights outside flash; the first stage of a model has none"):
        render(small_firmware(stages=(replace(first, external=CHUNKS), last)), DEVICE)


def test_an_image_larger_than_the_flash_is_told_what_would_fit() -> None:
    first, last = small_model().stages
    inside = small_firmware(stages=(first, replace(last, weights=CHUNKS)))
    size = len(lay_out(inside, DEVICE).data)
    little = replace(DEVICE, core={**DEVICE.core, "flash_bytes": size - 1})
    with pytest.raises(
        Infeasible, match=rf"{size:,} bytes, the flash has {size - 1:,}; with `reload: external` in the"
    ):
        render(inside, little)
    render(external_firmware(), little)
    with pytest.raises(Infeasible, match=r"the flash has 400$"):
        render(small_firmware(), replace(DEVICE, core={**DEVICE.core, "flash_bytes": 400}))


# ---- the firmware


class Recorder(FakeAccelerator):
    """Every inference goes on to the last stage. `right`: whether at its last start all of that stage's kernels were
    there, in the order in which they are sent."""

    def __init__(self) -> None:
        super().__init__(external_firmware(), DEVICE)
        self.right: bool | None = None

    def begin(self) -> None:
        self.right = None
        self._pending = [(0, (1, 1, 1)), (1, (5, 6, 7))]

    def _write_control(self, address: int, value: int) -> None:
        before = self.starts
        super()._write_control(address, value)
        if self.starts > before and len(self._pending) == 0:
            self.right = all(
                self.memory.get(one.address + 4 * index) == word
                for one in CHUNKS
                for index, word in enumerate(one.words.tolist())
            )

    def read(self, address: int) -> int:
        """Columns as they are read: a byte in a word of its own, then four a word, the first most significant."""
        for one in (*small_firmware().weights, *CHUNKS):
            if one.plain <= address < one.plain + 16 * one.columns:
                column, place = divmod(address - one.plain, 16)
                words = [self.memory[one.address + 4 * index] for index in range(len(one.words))]
                data = b"".join(word.to_bytes(4, "big") for word in words)[9 * column : 9 * column + 9]
                return data[0] if not place else int.from_bytes(data[place - 3 : place + 1], "big")
        return super().read(address)

    def reset(self, quadrants: int) -> None:
        super().reset(quadrants)
        self.memory = {address: 0xDEAD for address in self.memory}


class Board:
    """A session whose file can be read wrongly. `external`: None: there is no file."""

    def __init__(self, elf: Path, external: External | None) -> None:
        self.external, self.accelerator = external, Recorder()
        self.session = Session(elf, self.accelerator, DEVICE, external=external)

    def infer(self) -> tuple[Status, int]:
        """Status and stage of an inference, whose weights were right if it is OK."""
        self.accelerator.begin()
        answer = self.session.infer(0, INPUT)
        if answer.status is Status.OK:
            assert self.accelerator.right
        assert answer.value is not None
        return answer.status, answer.value.stage


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(external_firmware(), tmp_path_factory.mktemp("external"))


@pytest.fixture
def board(elf: Path) -> Iterator[Board]:
    made = Board(elf, External(external_file(external_firmware())))
    assert made.session.open().status is Status.OK
    yield made


def at_reading(number: int, change: Change) -> Change:
    """The change of the reading with that number, counted from 0."""
    left = [number]

    def changed(data: bytes) -> bytes | None:
        left[0] -= 1
        return change(data) if left[0] == -1 else data

    return changed


def test_weights_come_from_the_file(board: Board) -> None:
    assert board.external
    assert board.external.read_bytes == 32
    assert [board.infer() for _ in range(2)] == [(Status.OK, 1)] * 2
    assert board.external.read_bytes == 32 + 2 * 4 * WORDS


@pytest.mark.parametrize(
    "change",
    [
        lambda data: None,
        lambda data: b"",
        lambda data: data[:31],
        lambda data: b"OFR1" + data[4:],
        lambda data: data[:12] + b"\2" + data[13:],
        lambda data: data[:16] + bytes(16),
    ],
    ids=["fails", "nothing", "short", "magic", "format", "another image"],
)
def test_a_wrong_file_is_not_opened(elf: Path, change: Change) -> None:
    made = Board(elf, External(external_file(external_firmware())))
    assert made.external
    made.external.alter(1, change)
    assert made.session.open().status is Status.E_EXTERNAL
    assert made.session.infer(0, INPUT).status is Status.NOT_READY
    assert made.session.open().status is Status.OK
    assert made.infer() == (Status.OK, 1)


def test_without_a_file_nothing_is_opened(elf: Path) -> None:
    made = Board(elf, None)
    assert made.session.open().status is Status.E_EXTERNAL
    assert made.session.status_text(Status.E_EXTERNAL) == "external"


def test_the_self_test_of_the_image_reads_all_of_the_file(board: Board) -> None:
    assert board.external
    assert board.session.self_test(SelfTest.IMAGE).status is Status.OK
    assert board.external.read_bytes == 2 * 32 + 4 * WORDS
    good = board.external.data
    board.external.data = good[:-1] + bytes([good[-1] ^ 1])
    assert board.session.self_test(SelfTest.REGISTERS).status is Status.OK
    assert board.session.self_test(SelfTest.IMAGE).status is Status.E_EXTERNAL
    assert board.infer() == (Status.E_EXTERNAL, 0)
    board.external.data = good
    assert board.infer() == (Status.OK, 1)
    statistics = board.session.statistics().result
    assert (statistics.errors, statistics.reloads) == (2, 2)


def test_the_self_test_of_weights_reads_back_what_came_from_the_file(board: Board) -> None:
    """Without reading the file."""
    assert board.external
    for address in CHUNKS[0].address, CHUNKS[1].address + 4 * (len(CHUNKS[1].words) - 1):
        assert board.infer() == (Status.OK, 1)
        read = board.external.read_bytes
        assert board.session.self_test(SelfTest.WEIGHTS).status is Status.OK
        board.accelerator.memory[address] ^= 1 << 31
        assert board.session.self_test(SelfTest.WEIGHTS).status is Status.E_MEMORY
        assert board.external.read_bytes == read
    assert board.infer() == (Status.OK, 1)


def test_an_early_answer_needs_no_file(board: Board) -> None:
    assert board.external
    board.external.alter(1000, lambda data: None)
    board.accelerator._pending = [(0, (127, 0, 0))]
    answer = board.session.infer(0, INPUT)
    assert (answer.status, answer.result.stage) == (Status.OK, 0)
    assert board.infer() == (Status.E_EXTERNAL, 0)


TROUBLE = st.one_of(
    st.none(),
    st.just("fails"),
    st.tuples(st.just("short"), st.integers(0, PIECE - 1)),
    st.tuples(st.just("damaged"), st.integers(0, PIECE - 1), st.integers(1, 255)),
    st.tuples(st.just("moved"), st.integers(1, 3)),
)


def change_of(trouble: object) -> Change:
    match trouble:
        case ("short", int(size)):
            return lambda data: data[:size]
        case ("damaged", int(at), int(mask)):
            return lambda data: bytes(byte ^ mask * (index == at) for index, byte in enumerate(data))
        case ("moved", int(by)):
            return lambda data: data[by:] + data[:by]
        case "fails":
            return lambda data: None
    return lambda data: data


@given(troubles=st.lists(st.tuples(st.integers(0, READINGS - 1), TROUBLE), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_reading_that_goes_wrong_gives_an_answer(board: Board, troubles: list[tuple[int, object]]) -> None:
    """OK if and only if every byte was read as it is; and the next inference is right again."""
    assert board.external
    for number, trouble in troubles:
        pieces = [board.external.data[PIECE * (1 + index) :][:PIECE] for index in range(READINGS)]
        change = change_of(trouble)
        board.external.alter(READINGS, at_reading(number, change))
        same = change(pieces[number]) == pieces[number]
        assert board.infer()[0] is (Status.OK if same else Status.E_EXTERNAL)
        board.external._changes.clear()
        assert board.infer() == (Status.OK, 1)
