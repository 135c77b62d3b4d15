"""What a mutation report of a device consists of: its checks, and the arithmetic that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import mutation_tables_78002, mutation_words, mutation_words_78002
from bench.mutation_networks import NETWORKS
from bench.mutation_rules import RULES, Rule
from bench.mutation_rules_78002 import RULES as RULES_78002
from offramp.configs.device import Device, load_device

# Chosen greedily from the corpora, most mutants for the time first. No other case notices a further mutant.
CASES = (
    "test-conv1d-pool-4-q2",
    "syn-test-eltwiseadd-conv-xor",
    "test-fifostream-pool-stride",
    "test-eltwiseadd-avgpool__avg-pool-rounding",
    "test-eltwiseadd-pool",
    "test-eltwisesub",
    "test-eltwiseor",
    "test-eltwiseadd4-7ch",
    "test-eltwiseadd-avgpool",
    "test-conv1d-pool-9-q1__output-width-32",
    "test-mlpflatten768to10",
    "test-conv1d-multilayer",
    "test-mpflatten-256",
    "test-upsample-nonsquare-pad0A",
    "test-pooling1x13s13-II",
    "test-pooling13x1s1",
    "test-pooling-strideonly",
    "test-passthroughmultipass",
    "test-mlpflatten768to100",
    "test-chan1024-1024",
    "net-mnist-extrasmall__powerdown",
    "test-cifar10-abs",
    "test-layers__no-mexpress",
    "net-cifar-10",
    "test-fifostream-640",
)
CASES_78002 = (
    "test-fifo-hwc",
    "test-fifostream-pool-stride",
    "net-mnist-extrasmall__powerdown",
    "test-eltwiseadd__ext-rdy",
    "test-conv2d-id__no-pipeline-no-pll",
    "test-snoop-range",
    "test-passthrough__one-shot",
    "test-eltwiseadd-avgpool__avg-pool-rounding",
    "test-conv1d-pool-1-binary",
    "own-start-2",
    "test-layers__zero-sram",
    "test-snoop2-noskip",
    "test-snoop2-skipl1",
    "test-layers128__link-layer",
    "limit-rows-2047",
    "test-fifostream-hd8-chw",
    "test-conv1d-pool-8-q4",
    "test-depthwise17x5x7-move",
    "test-eltwiseadd-pool",
    "test-eltwiseor",
    "test-eltwiseaddconv2d-7ch",
    "test-conv2d-pooldilation",
    "test-pooling13x1s1",
    "test-pooling1x13s13-II",
    "test-readahead-notcalc-multipass5",
    "test-conv1d-pool-9-q2",
    "test-bypass-depthwise3x4x4",
    "test-flatten-bias",
    "rand-flat-9008",
    "test-depthwiset2d",
    "test-ffsx4-likecifar10-hwc",
    "test-readahead-multipass5-stream",
    "test-ffsx4readahead-nopad-multipass5",
    "test-snoop-stop",
    "test-snoop-count",
    "test-snoop2-norange",
    "test-snoop2-stop",
    "test-snoop2-nocount",
    "test-snoop2-noxval",
    "test-eltwiseadd4-7ch",
    "test-eltwisesub",
    "test-pooling-strideonly__ckpt",
    "own-dw-96-q4",
    "own-dw-20-q8",
    "rand-dw-2012",
    "rand-seq-7006",
)


@dataclass(frozen=True)
class Suite:
    """`corpus`: name of the folder of the vendor's programs; `networks`: of ours, by name; `programs`, `tables`: checks
    by name; `answering`: registers that the model fills in itself."""

    device: str
    corpus: str
    cases: Sequence[str]
    networks: Sequence[str]
    programs: Mapping[str, Callable[[Device], bool]]
    tables: Mapping[str, Callable[[Device], bool]]
    rules: Sequence[Rule]
    answering: frozenset[str]
    reasons: Path

    @property
    def right(self) -> Device:
        """The device as its file describes it."""
        return load_device(self.device)


_ANSWERING = frozenset({"CTRL", "TEST", "FIFO_STAT"})
_COUNTERS = frozenset(f"SNOOP{unit}_{name}" for unit in (1, 2) for name in ("ACC", "HIT", "MAX", "AM"))
_REASONS = Path(__file__).with_name("mutation_reasons.yaml")

SUITES: Mapping[str, Suite] = {
    "MAX78000": Suite(
        device="MAX78000",
        corpus="corpus",
        cases=CASES,
        networks=tuple(NETWORKS),
        programs=mutation_words.PROGRAMS,
        tables=mutation_words.TABLES,
        rules=RULES,
        answering=_ANSWERING,
        reasons=_REASONS,
    ),
    "MAX78002": Suite(
        device="MAX78002",
        corpus="corpus78002",
        cases=CASES_78002,
        networks=tuple(NETWORKS),
        programs=mutation_words_78002.PROGRAMS,
        tables=mutation_tables_78002.TABLES,
        rules=RULES_78002,
        answering=_ANSWERING | _COUNTERS,
        reasons=_REASONS.with_name("mutation_reasons_78002.yaml"),
    ),
}
DEFAULT = SUITES["MAX78000"]
