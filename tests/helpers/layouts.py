"""A hand-made layout of two stages, with names that would break a page that does not escape them."""

from __future__ import annotations

from offramp.comparison.headline import Statement
from offramp.comparison.layouts import (
    BiasUse,
    DataUse,
    LayerUse,
    Layout,
    Point,
    Sizes,
    StageUse,
    SwitchUse,
    WeightUse,
)

SIZES = Sizes(
    processors=64, columns=768, column_bytes=9, per_quadrant=16, quadrants=4, bias_bytes=512, instances=16, words=8192
)
NASTY = """<script>alert("1")</script> & '$x^{2$"""


def small_layout(name: str = NASTY) -> Layout:
    """Layers 0 and 2 have the same kernels; layer 1 has none. Words 100..119 of instance 1 are live twice in step 2."""
    return Layout(
        name=name,
        kind="spec",
        path=f"{name}.yaml",
        sizes=SIZES,
        stages=(StageUse("front", 110, False, 150, 0.75), StageUse("main", 401, True, 600, 0.25)),
        layers=(
            LayerUse(f"front/{name}", 0, 0, 109, False, 0.5),
            LayerUse("main/0", 0, 1, 300, True, 2.25),
            LayerUse("main/1", 1, 1, 100, False, 0.25),
        ),
        weights=(WeightUse((0, 2), 0x0F0F, 4, 10),),
        biases=(BiasUse(0, 1, 8, 16), BiasUse(2, 3, 0, 4)),
        data=(
            DataUse("input", None, (0,), 0, 50, 0, 3),
            DataUse("output of front/0", 0, (1, 2), 0, 120, 1, 2),
            DataUse("output of main/0", 1, (1,), 100, 40, 2, 4),
            DataUse("output of main/1", 2, (0,), 8000, 10, 4, 5),
        ),
        steps=("load input", "run front/0", "read result of front", "run main/0", "run main/1", "read result of main"),
        switches=(SwitchUse("front", "main", 30), SwitchUse("main", "front", 20)),
        mean_cycles=262.5,
        mean_energy=1.5,
        accuracy=0.9,
        points=(
            Point("as planned", 0.9, 262.5, 1.5, True),
            Point(f"{name} alone", 0.95, 500, 3.0, False),
            Point("bad", 0.5, 400, 1.0, False),
        ),
        points_data="test data",
        headline=(Statement("1.5 times fewer", f"cycles; {name} alone takes 400"), Statement("not verified", "yet")),
    )
