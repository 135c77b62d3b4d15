"""The registers after a bus program, ours and the vendor's, and where the two differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offramp.codegen.assemble import init_writes
from offramp.codegen.lower import lower
from offramp.codegen.program import Key, start_writes
from offramp.configs.device import Device
from offramp.configs.errors import Damaged
from offramp.corpus.case_files import WRITE, read_program
from offramp.planner.allocation.place import Placed

Image = Mapping[Key, int]  # the last value written to each register; a register that is missing holds 0

PHASES = ("init", "configure", "start")  # of a vendor program, those that write registers before the layers run
OUTSIDE = "(no field)"  # stands for the bits of a register that belong to no field


@dataclass(frozen=True)
class Difference:
    """A field with two values."""

    key: Key
    field: str
    ours: int
    theirs: int

    @property
    def name(self) -> str:
        return f"{self.key.name}.{self.field}"

    def __str__(self) -> str:
        slot = f" layer {self.key.layer}" if self.key.layer >= 0 else ""
        return f"quadrant {self.key.quadrant}{slot}: {self.name} is {self.ours:#x}, the vendor's {self.theirs:#x}"


def our_image(placed: Placed) -> Image:
    """Registers when the only stage of a placed chain has just been started."""
    device = placed.requirements.device
    lowered = lower(placed)
    (program,) = lowered.programs
    writes = (
        *init_writes(program.quadrants, device),
        *lowered.switching.configure(0),
        *start_writes(program, device),
    )
    return _image(((write.address, write.value) for write in writes), device)


def vendor_image(case: Path, device: Device) -> Image:
    """Registers when the program of a corpus case has just started the accelerator. Damaged if it is."""
    program = read_program(case)
    return _image((write for phase in PHASES for write in _phase(program, phase)), device)


def in_our_slots(theirs: Image, order: Sequence[int], count: int) -> Image:
    """The vendor's registers with its layer slots numbered from 0 on in the order in which they run; slots that do not
    run come behind those. `count`: slots of the device."""
    rest = (slot for slot in range(count) if slot not in order)
    places = {slot: place for place, slot in enumerate((*order, *rest))}
    return {key._replace(layer=places.get(key.layer, key.layer)): value for key, value in theirs.items()}


def slot_order(image: Image, device: Device) -> tuple[int, ...]:
    """The slots of a run as LCNT_MAX and NXTLYR of the first quadrant say, in the order in which they run."""
    limits = Key(0, -1, "LCNT_MAX")
    last = field(image, limits, "last_layer", device)
    if "start_slot" not in device.features:
        return tuple(range(last + 1))
    slot, order = field(image, limits, "first_layer", device), list[int]()
    while slot not in order and slot < device.geometry.layers:
        order.append(slot)
        following = Key(0, slot, "NXTLYR")
        if slot == last or field(image, following, "stop", device):
            break
        linked = field(image, following, "link", device)
        slot = field(image, following, "next", device) if linked else slot + 1
    return tuple(order)


def _phase(program: Mapping[str, Any], phase: str) -> list[tuple[int, int]]:
    """(address, value) of a phase's writes; none of a phase that is not there."""
    names = [f"{phase}_{part}" for part in ("addr", "value", "kind")]
    missing = [name for name in names if name not in program]
    if len(missing) == len(names):
        return []
    if missing:
        raise Damaged(f"program.npz: is damaged: it has no `{'`, `'.join(missing)}`")
    columns = [program[name] for name in names]
    entries = zip(*(column.tolist() for column in columns), strict=True)
    return [(address, value) for address, value, kind in entries if kind == WRITE]


def _image(writes: Iterable[tuple[int, int]], device: Device) -> Image:
    """Writes to memories are left out. An unknown address is kept under its number, unless 0 is written."""
    image: dict[Key, int] = {}
    for address, value in writes:
        place = device.locate(address)
        if place is None:
            if value:
                image[Key(0, -1, f"{address:#010x}")] = value
        elif place.kind == "register":
            image[Key(place.quadrant, place.unit, place.name)] = value
    return image


def field(image: Image, key: Key, name: str, device: Device) -> int:
    """A field of a register, 0 if the register was not written."""
    return device.registers[key.name].by_name[name].decode(image.get(key, 0))


def differences(ours: Image, theirs: Image, device: Device) -> Iterator[Difference]:
    """All fields that differ, in the order of quadrant, layer and register."""
    for key in sorted(ours.keys() | theirs.keys()):
        our_word, their_word = ours.get(key, 0), theirs.get(key, 0)
        register = device.registers.get(key.name)
        mask = register.mask if register else 0
        for part in register.fields if register else ():
            if part.decode(our_word) != part.decode(their_word):
                yield Difference(key, part.name, part.decode(our_word), part.decode(their_word))
        if (our_word ^ their_word) & ~mask:
            yield Difference(key, OUTSIDE, our_word & ~mask, their_word & ~mask)
