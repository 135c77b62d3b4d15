"""Small bus programs by field name, for tests of the accelerator model. Nothing here comes from the generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from offramp.configs.device import Device, load_device
from offramp.simulator.accelerator import Accelerator

DEVICE = load_device()
Fields = Mapping[str, Mapping[str, int]]
WIDTH_CODES = {8: 0, 1: 1, 2: 2, 4: 3}
IDLE = {"clock_enable": 1, "express": 1}


def put(accelerator: Accelerator, name: str, values: Mapping[str, int], quadrant: int = 0, layer: int = 0) -> None:
    """Write a register by field names."""
    device = accelerator.device
    accelerator.write(device.register_address(name, quadrant, layer), device.registers[name].encode(values))


def get(accelerator: Accelerator, name: str, quadrant: int = 0, layer: int = 0) -> dict[str, int]:
    """Read a register's fields."""
    device = accelerator.device
    return device.registers[name].decode(accelerator.read(device.register_address(name, quadrant, layer)))


def idle(accelerator: Accelerator, quadrants: Sequence[int] = (0,)) -> None:
    for quadrant in quadrants:
        put(accelerator, "CTRL", IDLE, quadrant)


def put_layer(accelerator: Accelerator, layer: int, fields: Fields, quadrants: Sequence[int] = (0,)) -> None:
    """Write all registers of a layer slot in all quadrants; those not named become 0."""
    for quadrant in quadrants:
        for register in accelerator.device.layer_registers():
            if layer < register.layers:
                put(accelerator, register.name, fields.get(register.name, {}), quadrant, layer)


def start(accelerator: Accelerator, quadrants: Sequence[int] = (0,), switches: Mapping[str, int] = IDLE) -> None:
    """The start sequence, quadrant 0 first of all waiting, then leading; then everything is stopped."""
    first, *others = quadrants
    base = IDLE | dict(switches)
    put(accelerator, "CTRL", base | {"sync_enable": 1, "sync_source": first}, first)
    for quadrant in others:
        put(accelerator, "CTRL", base | {"sync_enable": 1, "sync_source": first, "enable": 1}, quadrant)
    put(accelerator, "CTRL", base | {"enable": 1}, first)


def stop(accelerator: Accelerator, quadrants: Sequence[int] = (0,)) -> None:
    idle(accelerator, quadrants)


def load_columns(accelerator: Accelerator, processor: int, column: int, data: bytes) -> None:
    """Express loading: `data` are the bytes of whole columns in the order they are sent."""
    address = accelerator.device.weight_address(processor) + column * accelerator.device.express_stride
    padded = data + bytes(-len(data) % 4)
    accelerator.write8(address | 1, 1)
    accelerator.write_words(address, np.frombuffer(padded, dtype=">u4").astype(np.uint32))


def load_kernels(
    accelerator: Accelerator, processor: int, column: int, kernels: NDArray[np.int8], bits: int = 8
) -> None:
    """Kernels (count, taps) of one processor, one after another from a column on."""
    count, taps = kernels.shape
    per_byte = 8 // bits
    packed = np.zeros((-(-count // per_byte), taps), dtype=np.uint8)
    for index, kernel in enumerate(kernels):
        packed[index // per_byte] |= (kernel.astype(np.uint8) & ((1 << bits) - 1)) << (index % per_byte * bits)
    stream = packed[:, ::-1].reshape(-1)
    columns = np.zeros(-(-len(stream) // 9) * 9, dtype=np.uint8)
    columns[: len(stream)] = stream
    load_columns(accelerator, processor, column, columns.reshape(-1, 9)[:, ::-1].tobytes())


def load_bias(accelerator: Accelerator, quadrant: int, first: int, values: Sequence[int]) -> None:
    for index, value in enumerate(values):
        accelerator.write(accelerator.device.bias_address(quadrant, first + index), value & 0xFF)


def load_pixels(accelerator: Accelerator, pixels: NDArray[np.int8], word: int = 0, instance: int = 0) -> None:
    """(words, channels) from an instance on, four channels a word."""
    words, channels = pixels.shape
    groups = -(-channels // 4)
    padded = np.zeros((words, groups * 4), dtype=np.int8)
    padded[:, :channels] = pixels
    for group in range(groups):
        values = np.ascontiguousarray(padded[:, group * 4 : group * 4 + 4]).view("<u4")[:, 0]
        accelerator.write_words(accelerator.device.data_address(instance + group, word), values.astype(np.uint32))


def read_pixels(
    accelerator: Accelerator, words: int, channels: int, word: int = 0, instance: int = 0, step: int = 1
) -> NDArray[np.int8]:
    """Inverse of `load_pixels`: int8 (words, channels)."""
    device: Device = accelerator.device
    groups = []
    for group in range(-(-channels // 4)):
        addresses = [device.data_address(instance + group, word + index * step) for index in range(words)]
        values = accelerator.read_block(np.array(addresses, dtype=np.uint32))
        groups.append(values.astype("<u4").view(np.int8).reshape(words, 4))
    return np.concatenate(groups, axis=1)[:, :channels]


def convolution_fields(
    *, rows: int, cols: int, inputs: int, outputs: int, pad: int = 1, bits: int = 8, shift: int = 0
) -> dict[str, dict[str, int]]:
    """A 3x3 convolution in quadrant 0: HWC input at word 0, output at word 4096 of instance 0, kernels at column 0."""
    processors = (1 << inputs) - 1
    shift += 8 - bits
    return {
        "RCNT": {"last": rows + 2 * pad - 1, "pad": pad},
        "CCNT": {"last": cols + 2 * pad - 1, "pad": pad},
        "WPTR_BASE": {"pointer": 4096},
        "WPTR_MOFF": {"step": 8192},
        "LCTRL0": {"master": 1, "max_pool": 1, "global_write": 1},
        "LCTRL1": {"expansion": (outputs - 1) * bits},
        "MCNT": {"last": (outputs - 1) * bits},
        "TPTR": {"last": cols + 2 * pad - 3},
        "EN": {"processors": processors, "kernels": processors},
        "POST": {"shift": abs(shift), "shift_right": int(shift < 0), "weight_size": WIDTH_CODES[bits]},
    }


def pass_fields(*, rows: int, cols: int, inputs: int) -> dict[str, dict[str, int]]:
    """A pass-through layer in quadrant 0: word 0 to word 4096."""
    return {
        "RCNT": {"last": rows - 1},
        "CCNT": {"last": cols - 1},
        "WPTR_BASE": {"pointer": 4096},
        "WPTR_TOFF": {"step": 8192},
        "LCTRL0": {"master": 1, "max_pool": 1, "global_write": 1},
        "ONED": {"width": 1, "time_slots": -(-inputs // 4) - 1},
        "EN": {"processors": (1 << inputs) - 1},
        "POST": {"time_slots": 1, "one_by_one": 1},
    }


def changed(fields: Fields, **registers: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The same layer with some fields set to other values."""
    result = {name: dict(values) for name, values in fields.items()}
    for name, values in registers.items():
        result.setdefault(name, {}).update(values)
    return result


def random_bytes(seed: int, *shape: int, bits: int = 8) -> NDArray[np.int8]:
    limit = 1 << (bits - 1)
    return np.random.default_rng(seed).integers(-limit, limit, size=shape, dtype=np.int8)
