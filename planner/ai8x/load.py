"""An ai8x network YAML and weights as a `Network`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offramp.configs.device import Device
from offramp.configs.errors import Diagnostic, InputError
from offramp.planner.ai8x.checkpoint import Checkpoint, layer_weights, load_checkpoint
from offramp.planner.ai8x.description import Description, LayerDescription, find_layer, read_description
from offramp.planner.ai8x.infer import Inference, infer_layers
from offramp.planner.ai8x.order import in_order
from offramp.planner.ai8x.parts import attached_heads, layers_of, listed, unused_layers
from offramp.planner.ai8x.unsupported import check_description
from offramp.planner.ai8x.weights import LayerWeights, WeightShape
from offramp.planner.ir.network import Layer, Network, Shape


@dataclass(frozen=True)
class KnownData:
    """What follows from a data set's name. `classes`: None where its networks' outputs are not one for each class."""

    shape: Shape
    classes: int | None


# The data sets that ai8x-training brings along (its datasets/*.py, keys `input` and `output`; KWS_20 has a class for
# unknown words).
DATASETS: Mapping[str, KnownData] = {
    "mnist": KnownData(Shape(1, 28, 28), 10),
    "fashionmnist": KnownData(Shape(1, 28, 28), 10),
    "cifar-10": KnownData(Shape(3, 32, 32), 10),
    "cifar10": KnownData(Shape(3, 32, 32), 10),
    "cifar-100": KnownData(Shape(3, 32, 32), 100),
    "cifar100": KnownData(Shape(3, 32, 32), 100),
    "kws_20": KnownData(Shape(128, 128, 1), 21),
    "cats_vs_dogs": KnownData(Shape(3, 128, 128), 2),
    "svhn_74": KnownData(Shape(3, 74, 74), None),
}


@dataclass(frozen=True)
class Options:
    """The options of the vendor's tool that change the network.

    `output_width`: of the last layer; `stop_after`: number of the last layer that is kept, `start_layer`: of the first
    one that runs; `no_bias`: layers whose biases are dropped; `classes`: output channels of the last layer where no
    weights give them.
    """

    fifo: bool = False
    avg_pool_rounding: bool = False
    output_width: int | None = None
    stop_after: int | None = None
    start_layer: int = 0
    no_bias: frozenset[int] = frozenset()
    classes: int | None = None


DEFAULTS = Options()


Source = Checkpoint | Sequence[WeightShape] | None


def load_network(
    path: Path,
    device: Device,
    checkpoint: Checkpoint | Path | None = None,
    *,
    weights: Sequence[WeightShape] | None = None,
    input_shape: Shape | None = None,
    options: Options = DEFAULTS,
) -> Network:
    """Read a network YAML with its weights: from a checkpoint, or given for its layers in order.

    `input_shape`: needed if the YAML's data set is not one of `DATASETS`. InputError lists all that is wrong.
    """
    source: Source = load_checkpoint(checkpoint) if isinstance(checkpoint, Path) else checkpoint
    if source is None:
        source = weights or ()
    network, problems = read_network(path, source, input_shape, options, device)
    if problems or network is None:
        raise InputError(problems)
    return network


def read_network(
    path: Path, source: Source, input_shape: Shape | None, options: Options, device: Device
) -> tuple[Network | None, tuple[Diagnostic, ...]]:
    """Like `load_network`, but returns what is wrong, with the network as far as its layers could be understood.

    None if the weights are those of another architecture.

    `source` None: there are no weights, and the numbers of output channels are taken from the output processors.
    """
    description, problems = read_description(path)
    return infer_network(description, problems, source, input_shape, options, device)


def infer_network(
    description: Description | None,
    problems: tuple[Diagnostic, ...],
    source: Source,
    input_shape: Shape | None,
    options: Options,
    device: Device,
) -> tuple[Network | None, tuple[Diagnostic, ...]]:
    """`read_network` for a YAML that has been read: its description and what was wrong with it."""
    if description is None or problems:
        return None, problems + (check_description(description, device) if description else ())
    problems = check_description(description, device)
    shape, missing = _input_shape(description, input_shape)
    try:
        description = in_order(description, options.start_layer, device)
    except InputError as error:
        return None, problems + error.problems
    if options.fifo and options.start_layer:
        message = "a network whose input comes through the FIFO begins with layer 0"
        problems += (Diagnostic(description.where, f"it is to begin with layer {options.start_layer}; {message}"),)
    last = _last(description, options)
    found, wrong = _assign(description, source, last, options)
    problems += missing + wrong
    if shape is None:
        return None, problems
    layers, wrong = infer_layers(Inference(description, shape, found, last, device))
    misshapen = _misshapen(description, layers, found)
    problems += tuple(misshapen.values())
    if _foreign(description, source):  # what else could be said would follow from weights of another network
        return None, problems
    problems += _in_order(description, source) if misshapen else ()
    if misshapen:  # the layers before are as they should be
        layers, wrong = layers[: min(misshapen)], ()
    if layers and options.output_width and layers[-1].index == last:
        layers = (*layers[:-1], replace(layers[-1], output_width=options.output_width))
    network = Network(
        name=description.arch,
        dataset=description.dataset,
        where=description.where,
        input_shape=shape,
        layers=layers,
        fifo=options.fifo,
        avg_pool_rounding=options.avg_pool_rounding,
        buffers=description.buffers,
        unused=unused_layers(source, layers, found) if isinstance(source, Checkpoint) else (),
        heads=attached_heads(source, layers, found) if isinstance(source, Checkpoint) else (),
    )
    return network, problems + wrong


def _last(description: Description, options: Options) -> int:
    """Index of the last layer that is kept."""
    last = None if options.stop_after is None else find_layer(description, options.stop_after)
    return len(description.layers) - 1 if last is None else last


def _input_shape(description: Description, given: Shape | None) -> tuple[Shape | None, tuple[Diagnostic, ...]]:
    known = DATASETS.get(description.dataset.lower())
    if shape := given or (known.shape if known else None):
        return shape, ()
    message = f"the input shape of data set `{description.dataset}` is not known; give it with --input CxHxW"
    return None, (Diagnostic(description.where, message),)


def _assign(
    description: Description, source: Source, last: int, options: Options
) -> tuple[dict[int, WeightShape], tuple[Diagnostic, ...]]:
    """Weights by layer index: in order to the layers that take some, and copied where `weight_source` says so."""
    wanted = [layer for layer in description.layers[: last + 1] if layer.takes_weights]
    wanted.sort(key=lambda layer: layer.number)
    problems: list[Diagnostic] = []
    found: dict[int, WeightShape]
    if source is None:
        guesses = [(layer.index, _from_processors(layer, description, options.classes)) for layer in wanted]
        found = {index: guess for index, guess in guesses if guess.out_channels}
    elif isinstance(source, Checkpoint):
        found = _from_checkpoint(description, wanted, source, problems)
    else:
        problems.extend(_count(description, wanted, [given.name for given in source]))
        found = {layer.index: given for layer, given in zip(wanted, source, strict=False)}
    for layer in description.layers[: last + 1]:
        source_layer = layer.convolution.weight_source
        if source_layer is None:
            continue
        index = find_layer(description, source_layer)
        if index in found:
            found[layer.index] = found[index]
        else:
            message = f"{layer.label}: `weight_source: {source_layer}`; an earlier layer with weights is expected"
            problems.append(Diagnostic(layer.entry.at("weight_source"), message))
    dropped = {
        index: replace(given, bias=None)
        for index, given in found.items()
        if index in options.no_bias and isinstance(given, LayerWeights)
    }
    return found | dropped, tuple(problems)


def _count(
    description: Description, wanted: Sequence[LayerDescription], names: Sequence[str]
) -> tuple[Diagnostic, ...]:
    if len(names) == len(wanted):
        return ()
    found = f"{_layers(len(names))} ({', '.join(names)})" if names else "no layer"
    message = f"weights are given for {found}; the network has {_layers(len(wanted))} with weights"
    return (Diagnostic(description.where, message),)


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _foreign(description: Description, source: Source) -> bool:
    """Whether the weights are those of another architecture, by their checkpoint's word, which is about all of it."""
    stated = source.arch.lower() if isinstance(source, Checkpoint) and not source.prefix else ""
    return bool(stated) and description.arch.lower() not in (stated, "test")


def _misshapen(
    description: Description, layers: Sequence[Layer], found: Mapping[int, WeightShape]
) -> dict[int, Diagnostic]:
    """Weights must have their layer's channels and kernel: what is wrong by the layer's index."""
    problems = {}
    for stated, layer in zip(description.layers, layers, strict=False):
        weights = found.get(layer.index)
        if weights is None or not weights.in_known or not layer.has_weights:
            continue
        expected = (layer.in_features // stated.convolution.groups, *stated.convolution.kernel)
        if weights.shape[1:] != expected:
            shape = "x".join(str(size) for size in weights.shape)
            wanted = "x".join(str(size) for size in (weights.out_channels, *expected))
            message = f"`{weights.name}` has the shape {shape}; {wanted} is expected for an input of {layer.in_shape}"
            problems[layer.index] = Diagnostic(stated.entry.where, f"{stated.label}: {message}")
    return problems


def _in_order(description: Description, source: Source) -> tuple[Diagnostic, ...]:
    """What to do where weights of a head may have come between those of the network."""
    if not isinstance(source, Checkpoint):
        return ()
    names, wanted = list(layers_of(source)), sum(layer.takes_weights for layer in description.layers)
    if len(names) <= wanted:
        return ()
    found = f"{source.where} has {_layers(len(names))}, of which the first {wanted} are taken: {listed(names)}"
    help = "those of a head are left out if a network of the spec has their `prefix` (`offramp check`: --without)"
    return (Diagnostic(description.where, f"{found}; {help}"),)


def _from_checkpoint(
    description: Description, wanted: Sequence[LayerDescription], checkpoint: Checkpoint, problems: list[Diagnostic]
) -> dict[int, WeightShape]:
    """The checkpoint's layers in order; those after the YAML's last layer are left out, as the vendor's tool does."""
    if _foreign(description, checkpoint):
        message = f"`arch: {description.arch}`, but {checkpoint.where} is a checkpoint of `{checkpoint.arch}`"
        problems.append(Diagnostic(description.where, message))
    first = layers_of(checkpoint)
    if len(first) < len(wanted):
        problems.extend(_count(description, wanted, list(first)))
    found: dict[int, WeightShape] = {}
    for text, layer in zip(wanted, first.values(), strict=False):
        try:
            found[text.index] = layer_weights(layer, text.op, text.convolution.weight_bits)
        except InputError as error:
            message = f"{text.label}: {error} ({checkpoint.where})"
            problems.append(Diagnostic(text.entry.where, message))
    return found


def _from_processors(layer: LayerDescription, description: Description, classes: int | None) -> WeightShape:
    """Only a number of output channels: as many as output processors (right for up to 64 channels), the last layer one
    for each class; 0 if unknown."""
    stated = layer.out_channels
    following = description.layers[layer.index + 1 : layer.index + 2]
    processors = layer.placement.output_processors or (
        following[0].placement.processors if following else description.output_map
    )
    known = DATASETS.get(description.dataset.lower())
    classes = 0 if following else classes or (known and known.classes) or 0
    channels = stated or processors.bit_count() or classes
    return WeightShape(name="the output processors", shape=(channels, 0, 0, 0), in_known=False)
