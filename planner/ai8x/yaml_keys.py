"""The keys of an ai8x network YAML.

Keys, synonyms and defaults as in the README of analogdevicesinc/ai8x-synthesis, "Network Description File", and its
izer/yamlcfg.py.
"""

from __future__ import annotations

from offramp.configs.schema import Items, Key, Section
from offramp.configs.values import anything, integer, one_of, text
from offramp.planner.ai8x.yaml_values import dimensions, flag, kernel, pair, processors, sequence, sequences
from offramp.planner.ir.network import Eltwise, Op

PROCESSORS = 64  # width of the processor maps in the file format
RESERVED_NAMES = ("stop", "input")  # where a layer's name is expected

_ELTWISE: dict[str, Eltwise] = {
    "add": "add",
    "sub": "sub",
    "or": "or",
    "bitwiseor": "or",
    "bitwise_or": "or",
    "xor": "xor",
    "bitwisexor": "xor",
    "bitwise_xor": "xor",
}
_OPS: dict[str, tuple[Op, Eltwise | None]] = {
    "conv1d": ("conv1d", None),
    "conv2d": ("conv2d", None),
    "convtranspose2d": ("convtranspose2d", None),
    "linear": ("linear", None),
    "fc": ("linear", None),
    "mlp": ("linear", None),
    "none": ("passthrough", None),
    "passthrough": ("passthrough", None),
    **{name: ("passthrough", function) for name, function in _ELTWISE.items()},
}
_OP = one_of(_OPS, any_case=True)
_ACTIVATION = one_of({"relu": "relu", "abs": "abs", "none": "none"}, any_case=True)
_QUANTIZATION = one_of({1: 1, 2: 2, 4: 4, 8: 8, "bin": -1, "binary": -1}, any_case=True)
_DATA_FORMAT = one_of({"hwc": "HWC", "little": "HWC", "chw": "CHW", "big": "CHW"}, any_case=True)
_MAP = processors(PROCESSORS)
_NUMBER = integer(0)

LAYER_KEYS = (
    Key(
        "op", _OP, "The operation; default: `conv2d`.", ("operation", "operator", "convolution"), default=_OPS["conv2d"]
    ),
    Key(
        "eltwise",
        one_of(_ELTWISE, any_case=True),
        "An element-wise operation on several operands, before the convolution.",
    ),
    Key("operands", integer(2), "Number of operands of the element-wise operation; default: 2 if there is one."),
    Key("max_pool", pair(1), "Rows and columns of the window of a max pooling before the operation."),
    Key("avg_pool", pair(1), "Rows and columns of the window of an average pooling before the operation."),
    Key("pool_stride", pair(1), "Rows and columns of a step of the pooling window; default: 1.", default=(1, 1)),
    Key("pool_first", flag, "Pool each operand before the element-wise operation, not its result.", default=True),
    Key(
        "pool_dilation",
        pair(1),
        "Distance between the samples of the pooling window; 1, but on the MAX78002.",
        default=(1, 1),
    ),
    Key("kernel_size", kernel, "`ROWSxCOLUMNS`, or a length for `conv1d`; default: 3x3, 9 for `conv1d`."),
    Key("pad", _NUMBER, "Rows and columns of zeros around the input; default: 1 for convolutions."),
    Key("stride", pair(1), "Step of the kernel; only its default is accepted: 2 for `convtranspose2d`, else 1."),
    Key("dilation", pair(1), "Distance between the pixels that the kernel reads; default: 1.", default=(1, 1)),
    Key("groups", integer(1), "1 or, on the MAX78002, as many as channels: depthwise.", ("conv_groups",), default=1),
    Key("output_pad", _NUMBER, "Of `convtranspose2d`; only 1 is accepted."),
    Key("flatten", flag, "A linear layer reads all pixels of its input as channels.", default=False),
    Key("activate", _ACTIVATION, "Activation function; default: none.", ("activation",), default="none"),
    Key(
        "quantization",
        _QUANTIZATION,
        "Bits of a weight, or `binary` on the MAX78002; default: as the checkpoint says, else 8.",
    ),
    Key(
        "output_shift",
        integer(-31, 31),
        "Places by which results are shifted left; default: as the checkpoint says, else 0.",
    ),
    Key("output_width", one_of({8: 8, 32: 32}), "Bits of a result, 8 or 32.", default=8),
    Key("streaming", flag, "The layer takes its input pixel by pixel while it arrives.", default=False),
    Key("data_format", _DATA_FORMAT, "How the input lies in memory: `HWC` or `CHW`; default: `HWC`.", default="HWC"),
    Key(
        "in_sequences",
        sequences,
        "Layers that it reads, by number or name (`input` or -1: the network's input); default: the one before it.",
    ),
    Key("in_channels", integer(1), "Channels of the input, if it is read in another shape than it was written."),
    Key("in_dim", dimensions, "Rows and columns of the input, if it is read in another shape than it was written."),
    Key("out_channels", integer(1), "Output channels; default: as the weights say."),
    Key("in_offset", _NUMBER, "Byte offset of the input in its data memories; default: where it was written."),
    Key("out_offset", _NUMBER, "Byte offset of the output in its data memories; default: the planner chooses."),
    Key("processors", _MAP, "Map of the processors that read the input; default: the planner chooses."),
    Key(
        "output_processors",
        _MAP,
        "Map of the processors whose memories take the output; default: those of the next layer.",
    ),
    Key("write_gap", _NUMBER, "Words skipped between two writes of the output.", default=0),
    Key("output", flag, "The output is one of the network's results, and stays in memory.", default=False),
    Key("name", text, "A name by which other layers and the spec refer to the layer."),
    Key("weight_source", sequence, "An earlier layer, by number or name, whose weights the layer shares."),
    Key("sequence", _NUMBER, "Refused unless it is the layer's number in the file."),
    Key(
        "next_sequence",
        sequence,
        "The layer that runs next, or `stop`; only on the MAX78002 another than the next one.",
    ),
    Key("simulated_sequence", sequence, "Refused."),
    Key("snoop_sequence", sequence, "Refused."),
    Key("bypass", flag, "All kernels are 1 and take no memory (MAX78002)."),
    Key("calcx4", flag, "Four outputs are computed at once (MAX78002)."),
    Key("readahead", flag, "The input is read ahead (MAX78002)."),
    Key("tcalc", flag, "How reading ahead counts; default: true with `readahead` and several passes (MAX78002)."),
    Key(
        "in_skip",
        _NUMBER,
        "Words between those of two pixels that are not read; 0, but on the MAX78002.",
        ("read_gap",),
    ),
    Key("in_channel_skip", _NUMBER, "Refused unless it is 0."),
    Key(
        "in_crop",
        pair(0),
        "Rows of the input to leave out, in front and behind; `in_offset` points behind the first ones.",
        default=(0, 0),
    ),
    Key("bias_group", anything, "Not used: placement decides where biases lie.", ("bias_quadrant",)),
    Key("buffer_shift", integer(1), "A pass-through layer moves the rows of a data buffer to the front by this many."),
    Key("buffer_insert", integer(1), "The output is so many new rows at the end of a data buffer."),
)
TOP_KEYS = (
    Key(
        "arch",
        text,
        "Name of the network, as in its checkpoint.",
        required=True,
        default="",
    ),
    Key(
        "dataset",
        text,
        "Name of the data set, which gives the shape of the input if it is a known one.",
        required=True,
        default="",
    ),
    Key("layers", Items(Section(LAYER_KEYS)), "The layers, in the order in which they run.", required=True, default=()),
    Key("output_map", _MAP, "Map of the processors whose memories take the last layer's output; default: the lowest."),
    Key("bias", anything, "Test data of the vendor's tool, not used."),
    Key("weights", text, "Test data of the vendor's tool, not used."),
    Key("snoop", anything, "Refused."),
    Key("data_buffer", anything, "Rolling data buffers, which keep their content from one inference to the next."),
    Key("unload", anything, "Refused."),
)
BUFFER_KEYS = (
    Key("name", text, "Name by which layers refer to the buffer.", required=True),
    Key("processors", _MAP, "Map of the processors whose memories hold it.", required=True),
    Key("dim", dimensions, "Rows and columns.", required=True),
    Key("channels", integer(1), "Channels.", required=True),
    Key("offset", _NUMBER, "Byte offset in its data memories.", required=True),
    Key("width", one_of({8: 8}), "Bits of a value.", default=8),
)
