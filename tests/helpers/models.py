"""Specs of several models: small networks of different inputs, one of them through the FIFO."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.specs import FRONT, STAGED, STAGES, TINY, Family, SmallNetwork, write_checkpoint, write_files

FIFO = STAGED.spec("stages:\n  - network: streaming\n", streaming="fifo: true")
WIDE = STAGED.spec(STAGES, front="", main="")


def write_model(folder: Path, name: str, text: str = FRONT, family: Family = TINY) -> Path:
    """FOLDER/NAME/spec.yaml, a spec of this name, with everything that it needs."""
    place = folder / name
    place.mkdir(parents=True)
    write_files(place, family)
    path = place / "spec.yaml"
    path.write_text(text.replace(f"name: {family.name}", f"name: {name}"), encoding="utf-8")
    return path


def write_three(folder: Path) -> list[Path]:
    """A chain of two stages, another one with another input, and a network that streams."""
    return [
        write_model(folder, "first"),
        write_model(folder, "second", WIDE, STAGED),
        write_model(folder, "third", FIFO, STAGED),
    ]


BIG = Family(
    name="big",
    shape=(64, 3, 3),
    classes=2,
    images=2,
    networks={
        # 448 of the 768 kernel columns of every processor
        "main": SmallNetwork(
            "  - {op: conv2d, processors: 0xffffffffffffffff, pad: 0, activate: ReLU, data_format: HWC}\n"
            "  - {op: conv2d, processors: 0xffffffffffffffff, kernel_size: 1x1, pad: 0, output_width: 32}\n",
            ((448, 64, 3, 3), (2, 448, 1, 1)),
        )
    },
)


def write_big(folder: Path, name: str, seed: int) -> Path:
    """Two of these do not fit together."""
    path = write_model(folder, name, BIG.spec("stages:\n  - network: main\n", main=""), BIG)
    write_checkpoint(path.parent, "main", BIG.networks["main"].weights, seed)
    return path
