"""The keys of a training spec: what their values may be and what they mean. The table in docs/TRAIN.md is made from
these."""

from __future__ import annotations

import re
from typing import Any

from offramp.configs.lines import LineList
from offramp.configs.schema import Key, Section
from offramp.configs.values import boolean, integer, one_of
from offramp.planner.spec.keys import (
    CLOCKS,
    CONFIDENCE,
    DEVICE,
    GOAL_KEYS,
    NETWORK_KEYS,
    file_name,
    labels,
    name,
)

FORMAT = 1
NONE = "none"  # stands instead of the keys of fronts or heads
AUGMENTATIONS = ("none", "images", "flips", "series")
WIDTHS = (8, 4, 2, 1)  # bits of a weight

_UNITS = {"s": 1, "min": 60, "h": 3600}
_LONGEST = 7 * 24 * 3600  # seconds of a budget
_MOST = 8  # fronts and heads that are kept


def train_format(value: Any) -> int:
    if type(value) is not int or value != FORMAT:
        raise ValueError(f"this program reads format {FORMAT} of training specs")
    return value


def duration(value: Any) -> int:
    """Seconds."""
    found = re.fullmatch(r"(\d{1,9})\s*(s|min|h)", str(value))
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= _LONGEST:
        raise ValueError(
            f"a time such as `90 s`, `15 min` or `2 h`, at least 1 s and at most {_LONGEST // 3600} h, is expected"
        )
    return seconds


def widths(value: Any) -> tuple[int, ...]:
    """Bits of weights, the widest first."""
    given = value if isinstance(value, LineList) else [value]
    found = tuple(width for width in WIDTHS if width in given)
    if not found or len(found) != len(given):
        raise ValueError(f"one of {', '.join(map(str, WIDTHS))}, or a list of some, is expected")
    return found


DATA_KEYS = (
    Key(
        "training",
        name,
        "`.npz` with `x` (int8, N x C x H x W, as the accelerator gets it) and `y` (labels). Networks learn from one "
        "part of it and are compared on the other. Without `y` they learn what main answers.",
        required=True,
    ),
    Key(
        "calibration",
        name,
        "`.npz` that `exits: auto` chooses thresholds on, so that its guarantee holds: training never looks at it.",
        required=True,
    ),
    Key("test", name, "`.npz` that results are reported on; it is never looked at before."),
)
_COUNT = integer(1, _MOST)
_BITS = Key(
    "bits",
    widths,
    "Bits of a weight, one number or a list: the most with which a network fits beside main; default: all.",
    default=WIDTHS,
)
FRONT_KEYS = (
    Key("count", _COUNT, "How many are kept, of different costs.", default=3),
    _BITS,
    Key(
        "augment",
        one_of(AUGMENTATIONS),
        "How training data are varied: `images` (moved, turned, bent, other contrast, parts erased), `flips` (images "
        "and their mirror images too), `series` (moved in time, scaled, with noise) or `none`.",
        default="none",
    ),
)
HEAD_KEYS = (Key("count", _COUNT, "How many are kept, one a cut.", default=2), _BITS)

TRAIN_KEYS = (
    Key("train", train_format, f"Format of the file, {FORMAT}.", required=True),
    Key("name", file_name, "Name of the build; default: the folder's."),
    Key("main", Section(NETWORK_KEYS), "The network that is there already; it is not changed.", required=True),
    Key("data", Section(DATA_KEYS), "The data sets, which may not share an image.", required=True),
    Key(
        "choose",
        Section(GOAL_KEYS),
        "The limit that is kept and the cost that is minimised, as in a spec with `exits: auto`.",
        required=True,
    ),
    CONFIDENCE,
    Key(
        "gate",
        boolean,
        "`true`: fronts and heads get an output more, which learns how likely their answer is right. With `confidence: "
        "hardware` on devices with snoop units; without a gate these look at the largest logit.",
        default=False,
    ),
    Key("fronts", Section(FRONT_KEYS, word=NONE), "Front networks to find; `none`: no fronts."),
    Key("heads", Section(HEAD_KEYS, word=NONE), "Heads to find; `none`: no heads."),
    Key(
        "budget",
        duration,
        "What training may take, as `15 min`, on the two cores of the machine that docs/TRAIN.md names. Other machines "
        "do the same work in another time: the result depends neither on them nor on `--workers`; default: `10 min`.",
        default=600,
    ),
    Key("seed", integer(0), "Of everything that is drawn.", default=1),
    Key(
        "single",
        boolean,
        "`true`: search, with the same budget once more, the best single network that costs what the chain costs on "
        "average.",
        default=False,
    ),
    Key("labels", labels, "Names of the classes.", default=()),
    DEVICE,
    CLOCKS,
)
