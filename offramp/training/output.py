"""What a search leaves in its folder: networks, data, and the spec that `offramp build` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from offramp.configs.bounds import CHECKPOINT_FILE, DATA_FILE, TEXT_FILE
from offramp.configs.files import read_bytes
from offramp.host.files import write_bytes, write_text
from offramp.planner.spec.keys import FORMAT
from offramp.planner.spec.spec import ChoiceSpec
from offramp.training.search import Trained
from offramp.training.spec import CALIBRATION, MAIN, TEST, TrainSpec

SPEC = "spec.yaml"
DRAFT = "draft.yaml"  # of the spec, while it is planned for the first time
REPORT = "report.json"
_OURS = ("front-", "head-", "single-")  # what names of networks that we write begin with


def write_inputs(folder: Path, spec: TrainSpec) -> None:
    """Main and the data, as they are."""
    write_bytes(folder / "main.yaml", read_bytes(spec.main.network, TEXT_FILE))
    write_bytes(folder / "main.pth.tar", read_bytes(spec.main.checkpoint, CHECKPOINT_FILE))
    for name in (CALIBRATION, TEST):
        if name in spec.data:
            write_bytes(folder / f"{name}.npz", read_bytes(spec.data[name], DATA_FILE))


def remove_others(folder: Path, names: Sequence[str]) -> None:
    """Remove networks of an earlier end of the same search that are not among those that are kept now."""
    for path in folder.iterdir():
        stem = path.name.removesuffix(".yaml").removesuffix(".pth.tar")
        if stem.startswith(_OURS) and stem not in names:
            path.unlink()


def write_spec(path: Path, spec: TrainSpec, kept: Sequence[Trained], single: str | None) -> Path:
    """The spec with the candidates that are kept; `single`: the network to compare with. The path is returned."""
    head = "# Made by `offramp train`: candidates for exits before main. `offramp build` chooses among them on the\n"
    head += "# calibration data, which no training has seen.\n"
    content = yaml.safe_dump(_content(spec, kept, single), sort_keys=False, default_flow_style=None, width=110)
    write_text(path, head + content)
    return path


def _content(spec: TrainSpec, kept: Sequence[Trained], single: str | None) -> dict[str, Any]:
    shape = {"input": str(spec.main.input_shape)} if spec.main.input_shape else {}
    networks = {MAIN: _network(MAIN) | shape | _options(spec)}
    for one in kept:
        networks[one.proposal.name] = _network(one.proposal.name) | (shape if one.proposal.cut is None else {})
    if single:
        networks[single] = _network(single) | shape
    if spec.main.avg_pool_rounding:
        networks = {name: one | {"avg_pool_rounding": True} for name, one in networks.items()}
    content: dict[str, Any] = {"offramp": FORMAT, "name": spec.name}
    content |= {"device": spec.device} if spec.device else {}
    content |= {"clocks": spec.clocks} if spec.clocks else {}
    content |= {
        "networks": networks,
        "data": {name: f"{name}.npz" for name in (CALIBRATION, TEST) if name in spec.data},
    }
    content |= {"labels": list(spec.labels)} if spec.labels else {}
    content |= {"exits": "auto", "main": MAIN, "candidates": [_candidate(one) for one in kept]}
    content |= {"choose": _goal(spec.choice), "confidence": list(spec.choice.of_core) or "hardware"}
    return content | ({"compare": [single]} if single else {})


def _network(name: str) -> dict[str, Any]:
    return {"network": f"{name}.yaml", "checkpoint": f"{name}.pth.tar"}


def _options(spec: TrainSpec) -> dict[str, Any]:
    """What the training spec says of main besides its files."""
    main = spec.main
    found: dict[str, Any] = {}
    found |= {"prefix": main.prefix} if main.prefix else {}
    found |= {"labels": list(main.labels)} if main.labels else {}
    found |= {} if main.keep_offsets else {"offsets": "free"}
    found |= {} if main.keep_processors else {"processors": "free"}
    return found | ({"fifo": True} if main.fifo else {})


def _candidate(one: Trained) -> dict[str, Any]:
    proposal = one.proposal
    gate = {"gate": True} if proposal.design.gate else {}
    if proposal.cut is None:
        return {"front": proposal.name} | gate
    return {"until": proposal.cut, "head": proposal.name, "name": proposal.name} | gate


def _goal(goal: ChoiceSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"data": CALIBRATION}
    if goal.budget:
        return found | {"budget": dict([goal.budget]), "against": goal.against}
    found |= {"minimise": dict(goal.weights), "accuracy_drop": goal.accuracy_drop}
    found |= {"risk": {"delta": goal.delta}} if goal.delta is not None else {}
    return found | {"against": goal.against}
