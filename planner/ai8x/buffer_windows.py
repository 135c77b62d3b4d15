"""Which part of a rolling data buffer a layer reads or writes.

The buffer is memory: `buffer_shift` moves its rows to the front, `buffer_insert` writes new rows behind them, and
offsets say where. ai8x-synthesis computes the same by rolling an array (izer/backend/max7800x.py), which has zeros
where memory has rows that have been moved already, until new ones are inserted.
"""

from __future__ import annotations

from dataclasses import replace

from offramp.configs.device import Device
from offramp.planner.ai8x.description import Description, LayerDescription, find_buffer
from offramp.planner.ai8x.reading import Read, asked, refuse, refuse_shape
from offramp.planner.hardware.hw_layer import WORD_BYTES, passes_of
from offramp.planner.ir.network import RollingBuffer, Shape, Window


def buffer_read(stated: LayerDescription, description: Description) -> RollingBuffer | None:
    """The rolling buffer that the layer reads."""
    references = stated.in_sequences or ()
    found = [buffer for buffer in (find_buffer(description, reference) for reference in references) if buffer]
    if "buffer_shift" in stated.entry and description.buffers and (not found or not _moves(stated)):
        message = "`buffer_shift` needs `op: passthrough`, without pooling, and a data buffer in `in_sequences`"
        raise refuse(stated, "buffer_shift", message)
    if found and (len(references) > 1 or stated.operands > 1 or stated.index == 0):
        message = f"data buffer `{found[0].name}` can only be the single input of a layer after the first"
        raise refuse(stated, "in_sequences", message)
    key = "streaming" if stated.streaming else "in_crop"
    if found and (stated.streaming or any(stated.in_crop)):
        raise refuse(stated, key, f"`{key}` cannot be combined with a data buffer")
    return found[0] if found else None


def _moves(stated: LayerDescription) -> bool:
    return stated.op == "passthrough" and stated.pooling.window == stated.pooling.stride == (1, 1)


def read_buffer(stated: LayerDescription, buffer: RollingBuffer, device: Device) -> Read:
    """What the layer reads of a buffer: all of it, or what `in_channels`, `in_dim` and `in_offset` ask for; a layer
    that shifts it reads what is behind the first `buffer_shift` rows. With `flatten` the channels are counted after
    flattening (izer.py divides them by the pixels)."""
    shift = stated.entry["buffer_shift"] or 0
    rows = buffer.shape.rows - shift
    wanted = asked(stated, replace(buffer.shape, rows=rows)) if rows > 0 else buffer.shape
    if stated.flatten and stated.in_channels:
        wanted = replace(wanted, channels=stated.in_channels // wanted.pixels)
    if wanted.channels != buffer.shape.channels or not 0 < wanted.pixels <= buffer.shape.pixels or rows < 1:
        raise refuse_shape(stated, wanted, f"data buffer `{buffer.name}` is {buffer.shape}")
    first = _first_pixel(stated, "in_offset", buffer, shift * buffer.shape.cols, device)
    behind = buffer.shape.pixels - first - wanted.pixels
    if shift and (first, behind) != (shift * buffer.shape.cols, 0):
        expected = f"the {rows} rows from {_place(buffer, shift * buffer.shape.cols, device):#x} on"
        raise refuse(stated, "buffer_shift", f"`buffer_shift: {shift}` reads {expected}: `in_offset` and `in_dim`")
    if behind < 0:
        found = f"{wanted.pixels} pixels from {_place(buffer, first, device):#x} on end behind data buffer"
        raise refuse(stated, "in_offset", f"{found} `{buffer.name}`, which is {buffer.shape}")
    return Read(wanted, crop=(first, behind))


def buffer_written(
    stated: LayerDescription, read: RollingBuffer | None, description: Description, device: Device
) -> RollingBuffer | None:
    """The rolling buffer that the layer writes to. One that inserts names none: the one that its output lies in."""
    if "buffer_shift" in stated.entry:
        return read
    if "buffer_insert" not in stated.entry:
        return None
    buffers = description.buffers or ()
    offset, processors = stated.placement.out_offset, stated.placement.output_processors
    fitting = [
        buffer
        for buffer in buffers
        if (not processors or processors == buffer.processors)
        and (offset is None or _starts_in(buffer, offset, device))
    ]
    if len(buffers) > 1 and len(fitting) != 1:
        message = "`buffer_insert`: `out_offset` and `output_processors` lie in none of the data buffers"
        raise refuse(stated, "buffer_insert", message if not fitting else "`buffer_insert`: into which data buffer?")
    return fitting[0] if len(fitting) == 1 else buffers[0]


def _starts_in(buffer: RollingBuffer, offset: int, device: Device) -> bool:
    assert buffer.offset is not None
    size = WORD_BYTES * passes_of(buffer.shape.channels, device)[0] * buffer.shape.pixels
    return 0 <= offset - buffer.offset < size


def write_buffer(stated: LayerDescription, buffer: RollingBuffer, written: Shape, device: Device) -> Window:
    """Where in a buffer the layer's output goes: shifted rows to the start, new ones to the end."""
    insert = stated.entry["buffer_insert"]
    key = "buffer_insert" if insert else "buffer_shift"
    expected = buffer.shape.pixels - insert * buffer.shape.cols if insert else 0
    first = _first_pixel(stated, "out_offset", buffer, expected, device)
    if stated.output_width != 8 or stated.placement.write_gap or stated.streaming:
        raise refuse(stated, key, f"`{key}`: a data buffer holds 8-bit values, without gaps, not streamed")
    if insert and (written.channels, written.pixels) != (buffer.shape.channels, insert * buffer.shape.cols):
        message = f"inserts {written} as {insert} row(s) into data buffer `{buffer.name}`, which is {buffer.shape}"
        raise refuse(stated, key, message)
    if first != expected:
        message = f"`{key}` writes at {_place(buffer, expected, device):#x} of data buffer `{buffer.name}`"
        raise refuse(stated, "out_offset", f"{message}; `out_offset` is {stated.placement.out_offset:#x}")
    if stated.placement.output_processors not in (0, buffer.processors):
        found = f"`output_processors: {stated.placement.output_processors:#x}`"
        raise refuse(stated, "output_processors", f"{found}; data buffer `{buffer.name}` is on {buffer.processors:#x}")
    return Window(buffer.name, first)


def _first_pixel(stated: LayerDescription, key: str, buffer: RollingBuffer, default: int, device: Device) -> int:
    """The pixel of a buffer that an offset points to; `default` without one."""
    offset: int | None = stated.entry[key]
    if offset is None:
        return default
    assert buffer.offset is not None
    step = WORD_BYTES * passes_of(buffer.shape.channels, device)[0]
    pixel, rest = divmod(offset - buffer.offset, step)
    if rest or not 0 <= pixel < buffer.shape.pixels:
        message = (
            f"`{key}: {offset:#x}` is no pixel of data buffer `{buffer.name}`: {buffer.shape.pixels} of {step} bytes"
        )
        raise refuse(stated, key, f"{message} each, from {buffer.offset:#x} on")
    return pixel


def _place(buffer: RollingBuffer, pixel: int, device: Device) -> int:
    """Byte offset of a pixel of a buffer."""
    assert buffer.offset is not None
    return buffer.offset + WORD_BYTES * passes_of(buffer.shape.channels, device)[0] * pixel
