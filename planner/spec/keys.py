"""The keys of a spec: what their values may be and what they mean. The tables in README.md and docs/CHOOSING.md are
made from these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from offramp.configs.lines import LineList, LineMap
from offramp.configs.schema import Items, Key, Section
from offramp.configs.values import boolean, integer, number, one_of, positive, probability
from offramp.planner.ir.measure import LARGEST_LOGIT, MEASURES, Measure
from offramp.planner.ir.network import Shape

FORMAT = 1
AGAINST = ("labels", "main")  # what a right answer is
QUANTITIES = ("cycles", "energy")  # what an inference costs: cycles of the accelerator's clock, uJ

LONGEST_NAME = 64  # of what files of the build are called by
_FILE_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{LONGEST_NAME - 1}}}")
LABEL = re.compile(r'[^"\\\x00-\x1f\x7f?\u202a-\u202e\u2066-\u2069]+')  # can stand in a C string as it is


def spec_format(value: Any) -> int:
    if type(value) is not int or value != FORMAT:
        raise ValueError(f"this program reads format {FORMAT} of specs")
    return value


def name(value: Any) -> str:
    """A reference to something that the spec names."""
    if value is None or isinstance(value, LineMap | LineList):
        raise ValueError("a name is expected")
    return str(value)


def names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, LineList) or not all(type(item) in (str, int) for item in value):
        raise ValueError(f"a list of names is expected{_quotes(value or [])}")
    return tuple(map(str, value))


def _quotes(values: Iterable[Any]) -> str:
    """What a message adds where words of a list are none in YAML."""
    found = any(isinstance(one, bool) for one in values) if isinstance(values, list) else False
    return "; YAML takes yes, no, on and off for true and false: put them in quotes" if found else ""


def file_name(value: Any) -> str:
    """A name that files of the build are called by."""
    if value is None or not _FILE_NAME.fullmatch(str(value)):
        allowed = f"letters, digits, `_`, `.` and `-`, at most {LONGEST_NAME}, not the last two first"
        raise ValueError(f"a name has {allowed}: give another `name`")
    return str(value)


def labels(value: Any) -> tuple[str, ...]:
    """Names of classes, which the firmware prints. C99 has trigraphs; compilers warn of text that changes direction."""
    found = names(value)
    for label in found:
        if not LABEL.fullmatch(label):
            raise ValueError(f"label {label!r}: no quotes, backslashes, question marks, control characters, not empty")
    return found


def shape(value: Any) -> Shape:
    """`CxHxW`, or `CxL` for 1-D data."""
    if not re.fullmatch(r"[1-9]\d{0,4}([xX][1-9]\d{0,4}){1,2}", str(value)):
        raise ValueError("CxHxW (channels x rows x columns), as in 1x28x28, or CxL for 1-D data is expected")
    channels, rows, cols = [*(int(part) for part in str(value).lower().split("x")), 1][:3]
    return Shape(channels, rows, cols)


def prefix(value: Any) -> str:
    """Words of a layer's name in a checkpoint, up to a point: `exit1`, `exits.0`."""
    if type(value) not in (str, int) or not all(str(value).split(".")):
        raise ValueError("the first words of layers' names, as in `exit1` or `exits.0`, are expected")
    return str(value)


def layer(value: Any) -> str | int:
    if type(value) not in (str, int):
        raise ValueError("a layer's name or number is expected")
    return value if isinstance(value, int) else str(value)


def head(value: Any) -> str | tuple[str | int, ...]:
    """The name of a network, or layers."""
    if isinstance(value, str):
        return value
    layers = value.get("layers") if isinstance(value, LineMap) and set(value) == {"layers"} else None
    if not isinstance(layers, LineList) or not layers or not all(type(item) in (str, int) for item in layers):
        raise ValueError("the name of a network, or {layers: [names or numbers]} of the stage's own, is expected")
    return tuple(layers)


def measures(value: Any) -> tuple[Measure, ...]:
    """One measure or a list of them, in the order of `MEASURES`; `hardware` stands for that of the accelerator."""
    given = value if isinstance(value, LineList) else [value]
    names: dict[str, Measure] = {**dict(zip(MEASURES, MEASURES, strict=True)), "hardware": LARGEST_LOGIT}
    found = tuple(measure for name, measure in names.items() if name in given)
    if not found or len(found) != len(given):
        raise ValueError(f"one of {', '.join(names)}, or a list of some, is expected")
    return found


def weights(value: Any) -> Mapping[str, float]:
    """The weight of each quantity; a quantity alone has the weight 1."""
    if isinstance(value, LineMap) and value:
        return _amounts(value)
    if value not in QUANTITIES:
        raise ValueError(f"{' or '.join(f'`{quantity}`' for quantity in QUANTITIES)}, or weights for both, is expected")
    return {str(value): 1.0}


def budget(value: Any) -> tuple[str, float]:
    """A quantity and its mean of an inference."""
    if not isinstance(value, LineMap) or len(value) != 1:
        raise ValueError("{cycles: number} or {energy: uJ}, the mean of an inference, is expected")
    return next(iter(_amounts(value).items()))


def _amounts(value: LineMap) -> dict[str, float]:
    unknown = [key for key in value if key not in QUANTITIES]
    if unknown:
        raise ValueError(f"unknown key `{unknown[0]}`; allowed: {', '.join(QUANTITIES)}")
    try:
        return {quantity: positive(value[quantity]) for quantity in QUANTITIES if quantity in value}
    except ValueError as error:
        raise ValueError(f"of each quantity {error}") from error


def answers(value: Any) -> Mapping[Any, str | int] | str | int:
    """What classes mean: an answer for some of them, or one that is always given."""
    if type(value) in (str, int):
        return value if isinstance(value, int) else str(value)
    if not isinstance(value, LineMap) or not value or not all(type(one) in (str, int) for one in _pairs(value)):
        expected = "{class: answer}, by names or numbers, or one answer where the result is no class, is expected"
        raise ValueError(expected + _quotes(_pairs(value) if isinstance(value, LineMap) else [value]))
    return {one: str(answer) if isinstance(answer, str) else int(answer) for one, answer in value.items()}


def _pairs(value: LineMap) -> list[Any]:
    return [*value.keys(), *value.values()]


def threshold(value: Any) -> float | Mapping[str | int, float]:
    """One for all classes, or one for each that means an answer."""
    if not isinstance(value, LineMap):
        return number(value)
    if not value:
        raise ValueError("a number >= 0, or {class: number} by names or numbers, is expected")
    return {one: number(limit) for one, limit in value.items()}


_KEEP = one_of(("keep", "free"))

NETWORK_KEYS = (
    Key("network", name, "ai8x network YAML; paths are relative to the spec.", required=True),
    Key("checkpoint", name, "Quantized ai8x checkpoint of it.", required=True),
    Key(
        "prefix",
        prefix,
        "What the names of its layers in the checkpoint begin with, where the file has another network too: of a head "
        "that was trained with it `exit1`, or `conv2.branch_net` of the distiller. Other networks of the file do not "
        "take these layers.",
    ),
    Key("input", shape, "`CxHxW`, if the YAML's data set is not a known one."),
    Key("labels", labels, "Names of its classes, for `answers` and `threshold`.", default=()),
    Key(
        "offsets",
        _KEEP,
        "`keep`: activations stay at the YAML's `out_offset`s; `free`: the planner moves them.",
        default="keep",
    ),
    Key(
        "processors",
        _KEEP,
        "`keep`: layers stay on the YAML's processors; `free`: only the input does.",
        default="keep",
    ),
    Key(
        "fifo",
        boolean,
        "`true`: the input goes through the FIFO, as networks whose first layers stream need; all networks of the "
        "stages must agree. What `offramp_infer` or `offramp_load` is given must not change until the answer is there.",
        default=False,
    ),
    Key(
        "avg_pool_rounding",
        boolean,
        "`true`: average pooling rounds instead of truncating (the vendor tool's `--avg-pool-rounding`).",
        default=False,
    ),
    Key(
        "buffer_inputs",
        one_of(("every", "reached")),
        "What the network's rolling buffers see: `every` input, so that no stage before may answer; or `reached`: "
        "those that reach the stage that writes them, which takes thresholds that are given.",
        default="every",
    ),
)
TEMPERATURE = Key(
    "temperature",
    positive,
    "Factor of the logits before the softmax: the reciprocal of the usual temperature.",
    default=1.0,
)
HARDWARE_KEYS = (
    Key("at_least", number, "What some logit has to be for the run to end, in real units, above 0; or `calibrate` it."),
    Key(
        "gate",
        boolean,
        "`true`: the last output of the stage's network is no class but a gate, trained to say how sure the network "
        "is (`offramp train` can do that), and `at_least` is for it alone.",
        default=False,
    ),
)
EXIT_KEYS = (
    Key(
        "confidence",
        one_of(MEASURES),
        "`margin` (largest logit minus the second), `max_probability` or `entropy` (of the softmax, in nats). An exit "
        "has this or `hardware`.",
        required=True,
        unless="hardware",
    ),
    Key(
        "hardware",
        Section(HARDWARE_KEYS),
        "The accelerator decides, not the core, which sleeps: `{at_least: 12.5}`, or `{}` with `calibrate`. On devices "
        "with snoop units; see Hardware exits.",
    ),
    Key(
        "threshold",
        threshold,
        "Leave if the confidence is at least (entropy: at most) this, in real units; `{class: number}` where classes "
        "differ; or leave it out and `calibrate`.",
    ),
    Key(
        "earlyexit_threshold",
        number,
        "What the distiller's `--earlyexit_thresholds` says of this exit, with `confidence: entropy`. That is a limit "
        "of the cross-entropy with the label, which no device has: it is taken for one of the entropy, or, with "
        "`calibrate`, only compared with the one that is chosen.",
    ),
    Key("per_class", boolean, "`true`: `calibrate` chooses a threshold for each class.", default=False),
    TEMPERATURE,
)
ANSWERS = Key(
    "answers",
    answers,
    "What its classes mean: `{class: answer}`, by names or numbers. A class without an answer never leaves; in the "
    "last stage every class has one. Default: the answer of the same name where the network has `labels`, else that of "
    "the same number. Of a last stage whose result is no class the answer that it always gives: `answers: something`.",
)
STAGE_KEYS = (
    Key("network", name, "The network that runs in the stage.", required=True),
    Key(
        "name",
        file_name,
        "Name of the stage; default: the network's, of a branch `main-0`, with the layer it is cut after.",
    ),
    Key(
        "until",
        layer,
        "The last layer of the network that runs in the stage, by name or number: of a branch, where the head begins; "
        "of the last stage, the layer whose output is the result.",
    ),
    Key(
        "head",
        head,
        "Of a branch: the exit head, a network of its own or `{layers: [5, 6]}`, layers of the stage's network.",
    ),
    Key("exit", Section(EXIT_KEYS), "When the stage's answer is the last one; every stage but the last has one."),
    ANSWERS,
)
RISK_KEYS = (
    Key(
        "delta",
        probability,
        "Probability with which the loss on new data may exceed `accuracy_drop`.",
        required=True,
    ),
)
_RISK = Key("risk", Section(RISK_KEYS), "Keep `accuracy_drop` on new data too; without it on the given data only.")
_AGAINST = Key(
    "against",
    one_of(AGAINST),
    "What a right answer is: the label (`labels`), or what the last network answers (`main`); the latter needs no `y` "
    "in the data and bounds the loss of accuracy from above.",
    default="labels",
)
_DROP = "Percentage points of accuracy that may be lost against the last network alone."
CALIBRATE_KEYS = (
    Key("data", name, "The data set that thresholds are chosen on.", required=True),
    Key("accuracy_drop", number, _DROP, required=True),
    _RISK,
    _AGAINST,
)
CANDIDATE_KEYS = (
    Key("front", name, "A front network; a candidate has either this or `head`."),
    Key("head", head, "An exit head: a network of its own, or `{layers: [5, 6]}`, layers of main that are the head."),
    Key(
        "until",
        layer,
        "The last layer of main before the head. Without it the head is a candidate after every layer where main can "
        "be cut and it fits, with the layer's number at the end of its name.",
    ),
    Key(
        "name",
        file_name,
        "Name of the stage; default: the front's name, `main-0` for a head after layer 0, `head-0` where the tool "
        "found the place.",
    ),
    Key("answers", answers, "What its classes mean, as in a stage."),
    Key("gate", boolean, "`true`: its network has a gate, as in a stage; with `confidence: hardware`.", default=False),
    TEMPERATURE,
)
GOAL_KEYS = (
    Key(
        "minimise",
        weights,
        "Mean cost of an inference: `cycles`, `energy`, or both with weights; with both, cycles and energy count as "
        "shares of main alone; default: `cycles`.",
        default={QUANTITIES[0]: 1.0},
    ),
    Key("accuracy_drop", number, "Percentage points of accuracy that may be lost against main alone."),
    _RISK,
    _AGAINST,
    Key(
        "budget",
        budget,
        "Instead of `minimise`, `accuracy_drop` and `risk`: `{cycles: 20000}` or `{energy: 15}` (uJ), the mean of an "
        "inference; the loss of accuracy is minimised.",
    ),
)
CHOOSE_KEYS = (
    Key(
        "data", name, "A data set of the spec, neither `test`, which results are judged on, nor `train`.", required=True
    ),
    Key(
        "per_class",
        boolean,
        "`true`: a threshold for each class that means an answer; `confidence` is one measure then.",
        default=False,
    ),
    *GOAL_KEYS,
)
DEVICE = Key("device", name, "The device that the spec is for; default: `MAX78000`.")
CLOCKS = Key(
    "clocks",
    Section((), others=integer(1)),
    "`{core_hz, cnn_hz}` that times and switches are computed for and the firmware sets; default: the highest, 100 and "
    "50 MHz, on the MAX78002 120 and 200 MHz. The MAX78000's core has 100, 60 or 7.3728 MHz, divided by powers of two "
    "up to 128; its accelerator's clock is half the core's, or 60 MHz, divided by 1, 2, 4, 8 or 16.",
)
EXTERNAL_KEYS = (
    Key("bytes_per_second", integer(1), "How fast it is read; without `external` that is in no figure.", required=True),
)
COMMON_KEYS = (
    Key("offramp", spec_format, f"Format of the spec, {FORMAT}.", required=True),
    Key("networks", Section((), others=Section(NETWORK_KEYS)), "The networks, by names of your choice.", required=True),
    Key("name", file_name, "Name of the build; default: the folder's."),
    Key(
        "data",
        Section((), others=name),
        "Data sets: `.npz` files with `x` (int8, N x C x H x W, as the accelerator gets it) and `y` (labels). `test` "
        "is what results are reported on, `train` is only compared with the others: they may not share an image. With "
        "rolling buffers the images of a file follow one another.",
    ),
    Key("labels", labels, "Names of the classes, which are the answers where there are no `answers`.", default=()),
    Key(
        "answers",
        labels,
        "Names of all that the application can answer; labels `y` are their numbers. Networks of the stages may then "
        "have different classes. Default: the classes of the last stage.",
        default=(),
    ),
    Key("compare", names, "Networks that are in no stage, to be run alone for comparison.", default=()),
    Key(
        "reload",
        one_of(("not", "allowed", "external")),
        "`allowed`: weights and biases that do not fit are written again from flash whenever they are needed, those of "
        "the first stage never or, beside other models, when this one runs after another one; which, is chosen for the "
        "fewest words. `external`, for an image of one model: the same, but these weights are a file outside "
        "flash, which a function of the application reads, from an SD card, say. `not`: all of them are resident.",
        default="not",
    ),
    Key(
        "asked",
        integer(1, 100),
        "How often this model is asked, beside the other ones of an image; `reload: allowed` chooses by that. Default: "
        "1, as often as any other.",
        default=1,
    ),
    Key(
        "external",
        Section(EXTERNAL_KEYS),
        "What is known of the memory that `reload: external` reads from.",
    ),
    DEVICE,
    CLOCKS,
)
MANUAL_KEYS = (
    *COMMON_KEYS,
    Key("stages", Items(Section(STAGE_KEYS)), "The stages, in the order in which they run.", required=True, default=()),
    Key(
        "calibrate",
        Section(CALIBRATE_KEYS),
        "Choose all thresholds for the fewest cycles with at most `accuracy_drop` lost.",
    ),
)
CONFIDENCE = Key(
    "confidence",
    measures,
    "One measure or a list of measures to choose from; default: all of the core. `hardware`, on devices with snoop "
    "units: each candidate may also be a hardware exit, `front-hardware`; alone, it is one.",
    default=MEASURES,
)
CHOICE_KEYS = (
    Key("exits", one_of(("auto",)), "`auto`; then there are no `stages`.", required=True),
    Key("main", name, "The network whose answers accuracy is measured against.", required=True),
    Key("main_answers", answers, "What main's classes mean, as in a stage."),
    Key("choose", Section(CHOOSE_KEYS), "The limit that is kept and the cost that is minimised.", required=True),
    Key(
        "candidates",
        Items(Section(CANDIDATE_KEYS)),
        "Stages to choose from; default: the ends of main's YAML that are not its answer, as heads, and every network "
        "but `main` (and those under `compare`), as a front and as a "
        "head after every layer of main where main can be cut and it fits.",
        default=(),
    ),
    CONFIDENCE,
)
AUTO_KEYS = (*COMMON_KEYS, *CHOICE_KEYS)
