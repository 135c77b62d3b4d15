"""Words that a switch between stages writes, against what reloading the next stage would write.

python -m bench.switch [SPEC ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from offramp.configs.device import load_device
from offramp.host.progress import SILENT
from offramp.pipeline.figures import plan_report
from offramp.pipeline.planning import make_plan
from offramp.planner.spec.reader import load_spec

EXAMPLES = [Path(__file__).parents[1] / "examples" / "mnist" / name for name in ("spec.yaml", "branch.yaml")]


def main() -> None:
    parser = argparse.ArgumentParser(description="words written at a switch, against a reload")
    parser.add_argument("specs", type=Path, nargs="*", default=EXAMPLES)
    args = parser.parse_args()
    device = load_device()
    print(f"{'spec':<14} {'switch':<20} {'switch writes':>13} {'reload writes':>13} {'reload / switch':>15}")
    for spec in args.specs:
        report = plan_report(make_plan(load_spec(spec, device), device, SILENT), None)
        for one in report.switches:
            writes = one.register_writes + one.weight_words + one.bias_words
            ratio = one.reload_words / writes if writes else float("inf")
            name = f"{one.source} -> {one.target}"
            print(f"{report.name:<14} {name:<20} {writes:>13,} {one.reload_words:>13,} {ratio:>14.0f}x")


if __name__ == "__main__":
    main()
