"""Whole-process time of `offramp build` without the emulator run, against the same with it.

python -m bench.build [SPEC] [--runs N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "mnist" / "spec.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description="time `offramp build` as a whole process")
    parser.add_argument("spec", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    version = statistics.median(_seconds(["--help"]) for _ in range(args.runs))
    print(f"offramp --help                      {version:6.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out"
        plain = statistics.median(_build(args.spec, target, "0") for _ in range(args.runs))
        emulated = statistics.median(_build(args.spec, target, "200") for _ in range(args.runs))
    print(f"offramp build, no emulator run      {plain:6.2f} s")
    print(f"offramp build, 200 images emulated  {emulated:6.2f} s   ratio {emulated / plain:.2f}")


def _build(spec: Path, target: Path, images: str) -> float:
    return _seconds(["build", str(spec), "-o", str(target), "--images", images])


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "offramp.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
