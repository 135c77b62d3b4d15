"""What registers of layers say differently from device to device (`layer_form` of the device file), in common terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from offramp.configs.device import Device
from offramp.simulator.config import Kernel, LayerConfig, Run, Stream

LayerFields = Mapping[str, Mapping[str, int]]  # register name -> field name -> value
LOW_PASSES = 16  # passes that LCTRL1 counts; POST counts multiples of them


@dataclass(frozen=True)
class Image:
    """The layer's input as its geometry registers describe it. `windows`: pooling windows down and across."""

    rows: int
    cols: int
    whole: bool  # False: rows that no pooling window reaches are not counted in `rows`
    windows: tuple[int, int]
    dilation: tuple[int, int]  # of the pooling window
    pixel_step: int  # words from a pixel to the next one


@dataclass(frozen=True)
class LayerForm:
    """How to read the registers of a layer slot.

    `own_fields`: (register, field) that quadrants may have for themselves beside those that always are; `check`: single
    fields, AcceleratorError for what the accelerator does not do or what is not known of it; `idle`: whether a
    quadrant does not take part in a layer; `counter`: of the first kernel; `distance`: to the last kernel's
    counter, and what that is called; `bias_unit`: bytes that POST.bias_start counts; `bias_skew`: whether a
    streaming layer 0 counts biases from one on; `one_shot`: whether CTRL.one_shot is known to run a layer at each
    start; `stream`: what the stream registers of one of the layers of a run must be.
    """

    own_fields: Collection[tuple[str, str]]
    check: Callable[[int, LayerFields, Device], None]
    idle: Callable[[LayerFields], bool]
    image: Callable[[int, LayerFields], Image]
    kernel: Callable[[int, LayerFields, Run], Kernel]
    counter: Callable[[LayerFields], int]
    distance: Callable[[LayerFields], int]
    distance_name: str
    bias_unit: Callable[[LayerFields], int]
    bias_skew: bool
    one_shot: bool
    stream: Callable[[Sequence[LayerConfig], int, Run], Stream]


def passes(fields: LayerFields) -> int:
    """Input passes; flattening extends the count by four bits."""
    low, post = fields["LCTRL1"]["passes"], fields["POST"]
    return (post["passes_high"] * LOW_PASSES + low if post["flatten"] else low) + 1


def operands(fields: LayerFields) -> int:
    """Words of a pixel and pass that an element-wise operation combines; 1 without one."""
    oned = fields["ONED"]
    return oned["operands"] + 1 if oned["eltwise_enable"] else 1


def weight_bits(fields: LayerFields) -> int:
    """POST.weight_size: 0 means 8 bits, n means 2^(n-1) bits."""
    code = fields["POST"]["weight_size"]
    return 1 << (code - 1) if code else 8


def kernel_shape(fields: LayerFields) -> tuple[int, int]:
    """Rows and columns of a kernel, from ONED."""
    oned = fields["ONED"]
    if not oned["width"]:
        return 3, 3
    return (oned["width"], 1) if oned["enable"] else (1, 1)


def depthwise(fields: LayerFields) -> bool:
    return bool(fields["POST"].get("depthwise"))


def has_kernels(fields: LayerFields) -> bool:
    """A convolution of some kind; otherwise the layer copies what it reads, pooled or combined."""
    return not fields["POST"]["time_slots"] or depthwise(fields)
