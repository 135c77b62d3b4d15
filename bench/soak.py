"""Many inferences of the examples on the virtual board, in every way: every answer against the integer reference.

    python -m bench.soak [SPEC ...] [--inferences N] [--seed S]

Thresholds and forced stages change at random, inputs come whole or in pieces and in every form, inferences block or are
polled, the accelerator sleeps and is loaded again in between. Exit code 1 if an answer differs or statistics do not add
up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from bench.soak_life import SoakSubject, soak, soak_subject

EXAMPLES = Path(__file__).parents[1] / "examples" / "mnist"
INFERENCES = 20_000


@contextmanager
def example_specs() -> Iterator[list[Path]]:
    """The example's specs, and its first one with the input through the FIFO."""
    with tempfile.TemporaryDirectory() as folder:
        spec = yaml.safe_load((EXAMPLES / "spec.yaml").read_text(encoding="utf-8"))
        used = {stage["network"] for stage in spec["stages"]}
        spec["name"] = "mnist-fifo"
        spec["compare"] = []
        spec["networks"] = {
            name: {**_absolute(entry, ("network", "checkpoint")), "fifo": True}
            for name, entry in spec["networks"].items()
            if name in used
        }
        spec["data"] = _absolute(spec["data"], tuple(spec["data"]))
        fifo = Path(folder) / "fifo.yaml"
        fifo.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
        yield [*(EXAMPLES / f"{name}.yaml" for name in ("spec", "branch", "auto")), fifo]


def _absolute(entry: dict[str, str], keys: tuple[str, ...]) -> dict[str, object]:
    return {key: str(EXAMPLES / value) if key in keys else value for key, value in entry.items()}


def run(specs: list[Path], inferences: int, seed: int) -> int:
    """Soak each spec with its share; how many things were wrong."""
    wrong = 0
    for number, spec in enumerate(specs):
        count = inferences // len(specs) + (number < inferences % len(specs))
        with tempfile.TemporaryDirectory() as folder:
            subject: SoakSubject = soak_subject(spec, Path(folder))
            begun = time.monotonic()
            found = soak(subject, count, seed + number)
        print(f"{subject.name}: {found.text()}, {time.monotonic() - begun:.0f} s", flush=True)
        for line in found.problems[:10]:
            print(f"  {line}")
        wrong += len(found.problems)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", type=Path, nargs="*", metavar="SPEC")
    parser.add_argument("--inferences", type=int, default=INFERENCES, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.specs:
        return 1 if run(args.specs, args.inferences, args.seed) else 0
    with example_specs() as specs:
        return 1 if run(specs, args.inferences, args.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
