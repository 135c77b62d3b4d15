"""Inputs as small pictures: PNG of one or three channels, curves of what has one dimension, all as text in a page."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIDE = 40  # pixels of a picture at most, in either direction
CURVES = 8  # channels that are drawn as curves; more are rows of a picture
POINTS = 64  # of a curve


@dataclass(frozen=True)
class Drawing:
    """A picture (`png`, a data URL) or `curves`, each the points of an SVG polyline in a box of 100 by 60."""

    png: str
    curves: tuple[str, ...]
    note: str


def draw(x: npt.NDArray[np.int8]) -> Drawing:
    """An input, int8 (channels, rows, columns), as it is seen best."""
    channels, rows, cols = x.shape
    if min(rows, cols) == 1:
        values = x.reshape(channels, rows * cols)
        if channels <= CURVES:
            return Drawing("", tuple(map(_curve, values)), f"{channels} channels over {values.shape[1]} positions")
        note = f"{channels} channels from top to bottom, {values.shape[1]} positions from left to right"
        return Drawing(_png(values[None]), (), note)
    if channels in (1, 3):
        return Drawing(_png(x), (), f"{rows} x {cols} pixels")
    return Drawing(_png(x[:1]), (), f"the first of {channels} channels, {rows} x {cols}")


def _curve(values: npt.NDArray[np.int8]) -> str:
    picked = values[np.unique(np.linspace(0, len(values) - 1, POINTS).astype(int))].astype(int)
    step = 100 / max(len(picked) - 1, 1)
    return " ".join(f"{index * step:.4g},{60 - (value + 128) * 60 / 255:.4g}" for index, value in enumerate(picked))


def _png(x: npt.NDArray[np.int8]) -> str:
    """Of one or three channels, (channels, rows, columns); larger ones are made smaller by means of squares."""
    pixels = _smaller(x.astype(np.int64) + 128).astype(np.uint8)
    channels, rows, cols = pixels.shape
    lines = pixels.transpose(1, 2, 0).reshape(rows, cols * channels)
    raw = b"".join(b"\0" + line.tobytes() for line in lines)
    header = struct.pack(">IIBBBBB", cols, rows, 8, 2 if channels == 3 else 0, 0, 0, 0)
    parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 0)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _smaller(x: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    _, rows, cols = x.shape
    down, across = -(-rows // SIDE), -(-cols // SIDE)
    kept = x[:, : rows // down * down, : cols // across * across]
    blocks = kept.reshape(len(x), rows // down, down, cols // across, across)
    found: npt.NDArray[np.int64] = blocks.mean(axis=(2, 4)).round().astype(np.int64)
    return found
