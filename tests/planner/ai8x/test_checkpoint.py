"""Checkpoints: real ones against the corpus, damaged ones, and ones that try to run something."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.corpus.case import load_case
from offramp.planner.ai8x.checkpoint import layer_weights, load_checkpoint
from offramp.planner.ai8x.load import Options, load_network
from tests.helpers import checkpoints as make
from tests.helpers.checkpoints import Array, Part
from tests.helpers.memory import memory_below

DEVICE = load_device()

WEIGHTS = np.arange(-9, 9, dtype=np.float32).reshape(2, 1, 3, 3)
STATE: dict[str, Array] = {
    "conv1.output_shift": np.array([-2], np.float32),
    "conv1.weight_bits": np.array([8], np.int64),
    "conv1.op.weight": WEIGHTS,
    "conv1.op.bias": np.array([257, -1], np.float32),
}


@pytest.fixture(scope="session")
def shared(corpus: Path) -> Path:
    folder = corpus.parent / "checkpoints"
    if not folder.is_dir():
        pytest.skip("no ../shared/checkpoints beside this checkout")
    return folder


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_checkpoint(path)
    return str(caught.value)


def same(ours: Array | None, theirs: Array | None) -> bool:
    return ours is theirs is None or (ours is not None and theirs is not None and np.array_equal(ours, theirs))


def test_every_shared_checkpoint_gives_the_integers_of_the_corpus(corpus: Path, shared: Path) -> None:
    files = {path.name: 0 for path in shared.glob("*.pth.tar")}
    for folder in sorted((corpus / "cases").iterdir()):
        arguments = json.loads((folder / "meta.json").read_text())["izer_args"]
        name = (
            Path(arguments[arguments.index("--checkpoint-file") + 1]).name if "--checkpoint-file" in arguments else ""
        )
        if name not in files:
            continue
        case = load_case(folder, DEVICE).network
        options = Options(
            stop_after=case.layers[-1].index, no_bias=frozenset(range(32)) if "--no-bias" in arguments else frozenset()
        )
        loaded = load_network(
            folder / "network.yaml", DEVICE, shared / name, input_shape=case.input_shape, options=options
        )
        for ours, theirs in zip(loaded.layers, case.layers, strict=True):
            assert same(ours.weights, theirs.weights) and same(ours.bias, theirs.bias)
            assert (ours.output_shift, ours.weight_bits) == (theirs.output_shift, theirs.weight_bits)
        files[name] += 1
    assert len(files) == 5 and min(files.values()) >= 1


def test_values_of_a_layer(tmp_path: Path) -> None:
    for path in (make.save(tmp_path / "new.pth.tar", STATE), make.write_legacy(tmp_path / "old.pth.tar", STATE)):
        checkpoint = load_checkpoint(path)
        (layer,) = checkpoint.layers
        assert checkpoint.arch == "test" and layer.name == "conv1.op"
        assert np.array_equal(layer.weights, WEIGHTS)
        assert (layer.bits, layer.output_shift) == (8, -2)
        assert layer.bias is not None and layer.bias.tolist() == [2, -1]  # floor(bias / 128)


def test_layers_whose_names_share_all_but_one_part(tmp_path: Path) -> None:
    state = {"net.a.weight": WEIGHTS, "net.b.weight": WEIGHTS + 1}
    assert [layer.name for layer in load_checkpoint(make.save(tmp_path / "c", state)).layers] == ["net.a", "net.b"]


def test_transposed_convolutions_become_correlations(tmp_path: Path) -> None:
    weights = np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3) - 27
    (layer,) = load_checkpoint(make.save(tmp_path / "c", {"up.op.weight": weights})).layers
    turned = layer_weights(layer, "convtranspose2d", None)
    assert turned.shape == (3, 2, 3, 3)
    assert turned.weights[2, 1, 0, 2] == weights[1, 2, 2, 0]
    plain = layer_weights(layer, "conv2d", None)
    assert np.array_equal(np.asarray(plain.weights), weights)


def test_weights_beyond_the_width_are_refused(tmp_path: Path) -> None:
    (layer,) = load_checkpoint(make.save(tmp_path / "c", STATE)).layers
    with pytest.raises(InputError, match="range from -9 to 8; 4 bits do not hold that"):
        layer_weights(layer, "conv2d", 4)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a.op.weight": WEIGHTS / 7}, "not quantized"),
        ({"a.op.weight": WEIGHTS * np.float32(np.nan)}, "not finite"),
        ({"a.op.weight": WEIGHTS * 40}, "outside -128..127"),
        ({"a.op.weight": np.zeros((0, 1), np.float32)}, "is empty"),
        ({"a.bn.weight": np.ones(4, np.float32)}, "fold batch normalization"),
        ({"a.op.bias": np.ones(4, np.float32)}, "holds no weights"),
        (STATE | {"conv1.op.bias": np.full(2, 1e6, np.float32)}, "outside -16384..16383"),
        (STATE | {"conv1.output_shift": np.array([0.5], np.float32)}, "not one whole number"),
    ],
)
def test_unusable_values_have_a_message(tmp_path: Path, state: Mapping[str, Array], message: str) -> None:
    assert message in refused(make.save(tmp_path / "c.pth.tar", state))


def test_all_problems_of_a_checkpoint_at_once(tmp_path: Path) -> None:
    text = refused(make.save(tmp_path / "c", {"a.op.weight": WEIGHTS / 7, "b.op.weight": WEIGHTS * 40}))
    assert "`a.op.weight`" in text and "`b.op.weight`" in text


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent.pth.tar")
    assert "directory" in refused(tmp_path).lower()
    for content in (b"", b"PK", b"\x80\x02.", b"hello", b"\x00" * 100, pickle.dumps([1, 2])):
        (tmp_path / "c").write_bytes(content)
        assert "not a checkpoint" in refused(tmp_path / "c")
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("readme.txt", "hello")
    assert "data.pkl" in refused(archive)
    assert "no `state_dict`" in refused(make.write_zip(tmp_path / "d", make.pickle_of(make.mapping({})), {}))


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_anywhere_is_one_message(tmp_path: Path, legacy: bool) -> None:
    whole = (make.write_legacy if legacy else make.save)(tmp_path / "whole", STATE).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut").write_bytes(whole[:length])
        assert str(tmp_path / "cut") in refused(tmp_path / "cut")


def test_damaged_bytes_never_give_anything_but_a_message(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for make_file in (make.save, make.write_legacy):
        whole = make_file(tmp_path / "whole", STATE).read_bytes()
        for _ in range(300):
            data = bytearray(whole)
            data[generator.integers(len(data))] ^= int(generator.integers(1, 256))
            (tmp_path / "bad").write_bytes(data)
            try:
                load_checkpoint(tmp_path / "bad")
            except InputError as error:
                assert "\n" not in str(error)


def hostile(marker: Path) -> dict[str, Part]:
    """Values that run a command, in a naive unpickler, when they are read."""
    command = make.word(f"touch {marker}")
    code = make.word(f"open({str(marker)!r}, 'w').close()")
    evil = make.call(make.name("os", "system"), command)
    return {
        "os.system": evil,
        "posix.system by INST": b"(" + command + b"iposix\nsystem\n",
        "os.system by OBJ": b"(" + make.name("os", "system") + command + b"o",
        "STACK_GLOBAL": make.word("os") + make.word("system") + b"\x93" + make.tuple_of(command) + b"R",
        "eval": make.call(make.name("builtins", "eval"), code),
        "exec in an argument": make.call(make.name("builtins", "len"), make.call(make.name("builtins", "exec"), code)),
        "NEWOBJ": make.name("subprocess", "Popen")
        + make.tuple_of(make.tuple_of(make.word("touch"), command))
        + b"\x81",
        "BUILD with __setstate__": make.call(make.name("torch._utils", "_rebuild_tensor_v2"))
        + make.mapping({"__setstate__": make.name("os", "system")})
        + b"b"
        + command
        + b"b",
        "getattr chain": make.call(
            make.call(make.name("builtins", "getattr"), make.name("os", "x"), make.word("system")), command
        ),
        "nested pickle": make.call(
            make.name("pickle", "loads"), b"C" + bytes([len(pickle_bytes(marker))]) + pickle_bytes(marker)
        ),
        "torch.load": make.call(make.name("torch", "load"), make.word(str(marker))),
        "in a list": b"]" + evil + b"a",
        "in a tuple": make.tuple_of(evil, evil),
    }


def pickle_bytes(marker: Path) -> bytes:
    return make.pickle_of(make.call(make.name("os", "system"), make.word(f"touch {marker}")))


def test_the_hostile_values_are_hostile(tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    marker = tmp_path / "ran"
    pickle.loads(make.pickle_of(hostile(marker)["os.system"]))
    assert marker.exists()


@pytest.mark.parametrize("kind", sorted(hostile(Path("x"))))
def test_nothing_runs_as_training_state(tmp_path: Path, kind: str) -> None:
    """Beside the state_dict anything may stand; it is not looked at."""
    marker = tmp_path / "ran"
    extra = {"optimizer_type": hostile(marker)[kind], "epoch": hostile(marker)[kind]}
    path = make.write_zip(tmp_path / "c", make.content(STATE, extra=extra), STATE)
    assert len(load_checkpoint(path).layers) == 1
    assert not marker.exists()


@pytest.mark.parametrize("kind", sorted(hostile(Path("x"))))
def test_nothing_runs_in_place_of_weights(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "ran"
    evil = hostile(marker)[kind]
    for pickled in (
        make.pickle_of(make.mapping({"state_dict": make.ordered({"a.op.weight": evil})})),
        make.pickle_of(make.mapping({"state_dict": evil})),
        make.pickle_of(evil),
        make.pickle_of(
            make.mapping(
                {"state_dict": make.ordered({"a.op.weight": make.tensor("0", WEIGHTS).replace(b"\x89", evil)})}
            )
        )
        + b"",
        make.pickle_of(
            make.mapping(
                {
                    "state_dict": make.ordered(
                        {"a.op.weight": make.call(make.name("torch._utils", "_rebuild_tensor_v2"), *[evil] * 6)}
                    )
                }
            )
        ),
    ):
        path = make.write_zip(tmp_path / "c", pickled, {"0": WEIGHTS})
        try:
            load_checkpoint(path)
        except InputError as error:
            assert str(path) in str(error)
        assert not marker.exists()


def test_sizes_that_lie(tmp_path: Path) -> None:
    def state(part: Part) -> bytes:
        return make.pickle_of(make.mapping({"state_dict": make.ordered({"a.op.weight": part})}))

    arrays = {"0": WEIGHTS}
    for shape in ((2, 1, 3, 4), (1 << 30, 1 << 30), (1 << 39, 0, 1 << 39), (-1, 2)):
        path = make.write_zip(tmp_path / "c", state(make.tensor("0", WEIGHTS, shape=shape)), arrays)
        assert "shape" in refused(path) or "is empty" in refused(path)
    longer = np.zeros(1000, np.float32)
    path = make.write_zip(tmp_path / "c", state(make.tensor("0", longer)), arrays)
    assert "1000 values" in refused(path)
    stretched = make.call(
        make.name("torch._utils", "_rebuild_tensor_v2"),
        *(make.storage("0", WEIGHTS), make.number(0)),
        *(make.tuple_of(make.number(1 << 30), make.number(1)), make.tuple_of(make.number(0), make.number(0))),
    )
    assert "at most 4194304 values" in refused(make.write_zip(tmp_path / "c", state(stretched), arrays))
    assert "lacks archive/data/7" in refused(make.write_zip(tmp_path / "c", state(make.tensor("7", WEIGHTS)), arrays))


@pytest.mark.slow
def test_bombs(tmp_path: Path) -> None:
    zeros = {"0": np.zeros(1 << 22, np.float32)}
    packed = make.write_zip(tmp_path / "c", make.content(STATE), zeros, zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(packed)
    for pickled in (
        make.pickle_of(b"r\xff\xff\xff\xff"),  # memo entry 2**32 - 1
        make.pickle_of(b"N" + b"r\xff\xff\xff\xff"),
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",  # a bytearray of 2**63 - 1 bytes
        make.pickle_of(b"\x8b\xff\xff\xff\x7f"),  # a number of 2**31 - 1 bytes
        make.pickle_of(b"(" * 100_000 + b"t" * 100_000),
        make.pickle_of(b")" + b"\x85" * 200_000),
        make.pickle_of(b"N" + b"2" * 3_000_000),
    ):
        text = refused(make.write_zip(tmp_path / "c", pickled, {}))
        assert "not a checkpoint" in text or "no `state_dict`" in text


def test_memory_is_bounded_by_the_file(tmp_path: Path) -> None:
    """Objects that share one long list, tensors that share one storage, objects deep within each other."""
    shared = b"]q\x00(" + b"N" * 20_000 + b"e" + make.name("a", "b") + b"q\x01"
    many = make.pickle_of(b"](" + shared + b"h\x01h\x00R" * 20_000 + b"e")
    with memory_below(64 << 20):
        assert "no `state_dict`" in refused(make.write_zip(tmp_path / "c", many, {}))
    deep = make.name("a", "b") + b")R" * 100_000
    content = make.pickle_of(make.mapping({"state_dict": make.ordered({"a.op.weight": deep})}))
    assert "a tensor is expected, not a.b" in refused(make.write_zip(tmp_path / "c", content, {}))
    values = {"0": np.zeros((1024, 1024), np.float32)}
    tensors = {f"l{i}.op.weight": make.tensor("0", values["0"]) for i in range(100)}
    content = make.pickle_of(make.mapping({"state_dict": make.ordered(tensors)}))
    with memory_below(400 << 20):
        assert "more than 16,777,216 values" in refused(make.write_zip(tmp_path / "c", content, values))
