"""All questions in the order in which they are asked: those that most depends on first, risky ones last."""

from __future__ import annotations

from offramp.configs.device import Device
from offramp.silicon import access, kernels, layers, switching
from offramp.silicon.networks import all_networks
from offramp.silicon.specimens import make_specimen
from offramp.silicon.steps import Question


def all_questions(device: Device) -> tuple[Question, ...]:
    """Every question to a device, the same ones each time."""
    made = {tiny.name: make_specimen(tiny, device) for tiny in all_networks()}
    return (
        switching.control(made),
        switching.rewrite(made),
        switching.reset_pulse(made),
        switching.retention(made),
        kernels.columns(made),
        kernels.flatten_bias(made),
        layers.lanes(device),
        kernels.bias_quadrants(made),
        layers.pool_stride(device),
        layers.rounding(device),
        layers.accumulator(device),
        access.cycles(device),
        access.stop(device),
        access.registers(device),
        access.memories(made),
        access.done(made),
        switching.one_shot(made),
        kernels.bystander(made),
        access.unpowered(device),
    )
