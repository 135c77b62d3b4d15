"""Differences from the vendor's registers that have a reason: where things lie is our choice, what they do is not.

The list is data (`diff_explained.yaml`): fields, the condition under which a difference is explained, and the reason.
A condition is a function here; it compares by meaning what the two programs hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from offramp.codegen.program import Key
from offramp.configs.device import Device, Word
from offramp.configs.errors import Diagnostic, InputError
from offramp.configs.lines import LineMap, load_yaml
from offramp.corpus.registers import Difference, Image, field
from offramp.planner.allocation.place import Placed
from offramp.planner.hardware.hw_layer import set_bits
from offramp.planner.ir.chain import INPUT_TENSOR, TensorId

EXPLAINED_FILE = Path(__file__).with_name("diff_explained.yaml")


@dataclass(frozen=True, eq=False)
class Programs:
    """Our registers and the vendor's for the same network, in our layer slots. `arguments`: of the vendor's tool;
    `order`: its own slots in the order in which they run."""

    placed: Placed
    ours: Image
    theirs: Image
    arguments: Sequence[str]
    order: Sequence[int] = ()

    @property
    def device(self) -> Device:
        return self.placed.requirements.device

    @property
    def images(self) -> tuple[Image, Image]:
        return self.ours, self.theirs

    def shift(self, layer: int, register: str, name: str) -> Word:
        """How many words further than the vendor's pointer ours points, in quadrant 0."""
        key = Key(0, layer, register)
        return field(self.ours, key, name, self.device) - field(self.theirs, key, name, self.device)


Condition = Callable[[Programs, Difference], bool]


def kernels_moved(programs: Programs, difference: Difference) -> bool:
    """The same number of kernels, and both runs of kernels start with a whole column of weight memory."""
    quadrant, layer, _ = difference.key
    slot = programs.placed.requirements.chain.slots[layer]
    taps = programs.placed.requirements.layer(slot).taps
    counts = set()
    for image in programs.images:
        start, last = kernel_range(image, quadrant, layer, programs.device)
        counts.add(last - start)
        first_byte = start // 8 * taps + field(image, Key(quadrant, layer, "ONED"), "start_byte", programs.device)
        column_bytes = programs.device.memories["weights"].word_bytes
        if not taps or start % 8 or first_byte % column_bytes:
            return False
    return len(counts) == 1


def kernel_range(image: Image, quadrant: int, layer: int, device: Device) -> tuple[int, int]:
    """Counters of a layer's first and last kernel."""
    first, last = ("MCNT", "MCNT") if "MCNT" in device.registers else ("MCNT2", "MCNT1")
    start = field(image, Key(quadrant, layer, first), "start", device)
    return start, field(image, Key(quadrant, layer, last), "last", device)


def four_outputs(programs: Programs, difference: Difference) -> bool:
    """A layer that computes four outputs at once, with as many kernels in OCHAN."""
    quadrant, layer, _ = difference.key
    counts = {field(image, Key(quadrant, layer, "OCHAN"), "last", programs.device) for image in programs.images}
    enabled = [field(image, Key(quadrant, layer, "POST"), "four_outputs", programs.device) for image in programs.images]
    return all(enabled) and len(counts) == 1


def bias_moved(programs: Programs, difference: Difference) -> bool:
    """Both layers have a bias, each in one quadrant, or in the same ones."""
    ours, theirs = (_bias_quadrants(image, difference.key.layer, programs.device) for image in programs.images)
    return len(ours) == len(theirs) == 1 or (bool(ours) and ours == theirs)


def _bias_quadrants(image: Image, layer: int, device: Device) -> tuple[int, ...]:
    quadrants = range(device.geometry.quadrants)
    return tuple(q for q in quadrants if field(image, Key(q, layer, "POST"), "bias_enable", device))


def only_bias_sources(programs: Programs, difference: Difference) -> bool:
    """Both masters collect the same quadrants with processors, the quadrant of the bias, and no other."""
    master, layer, _ = difference.key
    with_processors = []
    for image, sources in zip(programs.images, (difference.ours, difference.theirs), strict=True):
        biases = _bias_quadrants(image, layer, programs.device)
        collected = set(set_bits(sources))
        busy = {q for q in collected if field(image, Key(q, layer, "EN"), "processors", programs.device)}
        if len(biases) != 1 or collected != (busy | set(biases)) - {master}:
            return False
        with_processors.append(busy)
    return with_processors[0] == with_processors[1]


def tensor_moved(programs: Programs, difference: Difference) -> bool:
    """A tensor lies elsewhere in the same instances; whoever writes or reads it has its pointer moved alike."""
    slot = programs.placed.requirements.chain.slots[difference.key.layer]
    if difference.key.name == "WPTR_BASE":
        instances = {programs.device.split_pointer(value)[0] for value in (difference.ours, difference.theirs)}
        moved: tuple[TensorId, ...] = (slot.writes,)
        if len(instances) != 1:
            return False
    else:
        moved = slot.reads
    if INPUT_TENSOR in moved:
        return False  # where the input lies is what the application and the accelerator have agreed on
    shift = difference.ours - difference.theirs
    slots = programs.placed.requirements.chain.slots
    shifts = [programs.shift(i, "WPTR_BASE", "pointer") for i, one in enumerate(slots) if one.writes in moved]
    shifts += [programs.shift(i, "RPTR_BASE", "word") for i, one in enumerate(slots) if set(one.reads) & set(moved)]
    return set(shifts) == {shift}


def idle_quadrant(programs: Programs, difference: Difference) -> bool:
    """The layer has no processors in this quadrant, in either program."""
    enable = difference.key._replace(name="EN")
    return not any(field(image, enable, "processors", programs.device) for image in programs.images)


def slots_in_order(programs: Programs, difference: Difference) -> bool:
    """The vendor's program runs as many slots, which are compared in the order in which they run; ours from 0 on."""
    limit = Key(difference.key.quadrant, -1, "LCNT_MAX")
    return field(programs.ours, limit, "last_layer", programs.device) + 1 == len(programs.order)


def _told(argument: str) -> Condition:
    return lambda programs, difference: argument in programs.arguments and not difference.ours


def plain_loading(programs: Programs, difference: Difference) -> bool:
    """The vendor's tool was told to load weights in the plain way."""
    return "--no-mexpress" in programs.arguments and (difference.ours, difference.theirs) == (1, 0)


def unused_powered_down(programs: Programs, difference: Difference) -> bool:
    """The vendor's tool was told to power down weight memories, and did so in quadrants that do not take part."""
    used = {key.quadrant for key in programs.ours if key.name == "CTRL"}
    return "--powerdown" in programs.arguments and not used & set(set_bits(difference.theirs)) and not difference.ours


CONDITIONS: dict[str, Condition] = {
    function.__name__: function
    for function in (
        kernels_moved,
        four_outputs,
        bias_moved,
        only_bias_sources,
        tensor_moved,
        idle_quadrant,
        slots_in_order,
        plain_loading,
        unused_powered_down,
    )
} | {
    "no_pipeline": _told("--no-pipeline"),
    "external_ready": _told("--ext-rdy"),
    "one_shot": _told("--one-shot"),
    "snoop_loop": _told("--snoop-loop"),
}


@dataclass(frozen=True)
class Explanation:
    """A line of the list."""

    fields: tuple[str, ...]  # REGISTER.field
    when: str
    reason: str

    def covers(self, programs: Programs, difference: Difference) -> bool:
        return difference.name in self.fields and CONDITIONS[self.when](programs, difference)


@cache
def _read_list(path: Path) -> LineMap:
    return load_yaml(path, path.name)


def load_explanations(device: Device, path: Path = EXPLAINED_FILE) -> tuple[Explanation, ...]:
    """Read the list strictly: unknown keys, registers, fields and conditions are InputError."""
    data = _read_list(path)
    problems: list[Diagnostic] = []
    if set(data) != {"explained"} or not isinstance(data["explained"], list):
        raise InputError(Diagnostic(data.where, f"keys {', '.join(data)}; a list `explained` is expected"))
    own = [entry for entry in data["explained"] if entry.get("form", device.layer_form) == device.layer_form]
    explanations = tuple(_explanation(entry, device, problems) for entry in own)
    if problems:
        raise InputError(problems)
    return explanations


def _explanation(entry: LineMap, device: Device, problems: list[Diagnostic]) -> Explanation:
    if set(entry) - {"form"} != {"fields", "when", "reason"}:
        raise InputError(Diagnostic(entry.where, f"keys {', '.join(entry)}; fields, when and reason are expected"))
    for name in entry["fields"]:
        register, _, part = name.partition(".")
        if register not in device.registers or part not in device.registers[register].by_name:
            problems.append(Diagnostic(entry.at("fields"), f"`{name}` is no field of {device.name}"))
    if entry["when"] not in CONDITIONS:
        found = f"unknown condition `{entry['when']}`"
        problems.append(Diagnostic(entry.at("when"), f"{found}; there are {', '.join(CONDITIONS)}"))
    return Explanation(tuple(entry["fields"]), entry["when"], " ".join(str(entry["reason"]).split()))
