"""Networks that keep data from one inference to the next in a rolling buffer, and specs of them."""

from __future__ import annotations

from tests.helpers.specs import Family, SmallNetwork

ROLL = "  - {name: roll, processors: 0xff00, dim: 8, channels: 8, offset: 0x6000}\n"
BEGINNING = """\
  - {name: first, op: conv2d, processors: 0xf, output_processors: 0xff, pad: 1, activate: ReLU, out_offset: 0x1000,
     data_format: HWC}
  - {name: shift, op: none, in_sequences: roll, in_channels: 8, in_dim: 7, processors: 0xff00,
     output_processors: 0xff00, in_offset: 0x6004, out_offset: 0x6000, buffer_shift: 1}
  - {name: insert, op: conv2d, in_sequences: first, processors: 0xff, output_processors: 0xff00, in_offset: 0x1000,
     out_offset: 0x601c, pad: 0, max_pool: 2, pool_stride: 2, buffer_insert: 1}
"""
END = """\
  - {name: tcn0, op: conv1d, in_sequences: roll, in_channels: 8, in_dim: 8, processors: 0xff00, in_offset: 0x6000,
     output_processors: 0xff, out_offset: 0x2000, kernel_size: 3, pad: 0, activate: ReLU}
  - {name: tcn1, op: conv1d, in_sequences: tcn0, processors: 0xff, in_offset: 0x2000, output_processors: 0xff,
     out_offset: 0x3000, kernel_size: 3, dilation: 2, pad: 0, activate: ReLU}
  - {name: answer, op: conv1d, in_sequences: tcn1, processors: 0xff, in_offset: 0x3000, output_processors: 0x7,
     out_offset: 0x4000, kernel_size: 2, pad: 0, output_width: 32, output: true}
"""
# Two time steps of the buffer are enough for it.
QUICK = """\
  - {name: quick, op: conv1d, in_sequences: roll, in_channels: 8, in_dim: 2, processors: 0xff00, in_offset: 0x6018,
     output_processors: 0x7, out_offset: 0x5000, kernel_size: 2, pad: 0, output_width: 32}
"""
_FIRST = ((8, 4, 3, 3), (8, 8, 3, 3))
_LAST = ((8, 8, 3), (8, 8, 3), (3, 8, 2))
TCN = Family(
    name="tcn",
    shape=(4, 6, 6),
    classes=3,
    images=210,
    networks={
        "tcn": SmallNetwork(BEGINNING + END, (*_FIRST, *_LAST), buffers=ROLL),
        # Its head is among its own layers: `quick` reads the same buffer.
        "quick": SmallNetwork(BEGINNING + QUICK + END, (*_FIRST, (3, 8, 2), *_LAST), buffers=ROLL),
        "front": SmallNetwork(
            "  - {name: guess, op: mlp, processors: 0xf, flatten: true, output_width: 32, data_format: HWC,\n"
            "     in_offset: 0, out_offset: 0x5000}\n",
            ((3, 144),),
        ),
        # Reads what `first` writes.
        "head": SmallNetwork(
            "  - {name: exit, op: mlp, processors: 0xff, flatten: true, output_width: 32, data_format: HWC,\n"
            "     output_processors: 0x7, out_offset: 0x5000}\n",
            ((3, 288),),
            is_head=True,
        ),
    },
)
# An exit behind what writes to the buffer: it sees every input.
EVERY = TCN.spec(
    """\
stages:
  - network: quick
    until: insert
    head: {layers: [quick]}
    exit: {confidence: margin, threshold: 0.08}
  - network: quick
""",
    quick="",
)
# An exit in front of it: it sees the inputs that reach the second stage.
REACHED = TCN.spec(
    """\
stages:
  - network: front
    exit: {confidence: margin, threshold: 0.5}
  - network: tcn
""",
    front="",
    tcn="buffer_inputs: reached",
)

# Layers behind the buffer that take more than the weight memory of the processors that they are on.
PAIRS = 12
_WIDE = "  - {name: %s, op: conv1d, in_sequences: %s, processors: 0xff, kernel_size: 5, pad: 2, activate: ReLU}\n"
_BACK = (
    "  - {name: %s, op: conv1d, in_sequences: %s, processors: 0xffffffffffffffff, output_processors: 0xff,\n"
    "     kernel_size: 1, pad: 0, activate: ReLU}\n"
)


def _heavy() -> SmallNetwork:
    before, lines = "tcn0", END.splitlines(keepends=True)[:2]
    for pair in range(PAIRS):
        lines += [_WIDE % (f"wide{pair}", before), _BACK % (f"back{pair}", f"wide{pair}")]
        before = f"back{pair}"
    answer = f"  - {{name: answer, op: conv1d, in_sequences: {before}, processors: 0xff, output_processors: 0x7,\n"
    lines.append(f"{answer}     kernel_size: 6, pad: 0, output_width: 32, output: true}}\n")
    kernels = [*_FIRST, (8, 8, 3), *(((128, 8, 5), (8, 128, 1)) * PAIRS), (3, 8, 6)]
    return SmallNetwork(BEGINNING + "".join(lines), tuple(kernels), buffers=ROLL)


HEAVY = Family(
    name="heavy",
    shape=TCN.shape,
    classes=TCN.classes,
    images=60,
    networks={"heavy": _heavy(), "front": TCN.networks["front"]},
)
HEAVY_REACHED = HEAVY.spec(
    """\
reload: allowed
stages:
  - network: front
    exit: {confidence: margin, threshold: 0.5}
  - network: heavy
""",
    front="",
    heavy="buffer_inputs: reached, offsets: free",
)
