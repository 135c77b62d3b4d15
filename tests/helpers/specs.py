"""Small networks with random weights, their checkpoints and data sets, and specs that chain them: all on disk.

There are two families of networks, `TINY` and `STAGED`; the networks of a family read the same input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.helpers import checkpoints


@dataclass(frozen=True)
class SmallNetwork:
    """The layers of a network's YAML and the shapes of their weights; a head reads a tensor of another network."""

    layers: str
    weights: tuple[tuple[int, ...], ...]
    is_head: bool = False
    buffers: str = ""  # entries of `data_buffer`


@dataclass(frozen=True)
class Family:
    """Networks with the same input (`shape`: channels, rows, columns) and classes; `images` of each data set."""

    name: str
    shape: tuple[int, int, int]
    classes: int
    images: int
    networks: dict[str, SmallNetwork]

    @property
    def input(self) -> str:
        """The shape as specs and the command line have it."""
        return "x".join(map(str, self.shape))

    def spec(self, stages: str, **networks: str) -> str:
        """The text of a spec with `networks`, for each its further keys: `front=""`, `main="processors: free"`."""
        lines = []
        for name, keys in networks.items():
            shape = "" if self.networks[name].is_head else f"input: {self.input}"
            parts = [f"network: {name}.yaml", f"checkpoint: {name}.pth.tar", shape, keys]
            lines.append(f"  {name}: {{{', '.join(filter(None, parts))}}}\n")
        return f"offramp: 1\nname: {self.name}\nnetworks:\n{''.join(lines)}{DATA}{stages}"


DATA = "data: {test: test.npz, calibration: calibration.npz}\n"
TINY = Family(
    name="tiny",
    shape=(4, 6, 6),
    classes=3,
    images=40,
    networks={
        "front": SmallNetwork(
            """\
  - {name: small, op: conv2d, processors: 0xf, pad: 1, max_pool: 2, pool_stride: 2, activate: ReLU, data_format: HWC}
  - {name: guess, op: mlp, processors: 0xf, flatten: true, output_width: 32}
""",
            ((4, 4, 3, 3), (3, 36)),
        ),
        "main": SmallNetwork(
            """\
  - {name: first, op: conv2d, processors: 0xf, output_processors: 0xff, pad: 1, activate: ReLU, data_format: HWC}
  - {name: second, op: conv2d, processors: 0xff, pad: 1, max_pool: 2, pool_stride: 2, activate: ReLU}
  - {name: third, op: conv2d, processors: 0xff, kernel_size: 1x1, pad: 0, activate: ReLU}
  - {name: answer, op: mlp, processors: 0xff, flatten: true, output_width: 32}
""",
            ((8, 4, 3, 3), (8, 8, 3, 3), (8, 8, 1, 1), (3, 72)),
        ),
        # Reads the output of main's `first`, 8x6x6
        "head": SmallNetwork(
            "  - {name: exit, op: mlp, processors: 0xff, flatten: true, output_width: 32, data_format: HWC}\n",
            ((3, 288),),
            is_head=True,
        ),
        # Its head is among its own layers: `inner` reads `one`
        "own": SmallNetwork(
            """\
  - {name: one, op: conv2d, processors: 0xf, output_processors: 0xff, pad: 1, activate: ReLU, data_format: HWC}
  - {name: inner, op: mlp, in_sequences: one, processors: 0xff, output_processors: 0x7, flatten: true, output_width: 32}
  - {name: two, op: conv2d, in_sequences: one, processors: 0xff, max_pool: 2, pool_stride: 2, pad: 1, activate: ReLU}
  - {name: late, op: mlp, in_sequences: two, processors: 0xff, output_processors: 0x7, flatten: true, output_width: 32}
  - {name: end, op: mlp, in_sequences: two, processors: 0xff, flatten: true, output_width: 32, output: true}
""",
            ((8, 4, 3, 3), (3, 288), (8, 8, 3, 3), (3, 72), (3, 72)),
        ),
        # All layers but the first on the same 20 processors
        "wide": SmallNetwork(
            """\
  - {op: conv2d, processors: 0xf, output_processors: 0xfffff, pad: 1, activate: ReLU, data_format: HWC}
  - {op: conv2d, processors: 0xfffff, output_processors: 0xfffff, pad: 1, activate: ReLU}
  - {op: conv2d, processors: 0xfffff, output_processors: 0xfffff, pad: 1, activate: ReLU}
  - {op: conv2d, processors: 0xfffff, output_processors: 0xfffff, pad: 1, max_pool: 2, pool_stride: 2, activate: ReLU}
  - {op: mlp, processors: 0xfffff, flatten: true, output_width: 32}
""",
            ((20, 4, 3, 3), (20, 20, 3, 3), (20, 20, 3, 3), (20, 20, 3, 3), (3, 180)),
        ),
    },
)
STAGED = Family(
    name="staged",
    shape=(6, 12, 10),  # 6 channels: the FIFO's ports 0 and 1
    classes=4,
    images=20,
    networks={
        "front": SmallNetwork(
            """\
  - {op: conv2d, name: look, pad: 1, activate: ReLU, avg_pool: 2, pool_stride: 2, data_format: HWC}
  - {op: mlp, name: guess, flatten: true, output_width: 32}
""",
            ((4, 6, 3, 3), (4, 120)),
        ),
        "main": SmallNetwork(
            """\
  - {op: conv2d, name: wide, processors: 0x3f, pad: 1, activate: ReLU, data_format: HWC}
  - {op: conv2d, name: narrow, kernel_size: 1x1, pad: 0, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: mlp, name: answer, flatten: true, output_width: 32}
""",
            ((40, 6, 3, 3), (8, 40, 1, 1), (4, 240)),
        ),
        # Reads the input from the FIFO as it comes; the others keep it in data memory as a whole.
        "streaming": SmallNetwork(
            """\
  - {op: conv2d, pad: 1, activate: ReLU, streaming: true, data_format: HWC}
  - {op: conv2d, pad: 1, activate: ReLU, streaming: true, max_pool: 2, pool_stride: 2}
  - {op: conv2d, pad: 1, activate: ReLU, max_pool: 2, pool_stride: 2}
  - {op: mlp, flatten: true, output_width: 32}
""",
            ((4, 6, 3, 3), (8, 4, 3, 3), (8, 8, 3, 3), (4, 48)),
        ),
        # Reads what the last streaming layer writes, 8x6x5
        "head": SmallNetwork(
            "  - {op: mlp, flatten: true, output_width: 32, data_format: HWC}\n", ((4, 240),), is_head=True
        ),
    },
)


def _with_gate(network: SmallNetwork) -> SmallNetwork:
    """With an output more."""
    *before, (outputs, inputs) = network.weights
    return replace(network, weights=(*before, (outputs + 1, inputs)))


# Front and head have a gate behind the outputs of their classes.
GATED = replace(TINY, networks=TINY.networks | {name: _with_gate(TINY.networks[name]) for name in ("front", "head")})

MAIN_STAGE = "  - network: main\n"
FRONT_STAGE = "  - network: front\n    exit: {confidence: margin, threshold: 0.5}\n"
FRONT = TINY.spec(f"stages:\n{FRONT_STAGE}{MAIN_STAGE}", front="", main="")
BRANCH = TINY.spec(
    f"""\
stages:
  - network: main
    until: first
    head: head
    exit: {{confidence: margin, threshold: 0.5}}
{MAIN_STAGE}""",
    head="",
    main="",
)
THREE = TINY.spec(
    f"""\
stages:
{FRONT_STAGE}\
  - {{network: main, until: first, head: head, exit: {{confidence: entropy, threshold: 0.6}}}}
{MAIN_STAGE}""",
    front="",
    main="",
    head="",
)
MEANING = TINY.spec(
    """\
answers: [none, one, two, three]
stages:
  - network: front
    answers: {0: none, 2: three}
    exit: {confidence: margin, threshold: {0: 0.2, 2: 0.6}}
  - network: main
    answers: {0: one, 1: three, 2: two}
""",
    front="",
    main="",
)
WIDE_STAGES = f"stages:\n{FRONT_STAGE}  - network: wide\n"
STAGES = """\
stages:
  - {network: front, exit: {confidence: margin, threshold: 0.02}}
  - {network: main}
"""


def write_checkpoint(folder: Path, name: str, shapes: Sequence[tuple[int, ...]], seed: int = 0) -> Path:
    """NAME.pth.tar: weights of these shapes and biases, integers small enough not to saturate everything."""
    rng = np.random.default_rng(seed)
    state = {}
    for index, shape in enumerate(shapes):
        state[f"layer{index}.op.weight"] = rng.integers(-24, 25, shape).astype(np.float32)
        state[f"layer{index}.op.bias"] = rng.integers(-20, 21, shape[0]).astype(np.float32) * 128
    return checkpoints.save(folder / f"{name}.pth.tar", state, name)


def write_network(
    folder: Path, name: str, layers: str, shapes: Sequence[tuple[int, ...]], seed: int = 0, buffers: str = ""
) -> None:
    """NAME.yaml and NAME.pth.tar; `shapes` are those of the weights, `seed` what they are drawn from.

    `buffers`: entries of `data_buffer`.
    """
    above = f"data_buffer:\n{buffers}" if buffers else ""
    (folder / f"{name}.yaml").write_text(f"arch: {name}\ndataset: none\n{above}layers:\n{layers}")
    write_checkpoint(folder, name, shapes, seed)


def write_files(folder: Path, family: Family = TINY) -> None:
    """All networks of a family, and the data sets `test` and `calibration`, without an image in common."""
    for seed, (name, network) in enumerate(family.networks.items()):
        write_network(folder, name, network.layers, network.weights, seed, network.buffers)
    write_random_sets(folder, family.images, family.shape, family.classes, seed=9)


def write_random_sets(folder: Path, images: int, shape: tuple[int, ...], classes: int, seed: int) -> None:
    """The data sets `test` and `calibration`: noise, no image in common, and labels that mean nothing."""
    rng = np.random.default_rng(seed)
    for name in ("test", "calibration"):
        x = rng.integers(-128, 128, (images, *shape)).astype(np.int8)
        np.savez(folder / f"{name}.npz", x=x, y=rng.integers(0, classes, images))


def write_spec(folder: Path, text: str = FRONT, family: Family = TINY) -> Path:
    """A spec with all files that it may name."""
    write_files(folder, family)
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


def write_staged(folder: Path, extra: str = "") -> Path:
    """`front` and `main` of STAGED as two stages; `extra` is added at the end of the spec."""
    return write_spec(folder, STAGED.spec(STAGES, front="", main="") + extra, STAGED)
