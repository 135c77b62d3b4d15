"""Sources in folders of pictures: FOLDER/CLASS/picture.png, or FOLDER/train/CLASS/... and FOLDER/test/CLASS/...

Pillow decodes them, of few formats only, and none before the size in its header is known to be allowed.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from offramp.configs.bounds import DATA_SOURCE, LARGEST_TENSOR, PICTURE_FILE
from offramp.configs.errors import Damaged, Diagnostic, InputError, Where
from offramp.configs.files import read_bytes
from offramp.data.source import Samples, Source

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "PPM")
_OFFICIAL = {"train", "test"}  # folders of these names, and no others, are the parts of an official split

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Part:
    """Pictures, rows x columns or rows x columns x 3, and their classes; files beside them that are none."""

    images: tuple[Pixels, ...]
    labels: tuple[int, ...]
    others: int


def read_pictures(folder: Path, size: tuple[int, int] | None = None) -> Source:
    """Pictures as pixels, 0 to 255, of one channel if all are grey, else of three. Each folder is a class, in the order
    of their names.

    `size`: rows and columns that all are resized to (bilinear). InputError if they differ without it, or one is
    damaged, too large, or of another kind.
    """
    has_test = set(_folders(folder)) == _OFFICIAL
    places = [folder / "train", folder / "test"] if has_test else [folder]
    classes = sorted({name for place in places for name in _folders(place)})
    parts: list[_Part] = []
    for place in places:
        parts.append(_read_part(place, classes, size, sum(image.nbytes for part in parts for image in part.images)))
    _check_classes(parts, classes, Where(str(folder)))
    _check_shapes(parts, Where(str(folder)))
    grey = [image.ndim == 2 for part in parts for image in part.images]
    samples = [_samples(part, all(grey)) for part in parts]
    kind = "pictures in folders"
    return Source(str(folder), kind, samples[0], samples[1] if has_test else None, tuple(classes), _notes(parts, grey))


def _folders(place: Path) -> list[str]:
    """Names of the folders in a folder, but of hidden ones."""
    return [path.name for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _notes(parts: list[_Part], grey: list[bool]) -> tuple[str, ...]:
    others = sum(part.others for part in parts)
    notes = [f"left out, because they are no pictures ({', '.join(ENDINGS)}): {others:,}"] if others else []
    if 0 < sum(grey) < len(grey):
        notes.append(f"grey, and given three equal channels: {sum(grey):,} of {len(grey):,} pictures")
    return tuple(notes)


def _read_part(place: Path, classes: list[str], size: tuple[int, int] | None, before: int) -> _Part:
    """The pictures in the folders of all classes, in the order of their paths. `before`: bytes of those read so far."""
    images: list[Pixels] = []
    labels: list[int] = []
    others, total = 0, before
    for label, name in enumerate(classes):
        for path in sorted((place / name).iterdir()) if (place / name).is_dir() else ():
            if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
                others += 1
                continue
            images.append(read_picture(path, size))
            labels.append(label)
            total += images[-1].nbytes
            if total > DATA_SOURCE:
                message = f"the pictures have more than {DATA_SOURCE:,} bytes, which are allowed; resize them"
                raise InputError(Diagnostic(Where(str(place)), message))
    if not images:
        raise InputError(Diagnostic(Where(str(place)), "there are no pictures in folders of classes"))
    return _Part(tuple(images), tuple(labels), others)


def read_picture(path: Path, size: tuple[int, int] | None) -> Pixels:
    """One picture. InputError as `read_pictures`."""
    where = Where(str(path))
    data = read_bytes(path, PICTURE_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.width * image.height > LARGEST_TENSOR:
                    raise Image.DecompressionBombError
                plain = _plain(image, where)
                resized = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR) if size else plain
                return np.asarray(resized, np.uint8)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(Diagnostic(where, f"more than {LARGEST_TENSOR:,} pixels, which are allowed")) from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        message = f"is no picture of the formats {', '.join(_FORMATS)}, or damaged"
        raise Damaged(Diagnostic(where, f"{message}: {type(error).__name__}")) from error


def _plain(image: Image.Image, where: Where) -> Image.Image:
    """The picture as grey or as red, green and blue. InputError if that would lose or invent something."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "P" and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in ("LA", "RGBA") and image.getextrema()[-1] == (255, 255):
        return image.convert(image.mode.removesuffix("A"))
    found = f"a picture of kind {image.mode}" + (" with transparency" if "transparency" in image.info else "")
    raise InputError(Diagnostic(where, f"{found}; opaque ones of 8 bits, grey or RGB, are expected"))


def _check_classes(parts: list[_Part], classes: list[str], where: Where) -> None:
    there = {label for part in parts for label in part.labels}
    empty = [name for label, name in enumerate(classes) if label not in there]
    if empty:
        raise InputError(Diagnostic(where, f"folders without pictures: {', '.join(empty[:4])}; each is a class"))


def _check_shapes(parts: list[_Part], where: Where) -> None:
    shapes = sorted({image.shape[:2] for part in parts for image in part.images})
    if len(shapes) > 1:
        found = ", ".join(f"{rows}x{cols}" for rows, cols in shapes[:4])
        raise InputError(Diagnostic(where, f"pictures of {len(shapes)} sizes ({found} ...); say which size (resize)"))


def _samples(part: _Part, grey: bool) -> Samples:
    """All pictures of a part as (N, channels, rows, columns)."""
    if grey:
        x = np.stack(part.images)[:, np.newaxis]
    else:
        colour = [image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2) for image in part.images]
        x = np.stack(colour).transpose(0, 3, 1, 2)
    return Samples(x, np.array(part.labels, np.int64))
