"""Networks with rolling buffers, from a spec to firmware that keeps them between inferences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.pipeline.images import open_image
from offramp.pipeline.planning import Planned
from offramp.planner.ir.chain import Chain, without_exits
from offramp.planner.reference.profile import Profile, exit_indices, profile
from offramp.simulator.accelerator import Accelerator
from offramp.simulator.board.calls import BY_CONFIDENCE, Sleep, Status
from offramp.simulator.board.session import Session
from offramp.simulator.clock import Clock
from tests.helpers.rolling import EVERY, REACHED, TCN
from tests.helpers.specs import write_spec

DEVICE = load_device()


@dataclass(frozen=True, eq=False)
class Built:
    folder: Path
    made: Planned
    x: npt.NDArray[np.int8]

    @property
    def chain(self) -> Chain:
        return self.made.chain


@pytest.fixture(scope="module", params=[EVERY, REACHED], ids=["every input", "inputs that reach it"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("rolling")
    spec = write_spec(folder, request.param, TCN)
    assert main(["build", str(spec), "-o", str(folder / "out"), "--images", "210", "-q"]) == 0
    return Built(
        folder / "out", open_image(folder / "out" / "plan.json", DEVICE).models[0], np.load(folder / "test.npz")["x"]
    )


def test_210_inferences_one_after_the_other(built: Built) -> None:
    report = json.loads((built.folder / "report.json").read_text())
    assert (report["verified"]["answers"], report["verified"]["mismatches"]) == (210, 0)
    assert all(0.1 < stage["share"] < 0.9 for stage in report["stages"])


def test_the_order_matters(built: Built) -> None:
    """Else nothing above would notice a buffer that is lost."""
    forward = profile(built.chain, built.x).results[1]
    alone = np.concatenate([profile(built.chain, one[None]).results[1] for one in built.x[:60]])
    assert (forward[8:60] != alone[8:]).any(axis=1).mean() > 0.9


def test_the_board_tests_itself_with_the_first_inputs(built: Built) -> None:
    """In their order, from an empty buffer on."""
    text = (built.folder / "firmware" / "src" / "tcn_samples.c").read_text()
    first = ", ".join(map(str, built.x[0].reshape(-1)[:4].tolist()))
    assert first in " ".join(text.split())


def infer(session: Session, x: npt.NDArray[np.int8], model: int = 0) -> tuple[int, list[int]]:
    answer = session.infer(model, x.tobytes())
    assert answer.status is Status.OK
    return answer.result.stage, session.output_words(3).result.tolist()


def answers(chain: Chain, x: npt.NDArray[np.int8]) -> list[tuple[int, list[int]]]:
    found: Profile = profile(chain, x)
    stages = exit_indices(chain, found).tolist()
    return [(stage, found.results[stage][image].tolist()) for image, stage in enumerate(stages)]


@pytest.fixture
def session(built: Built) -> Session:
    clock = Clock(DEVICE)
    session = Session(built.folder / "firmware.elf", Accelerator(DEVICE, clock), DEVICE, clock=clock)
    assert session.open().status is Status.OK
    return session


def test_forgetting_begins_anew(built: Built, session: Session) -> None:
    expected = answers(built.chain, built.x[:12])
    with session:
        assert [infer(session, one) for one in built.x[:12]] == expected
        assert infer(session, built.x[0]) != expected[0]
        assert session.forget().status is Status.OK
        assert [infer(session, one) for one in built.x[:12]] == expected
        assert session.forget(1).status is Status.E_ARGUMENT


@pytest.mark.parametrize("mode", list(Sleep))
def test_sleep_with_its_power_off_empties_the_buffer(built: Built, session: Session, mode: Sleep) -> None:
    kept = mode is Sleep.CLOCK
    with session:
        for one in built.x[:10]:
            infer(session, one)
        assert session.sleep(mode).status is Status.OK
        assert session.forget().status is Status.NOT_READY
        assert session.wake().status is Status.OK
        expected = answers(built.chain, built.x[:14])[10:] if kept else answers(built.chain, built.x[10:14])
        assert [infer(session, one) for one in built.x[10:14]] == expected


def test_so_does_an_inference_that_is_cancelled(built: Built, session: Session) -> None:
    with session:
        for one in built.x[:10]:
            infer(session, one)
        assert session.begin(0, built.x[10].tobytes()).status is Status.OK
        assert session.forget().status is Status.BUSY
        assert session.cancel().status is Status.OK
        assert [infer(session, one) for one in built.x[11:15]] == answers(built.chain, built.x[11:15])
        assert session.statistics().result.reloads == 1


def test_a_forced_stage_writes_what_it_writes(built: Built, session: Session) -> None:
    """All inputs to the last stage: the buffer sees all of them, whatever the exits say."""
    with session:
        assert session.force_stage(0, 1).status is Status.OK
        for one in built.x[:10]:
            infer(session, one)
        assert session.force_stage(0, BY_CONFIDENCE).status is Status.OK
        network = built.chain.networks[built.chain.stages[1].slots[0].network]
        assert network.buffers
        everything = profile_of_all(built.chain, built.x[:11])
        stage, logits = infer(session, built.x[10])
        assert logits == everything.results[stage][10].tolist()


def profile_of_all(chain: Chain, x: npt.NDArray[np.int8]) -> Profile:
    return profile(without_exits(chain), x)


def test_what_a_plan_says_of_the_network_alone(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    """As if every input had gone to the last stage."""
    report = json.loads((built.folder / "report.json").read_text())
    data = np.load(built.folder.parent / "test.npz")
    everything = profile_of_all(built.chain, data["x"])
    assert report["stages"][1]["accuracy_alone"] == pytest.approx(float((everything.answers[1] == data["y"]).mean()))


def test_run_and_probe(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(built.folder), "--images", "30", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["mismatches"] == 0 and len(content["answers"]) == 30
    assert main(["probe", str(built.folder), "-q"]) == 0


def test_free_offsets_keep_the_rows_together(tmp_path: Path) -> None:
    text = EVERY.replace("input: 4x6x6", "input: 4x6x6, offsets: free")
    assert main(["build", str(write_spec(tmp_path, text, TCN)), "-o", str(tmp_path / "out"), "--images", "40"]) == 0
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert "quick/1+quick/2+quick:roll" in plan["placement"]["data"]


def test_free_processors_leave_the_buffer_where_it_is(tmp_path: Path) -> None:
    text = EVERY.replace("input: 4x6x6", "input: 4x6x6, offsets: free, processors: free")
    assert main(["build", str(write_spec(tmp_path, text, TCN)), "-o", str(tmp_path / "out"), "--images", "40"]) == 0
    made = open_image(tmp_path / "out" / "plan.json", DEVICE).models[0]
    assert [buffer.processors for buffer in made.chain.buffers.values()] == [0xFF00]


def test_a_buffer_is_kept_while_another_model_answers(tmp_path: Path) -> None:
    """Two models of an image in turn: neither writes where the other's buffer lies, though data share memory. At the
    same offset the buffers do not fit."""
    (tmp_path / "other").mkdir()
    free = EVERY.replace("input: 4x6x6", "input: 4x6x6, offsets: free")
    second = write_spec(tmp_path / "other", REACHED.replace("name: tcn", "name: second"), TCN)
    assert main(["plan", str(write_spec(tmp_path, EVERY, TCN)), str(second), "-q"]) == 3
    first = write_spec(tmp_path, free, TCN)
    assert main(["build", str(first), str(second), "-o", str(tmp_path / "both"), "--images", "60", "-q"]) == 0
    image = open_image(tmp_path / "both" / "plan.json", DEVICE)
    places = []
    for made in image.models:
        (name,) = made.chain.buffers
        tensor, start = made.plan.placed.requirements.tensors[name], made.plan.placed.base(name)
        places.append({(instance, start + word) for instance in tensor.instances for word in range(tensor.words)})
    assert not places[0] & places[1]
