"""A small corpus case of our own: a layer that copies, its program, its answers, and its network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offramp.corpus import case_files
from offramp.simulator.accelerator import Accelerator
from tests.helpers.accelerator_programs import (
    DEVICE,
    idle,
    load_pixels,
    pass_fields,
    put_layer,
    random_bytes,
    start,
    stop,
)

NETWORK = """\
arch: copy
dataset: none
layers:
  - {op: passthrough, processors: 0xf, output_processors: 0xf, out_offset: 16384, data_format: HWC}
"""


class Recorder(Accelerator):
    """Notes all bus writes: address, value, kind."""

    def __init__(self) -> None:
        super().__init__(DEVICE)
        self.log: list[tuple[int, int, int]] = []

    def write(self, address: int, value: int) -> None:
        place = DEVICE.locate(address)
        if place is None or place.kind == "register":
            self.log.append((address, value, case_files.WRITE))
        super().write(address, value)

    def write8(self, address: int, value: int) -> None:
        self.log.append((address, value, case_files.WRITE_BYTE))
        super().write8(address, value)

    def write_block(self, addresses: NDArray[np.uint32], values: NDArray[np.uint32]) -> None:
        self.log += [(*pair, case_files.WRITE) for pair in zip(addresses.tolist(), values.tolist(), strict=True)]
        super().write_block(addresses, values)

    def take(self, name: str) -> dict[str, NDArray[np.uint32]]:
        log, self.log = np.array(self.log, dtype=np.uint32).reshape(-1, 3), []
        return {f"{name}_{part}": log[:, at] for at, part in enumerate(("addr", "value", "kind"))}


def write_case(folder: Path) -> Path:
    """A case of one layer that copies 16 pixels of four channels."""
    folder.mkdir()
    pixels = random_bytes(1, 16, 4)
    recorder = Recorder()
    idle(recorder)
    put_layer(recorder, 0, pass_fields(rows=4, cols=4, inputs=4))
    program = recorder.take("configure")
    load_pixels(recorder, pixels)
    program |= recorder.take("input")
    words = pixels.view("<u4")[:, 0].astype(np.uint32)
    addresses = np.array([DEVICE.data_address(0, word) for word in range(16)], dtype=np.uint32)
    start(recorder)
    program |= recorder.take("start")
    stop(recorder)
    program |= recorder.take("isr")
    layer = {"index": 0, "out_offset": 4096 * 4, "write_gap": 0, "output_width": 8, "output_processors": "0xf"}
    layer |= {"streaming": False, "buffer_shift": None, "buffer_insert": None, "in_offset": 0}
    meta = {"phase_order": ["configure", "input", "start"], "final_layer": 0, "layers": [layer], "izer_args": []}
    cycles = {"layer": 0, "cycles": 20, "streaming_estimate": False}
    latency = {"total": 21, "total_is_estimate": False, "layers": [cycles]}
    (folder / "meta.json").write_text(json.dumps({**meta, "latency": latency}))
    np.savez(folder / "program.npz", allow_pickle=False, **program)
    outputs = addresses + np.uint32(4096 * 4)
    np.savez(folder / "expected.npz", addr=outputs, mask=np.full(16, 0xFFFFFF, np.uint32), value=words & 0xFFFFFF)
    values = pixels.T.reshape(4, 4, 4)
    np.savez(folder / "outputs.npz", out0=values, final=values)
    (folder / "network.yaml").write_text(NETWORK)
    np.save(folder / "input.npy", values.astype(np.int8))
    np.savez(folder / "weights.npz", quantization=[8], output_shift=[0])
    return folder
