"""Folders of pictures: classes by folder, decoded within bounds; what would lose something is refused."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.errors import InputError
from offramp.data.load import Reading, load_source
from tests.helpers.memory import memory_below

Image = pytest.importorskip("PIL.Image")

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


def save(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header announces this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_classes_are_folders(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "2.png", GREY)
    save(tmp_path / "cat" / "1.bmp", GREY + 1)
    save(tmp_path / "cat" / "0.png", GREY + 2)
    (tmp_path / "cat" / "readme.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    source = load_source(tmp_path)
    assert source.classes == ("cat", "dog") and source.test is None and source.samples.y is not None
    assert source.samples.y.tolist() == [0, 0, 1]
    assert np.array_equal(source.samples.x, np.stack([GREY + 2, GREY + 1, GREY])[:, None])
    assert source.notes == ("left out, because they are no pictures (.png, .jpg, .jpeg, .bmp, .pgm, .ppm): 1",)


def test_train_and_test_are_an_official_split(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "0.png", GREY)
    save(tmp_path / "train" / "b" / "0.png", GREY)
    save(tmp_path / "test" / "b" / "0.png", GREY)
    source = load_source(tmp_path)
    assert source.classes == ("a", "b") and len(source.samples) == 2
    assert source.test is not None and source.test.y is not None and source.test.y.tolist() == [1]


def test_colours(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", RGB)
    assert np.array_equal(load_source(tmp_path).samples.x, RGB.transpose(2, 0, 1)[None])
    save(tmp_path / "a" / "1.png", GREY)
    source = load_source(tmp_path)
    assert np.array_equal(source.samples.x[1], np.stack([GREY] * 3))
    assert source.notes == ("grey, and given three equal channels: 1 of 2 pictures",)


def test_kinds_that_lose_nothing(tmp_path: Path) -> None:
    opaque = np.concatenate([RGB, np.full((6, 8, 1), 255, np.uint8)], axis=2)
    save(tmp_path / "a" / "0.png", opaque)
    save(tmp_path / "a" / "1.png", RGB)
    assert np.array_equal(load_source(tmp_path).samples.x[0], load_source(tmp_path).samples.x[1])
    save(tmp_path / "b" / "0.png", (GREY > 20).astype(np.uint8) * 255, "1")
    assert np.unique(load_source(tmp_path).samples.x[2]).tolist() == [0, 255]
    save(tmp_path / "b" / "1.png", RGB, "P")
    assert load_source(tmp_path).samples.x.shape == (4, 3, 6, 8)


@pytest.mark.parametrize(
    ("pixels", "mode", "complaint"),
    [
        (np.concatenate([RGB, RGB[..., :1]], axis=2), None, "a picture of kind RGBA; opaque ones of 8 bits"),
        (GREY.astype(np.uint16) * 257, None, "a picture of kind I;16; opaque"),
        (RGB, "CMYK", "a picture of kind CMYK; opaque"),
    ],
)
def test_kinds_that_lose_something(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], mode: str | None, complaint: str, tmp_path: Path
) -> None:
    ending = "jpg" if mode == "CMYK" else "png"
    save(tmp_path / "a" / f"0.{ending}", pixels, mode)
    with pytest.raises(InputError, match=complaint):
        load_source(tmp_path)


def test_sizes_that_differ(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", RGB)
    save(tmp_path / "a" / "1.png", RGB[:4])
    with pytest.raises(InputError, match=r"pictures of 2 sizes .4x8, 6x8 ....; say which size .resize."):
        load_source(tmp_path)
    source = load_source(tmp_path, Reading(resize=(3, 4)))
    assert source.samples.x.shape == (2, 3, 3, 4)
    flat = np.full((6, 8), 77, np.uint8)
    save(tmp_path / "flat" / "a" / "0.png", flat)
    assert np.unique(load_source(tmp_path / "flat", Reading(resize=(3, 5))).samples.x).tolist() == [77]


@pytest.mark.parametrize("size", [(5000, 5000), (10_000, 10_000), (20_000, 20_000), (1 << 30, 1 << 30)])
def test_bombs(size: tuple[int, int], tmp_path: Path) -> None:
    """A few bytes that announce any number of pixels take no memory."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.png").write_bytes(bomb(*size))
    with (
        pytest.raises(InputError, match="more than 4,194,304 pixels, which are"),
        memory_below(4 << 20),
    ):
        load_source(tmp_path)


def test_damaged_pictures(tmp_path: Path) -> None:
    """No other exception, wherever a picture ends, whatever a byte is."""
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    good = stream.getvalue()
    path = tmp_path / "a" / "0.png"
    path.parent.mkdir()
    for place in range(0, len(good), 3):
        for content in (good[:place], good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :]):
            path.write_bytes(content)
            try:
                load_source(tmp_path)
            except InputError as error:
                assert str(path) in str(error)


def test_other_formats_are_not_tried(tmp_path: Path) -> None:
    save(tmp_path / "b.gif", GREY)
    (tmp_path / "a").mkdir()
    (tmp_path / "b.gif").rename(tmp_path / "a" / "0.png")
    with pytest.raises(InputError, match=r"0.png: is no picture of the formats PNG, JPEG, BMP, PPM, or damaged"):
        load_source(tmp_path)


def test_folders_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(InputError, match="there are no pictures in folders of classes"):
        load_source(tmp_path)
    save(tmp_path / "b" / "0.png", GREY)
    with pytest.raises(InputError, match="folders without pictures: a; each is a class"):
        load_source(tmp_path)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a" / "0.png", GREY)
    monkeypatch.delitem(sys.modules, "offramp.data.pictures", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"pictures need Pillow; in the folder of Offramp: .*\[pictures\]"):
        load_source(tmp_path)


@pytest.mark.parametrize(("reading", "complaint"), [(Reading(resize=(2, 2)), "only pictures are resized")])
def test_options_that_do_not_fit(reading: Reading, complaint: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=RGB)
    with pytest.raises(InputError, match=complaint):
        load_source(tmp_path / "a.npz", reading)
    save(tmp_path / "b" / "a" / "0.png", GREY)
    with pytest.raises(InputError, match="the axes of these files are known; --layout is for arrays"):
        load_source(tmp_path / "b", Reading(layout="NHWC"))
