"""The meaning of a start: which quadrants take part and with which switches (UG7456 table 27-12, izer toplevel.py)."""

from __future__ import annotations

from collections.abc import Iterable

from offramp.simulator.config import Run
from offramp.simulator.errors import AcceleratorError
from offramp.simulator.registers import RegisterFile

NOT_MODELLED = (
    "calc_max",
    "pool_enable",
    "big_data",
    "one_shot",
    "simple_1bit",
    "fast_fifo",
    "fifo_group",
    "quad_pack",
)
SHARED_SWITCHES = ("pool_round", "stream", "fifo", "circular")  # must agree in all participating quadrants


def decode_run(registers: RegisterFile, enabled: Iterable[int], master: int) -> Run:
    """The run that a rising enable on `master` starts; `enabled` are the quadrants with CTRL.enable.

    Raises AcceleratorError for a switch that is not modelled and for quadrants that would not run together.
    """
    controls = {quadrant: registers.fields("CTRL", quadrant) for quadrant in sorted(enabled)}
    controls = {quadrant: control for quadrant, control in controls.items() if control["clock_enable"]}
    first = controls[master]
    for name in NOT_MODELLED:
        if first[name]:
            raise AcceleratorError(f"quadrant {master}: CTRL.{name} is {first[name]}; not modelled, must be 0")
    for quadrant, control in controls.items():
        for name in SHARED_SWITCHES:
            if control[name] != first[name]:
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
        count, wanted = (registers.field("LCNT_MAX", "last_layer", q) for q in (quadrant, master))
        if count != wanted:
            raise AcceleratorError(
                f"quadrant {quadrant}: LCNT_MAX.last_layer is {count}; quadrant {master}, which starts, has {wanted}"
            )
    return Run(master, tuple(controls), bool(first["stream"]), bool(first["fifo"]), bool(first["pool_round"]))
