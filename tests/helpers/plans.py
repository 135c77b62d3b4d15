"""Chains and plans of specs, as the commands make them, without progress on the terminal."""

from __future__ import annotations

from pathlib import Path

from offramp.configs.device import Device, load_device
from offramp.host.progress import SILENT
from offramp.pipeline.planning import Planned, make_plan
from offramp.planner.chain.build import build_chain
from offramp.planner.chain.sources import read_sources
from offramp.planner.ir.chain import Chain
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import AutoSpec, ManualSpec


def chain_of(spec: Path, device: Device | None = None) -> Chain:
    """The stages of a spec, not yet placed."""
    device = device or load_device()
    loaded = manual_spec(spec, device)
    return build_chain(loaded, read_sources(loaded, device), device)


def manual_spec(spec: Path, device: Device | None = None) -> ManualSpec:
    """A spec that names its stages."""
    found = load_spec(spec, device or load_device())
    assert isinstance(found, ManualSpec)
    return found


def auto_spec(spec: Path, device: Device | None = None) -> AutoSpec:
    """A spec with `exits: auto`."""
    found = load_spec(spec, device or load_device())
    assert isinstance(found, AutoSpec)
    return found


def plan_of(spec: Path, device: Device | None = None) -> Planned:
    """The plan of a spec, with what it costs."""
    device = device or load_device()
    return make_plan(load_spec(spec, device), device, SILENT)
