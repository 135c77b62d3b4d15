"""Random applications with everything at once: models side by side, stages with classes of their own, heads, tensors,
rolling buffers, the FIFO, more layers than a run can have, and memories that are too small for it all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.helpers.application_models import KINDS, DrawnModel, ModelMaker
from tests.helpers.network_files import write_network_files


@dataclass(frozen=True)
class Application:
    """`room`: the share of the kernel columns that everything takes that there are, None: as many as the device has.
    `seed`: of the order of inferences and of what is in the memories before. `junk`: they hold junk, else nothing."""

    models: tuple[DrawnModel, ...]
    room: float | None
    seed: int
    junk: bool


@st.composite
def applications(draw: DrawFn) -> Application:
    """Most have one model, some two or three."""
    count = draw(st.sampled_from((1, 1, 1, 2, 2, 3)))
    room = draw(st.sampled_from((None, None, None, 0.9, 0.75, 0.6)))
    ways = ("allowed", "allowed", "external", "not") if count == 1 else ("allowed", "not")
    reload = draw(st.sampled_from(ways)) if room else "not"
    # What is written again is searched for minutes among the blocks of several models, if some are deep.
    kinds = KINDS if count == 1 or reload == "not" else [kind for kind in KINDS if kind != "deep"]
    models = tuple(ModelMaker(draw, f"model{index}", reload, kinds).model() for index in range(count))
    return Application(models, room, draw(st.integers(0, 1 << 32)), draw(st.integers(0, 3)) > 0)


def drawn(number: int) -> Application:
    """The application of a seed: the second that hypothesis draws, as its first is the smallest there is."""
    found: list[Application] = []

    @seed(number)
    @settings(
        max_examples=2, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(applications())
    def collect(application: Application) -> None:
        found.append(application)

    collect()
    return found[-1]


def write_application(folder: Path, application: Application) -> tuple[Path, ...]:
    """A folder for each model, with everything that its spec names; the specs."""
    specs = []
    for model in application.models:
        place = folder / model.name
        place.mkdir()
        for name, network in model.networks.items():
            write_network_files(place, name, network)
        np.savez(place / "test.npz", x=model.test)
        np.savez(place / "calibration.npz", x=model.calibration, y=model.labels)
        (place / "spec.yaml").write_text(model.text, encoding="utf-8")
        specs.append(place / "spec.yaml")
    return tuple(specs)
