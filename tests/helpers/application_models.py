"""Random models of applications: networks of every kind with fronts and heads, as specs with their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.chain.assign_processors import complete, no_columns_occupied
from offramp.planner.chain.build import exit_rule
from offramp.planner.chain.ends import answering
from offramp.planner.ir.cuts import legal_cuts
from offramp.planner.ir.measure import MEASURES, Measure
from offramp.planner.ir.network import INPUT, Layer, Network, Shape
from offramp.planner.reference.confidence import confidence, gives_logits, to_real
from offramp.planner.reference.layers import run_layers
from offramp.planner.reference.sequence import run_in_order
from offramp.planner.rules.check import check_network
from offramp.planner.spec.spec import ExitSpec
from tests.helpers.network_files import buffer_bytes
from tests.helpers.networks import NOWHERE
from tests.helpers.random_networks import Style, networks
from tests.helpers.random_special import deep_networks, rolling_networks, streaming_networks, streaming_shapes

DEVICE = load_device()
Images = npt.NDArray[np.int8]  # (N, channels, rows, cols)

KINDS = ("plain", "plain", "plain", "rolling", "rolling", "fifo", "deep")
GIVEN, BY_CLASS, CALIBRATED, CALIBRATED_BY_CLASS, AUTO = (
    "given",
    "by class",
    "calibrated",
    "calibrated by class",
    "auto",
)
WAYS = (GIVEN, BY_CLASS, CALIBRATED, CALIBRATED_BY_CLASS, AUTO)
ATTEMPTS = 6  # at a network that the rules let pass
TESTED, CALIBRATION = 8, 40  # images
DATA_BYTES = 0x8000  # of an instance's data memory
MAKERS: Mapping[str, Callable[..., SearchStrategy[Network]]] = {
    "plain": networks,
    "rolling": rolling_networks,
    "fifo": streaming_networks,
    "deep": deep_networks,
}


@dataclass(frozen=True, eq=False)
class DrawnModel:
    """A model: its spec, its networks by name, and its data."""

    name: str
    text: str
    networks: Mapping[str, Network]
    test: Images
    calibration: Images
    labels: npt.NDArray[np.int64]  # of the calibration images

    def __repr__(self) -> str:
        layers = "".join(
            f"# {name}: {network.input_shape}, {len(network.layers)} layers\n"
            for name, network in self.networks.items()
        )
        return f"\n{self.text}{layers}"


@dataclass(frozen=True, eq=False)
class _Early:
    """A front, or a head behind layer `cut` of main. `logits`: of the test images, int32 (N, classes)."""

    name: str
    network: Network
    cut: int | None
    logits: npt.NDArray[np.int32]
    meaning: Mapping[int, int]  # answers by class; empty where classes are the answers


@dataclass
class ModelMaker:
    """Draws a model part by part."""

    draw: DrawFn
    name: str
    reload: str  # as in a spec
    kinds: Sequence[str] = KINDS
    networks: dict[str, Network] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)  # of the networks, besides their files

    def model(self) -> DrawnModel:
        draw = self.draw
        kind = draw(st.sampled_from(self.kinds))
        style = Style(*(draw(st.booleans()) for _ in range(5)))
        style = replace(
            style, maps=style.maps and kind == "plain", one_dimensional=style.one_dimensional and kind != "fifo"
        )
        shape = draw(streaming_shapes() if kind == "fifo" else _shapes(style))
        self.answers = draw(st.sampled_from((0, 0, 2, 3, 5)))
        self.classes = draw(st.integers(2, 6))
        fronts, heads = draw(st.sampled_from((0, 0, 1, 1, 2))), draw(st.sampled_from((0, 0, 1, 1, 2)))
        tensor = draw(st.booleans())
        if tensor and fronts + heads:
            self.answers = self.answers or 3
        self.rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
        self.x = self._images(shape, TESTED)
        style = replace(style, chw=style.chw and not fronts, split=not fronts)
        main = self._network("main", MAKERS[kind](style, shape, None if tensor else self._own_classes()))
        maker = MAKERS[kind if kind == "fifo" else "plain"]
        early = [self._front(f"front{index}", maker, style, shape) for index in range(fronts)]
        cuts = sorted(draw(st.permutations(_cuts(main)))[:heads])
        early += [self._head(f"head{index}", main, cut, style) for index, cut in enumerate(cuts)]
        way = draw(st.sampled_from((GIVEN, BY_CLASS) if kind == "rolling" and draw(st.integers(0, 7)) else WAYS))
        if main.buffers and early and draw(st.integers(0, 7)):
            self.keys["main"].append("buffer_inputs: reached")
        end = None
        if tensor and way != AUTO and draw(st.booleans()):
            end = draw(st.integers(cuts[-1] + 1 if cuts else 0, len(main.layers) - 1))
        return self._written(early, way if early else GIVEN, end, shape)

    def _own_classes(self) -> int:
        """How many a stage has."""
        return self.draw(st.integers(2, 6)) if self.answers else self.classes

    def _images(self, shape: Shape, count: int) -> Images:
        return self.rng.integers(-128, 128, (count, shape.channels, shape.rows, shape.cols)).astype(np.int8)

    def _network(self, name: str, strategy: SearchStrategy[Network]) -> Network:
        """A network that runs alone, without the layers that its answer does not take, and its keys in a spec."""
        drawn = (_with_offsets(self.draw, _needed(self.draw(strategy))) for _ in range(ATTEMPTS))
        network = next(filter(_runs, drawn), None) or _with_offsets(self.draw, _needed(self.draw(strategy)))
        keys = [] if name.startswith("head") else [f"input: {_size(network.input_shape)}"]
        keys += ["fifo: true"] if network.fifo else []
        keys += ["avg_pool_rounding: true"] if network.avg_pool_rounding else []
        keys += [f"{key}: free" for key in ("offsets", "processors") if self.draw(st.integers(0, 2)) == 0]
        self.networks[name], self.keys[name] = network, keys
        return network

    def _front(self, name: str, maker: Callable[..., SearchStrategy[Network]], style: Style, shape: Shape) -> _Early:
        style = replace(style, maps=False, rounding=self.draw(st.booleans()))
        network = self._network(name, maker(style, shape, self._own_classes()))
        logits = run_in_order(network, self.x)[len(network.layers) - 1]
        return self._early(name, network, None, logits)

    def _head(self, name: str, main: Network, cut: int, style: Style) -> _Early:
        """It reads the tensor behind a layer of main."""
        style = replace(style, maps=False, chw=False, split=False, rounding=main.avg_pool_rounding)
        network = self._network(name, networks(style, main.layers[cut].out_shape, self._own_classes()))
        read = run_in_order(main, self.x, [cut])[cut].astype(np.int8)
        logits = run_layers(network.layers, {INPUT: read}, network.avg_pool_rounding)[len(network.layers) - 1]
        return self._early(name, network, cut, logits)

    def _early(self, name: str, network: Network, cut: int | None, logits: npt.NDArray[np.int8 | np.int32]) -> _Early:
        classes = network.layers[-1].out_shape.channels
        meaning: Mapping[int, int] = {}
        if self.answers:
            chosen = st.dictionaries(st.integers(0, classes - 1), st.integers(0, self.answers - 1), min_size=1)
            meaning = dict(sorted(self.draw(chosen).items()))
        return _Early(name, network, cut, logits.astype(np.int32).reshape(len(self.x), -1), meaning)

    def _written(self, early: Sequence[_Early], way: str, end: int | None, shape: Shape) -> DrawnModel:
        lines = ["offramp: 1", f"name: {self.name}", "networks:"]
        for name, keys in self.keys.items():
            lines.append(f"  {name}: {{{', '.join([f'network: {name}.yaml', f'checkpoint: {name}.pth.tar', *keys])}}}")
        lines.append("data: {test: test.npz, calibration: calibration.npz}")
        if self.answers:
            lines.append(f"answers: [{', '.join(f'a{index}' for index in range(self.answers))}]")
        lines.append(f"reload: {self.reload}")
        lines += ["external: {bytes_per_second: 1000000}"] if self.reload == "external" else []
        lines += self._auto(early) if way == AUTO else self._stages(early, way, end)
        labels = self.answers or self.classes
        more = self._images(shape, CALIBRATION)
        drawn_labels = self.rng.integers(0, labels, len(more))
        return DrawnModel(self.name, "\n".join(lines) + "\n", self.networks, self.x, more, drawn_labels)

    def _auto(self, early: Sequence[_Early]) -> list[str]:
        drop = self.draw(st.integers(0, 60))
        by_class = ", per_class: true" if self.draw(st.booleans()) else ""
        lines = ["exits: auto", "main: main", f"choose: {{data: calibration, accuracy_drop: {drop}{by_class}}}"]
        lines += [f"confidence: {self.draw(st.sampled_from(MEASURES))}"] if by_class else []
        if last := self._last_answers(self.networks["main"].layers[-1]):
            lines.append(f"main_{last}")
        lines.append("candidates:")
        for one in early:
            what = f"front: {one.name}" if one.cut is None else f"until: {one.cut}, head: {one.name}, name: {one.name}"
            lines.append(f"  - {{{what}{_meaning(one)}}}")
        return lines

    def _stages(self, early: Sequence[_Early], way: str, end: int | None) -> list[str]:
        lines = []
        if way in (CALIBRATED, CALIBRATED_BY_CLASS):
            lines.append(f"calibrate: {{data: calibration, accuracy_drop: {self.draw(st.integers(0, 60))}}}")
        lines.append("stages:")
        for one in early:
            what = f"network: {one.name}"
            if one.cut is not None:
                what = f"network: main, until: {one.cut}, head: {one.name}, name: {one.name}"
            lines.append(f"  - {{{what}{_meaning(one)}, exit: {{{self._exit(one, way)}}}}}")
        last = self.networks["main"].layers[-1 if end is None else end]
        parts = ["network: main", *(["name: last"]), *([] if end is None else [f"until: {end}"])]
        parts += [found] if (found := self._last_answers(last)) else []
        return [*lines, f"  - {{{', '.join(parts)}}}"]

    def _last_answers(self, last: Layer) -> str:
        """What the last stage answers, as a key."""
        if not self.answers:
            return ""
        answer = st.integers(0, self.answers - 1)
        if not gives_logits(last) or last.activation != "none":
            return f"answers: {self.draw(answer)}"
        meant = [f"{index}: {self.draw(answer)}" for index in range(last.out_shape.channels)]
        return f"answers: {{{', '.join(meant)}}}"

    def _exit(self, one: _Early, way: str) -> str:
        """With thresholds that part the test images."""
        measure: Measure = self.draw(st.sampled_from(MEASURES))
        found = f"confidence: {measure}"
        if way == CALIBRATED_BY_CLASS:
            return f"{found}, per_class: true"
        if way == CALIBRATED:
            return found
        rule = exit_rule(ExitSpec(NOWHERE, measure, None, 1.0), one.network.layers[-1])
        values = np.sort(confidence(measure, one.logits, rule.fraction_bits, rule.temperature_q16))

        def threshold() -> str:
            value = int(values[self.draw(st.integers(0, len(values) - 1))])
            return f"{to_real(measure, value, rule.fraction_bits):.12f}"

        if way == GIVEN:
            return f"{found}, threshold: {threshold()}"
        classes = one.meaning or range(one.logits.shape[1])
        return f"{found}, threshold: {{{', '.join(f'{index}: {threshold()}' for index in classes)}}}"


def _shapes(style: Style) -> SearchStrategy[Shape]:
    channels = (1, 3, 4, 7, 16, 20, *((64, 68, 130) if style.wide else ()))
    cols = st.just(1) if style.one_dimensional else st.integers(3, 9)
    return st.builds(Shape, st.sampled_from(channels), st.integers(4, 9), cols)


def _size(shape: Shape) -> str:
    return f"{shape.channels}x{shape.rows}x{shape.cols}" if shape.cols > 1 else f"{shape.channels}x{shape.rows}"


def _meaning(one: _Early) -> str:
    return f", answers: {{{', '.join(f'{key}: {value}' for key, value in one.meaning.items())}}}" if one.meaning else ""


def _cuts(network: Network) -> list[int]:
    """Layers after which it can be cut into stages: not while a rolling buffer is written, nor where what a head would
    read is the operand of a later layer."""
    writers = [layer.index for layer in network.layers if layer.target]
    operands = {index for layer in network.layers if len(layer.inputs) > 1 for index in layer.inputs}
    cuts = [one for one in legal_cuts(network) if one not in operands]
    return [one for one in cuts if not writers or not writers[0] <= one < writers[-1]]


def _needed(network: Network) -> Network:
    """The network without the layers that its answer, the last one, does not take."""
    marked = replace(network, layers=(*network.layers[:-1], replace(network.layers[-1], output=True)))
    found = answering(marked)
    return replace(found, layers=tuple(replace(layer, output=False) for layer in found.layers))


def _runs(network: Network) -> bool:
    """Whether the rules let a network pass by itself."""
    if not any(layer.has_weights for layer in network.layers):
        return False
    try:
        return not check_network(complete(network, DEVICE, no_columns_occupied(DEVICE)), DEVICE)
    except InputError:
        return False


def _with_offsets(draw: DrawFn, network: Network) -> Network:
    """Buffers at the end of data memory, or a few words before."""
    buffers = []
    for buffer in network.buffers:
        last = DATA_BYTES - buffer_bytes(buffer)
        buffers.append(replace(buffer, offset=last - 4 * draw(st.integers(0, min(64, last // 4)))))
    return replace(network, buffers=tuple(buffers))


@st.composite
def any_network(draw: DrawFn) -> Network:
    """A network of any kind, as an application's main one."""
    kind = draw(st.sampled_from(KINDS))
    style = Style(*(draw(st.booleans()) for _ in range(5)))
    shape = draw(streaming_shapes() if kind == "fifo" else _shapes(style))
    style = replace(style, maps=False)
    return _with_offsets(draw, draw(MAKERS[kind](style, shape, draw(st.sampled_from((None, 3))))))
