"""Sets of pictures from idx files, for the examples that keep some of them: what their scripts have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import offramp

Kept = Callable[[offramp.Sets], Mapping[str, offramp.Samples]]


@dataclass(frozen=True)
class Example:
    """`folder`: where the example keeps the sets that `kept` gives, by the names of their files; `whole`: where all
    sets go, in the working directory; `what`: in a picture."""

    folder: Path
    whole: Path
    make: Callable[[Path], offramp.Sets]
    kept: Kept
    what: str


def make_sets(pictures: Path, classes: tuple[str, ...], calibration: int) -> offramp.Sets:
    """All sets, whole. `pictures`: the folder of the idx files. offramp.InputError if they cannot be read."""
    options = offramp.SetOptions(sizes=offramp.Sizes(calibration=calibration), seed=1, classes=classes)
    return offramp.make_sets(offramp.load_source(pictures), options)


def write_sets(sets: offramp.Sets, kept: Kept, folder: Path, whole: Path, what: str) -> None:
    """Write all sets to the folder `whole`, and those that the example keeps to `folder`.

    offramp.InputError if they cannot be written.
    """
    for part in offramp.write_sets(sets, whole).parts:
        print(f"{whole / part.file}: {part.samples:,} {what}")
    for name, samples in kept(sets).items():
        content = offramp.write_set(folder / f"{name}.npz", samples, sets.classes)
        print(f"{folder / name}.npz: {len(samples):,} {what}, {len(content):,} bytes")


def run(arguments: list[str], example: Example) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the sets of this example from its idx files.")
    parser.add_argument("pictures", type=Path, metavar="FOLDER", help="of the four idx files, gzipped or not")
    parser.add_argument(
        "-o", "--output", type=Path, default=example.folder, metavar="DIR", help="for the sets that are kept"
    )
    text = f"for all sets, whole (default: {example.whole} in the working directory)"
    parser.add_argument("--whole", type=Path, default=example.whole, metavar="DIR", help=text)
    args = parser.parse_args(arguments)
    try:
        write_sets(example.make(args.pictures), example.kept, args.output, args.whole, example.what)
    except offramp.InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
