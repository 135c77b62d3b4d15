"""The meaning of a start: which quadrants take part and with which switches (UG7456 table 27-12, izer toplevel.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from offramp.simulator.config import Run
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.forms import form_of
from offramp.simulator.registers import RegisterFile

NOT_MODELLED = (
    "calc_max",
    "pool_enable",
    "big_data",
    "simple_1bit",
    "fast_fifo",
    "fifo_group",
    "quad_pack",
)
SHARED_SWITCHES = (
    "pool_round",
    "stream",
    "fifo",
    "circular",
    "binary_weights",
    "stream_chw",
)  # must agree in all participating quadrants


def decode_run(registers: RegisterFile, enabled: Iterable[int], master: int) -> Run:
    """The run that a rising enable on `master` starts; `enabled` are the quadrants with CTRL.enable.

    Raises AcceleratorError for a switch that is not modelled and for quadrants that would not run together.
    """
    controls = {quadrant: registers.fields("CTRL", quadrant) for quadrant in sorted(enabled)}
    controls = {quadrant: control for quadrant, control in controls.items() if control["clock_enable"]}
    first = controls[master]
    for name in NOT_MODELLED:
        if first.get(name):
            raise AcceleratorError(f"quadrant {master}: CTRL.{name} is {first[name]}; not modelled, must be 0")
    if first["one_shot"] and not form_of(registers.device).one_shot:
        raise AcceleratorError(f"quadrant {master}: CTRL.one_shot is 1; not modelled, must be 0")
    for quadrant, control in controls.items():
        for name in SHARED_SWITCHES:
            if control.get(name) != first.get(name):
                raise AcceleratorError(
                    f"quadrant {quadrant}: CTRL.{name} is {control[name]}; quadrant {master}, which starts, has "
                    f"{first[name]}"
                )
        follows = control["sync_enable"] and control["sync_source"] == master
        if quadrant != master and not follows:
            raise AcceleratorError(
                f"quadrant {quadrant}: CTRL.enable is 1 while quadrant {master} starts; it must wait for it "
                "(CTRL.sync_enable, sync_source)"
            )
        _check_layers(registers, quadrant, master)
    return _run(first, master, tuple(controls), registers.fields("LCNT_MAX", master).get("first_layer", 0))


def _check_layers(registers: RegisterFile, quadrant: int, master: int) -> None:
    """A quadrant runs the layers that the master runs."""
    found, wanted = (registers.fields("LCNT_MAX", one) for one in (quadrant, master))
    for name, value in found.items():
        if value != wanted[name]:
            raise AcceleratorError(
                f"quadrant {quadrant}: LCNT_MAX.{name} is {value}; quadrant {master}, which starts, has {wanted[name]}"
            )


def _run(control: Mapping[str, int], master: int, quadrants: tuple[int, ...], first: int) -> Run:
    return Run(
        master=master,
        quadrants=quadrants,
        stream=bool(control["stream"]),
        fifo=bool(control["fifo"]),
        pool_round=bool(control["pool_round"]),
        stream_chw=bool(control["stream_chw"]) if "stream_chw" in control else None,
        pipeline="pipeline_off" in control and not control["pipeline_off"],
        binary=bool(control.get("binary_weights")),
        first=first,
        one_shot=bool(control["one_shot"]),
        bus_clock=bool(control["bus_clock_enable"]),
    )
