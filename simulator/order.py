"""The order in which a run executes layer slots: from the first to the last one, or where links lead.

Devices without links run one slot after the other. A snoop unit with a link makes the link of the slot that it watches
conditional; what becomes of links of other slots then is not known.
"""

from __future__ import annotations

from collections.abc import Collection

from offramp.simulator.config import Run
from offramp.simulator.errors import AcceleratorError, UndecidedError
from offramp.simulator.registers import RegisterFile
from offramp.simulator.snoop import Action

NO_ACTION = Action()
MOST_ROUNDS = 64  # times that a run may go through as many slots as there are


class Order:
    """The slots of one run from `first` on. `conditional`: those whose links a snoop unit decides about."""

    def __init__(self, registers: RegisterFile, run: Run, conditional: Collection[int], first: int) -> None:
        self.first, self._last = first, registers.field("LCNT_MAX", "last_layer", run.master)
        self._registers, self._run, self._conditional = registers, run, conditional
        self._layers = registers.device.geometry.layers
        self._count = 0

    def following(self, layer: int, action: Action = NO_ACTION) -> int | None:
        """What runs after a slot; None at the end."""
        self._count += 1
        if self._count > MOST_ROUNDS * self._layers:
            raise AcceleratorError(
                f"the run does not end: {self._count - 1} layers so far, LCNT_MAX.last_layer is {self._last}"
            )
        link = self._link(layer)
        if link.get("stop") or layer == self._last or action.stop:
            return None
        if layer in self._conditional:
            if action.link and not link["link"]:
                raise UndecidedError(
                    f"layer {layer}: NXTLYR.link is 0; a snoop unit links, to which layer is not known"
                )
            jumps = action.link
        else:
            jumps = bool(link.get("link"))
            if jumps and self._conditional:
                watched = f"a snoop unit links layer {min(self._conditional)}"
                raise UndecidedError(f"layer {layer}: NXTLYR.link is 1; what it does is not known while {watched}")
        following = link["next"] if jumps else layer + 1
        if following >= self._layers:
            raise AcceleratorError(f"the run goes past layer {self._layers - 1}; LCNT_MAX.last_layer is {self._last}")
        return following

    def without_snoop(self) -> list[int]:
        """The slots that run if no snoop unit acts, up to the first one that comes again."""
        layers: list[int] = []
        layer: int | None = self.first
        while layer is not None and layer not in layers:
            layers.append(layer)
            layer = self.following(layer)
        self._count = 0
        return layers

    def _link(self, layer: int) -> dict[str, int]:
        if "NXTLYR" not in self._registers.device.registers:
            return {}
        return self._registers.fields("NXTLYR", self._run.master, layer)
