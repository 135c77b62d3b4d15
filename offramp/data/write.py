"""Data sets as the files that specs name: the same sets give the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from offramp.configs.bounds import DATA_FILE
from offramp.configs.errors import Diagnostic, InputError, Where
from offramp.data.source import Labels, Samples
from offramp.host.files import write_bytes


def write_set(path: Path, samples: Samples, classes: tuple[str, ...] = ()) -> bytes:
    """Write an .npz file whole or not at all: `x`, int8 (N, channels, rows, columns); `y`, int64 (N,), and `groups` as
    far as there are any; `classes`, their names. The bytes are returned.

    InputError if it cannot be written, or is larger than what a spec may name.
    """
    if samples.x.dtype != np.int8:
        raise InputError(Diagnostic(Where(str(path)), f"`x` is {samples.x.dtype}; int8 is written: normalize it first"))
    if samples.x.nbytes > DATA_FILE:
        message = f"would have {samples.x.nbytes:,} bytes of samples; {DATA_FILE:,} are allowed: ask for fewer"
        raise InputError(Diagnostic(Where(str(path)), message))
    content = set_bytes(samples.x, samples.y, samples.groups, classes)
    write_bytes(path, content)
    return content


def set_bytes(
    x: npt.NDArray[np.int8], y: Labels | None, groups: Labels | None = None, classes: tuple[str, ...] = ()
) -> bytes:
    """The content of the file. numpy gives every array in it the same date."""
    arrays: dict[str, npt.NDArray[np.int8] | Labels | npt.NDArray[np.str_]] = {"x": np.ascontiguousarray(x)}
    if y is not None:
        arrays["y"] = y.astype(np.int64)
    if groups is not None:
        arrays["groups"] = groups.astype(np.int64)
    if classes:
        arrays["classes"] = np.array(classes)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()
