"""`offramp data`: training, calibration and test sets from what there is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from rich.table import Table

from offramp.configs.records import converter, to_json
from offramp.data.load import SOURCES, Reading, load_source
from offramp.data.sets import DataRecord, SetOptions, Sets, check_output, make_sets, write_sets
from offramp.data.source import LAYOUTS
from offramp.data.split import TEST, Size, Sizes
from offramp.data.values import METHODS, RANGES
from offramp.host import console as terminal

EPILOG = """\
examples:
  offramp data mnist/ -o sets --calibration 5000        idx files; t10k-* is the test set, as it is
  offramp data photos/ -o sets --resize 64x64           photos/cat/1.jpg, photos/dog/2.png, ...
  offramp data arrays.npz -o sets --layout NHWC --test 10% --calibration 10%
  offramp data datasets.mnist:MNIST -o sets --data-dir data   in the folder of ai8x-training: runs its loader
Values are recognised: pixels from 0 to 255, fractions from 0 to 1 or from -1 to 1, or int8 as the accelerator gets it.
docs/DATA.md has more.
"""
_DUPLICATES = ("one-part", "drop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SetOptions of `offramp data`."""
    parser.epilog = EPILOG
    parser.add_argument("source", metavar="SOURCE", help=SOURCES)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the sets")
    size = "samples, a number or a percentage"
    parser.add_argument("--training", type=_size, metavar="SIZE", help=f"{size} (default: all that is left)")
    parser.add_argument("--calibration", type=_size, metavar="SIZE", default=Sizes().calibration, help="default: 10%%")
    test = "default: 20%%; a test split that the source has stays as it is"
    parser.add_argument("--test", type=_size, metavar="SIZE", help=test)
    parser.add_argument(
        "--seed", type=_number, default=SetOptions().seed, metavar="N", help="of the split (default: 1)"
    )
    normalize = "from pixels to int8: as ai8x-training does (default), or less 128; none where nothing is to be done"
    parser.add_argument("--normalize", choices=METHODS, help=normalize)
    parser.add_argument("--range", choices=RANGES, help="what the values are (default: recognised)")
    parser.add_argument("--layout", choices=LAYOUTS, help="axes of arrays (default: NCHW where nothing else is likely)")
    parser.add_argument("--resize", type=_rows_cols, metavar="HxW", help="rows and columns of pictures")
    parser.add_argument("--fold", type=_factor, default=1, metavar="N", help="N x N pixels become channels (ai8x.fold)")
    parser.add_argument("--classes", metavar="A,B,...", default="", help="names of the classes")
    duplicates = "equal samples: all in one part (default), or only the first of them"
    parser.add_argument("--duplicates", choices=_DUPLICATES, default=_DUPLICATES[0], help=duplicates)
    where = "folder that a function of ai8x-training's form is given (default: data)"
    parser.add_argument("--data-dir", type=Path, default=Reading().folder, metavar="DIR", help=where)
    terminal.add_arguments(parser, json="data.json")


def _size(text: str) -> Size:
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    if re.fullmatch(r"\d{1,3}(\.\d{1,6})?%", text) and (share := Fraction(text[:-1]) / 100) <= 1:
        return share
    raise argparse.ArgumentTypeError(f"a number of samples, or a percentage such as 12.5%, is expected, not {text!r}")


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"a number from 0 on is expected, not {text!r}")
    return int(text)


def _factor(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d?", text):
        raise argparse.ArgumentTypeError(f"a number from 1 to 99 is expected, not {text!r}")
    return int(text)


def _rows_cols(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"rows x columns such as 64x64 are expected, not {text!r}")
    return int(found[1]), int(found[2])


def run(args: argparse.Namespace) -> int:
    """Write the sets and say what they are. InputError if that cannot be."""
    console = terminal.make_console(args)
    check_output(args.output)
    with terminal.shown_progress(console, args.verbose) as progress:
        progress.step(f"reading {args.source}")
        source = load_source(args.source, Reading(args.layout, args.resize, args.data_dir))
        progress.step("normalizing and splitting")
        sets = make_sets(source, _options(args))
        progress.step("writing")
        record = write_sets(sets, args.output)
    for line in _facts(sets, record):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(record))
    console.print(f"written: {args.output}", markup=False, highlight=False, soft_wrap=True)
    terminal.print_json(to_json(record, converter()), args)
    return 0


def _options(args: argparse.Namespace) -> SetOptions:
    return SetOptions(
        sizes=Sizes(args.training, args.calibration, args.test),
        seed=args.seed,
        normalize=args.normalize,
        range=args.range,
        fold=args.fold,
        classes=tuple(args.classes.split(",")) if args.classes else (),
        drop_copies=args.duplicates == "drop",
    )


def _facts(sets: Sets, record: DataRecord) -> Iterator[str]:
    """What was found and done, a line each; what did not happen is not mentioned."""
    source = sets.source
    official = f", and {len(source.test):,} of the official test split" if source.test is not None else ""
    yield f"{source.name}: {source.kind}, {len(source.samples):,} samples{official}"
    yield from record.notes
    yield from sets.normalization.text()
    if record.fold > 1:
        yield f"folded: {record.fold} x {record.fold} pixels are the channels of one"
    yield f"samples: {'x'.join(map(str, record.shape))}"
    yield f"equal samples: {_copies(sets, record)}"
    if record.in_official:
        yield f"left out: {record.in_official:,} that equal one of the official test split"
    if record.unused:
        yield f"not used: {record.unused:,} of {len(source.samples):,}"


def _copies(sets: Sets, record: DataRecord) -> str:
    if not record.copies:
        return "none"
    labels = f" ({record.conflicting:,} with another label)" if record.conflicting else ""
    found = f"{record.copies:,} equal an earlier one{labels}"
    if sets.options.drop_copies:
        return f"{found}, and were left out"
    return f"{found}; in one part each" + (f", {record.dropped:,} left out for it" if record.dropped else "")


def _table(record: DataRecord) -> Table:
    table = Table(header_style="")
    table.add_column("set")
    for column in ("samples", "classes", "of a class"):
        table.add_column(column, justify="right")
    table.add_column("split")
    for part in record.parts:
        there = [count for count in part.per_class if count]
        spread = f"{min(there):,} to {max(there):,}" if there else "no labels"
        missing = len(part.per_class) - len(there)
        classes = f"{len(there)}" + (f" ({missing} missing)" if missing else "")
        official = "the official one" if part.name == TEST and record.official_test else f"by seed {record.seed}"
        table.add_row(part.name, f"{part.samples:,}", classes if there else "", spread, official)
    return table
