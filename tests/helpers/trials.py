"""Plans whose thresholds can be tried: three stages on random data, with a guarantee, and with thresholds by class."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.specs import DATA, TINY, write_random_sets, write_spec

CALIBRATE = "calibrate: {data: calibration, accuracy_drop: 30, risk: {delta: 0.1}}\n"
# Names that would break a page or a YAML file that does not escape them.
LABELS = ("</script><script>alert(1)</script>", "yes: & # {c}", "null")
_LABELS = f"labels: [{', '.join(repr(one) for one in LABELS)}]\n"
STAGES = """\
stages:
  - {network: front, exit: {confidence: margin}}
  - {network: main, name: branch, until: first, head: head, exit: {confidence: entropy, temperature: 0.5}}
  - {network: main}
"""


def three_stages(folder: Path, images: int = 300, per_class: bool = False) -> Path:
    """A spec of three stages with a guarantee, or of two with a threshold for each class of the first."""
    stages = STAGES
    networks = {"front": "", "main": "", "head": ""}
    if per_class:
        stages = "stages:\n  - {network: front, exit: {confidence: max_probability, per_class: true}}\n"
        stages += "  - {network: main}\n"
        del networks["head"]
    text = TINY.spec(stages, **networks).replace(DATA, f"{DATA}{_LABELS}{CALIBRATE}")
    path = write_spec(folder, text)
    write_random_sets(folder, images, TINY.shape, TINY.classes, seed=3)
    return path
