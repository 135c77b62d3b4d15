"""The accelerator's bus: what may be written and read, loading of memories, power and reset."""

from __future__ import annotations

import numpy as np
import pytest

from offramp.simulator.accelerator import Accelerator
from offramp.simulator.errors import AcceleratorError
from tests.helpers.accelerator_programs import DEVICE, get, idle, load_columns, put


@pytest.fixture
def accelerator() -> Accelerator:
    accelerator = Accelerator(DEVICE)
    idle(accelerator, range(4))
    return accelerator


def test_registers_and_memories_read_back(accelerator: Accelerator) -> None:
    put(accelerator, "RCNT", {"last": 27, "pad": 1}, quadrant=2, layer=31)
    assert get(accelerator, "RCNT", quadrant=2, layer=31) == {"last": 27, "pad": 1}
    assert get(accelerator, "RCNT", quadrant=1, layer=31) == {"last": 0, "pad": 0}
    address = DEVICE.data_address(15, 8191)
    accelerator.write(address, 0x89ABCDEF)
    assert accelerator.read(address) == 0x89ABCDEF
    accelerator.write(DEVICE.bias_address(3, 511), 0x1F0)
    assert accelerator.read(DEVICE.bias_address(3, 511)) == 0xF0


@pytest.mark.parametrize(
    ("address", "value", "message"),
    [
        (0x50000040, 1, "no register or memory"),
        (0x50100002, 1, "multiple of 4"),
        (DEVICE.register_address("FBUF", 0, 7) + 4, 1, "layer 8 has no FBUF"),
        (
            DEVICE.register_address("RCNT", 1, 3),
            1 << 18,
            r"layer 3: quadrant 1: RCNT .* bits 0x40000 belong to no field",
        ),
        (DEVICE.register_address("GCFR_POWER"), 1, "outside the accelerator"),
        (DEVICE.register_address("FIFO_STAT"), 1, "only be read"),
        (DEVICE.memories["tram"].base, 1, "tram memory is not modelled"),
        (DEVICE.register_address("FIFO_DATA1"), 1, "FIFO_CTRL.enable"),
        (DEVICE.register_address("CTRL"), 1 << 16, "mlat_load"),
    ],
)
def test_writes_that_are_refused(accelerator: Accelerator, address: int, value: int, message: str) -> None:
    with pytest.raises(AcceleratorError, match=message):
        accelerator.write(address, value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (0x50000040, "no register or memory"),
        (DEVICE.register_address("MLAT"), "not modelled"),
        (DEVICE.weight_address(5), "kernel column 0 of processor 5, which was never written"),
        (DEVICE.bias_address(1, 7), "bias byte 7 of quadrant 1, which was never written"),
        (DEVICE.data_address(3, 17), "data word 17 of instance 3 .* was never written"),
    ],
)
def test_reads_that_are_refused(accelerator: Accelerator, address: int, message: str) -> None:
    with pytest.raises(AcceleratorError, match=message):
        accelerator.read(address)


def test_stream_registers_of_late_slots_take_zero(accelerator: Accelerator) -> None:
    accelerator.write(DEVICE.register_address("FBUF", 0, 7) + 4, 0)


def test_a_block_is_the_same_as_its_writes_in_order(accelerator: Accelerator) -> None:
    rng = np.random.default_rng(1)
    addresses = [DEVICE.data_address(int(i), int(w)) for i, w in rng.integers(0, 16, size=(300, 2))]
    addresses += [DEVICE.bias_address(int(q), int(w)) for q, w in rng.integers(0, 4, size=(50, 2))]
    addresses += [
        DEVICE.register_address("RPTR_BASE", int(q), int(layer)) for q, layer in rng.integers(0, 4, size=(50, 2))
    ]
    block = rng.permutation(np.array(addresses, dtype=np.uint32))
    values = rng.integers(0, 1 << 16, size=len(block), dtype=np.uint32)
    one_by_one = Accelerator(DEVICE)
    for address, value in zip(block.tolist(), values.tolist(), strict=True):
        one_by_one.write(address, value)
    accelerator.write_block(block, values)
    assert accelerator.read_block(block).tolist() == [one_by_one.read(address) for address in block.tolist()]


def test_defined_bytes_are_known(accelerator: Accelerator) -> None:
    addresses = np.array([DEVICE.data_address(0, 0), DEVICE.data_address(0, 1)], dtype=np.uint32)
    accelerator.write(int(addresses[1]), 7)
    assert accelerator.defined_block(addresses).tolist() == [0, 0xFFFFFFFF]


def test_express_and_plain_loading_store_the_same_columns(accelerator: Accelerator) -> None:
    data = bytes(range(1, 28))  # three columns
    load_columns(accelerator, 17, 100, data)
    plain = Accelerator(DEVICE)
    words = []
    for column in range(3):
        part = data[column * 9 : column * 9 + 9]
        words += [part[0], int.from_bytes(part[1:5], "big"), int.from_bytes(part[5:9], "big"), 0]
    base = DEVICE.weight_address(17) + 100 * DEVICE.memories["weights"].word_stride
    for index, word in enumerate(words):  # single writes and one block are the same
        plain.write(base + 4 * index, word)
    block = Accelerator(DEVICE)
    block.write_words(base, np.array(words, dtype=np.uint32))
    expected = accelerator.storage.weights
    for other in (plain, block):
        found = other.storage.weights
        assert (found.valid == expected.valid).all()
        assert found.valid.sum() == 3
        assert (found.stream[17] == expected.stream[17]).all()


def test_express_loading_drops_an_incomplete_column(accelerator: Accelerator) -> None:
    load_columns(accelerator, 0, 0, bytes(12))
    assert accelerator.storage.weights.valid[0].sum() == 1


def test_express_loading_needs_a_start_column_and_ends_with_the_memory(accelerator: Accelerator) -> None:
    with pytest.raises(AcceleratorError, match=r"processor 3: weights written before a byte write"):
        accelerator.write(DEVICE.weight_address(3), 0)
    with pytest.raises(AcceleratorError, match=r"processor 3: weights written to column 768; the last one is 767"):
        load_columns(accelerator, 3, 767, bytes(18))
    with pytest.raises(AcceleratorError, match=r"non-zero byte address"):
        accelerator.write8(DEVICE.weight_address(3), 1)
    with pytest.raises(AcceleratorError, match=r"only the weight memory takes 8-bit writes"):
        accelerator.write8(DEVICE.data_address(0, 0), 1)
    put(accelerator, "CTRL", {"clock_enable": 1})
    with pytest.raises(AcceleratorError, match=r"CTRL.express of quadrant 0 must be 1"):
        accelerator.write8(DEVICE.weight_address(3) | 1, 1)


@pytest.mark.parametrize("express", [0, 1])
def test_weights_are_read_at_the_addresses_of_plain_writes(accelerator: Accelerator, express: int) -> None:
    load_columns(accelerator, 17, 5, bytes(range(1, 19)))
    put(accelerator, "CTRL", {"clock_enable": 1, "express": express}, 1)
    base = DEVICE.weight_address(17) + 5 * DEVICE.memories["weights"].word_stride
    found = accelerator.read_block(np.arange(base, base + 32, 4, dtype=np.uint32)).tolist()
    assert found == [0x01, 0x02030405, 0x06070809, 0, 0x0A, 0x0B0C0D0E, 0x0F101112, 0]
    assert [accelerator.read(base + 4 * word) for word in range(8)] == found


def test_a_read_ends_express_loading(accelerator: Accelerator) -> None:
    load_columns(accelerator, 17, 0, bytes(9))
    accelerator.read(DEVICE.weight_address(17))
    with pytest.raises(AcceleratorError, match=r"processor 17: weights written before a byte write"):
        accelerator.write(DEVICE.weight_address(17), 0)


def test_weights_are_not_read_while_enabled(accelerator: Accelerator) -> None:
    load_columns(accelerator, 17, 0, bytes(9))
    put(accelerator, "CTRL", {"clock_enable": 1, "sync_enable": 1, "enable": 1}, 1)
    with pytest.raises(AcceleratorError, match=r"weights memory of quadrant 1 accessed while CTRL.enable is 1"):
        accelerator.read(DEVICE.weight_address(17))


def test_self_test_leaves_zeroes_and_reports_done(accelerator: Accelerator) -> None:
    put(accelerator, "TEST", {"data_bist": 1, "bias_zero": 1})
    status = get(accelerator, "TEST")
    assert (status["bist_done"], status["data_bist_done"], status["zero_done"], status["bias_zero_done"]) == (
        1,
        1,
        1,
        1,
    )
    assert (status["mask_bist_done"], status["fail"], status["data_fail"]) == (0, 0, 0)
    put(accelerator, "TEST", {})
    assert get(accelerator, "TEST")["bist_done"] == 0
    assert accelerator.read(DEVICE.data_address(3, 8191)) == 0
    assert not accelerator.storage.weights.valid.any()
    put(accelerator, "TEST", {"mask_bist": 1})
    assert accelerator.storage.weights.valid[:16].all()
    assert not accelerator.storage.weights.valid[16:].any()
    with pytest.raises(AcceleratorError):
        accelerator.read(DEVICE.data_address(4, 0))


def test_power_off_loses_memories_and_registers(accelerator: Accelerator) -> None:
    for processor in (0, 16):
        load_columns(accelerator, processor, 0, bytes(9))
    accelerator.write(DEVICE.data_address(4, 0), 5)
    put(accelerator, "RCNT", {"last": 3}, quadrant=1)
    accelerator.power(0b0001, retain_weights=0b0010)
    with pytest.raises(AcceleratorError, match=r"quadrant 1 accessed without power"):
        accelerator.read(DEVICE.data_address(4, 0))
    with pytest.raises(AcceleratorError, match=r"quadrant 1 accessed without power"):
        put(accelerator, "RCNT", {"last": 3}, quadrant=1)
    accelerator.power(0b1111)
    assert get(accelerator, "RCNT", quadrant=1)["last"] == 0
    assert accelerator.storage.weights.valid[16, 0]  # kept
    with pytest.raises(AcceleratorError, match=r"never written"):
        accelerator.read(DEVICE.data_address(4, 0))
    accelerator.power(0b1101)
    assert not accelerator.storage.weights.valid[16, 0]
    assert accelerator.storage.weights.valid[0, 0]


def test_reset_clears_registers_and_keeps_memories(accelerator: Accelerator) -> None:
    accelerator.write(DEVICE.data_address(0, 0), 5)
    put(accelerator, "RCNT", {"last": 3})
    put(accelerator, "RCNT", {"last": 4}, quadrant=1)
    put(accelerator, "FIFO_CTRL", {"enable": 1})
    accelerator.reset(0b0001)
    assert (get(accelerator, "RCNT")["last"], get(accelerator, "RCNT", quadrant=1)["last"]) == (0, 4)
    assert get(accelerator, "FIFO_CTRL")["enable"] == 1
    assert accelerator.read(DEVICE.data_address(0, 0)) == 5
    accelerator.reset(0b1111)
    assert get(accelerator, "FIFO_CTRL")["enable"] == 0


def test_mask_memory_power_down_loses_weights(accelerator: Accelerator) -> None:
    load_columns(accelerator, 0, 0, bytes(9))
    put(accelerator, "AON", {"mask_power_down": 0b1110})
    assert accelerator.storage.weights.valid[0, 0]
    put(accelerator, "AON", {"mask_power_down": 0b0001})
    assert not accelerator.storage.weights.valid[0, 0]
