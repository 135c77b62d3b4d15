"""What is wrong with a spec is said with file and line, everything at once, and `offramp` exits with 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.device import load_device
from offramp.configs.errors import InputError
from offramp.planner.ir.network import Shape
from offramp.planner.spec.keys import shape as parse_shape
from offramp.planner.spec.reader import load_spec
from offramp.planner.spec.spec import ReloadSpec
from tests.helpers.plans import chain_of, manual_spec
from tests.helpers.specs import BRANCH, FRONT, THREE, write_files, write_spec

DEVICE = load_device()

# What is replaced in FRONT, by what, and the complaint with its line
MISTAKES = [
    ("offramp: 1", "offramp: 2", r":1: `offramp: 2`; this program reads format 1"),
    ("offramp: 1\n", "", r":1: `offramp` is missing"),
    ("name: tiny", "title: tiny", r":2: unknown key `title`; allowed: offramp, networks, name, data"),
    ("name: tiny", "name: tiny\nname: tiny", r":3: `name` stands twice"),
    ("checkpoint: front.pth.tar", "checkpoint: gone.pth.tar", r":4: `checkpoint`: there is no file .*gone\.pth\.tar"),
    ("network: front.yaml", "network: gone.yaml", r":4: `network`: there is no file .*gone\.yaml"),
    ("network: front.yaml, ", "", r":4: `network` is missing"),
    ("input: 4x6x6}\n  main", "input: big}\n  main", r":4: `input: big`; CxHxW"),
    ("input: 4x6x6}\n  main", "offsets: none}\n  main", r":4: `offsets: none`; allowed: keep, free"),
    ("input: 4x6x6}\n  main", "processors: some}\n  main", r":4: `processors: some`; allowed: keep, free"),
    ("input: 4x6x6}\n  main", "weights: 1}\n  main", r":4: unknown key `weights`"),
    ("test: test.npz", "test: gone.npz", r":6: `test`: there is no file .*gone\.npz"),
    (
        "stages:\n  - network: front\n",
        "stages: front\nx:\n  - network: front\n",
        r":7: `stages: front`; a list with at least",
    ),
    ("  - network: main\n", "  - main\n", r":10: `stages\[1\]: main`; a mapping with `network` and optionally `name`"),
    ("  - network: main\n", "  - network: mane\n", r":10: `network`: there is no `mane`; there are: front, main"),
    ("  - network: main\n", "  - {network: main, head: head}\n", r":10: the last stage .* it has no `head`"),
    ("  - network: main\n", "  - {network: main, exit: {confidence: margin}}\n", r":10: the last stage .* no `exit`"),
    (
        "    exit: {confidence: margin, threshold: 0.5}\n",
        "",
        r":8: stage `front` is not the last one; it needs an `exit`",
    ),
    ("    exit:", "    until: small\n    exit:", r":8: stage `front-small`: a branch has both `until` and `head`"),
    ("    exit:", "    head: main\n    exit:", r":8: stage `front`: a branch has both `until` and `head`"),
    ("    exit:", "    head: other\n    until: 0\n    exit:", r":9: `head`: there is no `other`"),
    ("    exit:", "    head: {layer: x}\n    until: 0\n    exit:", r":9: `head: .*`; the name of a network, or"),
    ("    exit:", "    until: [1]\n    exit:", r":9: `until: \[1\]`; a layer's name or number is expected"),
    ("exit: {confidence: margin, threshold: 0.5}", "exit: margin", r":9: `exit: margin`; a mapping with `confidence`"),
    ("confidence: margin", "confidence: vote", r":9: `confidence: vote`; allowed: margin, "),
    ("threshold: 0.5", "threshold: -1", r":9: `threshold: -1`; a number >= 0 is expected"),
    ("threshold: 0.5", "threshold: high", r":9: `threshold: high`"),
    ("threshold: 0.5", "threshold: 0.5, temperature: 0", r":9: `temperature: 0`; a number > 0 is expected"),
    (", threshold: 0.5", "", r":9: `threshold` is missing; give one, or `calibrate` it"),
    ("  - network: main\n", "  - {network: main, name: front}\n", r":8: there are several stages named `front`"),
    (
        "  - network: main\n",
        "  - {network: main, name: ../x}\n",
        r":10: `name: ../x`; a name has letters, .*: give another `name`",
    ),
    ("  - network: main\n", "  - {network: main, name: ''}\n", r":10: `name: `; a name has letters"),
    ("name: tiny", "name:", r":2: `name: None`; a name has letters, digits"),
    ("name: tiny", "name: two words", r":2: `name: two words`; a name has letters, digits"),
    ("name: tiny", "labels: [a, c?]", r":2: `labels: .*`; label 'c\?': no quotes, backslashes, question marks"),
    ("name: tiny", 'labels: [a, "\\u202ec"]', r":2: `labels: .*`; label '\\u202ec': no quotes, .* control characters"),
    ("name: tiny", "labels: none", r":2: `labels: none`; a list of names"),
    ("name: tiny", "compare: [other]", r":2: there is no network `other`; there are: front, main"),
    ("name: tiny", "reload: flash", r":2: `reload: flash`; allowed: not, allowed, external"),
    (
        "name: tiny",
        "external: {bytes_per_second: 9}",
        r":2: `external` is for `reload: external`; give that, or remove",
    ),
    (
        "name: tiny",
        "reload: allowed\nexternal: {bytes_per_second: 9}",
        r":3: `external` is for `reload: external`; give that, or remove it",
    ),
    ("name: tiny", "reload: external\nexternal: {}", r":3: `bytes_per_second` is missing"),
    (
        "name: tiny",
        "reload: external\nexternal: {bytes_per_second: 0}",
        r":3: `bytes_per_second: 0`; a whole number >= 1 is expected",
    ),
    (
        "name: tiny",
        "reload: external\nexternal: {bytes_per_second: 9999999999}",
        r":3: `bytes_per_second: 9999999999`; a whole number from 1 to 2147483648 is expected",
    ),
    (
        "name: tiny",
        "reload: external\nexternal: 9",
        r":3: `external: 9`; a mapping with `bytes_per_second`",
    ),
    (
        "name: tiny",
        "calibrate: {data: test, accuracy_drop: 1}",
        r":2: `calibrate` chooses all thresholds; remove it, or",
    ),
    (
        "name: tiny",
        "calibrate: {data: tests, accuracy_drop: 1}",
        r":2: `data`: there is no `tests`; there are: test, cal",
    ),
    ("name: tiny", "calibrate: {data: test}", r":2: `accuracy_drop` is missing"),
    ("name: tiny", "calibrate: 0.5", r":2: `calibrate: 0.5`; a mapping with `data`, `accuracy_drop`"),
]


@pytest.mark.parametrize(("old", "new", "complaint"), MISTAKES, ids=[found[:50] for _, _, found in MISTAKES])
def test_mistakes_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    assert old in FRONT
    path = write_spec(tmp_path, FRONT.replace(old, new, 1))
    assert main(["plan", str(path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert any(re.search(re.escape(str(path)) + complaint, line) for line in errors), errors
    assert all(line.startswith(f"offramp plan: {tmp_path}") or "..." in line for line in errors)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("name: tiny", None),
        ("reload: not", None),
        ("reload: allowed", ReloadSpec()),
        ("reload: external", ReloadSpec(external=True)),
        ("reload: external\nexternal: {bytes_per_second: 2000000}", ReloadSpec(True, 2_000_000)),
    ],
)
def test_where_reloaded_weights_come_from(keys: str, expected: ReloadSpec | None, tmp_path: Path) -> None:
    assert load_spec(write_spec(tmp_path, FRONT.replace("name: tiny", keys)), DEVICE).reload == expected


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = FRONT.replace("threshold: 0.5", "threshold: -1").replace("offramp: 1", "offramp: 3")
    with pytest.raises(InputError) as caught:
        load_spec(write_spec(tmp_path, text.replace("front.pth.tar", "gone.pth.tar")), DEVICE)
    assert [problem.where and problem.where.line for problem in caught.value.problems] == [1, 4, 9]


@pytest.mark.parametrize(
    "text", ["", "[]", "offramp: 1\n\tx", "stages: !!python/object:os.system {}\n", "a: &a [*a]\n"]
)
def test_what_is_no_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    assert main(["plan", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_spec_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tmp_path / "spec.yaml")]) == 2
    assert "spec.yaml: cannot be read: No such file" in capsys.readouterr().err


def test_a_spec_as_read(tmp_path: Path) -> None:
    spec = manual_spec(write_spec(tmp_path, THREE.replace("name: tiny", "labels: [a, 2, c]\ncompare: [main]")))
    assert spec.name == tmp_path.name.replace("-", "_")  # of its folder, without a name of its own
    assert (spec.labels, spec.compare) == (("a", "2", "c"), ("main",))
    assert [(stage.name, stage.branch and stage.branch.until) for stage in spec.stages] == [
        ("front", None),
        ("main-first", "first"),
        ("main", None),
    ]
    assert spec.networks["front"].input_shape == Shape(4, 6, 6)
    assert spec.networks["head"].input_shape is None
    first, second, last = (stage.exit for stage in spec.stages)
    assert (last.measure, last.threshold) == ("margin", None)  # reported only, as the first stage's
    assert (first.measure, first.threshold, first.temperature) == ("margin", 0.5, 1.0)
    assert (second.measure, second.threshold) == ("entropy", 0.6)
    assert spec.data["test"] == tmp_path / "test.npz"


def test_paths_are_relative_to_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    write_files(tmp_path)
    text = FRONT.replace("network: front.yaml", "network: ../front.yaml").replace("main.yaml", "../main.yaml")
    text = text.replace("front.pth", "../front.pth").replace("main.pth", "../main.pth")
    text = text.replace("test.npz", "../test.npz").replace("calibration.npz", "../calibration.npz")
    (tmp_path / "inner" / "spec.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert load_spec(Path("inner/spec.yaml"), DEVICE).networks["main"].network.samefile(tmp_path / "main.yaml")


def test_calibration_leaves_thresholds_open(tmp_path: Path) -> None:
    text = FRONT.replace(", threshold: 0.5", "") + "calibrate: {data: calibration, accuracy_drop: 0.5}\n"
    spec = manual_spec(write_spec(tmp_path, text))
    assert spec.calibration is not None
    assert (spec.calibration.data, spec.calibration.accuracy_drop) == ("calibration", 0.5)
    assert spec.stages[0].exit.threshold is None


@pytest.mark.parametrize(
    ("text", "shape"), [("1x28x28", Shape(1, 28, 28)), ("128x64", Shape(128, 64, 1)), ("3X2x1", Shape(3, 2, 1))]
)
def test_shapes(text: str, shape: Shape) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "3", "3x0x1", "axb", "1x2x3x4", "-1x2", None])
def test_what_is_no_shape(text: str | None) -> None:
    with pytest.raises(ValueError, match="CxHxW"):
        parse_shape(text)


def test_specs_of_this_file_are_good(tmp_path: Path) -> None:
    for text in (FRONT, BRANCH, THREE):
        assert load_spec(write_spec(tmp_path, text), DEVICE).name == "tiny"


ODD_VALUES = (
    "null",
    "-1",
    "[]",
    "{}",
    "x",
    "1.5",
    "[[1]]",
    "true",
    "9" * 30,
    ".inf",
    ".nan",
    "''",
    "2024-01-01",
    "{a: 1}",
)


@pytest.mark.parametrize("text", [FRONT, BRANCH, THREE], ids=["front", "branch", "three"])
def test_odd_values_anywhere_are_messages_or_fine(tmp_path: Path, text: str) -> None:
    """Every value of a spec replaced by something odd, one at a time."""
    write_files(tmp_path)
    path = tmp_path / "spec.yaml"
    places = [match.span(1) for match in re.finditer(r"(?:\w: |- )([\w.\-]+|\{.*\})", text)]
    places += [match.span(1) for match in re.finditer(r"[\w.]+: ([\w.\-]+)(?=[,}])", text)]
    assert len(places) >= 18
    for start, end in places:
        for value in ODD_VALUES:
            path.write_text(text[:start] + value + text[end:])
            try:
                chain_of(path)
            except InputError as error:
                assert all(problem.where and problem.where.line >= 0 for problem in error.problems)
