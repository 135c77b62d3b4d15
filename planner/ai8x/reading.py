"""What a layer reads of the layers before it: tensors as they are, joined, as operands, cropped, in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.description import LayerDescription
from offramp.planner.ir.network import INPUT, Join, Layer, Shape
from offramp.planner.rules.docstrings import message_of
from offramp.planner.rules.inputs import joined_sizes


@dataclass(frozen=True)
class Read:
    """Shape of the input, of one operand if there are several; how inputs are joined; pixels that are left out, in
    front and behind."""

    shape: Shape
    join: Join = "channels"
    crop: tuple[int, int] = (0, 0)


def refuse(stated: LayerDescription, key: str, message: str) -> InputError:
    return InputError(Diagnostic(stated.entry.at(key), f"{stated.label}: {message}"))


def refuse_shape(stated: LayerDescription, wanted: Shape, found: str) -> InputError:
    key = "in_dim" if "in_dim" in stated.entry else "in_channels"
    return refuse(stated, key, f"`in_channels`/`in_dim` ask for {wanted}, but {found}")


def read_layers(stated: LayerDescription, inputs: tuple[int, ...], done: Sequence[Layer], input_shape: Shape) -> Read:
    """What a layer reads of `inputs`, the producers of its input."""
    shapes = [input_shape if index == INPUT else done[index].out_shape for index in inputs]
    join: Join = "channels"
    if stated.operands > 1 and len(shapes) > 1:
        joined = _operand_shape(stated, shapes)
    elif stated.operands > 1:
        return Read(asked(stated, _interleaved_shape(stated, inputs[0], shapes[0])))
    elif _along_pixels(stated, shapes):
        joined, join = _one_behind_the_other(shapes), "pixels"
    else:
        joined = _side_by_side(stated, shapes)
    rows, crop = _cropped(stated, joined)
    wanted = asked(stated, replace(joined, rows=rows))
    if wanted.channels * wanted.pixels != joined.channels * rows * joined.cols:
        left = f", of which `in_crop` leaves {rows} rows" if any(crop) else ""
        raise refuse_shape(stated, wanted, f"the input is {joined}{left}")
    return Read(wanted, join, crop)


def asked(stated: LayerDescription, shape: Shape) -> Shape:
    """`shape` as `in_channels` and `in_dim` change it."""
    rows, cols = stated.in_dim or (shape.rows, shape.cols)
    return Shape(stated.in_channels or shape.channels, rows, cols)


def _operand_shape(stated: LayerDescription, shapes: list[Shape]) -> Shape:
    if len(shapes) != stated.operands:
        raise refuse(
            stated, "in_sequences", f"{stated.operands} operands, but `in_sequences` names {len(shapes)} layers"
        )
    if len(set(shapes)) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise refuse(stated, "in_sequences", f"operands of different shapes ({listed}); they must be the same")
    return shapes[0]


def _interleaved_shape(stated: LayerDescription, source: int, shape: Shape) -> Shape:
    """One tensor that holds all operands: in the network's input they follow one another along the channels; in any
    other tensor each pixel's words are the operands in turn, so it has fewer pixels.
    """
    if any(stated.in_crop):
        raise refuse(stated, "in_crop", "`in_crop` of a tensor that holds several operands; crop each of them")
    if source == INPUT:
        if shape.channels % stated.operands:
            message = f"the input's {shape.channels} channels cannot be shared out among {stated.operands} operands"
            raise refuse(stated, "operands", message)
        return replace(shape, channels=shape.channels // stated.operands)
    if stated.in_dim is None or stated.in_dim[0] * stated.in_dim[1] * stated.operands != shape.pixels:
        message = f"{stated.operands} operands from one tensor of {shape}; `in_dim` must say the shape of an operand"
        raise refuse(stated, "in_dim", message)
    return Shape(shape.channels, *stated.in_dim)


def _along_pixels(stated: LayerDescription, shapes: list[Shape]) -> bool:
    """Whether inputs are joined one behind the other along the pixels: they differ in size only, or `in_dim` asks for
    all their pixels in as many channels as each of them has."""
    if len(shapes) == 1 or len({shape.channels for shape in shapes}) > 1:
        return False
    if stated.in_dim is None:
        return len({shape.rows for shape in shapes}) > 1 and len({shape.cols for shape in shapes}) == 1
    joined = _one_behind_the_other(shapes)
    pixels = joined.pixels - sum(stated.in_crop) * joined.cols
    return stated.in_channels in (None, joined.channels) and stated.in_dim[0] * stated.in_dim[1] == pixels


def _one_behind_the_other(shapes: list[Shape]) -> Shape:
    columns = {shape.cols for shape in shapes}
    pixels = sum(shape.pixels for shape in shapes)
    cols = columns.pop() if len(columns) == 1 else 1
    return Shape(shapes[0].channels, pixels // cols, cols)


def _side_by_side(stated: LayerDescription, shapes: list[Shape]) -> Shape:
    if len({(shape.rows, shape.cols) for shape in shapes}) > 1:
        listed = ", ".join(str(shape) for shape in shapes)
        raise refuse(stated, "in_sequences", f"inputs of {listed}. {message_of(joined_sizes, {})}")
    return replace(shapes[0], channels=sum(shape.channels for shape in shapes))


def _cropped(stated: LayerDescription, shape: Shape) -> tuple[int, tuple[int, int]]:
    """Rows that `in_crop` leaves, and the pixels in front of them and behind."""
    front, behind = stated.in_crop
    if front + behind >= shape.rows:
        raise refuse(stated, "in_crop", f"`in_crop: [{front}, {behind}]` leaves nothing of an input of {shape}")
    return shape.rows - front - behind, (front * shape.cols, behind * shape.cols)
